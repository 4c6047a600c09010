"""What the official SDKs know is what our tables decide about: a new field or a new word fails here."""

import inspect
import json
import pathlib
import re
import typing

import botocore.session
import google.genai.models
import pytest
import typing_extensions
from anthropic.types import StopReason
from anthropic.types.message_create_params import MessageCreateParamsBase
from cohere.types import ChatFinishReason
from cohere.types.finish_reason import FinishReason as FirstFinishReason
from cohere.v2.client import V2Client
from google.genai import types as gemini
from openai.types.chat.chat_completion import Choice
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_create_params import ResponseCreateParamsBase

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTED = json.loads((ROOT / "fixtures/cross/fields.json").read_text())
PAGE = (ROOT / "docs/reference/dialects.md").read_text()

# What is not about one call of a model, or is sent under another name.
NOT_OURS = {
    # They choose where and how the client calls, and are not sent.
    "gemini": {"generationConfig.automaticFunctionCalling"},
    "bedrock_converse": {"modelId"},
}


def typed(fields, depth=0):
    """The members of a TypedDict, and those of the objects within."""
    found = {}
    for name, kind in typing_extensions.get_type_hints(fields).items():
        inner = [part for part in parts(kind) if typing_extensions.is_typeddict(part)]
        found[name] = {key for part in inner for key in typed(part, depth + 1)} if depth == 0 else set()
    return found


def parts(kind):
    if typing.get_origin(kind) is None:
        return [kind]
    return [inner for argument in typing.get_args(kind) for inner in parts(argument)]


def of_gemini():
    """The names that the client writes, and whether they stand at the top or among the settings."""
    source = inspect.getsource(google.genai.models._GenerateContentConfig_to_mldev)
    found = {}
    for block in source.split("if getv(")[1:]:
        if "raise ValueError" in block:
            continue
        place, name = re.search(r"(parent_object|to_object),\s*\['(\w+)'\]", block).groups()
        found[name if place == "parent_object" else f"generationConfig.{name}"] = set()
    found["toolConfig"] = {"functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"}
    assert len(gemini.ToolConfig.model_fields) == 3
    return {"contents": set(), **found}


def of_bedrock():
    shape = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    return {name: set(getattr(member, "members", {})) for name, member in shape.members.items()}


def of_cohere():
    names = set(inspect.signature(V2Client.chat).parameters) - {"self", "request_options"}
    return {name: set() for name in names | {"stream"}}


SDKS = {
    "openai_chat": lambda: typed(CompletionCreateParamsBase) | {"stream": set()},
    "openai_responses": lambda: typed(ResponseCreateParamsBase) | {"stream": set()},
    "anthropic_messages": lambda: typed(MessageCreateParamsBase) | {"stream": set()},
    "gemini": of_gemini,
    "cohere_chat": of_cohere,
    "bedrock_converse": of_bedrock,
}


@pytest.mark.parametrize("dialect", SDKS)
def test_every_field_of_the_sdk_is_decided_about(dialect):
    listed = LISTED[dialect]
    undecided = []
    for name, members in SDKS[dialect]().items():
        if name in listed:
            continue
        within = {field.removeprefix(name + ".") for field in listed if field.startswith(name + ".")}
        undecided += [f"{name}.{member}" for member in members - within] if within else [name]
    undecided = set(undecided) - NOT_OURS.get(dialect, set())
    assert not undecided, f"add to fixtures/cross/fields.json: {sorted(undecided)}"


def words_of(kind):
    return {word for word in parts(kind) if isinstance(word, str)}


WORDS = {
    "OpenAI chat": lambda: words_of(Choice.model_fields["finish_reason"].annotation),
    "Responses": lambda: words_of(IncompleteDetails.model_fields["reason"].annotation),
    "Anthropic": lambda: words_of(StopReason),
    "Gemini": lambda: {reason.value for reason in gemini.FinishReason},
    "Cohere": lambda: words_of(ChatFinishReason) | words_of(FirstFinishReason),
    "Bedrock": lambda: set(
        botocore.session.get_session().get_service_model("bedrock-runtime").shape_for("StopReason").enum
    ),
}


@pytest.mark.parametrize("provider", WORDS)
def test_every_word_for_the_end_of_an_answer_is_decided_about(provider):
    rows = re.findall(rf"^\| {provider} \| `(\w+)` \| (?:`\w+`|an error) \|", PAGE, re.MULTILINE)
    words = WORDS[provider]()
    assert words, provider
    assert words <= set(rows), f"add to crates/llm/tests/it/stops.rs: {sorted(words - set(rows))}"
