"""The judge `anthropic`."""

import anthropic

from . import MOST_TOKENS, RESULT, SYSTEM, TOOL_SCHEMA, TOOLS, Answer, Forecast, Judge

STOPS = {"end_turn": "end", "tool_use": "tools", "max_tokens": "length"}


def picture(name):
    if name.startswith("http"):
        return {"type": "image", "source": {"type": "url", "url": name}}
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": name}}


class Messages(Judge):
    """`anthropic`: messages."""

    name = "anthropic"
    family = "anthropic"

    def __init__(self, gateway):
        connect = lambda key: anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=30)  # noqa: E731
        self.client = connect(gateway.key)
        self.stranger = connect("sk-wrong")
        self.patient = self.client.with_options(max_retries=2)

    def ask(self, model, ask, stream, client=None):
        return self.say(client or self.client, model, self.messages(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": RESULT}
            for block in answer.own
            if block.type == "tool_use"
        ]
        own = [block.model_dump(exclude_none=True) for block in answer.own]
        turns = [{"role": "assistant", "content": own}, {"role": "user", "content": results}]
        return self.say(self.client, model, [*self.messages(ask), *turns], ask.tools, stream)

    def messages(self, ask):
        *earlier, _ = ask.turns()
        said = [{"role": role, "content": text} for role, text in earlier]
        now = [{"type": "text", "text": ask.text}, *map(picture, ask.pictures)]
        return [*said, {"role": "user", "content": now}]

    def say(self, client, model, said, tools, stream):
        options = {"model": model, "max_tokens": MOST_TOKENS, "system": SYSTEM, "messages": said}
        if tools:
            options["tools"] = [{"name": name, "description": name, "input_schema": TOOL_SCHEMA} for name in TOOLS]
        if not stream:
            return answer_of(client.messages.create(**options))
        with client.messages.stream(**options) as events:
            return answer_of(events.get_final_message())

    def forecast(self, model, text, stream):
        said = [{"role": "user", "content": text}]
        options = {"model": model, "max_tokens": MOST_TOKENS, "messages": said, "output_format": Forecast}
        if not stream:
            return self.client.messages.parse(**options).parsed_output
        with self.client.messages.stream(**options) as events:
            return events.get_final_message().parsed_output

    def broken(self, model, text):
        seen = 0
        try:
            said = [{"role": "user", "content": text}]
            for _ in self.client.messages.create(model=model, max_tokens=MOST_TOKENS, messages=said, stream=True):
                seen += 1
        except anthropic.APIError:
            return seen
        raise AssertionError("the stream looks whole")


def answer_of(message):
    usage = message.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Answer(
        text="".join(block.text for block in message.content if block.type == "text"),
        calls=[(block.name, block.input) for block in message.content if block.type == "tool_use"],
        stop=STOPS.get(message.stop_reason, message.stop_reason),
        tokens=(usage.input_tokens + cached, usage.output_tokens),
        own=message.content,
    )
