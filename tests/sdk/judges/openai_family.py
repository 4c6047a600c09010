"""Judges of OpenAI's family: chat completions, Responses, Azure, and LangChain on top."""

import langchain_core.messages as words
import langchain_openai
import openai

from . import MOST_TOKENS, RESULT, SYSTEM, TOOL_SCHEMA, TOOLS, Answer, Forecast, Judge, data_url, loads

STOPS = {"stop": "end", "tool_calls": "tools", "length": "length"}


def content(ask):
    """The user's words, in parts where there are pictures."""
    if not ask.pictures:
        return ask.text
    pictures = [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in ask.pictures]
    return [{"type": "text", "text": ask.text}, *pictures]


def messages(ask):
    *earlier, _ = ask.turns()
    said = [{"role": role, "content": text} for role, text in earlier]
    return [{"role": "system", "content": SYSTEM}, *said, {"role": "user", "content": content(ask)}]


def function(name):
    return {"name": name, "description": name, "parameters": TOOL_SCHEMA, "strict": True}


class Chat(Judge):
    """`openai`: chat completions."""

    name = "openai"
    family = "openai"

    def __init__(self, gateway):
        self.client = self.connect(gateway, gateway.key)
        self.stranger = self.connect(gateway, "sk-wrong")
        self.patient = self.client.with_options(max_retries=2)

    def connect(self, gateway, key):
        return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30)

    def ask(self, model, ask, stream, client=None):
        return self.say(client or self.client, model, messages(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        results = [{"role": "tool", "tool_call_id": call.id, "content": RESULT} for call in answer.own.tool_calls]
        own = {
            "role": "assistant",
            "tool_calls": [call.model_dump(include={"id", "type", "function"}) for call in answer.own.tool_calls],
        }
        return self.say(self.client, model, [*messages(ask), own, *results], ask.tools, stream)

    def say(self, client, model, said, tools, stream):
        options = {"model": model, "messages": said, "max_tokens": MOST_TOKENS}
        if tools:
            options["tools"] = [{"type": "function", "function": function(name)} for name in TOOLS]
        if not stream:
            return answer_of(client.chat.completions.create(**options))
        with client.chat.completions.stream(**options, stream_options={"include_usage": True}) as events:
            return answer_of(events.until_done().get_final_completion())

    def forecast(self, model, text, stream):
        options = {"model": model, "messages": [{"role": "user", "content": text}], "response_format": Forecast}
        if not stream:
            return self.client.chat.completions.parse(**options).choices[0].message.parsed
        with self.client.chat.completions.stream(**options) as events:
            return events.until_done().get_final_completion().choices[0].message.parsed

    def broken(self, model, text):
        """Reads a stream to where it breaks; how much came before."""
        seen = 0
        try:
            said = [{"role": "user", "content": text}]
            for _ in self.client.chat.completions.create(model=model, messages=said, stream=True):
                seen += 1
        except openai.APIError:
            return seen
        raise AssertionError("the stream looks whole")


def answer_of(completion):
    (choice,) = completion.choices
    calls = [(call.function.name, loads(call.function.arguments)) for call in choice.message.tool_calls or []]
    usage = completion.usage
    return Answer(
        text=choice.message.content or "",
        calls=calls,
        stop=STOPS.get(choice.finish_reason, choice.finish_reason),
        tokens=(usage.prompt_tokens, usage.completion_tokens),
        own=choice.message,
    )


class Azure(Chat):
    """`openai`'s client for Azure, at the classic paths."""

    name = "azure"

    def connect(self, gateway, key):
        return openai.AzureOpenAI(
            azure_endpoint=gateway.url, api_version="2024-10-21", api_key=key, max_retries=0, timeout=30
        )


class Responses(Chat):
    """`openai`: the Responses API."""

    name = "openai responses"

    def ask(self, model, ask, stream, client=None):
        return self.respond(client or self.client, model, self.items(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": RESULT}
            for item in answer.own
            if item.type == "function_call"
        ]
        own = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.own]
        return self.respond(self.client, model, [*self.items(ask), *own, *results], ask.tools, stream)

    def items(self, ask):
        *earlier, _ = ask.turns()
        said = [{"role": role, "content": text} for role, text in earlier]
        pictures = [{"type": "input_image", "image_url": data_url(picture)} for picture in ask.pictures]
        now = [{"type": "input_text", "text": ask.text}, *pictures]
        return [*said, {"role": "user", "content": now}]

    def respond(self, client, model, items, tools, stream):
        options = {"model": model, "input": items, "instructions": SYSTEM, "max_output_tokens": MOST_TOKENS}
        if tools:
            options["tools"] = [{"type": "function", **function(name)} for name in TOOLS]
        if not stream:
            return response_of(client.responses.create(**options, store=False))
        with client.responses.stream(**options, store=False) as events:
            return response_of(events.until_done().get_final_response())

    def forecast(self, model, text, stream):
        options = {"model": model, "input": text, "text_format": Forecast, "store": False}
        if not stream:
            return self.client.responses.parse(**options).output_parsed
        with self.client.responses.stream(**options) as events:
            return events.until_done().get_final_response().output_parsed

    def broken(self, model, text):
        seen = []
        try:
            for event in self.client.responses.create(model=model, input=text, stream=True, store=False):
                seen.append(event.type)
        except openai.APIError:
            return len(seen)
        # The dialect has an event for it, which the SDK hands out as any other.
        assert seen[-1] in ("response.failed", "error"), seen[-1]
        return len(seen)


def response_of(response):
    calls = [(item.name, loads(item.arguments)) for item in response.output if item.type == "function_call"]
    stop = "tools" if calls else "end" if response.status == "completed" else response.status
    return Answer(
        text=response.output_text,
        calls=calls,
        stop=stop,
        tokens=(response.usage.input_tokens, response.usage.output_tokens),
        own=response.output,
    )


class LangChain(Judge):
    """`langchain-openai`."""

    name = "langchain"
    family = "openai"

    def __init__(self, gateway):
        self.url = f"{gateway.url}/v1"
        self.key = gateway.key
        self.stranger = "sk-wrong"

    def model(self, model, key=None, **options):
        return langchain_openai.ChatOpenAI(
            base_url=self.url, api_key=key or self.key, model=model, max_retries=0, timeout=30, **options
        )

    def ask(self, model, ask, stream, client=None):
        return self.say(model, self.messages(ask), ask.tools, stream, client)

    def go_on(self, model, ask, answer, stream):
        results = [words.ToolMessage(RESULT, tool_call_id=call["id"]) for call in answer.own.tool_calls]
        return self.say(model, [*self.messages(ask), answer.own, *results], ask.tools, stream)

    def messages(self, ask):
        *earlier, _ = ask.turns()
        kinds = {"user": words.HumanMessage, "assistant": words.AIMessage}
        said = [kinds[role](text) for role, text in earlier]
        return [words.SystemMessage(SYSTEM), *said, words.HumanMessage(content(ask))]

    def say(self, model, said, tools, stream, key=None):
        asked = self.model(model, key, max_tokens=MOST_TOKENS, stream_usage=True)
        if tools:
            asked = asked.bind_tools([{"type": "function", "function": function(name)} for name in TOOLS])
        if not stream:
            return message_of(asked.invoke(said))
        whole = None
        for chunk in asked.stream(said):
            whole = chunk if whole is None else whole + chunk
        return message_of(whole)

    def forecast(self, model, text, stream):
        asked = self.model(model).with_structured_output(Forecast, method="json_schema")
        if not stream:
            return asked.invoke(text)
        return list(asked.stream(text))[-1]

    def broken(self, model, text):
        seen = 0
        try:
            for _ in self.model(model).stream(text):
                seen += 1
        except openai.APIError:
            return seen
        raise AssertionError("the stream looks whole")

    def failure(self, error):
        # Its classes are OpenAI's with more said.
        of_openai = [kind for kind in type(error).__mro__ if kind.__module__.startswith("openai")]
        return of_openai[0].__name__, getattr(error, "status_code", None)


def message_of(message):
    usage = message.usage_metadata
    return Answer(
        text=message.text if isinstance(message.text, str) else message.text(),
        calls=[(call["name"], call["args"]) for call in message.tool_calls],
        stop=STOPS.get(message.response_metadata["finish_reason"]),
        tokens=(usage["input_tokens"], usage["output_tokens"]),
        own=message,
    )
