"""The judge `boto3`, which signs its requests."""

import base64
import json

import boto3
import botocore.config
import botocore.exceptions

from . import MOST_TOKENS, RESULT, SYSTEM, TOOL_SCHEMA, TOOLS, Answer, Forecast, Judge, loads

STOPS = {"end_turn": "end", "tool_use": "tools", "max_tokens": "length"}
NO_RETRIES = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30)


class Converse(Judge):
    """`boto3`: Converse and ConverseStream of Bedrock."""

    name = "boto3"
    family = "bedrock"

    def __init__(self, gateway):
        connect = lambda identity, secret: boto3.client(  # noqa: E731
            "bedrock-runtime",
            endpoint_url=gateway.url,
            region_name="eu-central-1",
            aws_access_key_id=identity,
            aws_secret_access_key=secret,
            config=NO_RETRIES,
        )
        self.client = connect(*gateway.aws)
        self.stranger = connect(gateway.aws[0], "wrong")

    def ask(self, model, ask, stream, client=None):
        return self.say(client or self.client, model, self.messages(ask), ask.tools, stream)

    def go_on(self, model, ask, answer, stream):
        results = [
            {"toolResult": {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"text": RESULT}]}}
            for block in answer.own
            if "toolUse" in block
        ]
        turns = [{"role": "assistant", "content": answer.own}, {"role": "user", "content": results}]
        return self.say(self.client, model, [*self.messages(ask), *turns], ask.tools, stream)

    def messages(self, ask):
        *earlier, _ = ask.turns()
        said = [{"role": role, "content": [{"text": text}]} for role, text in earlier]
        # There is no way to send a picture by its URL.
        pictures = [
            {"image": {"format": "png", "source": {"bytes": base64.b64decode(picture)}}}
            for picture in ask.pictures
            if not picture.startswith("http")
        ]
        return [*said, {"role": "user", "content": [{"text": ask.text}, *pictures]}]

    def say(self, client, model, said, tools, stream, **options):
        options |= {"modelId": model, "messages": said, "system": [{"text": SYSTEM}]}
        options["inferenceConfig"] = {"maxTokens": MOST_TOKENS}
        if tools:
            spec = lambda name: {"name": name, "description": name, "inputSchema": {"json": TOOL_SCHEMA}}  # noqa: E731
            options["toolConfig"] = {"tools": [{"toolSpec": spec(name)} for name in TOOLS]}
        if not stream:
            answer = client.converse(**options)
            return answer_of(answer["output"]["message"]["content"], answer["stopReason"], answer["usage"])
        return collected(client.converse_stream(**options)["stream"])

    def forecast(self, model, text, stream):
        definition = {"schema": json.dumps(Forecast.model_json_schema()), "name": "forecast"}
        output = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}
        said = [{"role": "user", "content": [{"text": text}]}]
        answer = self.say(self.client, model, said, False, stream, outputConfig=output)
        return Forecast.model_validate_json(answer.text)

    def broken(self, model, text):
        said = [{"role": "user", "content": [{"text": text}]}]
        seen = 0
        try:
            for _ in self.client.converse_stream(modelId=model, messages=said)["stream"]:
                seen += 1
        except botocore.exceptions.EventStreamError:
            return seen
        raise AssertionError("the stream looks whole")

    def failure(self, error):
        assert isinstance(error, botocore.exceptions.ClientError), repr(error)
        return type(error).__name__, error.response["ResponseMetadata"]["HTTPStatusCode"]


def answer_of(blocks, stop, usage):
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return Answer(
        text="".join(block.get("text", "") for block in blocks),
        calls=[(block["toolUse"]["name"], block["toolUse"]["input"]) for block in blocks if "toolUse" in block],
        stop=STOPS.get(stop, stop),
        tokens=(usage["inputTokens"] + cached, usage["outputTokens"]),
        own=blocks,
    )


def collected(stream):
    """The blocks of a stream, put together."""
    blocks, stop, usage = {}, None, None
    for event in stream:
        if start := event.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        if piece := event.get("contentBlockDelta"):
            block, delta = blocks.setdefault(piece["contentBlockIndex"], {}), piece["delta"]
            if "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
        stop = event.get("messageStop", {}).get("stopReason", stop)
        usage = event.get("metadata", {}).get("usage", usage)
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = loads(block["toolUse"]["input"])
    return answer_of([block for _, block in sorted(blocks.items()) if block], stop, usage)
