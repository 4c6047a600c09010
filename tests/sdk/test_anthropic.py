"""The official Anthropic SDK with only base URL and key changed."""

import hashlib
import json

import pytest
from conftest import ANTHROPIC_SECRET, tokens

WORDS = "the ship holds her course"
FIVE_WORDS = "[[fake:output_tokens=5]]"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def tool(name):
    return {"name": name, "description": name, "input_schema": SCHEMA}


def ask(text, **more):
    return {"model": "fake-claude", "max_tokens": 2048, "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def client(gateway):
    return gateway.anthropic()


def test_a_message_comes_with_exact_usage(client, fake):
    message = client.messages.create(**ask(FIVE_WORDS, system="answer briefly"))
    assert message.content[0].text == WORDS
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == tokens("answer briefly", FIVE_WORDS)
    assert message.usage.output_tokens == 5
    assert message._request_id


def test_cache_tokens_survive(client, fake):
    usage = client.messages.create(**ask("[[fake:cached_tokens=11,cache_write_tokens=3]]")).usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (11, 3)


def test_a_stream_says_the_same_as_the_whole(client, fake):
    with client.messages.stream(**ask(FIVE_WORDS)) as stream:
        assert "".join(stream.text_stream) == WORDS
        message = stream.get_final_message()
    assert message.usage.output_tokens == 5
    assert message.usage.input_tokens == tokens(FIVE_WORDS)
    assert message.stop_reason == "end_turn"


def test_raw_events_come_in_order(client, fake):
    kinds = [event.type for event in client.messages.create(**ask(FIVE_WORDS), stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds.count("content_block_delta") == 5
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_tools_are_called_in_parallel_and_their_results_answered(client, fake):
    request = ask("[[fake:tool=weather+news]]", tools=[tool("weather"), tool("news")])
    asked = client.messages.create(**request)
    assert asked.stop_reason == "tool_use"
    calls = [block for block in asked.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("weather", {"city": "sample", "days": 1}),
        ("news", {"city": "sample", "days": 1}),
    ]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    request["messages"] += [
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": results},
    ]
    answered = client.messages.create(**request)
    assert [block.type for block in answered.content] == ["text"]


def test_tool_arguments_stream_in_pieces(client, fake):
    with client.messages.stream(**ask("[[fake:tool=weather]]", tools=[tool("weather")])) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    assert len(pieces) > 2
    assert json.loads("".join(pieces)) == {"city": "sample", "days": 1}
    assert message.content[0].input == {"city": "sample", "days": 1}


def test_tokens_are_counted(client, fake):
    counted = client.messages.count_tokens(model="fake-claude", messages=[{"role": "user", "content": "twelve bytes"}])
    assert counted.input_tokens == 3


def test_models_are_listed_and_retrieved(client):
    listed = {model.id for model in client.models.list()}
    assert {"fake-gpt", "fake-claude", "echo"} <= listed
    assert client.models.retrieve("fake-claude").id == "fake-claude"


def test_beta_headers_and_the_query_reach_the_provider(client, fake):
    client.beta.messages.create(**ask("hello"), betas=["future-2031-01-01", "other-2032-02-02"], extra_query={"beta": "true"})
    call = fake.only_call()
    assert "beta=true" in call["query"]
    assert call["headers"]["anthropic-beta"] == "future-2031-01-01,other-2032-02-02"
    assert call["headers"]["anthropic-version"] == client.default_headers["anthropic-version"]


def test_thinking_and_its_signature_make_the_round_trip(client, fake):
    request = ask(FIVE_WORDS, thinking=THINKING)
    first = client.messages.create(**request)
    thought, text = first.content
    assert (thought.type, text.text) == ("thinking", WORDS)
    assert thought.signature
    request["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "go on"},
    ]
    fake.reset()
    client.messages.create(**request)
    returned = json.loads(fake.body(fake.only_call()))["messages"][1]["content"][0]
    assert returned == {"type": "thinking", "thinking": thought.thinking, "signature": thought.signature}


def test_thinking_streams_before_the_text(client, fake):
    with client.messages.stream(**ask(FIVE_WORDS, thinking=THINKING)) as stream:
        kinds = [event.type for event in stream if event.type in ("thinking", "signature", "text")]
        message = stream.get_final_message()
    assert kinds == ["thinking"] * 8 + ["signature"] + ["text"] * 5
    assert [block.type for block in message.content] == ["thinking", "text"]


def test_unknown_fields_and_blocks_reach_the_provider(client, fake):
    blocks = [{"type": "text", "text": "hello"}, {"type": "hologram", "depth": 1.50}]
    client.messages.create(**ask(blocks), extra_body={"x_future": [1, None]})
    sent = json.loads(fake.body(fake.only_call()))
    assert sent["messages"][0]["content"] == blocks
    assert sent["x_future"] == [1, None]


def test_the_callers_key_stays_with_the_gateway(client, gateway, fake):
    client.messages.create(**ask("hello"))
    shown = fake.only_call()["headers"]["x-api-key"]
    assert shown == "sha256:" + hashlib.sha256(ANTHROPIC_SECRET.encode()).hexdigest()
    assert gateway.key not in json.dumps(fake.calls())


def test_a_bearer_token_is_as_good_as_an_api_key(gateway, fake):
    client = gateway.anthropic(api_key=None, auth_token=gateway.key)
    assert client.messages.create(**ask(FIVE_WORDS)).content[0].text == WORDS


def test_raw_responses_bear_a_request_id(client, fake):
    raw = client.messages.with_raw_response.create(**ask(FIVE_WORDS))
    assert raw.headers["request-id"]
    assert raw.headers["x-request-id"]
    assert raw.parse().content[0].text == WORDS
