"""The official SDKs behind one interface: each says the same conversation in its own words."""

import dataclasses
import json

import pydantic

SYSTEM = "be brief"
EARLIER = [("user", "ahoy"), ("assistant", "aye")]
TOOL_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
# What the fake provider makes up for the schema.
SAMPLE = {"city": "sample", "days": 1}
TOOLS = ["weather", "news"]
RESULT = "sunny"
MOST_TOKENS = 999


class Forecast(pydantic.BaseModel):
    """What the model is to answer with, where the SDK takes a class for that."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


@dataclasses.dataclass
class Ask:
    """A conversation: instructions, earlier turns, and what the user says now."""

    text: str
    tools: bool = False
    # A name for every picture: base64 of a PNG, or a URL.
    pictures: tuple[str, ...] = ()

    def turns(self):
        return [*EARLIER, ("user", self.text)]


@dataclasses.dataclass
class Answer:
    """What a caller understands of an answer."""

    text: str
    calls: list
    stop: str
    # Input with what came from a cache, and output.
    tokens: tuple[int, int]
    # What the SDK itself gave, to go on with.
    own: object = None


class Judge:
    """One SDK with one way of using it."""

    name: str
    # The family of errors that it understands.
    family: str

    def ask(self, model, ask, stream):
        """The answer to a conversation."""
        raise NotImplementedError

    def go_on(self, model, ask, answer, stream):
        """The answer after the tools that were called have said `RESULT`."""
        raise NotImplementedError

    def forecast(self, model, text, stream):
        """An answer by the schema of `Forecast`, by the SDK's own means for that."""
        raise NotImplementedError

    def failure(self, error):
        """The name of an exception's class and its status."""
        return type(error).__name__, getattr(error, "status_code", None)


def loads(arguments):
    """Arguments of a call, which some dialects leave out when there are none."""
    return json.loads(arguments or "{}")


def data_url(picture):
    return picture if picture.startswith("http") else f"data:image/png;base64,{picture}"
