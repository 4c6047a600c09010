"""The judge `cohere`."""

import cohere
from cohere.core.api_error import ApiError

from . import MOST_TOKENS, RESULT, SYSTEM, TOOL_SCHEMA, TOOLS, Answer, Forecast, Judge, data_url, loads

STOPS = {"COMPLETE": "end", "TOOL_CALL": "tools", "MAX_TOKENS": "length"}
ONCE = {"max_retries": 0, "timeout_in_seconds": 30}


class Chat(Judge):
    """`cohere`: chat of the second version."""

    name = "cohere"
    family = "cohere"

    def __init__(self, gateway):
        connect = lambda key: cohere.ClientV2(api_key=key, base_url=gateway.url)  # noqa: E731
        self.client = connect(gateway.key)
        self.stranger = connect("sk-wrong")

    def ask(self, model, ask, stream, client=None):
        return self.say(client or self.client, model, self.messages(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        own = {"role": "assistant", "tool_calls": answer.own}
        results = [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in answer.own]
        return self.say(self.client, model, [*self.messages(ask), own, *results], ask.tools, stream)

    def messages(self, ask):
        *earlier, _ = ask.turns()
        said = [{"role": role, "content": text} for role, text in earlier]
        pictures = [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in ask.pictures]
        now = [{"type": "text", "text": ask.text}, *pictures]
        return [{"role": "system", "content": SYSTEM}, *said, {"role": "user", "content": now}]

    def say(self, client, model, said, tools, stream, **options):
        options |= {"model": model, "messages": said, "max_tokens": MOST_TOKENS, "request_options": ONCE}
        if tools:
            spec = lambda name: {"name": name, "description": name, "parameters": TOOL_SCHEMA}  # noqa: E731
            options["tools"] = [{"type": "function", "function": spec(name)} for name in TOOLS]
        if stream:
            return collected(client.chat_stream(**options))
        answer = client.chat(**options)
        calls = [call.model_dump(exclude_none=True) for call in answer.message.tool_calls or []]
        texts = [part.text for part in answer.message.content or [] if part.type == "text"]
        return answer_of("".join(texts), calls, answer.finish_reason, answer.usage)

    def forecast(self, model, text, stream):
        wanted = {"type": "json_object", "json_schema": Forecast.model_json_schema()}
        said = [{"role": "user", "content": text}]
        answer = self.say(self.client, model, said, False, stream, response_format=wanted)
        return Forecast.model_validate_json(answer.text)

    def broken(self, model, text):
        said = [{"role": "user", "content": text}]
        seen = []
        try:
            for event in self.client.chat_stream(model=model, messages=said, request_options=ONCE):
                seen.append(event)
        except ApiError:
            return len(seen)
        # The dialect ends such an answer with a reason, which the SDK hands out as any other.
        assert seen[-1].type == "message-end", seen[-1]
        assert seen[-1].delta.finish_reason in ("ERROR", "TIMEOUT"), seen[-1]
        return len(seen)


def answer_of(text, calls, reason, usage):
    return Answer(
        text=text,
        calls=[(call["function"]["name"], loads(call["function"]["arguments"])) for call in calls],
        stop=STOPS.get(reason, reason),
        tokens=(int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)),
        own=calls,
    )


def collected(stream):
    """The message of a stream, put together."""
    text, calls, reason, usage = "", {}, None, None
    for event in stream:
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
        elif event.type == "tool-call-start":
            calls[event.index] = event.delta.message.tool_calls.model_dump(exclude_none=True)
        elif event.type == "tool-call-delta":
            function = calls[event.index]["function"]
            function["arguments"] = function.get("arguments", "") + event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            reason, usage = event.delta.finish_reason, event.delta.usage
    return answer_of(text, list(calls.values()), reason, usage)
