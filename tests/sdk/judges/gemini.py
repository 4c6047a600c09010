"""The judge `google-genai`."""

import base64

from google import genai
from google.genai import errors, types

from . import MOST_TOKENS, RESULT, SYSTEM, TOOL_SCHEMA, TOOLS, Answer, Forecast, Judge

STOPS = {"STOP": "end", "MAX_TOKENS": "length"}
ROLES = {"user": "user", "assistant": "model"}


def picture(name):
    if name.startswith("http"):
        return types.Part.from_uri(file_uri=name, mime_type="image/png")
    return types.Part.from_bytes(data=base64.b64decode(name), mime_type="image/png")


class GenerateContent(Judge):
    """`google-genai`."""

    name = "google-genai"
    family = "gemini"

    def __init__(self, gateway):
        connect = lambda key: genai.Client(api_key=key, http_options={"base_url": gateway.url, "timeout": 30_000})  # noqa: E731
        self.client = connect(gateway.key)
        self.stranger = connect("sk-wrong")

    def ask(self, model, ask, stream, client=None):
        return self.say(client or self.client, model, self.contents(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        calls = [part.function_call for part in answer.own if part.function_call]
        results = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": RESULT}))
            for call in calls
        ]
        turns = [types.Content(role="model", parts=answer.own), types.Content(role="user", parts=results)]
        return self.say(self.client, model, [*self.contents(ask), *turns], ask.tools, stream)

    def contents(self, ask):
        *earlier, _ = ask.turns()
        said = [types.Content(role=ROLES[role], parts=[types.Part(text=text)]) for role, text in earlier]
        now = [types.Part(text=ask.text), *map(picture, ask.pictures)]
        return [*said, types.Content(role="user", parts=now)]

    def say(self, client, model, said, tools, stream, **more):
        config = types.GenerateContentConfig(system_instruction=SYSTEM, max_output_tokens=MOST_TOKENS, **more)
        if tools:
            declared = [
                types.FunctionDeclaration(name=name, description=name, parameters_json_schema=TOOL_SCHEMA)
                for name in TOOLS
            ]
            config.tools = [types.Tool(function_declarations=declared)]
        if not stream:
            return answer_of([client.models.generate_content(model=model, contents=said, config=config)])
        return answer_of(list(client.models.generate_content_stream(model=model, contents=said, config=config)))

    def forecast(self, model, text, stream):
        config = {"response_mime_type": "application/json", "response_schema": Forecast}
        if not stream:
            return self.client.models.generate_content(model=model, contents=text, config=config).parsed
        chunks = self.client.models.generate_content_stream(model=model, contents=text, config=config)
        return Forecast.model_validate_json("".join(chunk.text or "" for chunk in chunks))

    def broken(self, model, text):
        seen = 0
        try:
            for _ in self.client.models.generate_content_stream(model=model, contents=text):
                seen += 1
        except errors.APIError:
            return seen
        raise AssertionError("the stream looks whole")

    def failure(self, error):
        return type(error).__name__, error.code


def answer_of(chunks):
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or []]
    parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    reasons = [candidate.finish_reason for candidate in candidates if candidate.finish_reason]
    reason = reasons[-1].value if reasons else None
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata][-1]
    return Answer(
        text="".join(part.text for part in parts if part.text and not part.thought),
        calls=calls,
        # The dialect has no word of its own for calls of tools.
        stop="tools" if calls and reason == "STOP" else STOPS.get(reason, reason),
        tokens=(usage.prompt_token_count, usage.candidates_token_count + (usage.thoughts_token_count or 0)),
        own=[part for part in parts if part.function_call] if calls else parts,
    )
