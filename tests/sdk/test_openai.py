"""The official OpenAI SDK with only base URL and key changed."""

import asyncio
import hashlib
import json

import openai
import pytest
from conftest import OPENAI_SECRET, tokens

WORDS = "the ship holds her course"
FIVE_WORDS = "[[fake:output_tokens=5]]"


def function(name):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def user(text):
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(gateway):
    return gateway.openai()


def test_a_chat_completion_comes_with_exact_usage(client, fake):
    system = "answer briefly"
    messages = [{"role": "system", "content": system}, *user(FIVE_WORDS)]
    completion = client.chat.completions.create(model="fake-gpt", messages=messages)
    assert completion.choices[0].message.content == WORDS
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.prompt_tokens == tokens(system, FIVE_WORDS)
    assert completion.usage.completion_tokens == 5
    assert completion._request_id
    assert fake.stats()["tokens"]["output"] == 5


def test_cached_and_reasoning_tokens_survive(client, fake):
    text = "[[fake:cached_tokens=11,reasoning_tokens=7,output_tokens=5]]"
    usage = client.chat.completions.create(model="fake-gpt", messages=user(text)).usage
    assert usage.prompt_tokens == tokens(text) + 11
    assert usage.prompt_tokens_details.cached_tokens == 11
    assert usage.completion_tokens == 12
    assert usage.completion_tokens_details.reasoning_tokens == 7


@pytest.mark.parametrize("include_usage", [True, False, None])
def test_usage_is_streamed_only_when_asked_for(client, fake, include_usage):
    options = {} if include_usage is None else {"stream_options": {"include_usage": include_usage}}
    stream = client.chat.completions.create(model="fake-gpt", messages=user(FIVE_WORDS), stream=True, **options)
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == WORDS
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    if include_usage:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage.completion_tokens == 5
    else:
        assert with_usage == []
        assert all(chunk.choices for chunk in chunks)


def test_the_stream_helper_gathers_a_whole_completion(client, fake):
    with client.chat.completions.stream(model="fake-gpt", messages=user(FIVE_WORDS)) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == WORDS


def test_a_tool_is_called_and_its_result_answered(client, fake):
    messages = user("[[fake:tool=weather]]")
    tools = [function("weather")]
    asked = client.chat.completions.create(model="fake-gpt", messages=messages, tools=tools)
    assert asked.choices[0].finish_reason == "tool_calls"
    (call,) = asked.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "sample", "days": 1}
    messages += [
        asked.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answered = client.chat.completions.create(model="fake-gpt", messages=messages, tools=tools)
    assert answered.choices[0].message.content
    assert answered.choices[0].message.tool_calls is None


def test_parallel_tool_calls_stream_in_pieces(client, fake):
    stream = client.chat.completions.create(
        model="fake-gpt",
        messages=user("[[fake:tool=weather+news]]"),
        tools=[function("weather"), function("news")],
        stream=True,
    )
    names, arguments, pieces = {}, {}, 0
    for chunk in stream:
        for part in chunk.choices[0].delta.tool_calls or []:
            pieces += 1
            if part.function.name:
                names[part.index] = part.function.name
            arguments[part.index] = arguments.get(part.index, "") + part.function.arguments
    assert names == {0: "weather", 1: "news"}
    assert [json.loads(arguments[at]) for at in (0, 1)] == [{"city": "sample", "days": 1}] * 2
    assert pieces > 4


def test_tool_choice_reaches_the_provider(client, fake):
    ask = {"model": "fake-gpt", "messages": user("hello"), "tools": [function("weather")]}
    forced = client.chat.completions.create(**ask, tool_choice="required")
    assert forced.choices[0].message.tool_calls[0].function.name == "weather"
    never = client.chat.completions.create(**{**ask, "messages": user("[[fake:tool=weather]]")}, tool_choice="none")
    assert never.choices[0].message.tool_calls is None


def test_models_are_listed_and_retrieved(client):
    listed = {model.id for model in client.models.list()}
    assert {"fake-gpt", "fake-claude", "echo"} <= listed
    assert client.models.retrieve("fake-gpt").id == "fake-gpt"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_embeddings_pass(client, fake):
    answer = client.embeddings.create(model="fake-embedding", input=["one", "two!"])
    assert [len(item.embedding) for item in answer.data] == [1536, 1536]
    assert answer.usage.total_tokens == tokens("one", "two!")


def test_moderations_pass(client, fake):
    answer = client.moderations.create(model="fake-moderation", input=["peace", "violence"])
    assert [result.flagged for result in answer.results] == [False, True]


def test_raw_responses_bear_a_request_id_and_parse(client, fake):
    raw = client.chat.completions.with_raw_response.create(model="fake-gpt", messages=user(FIVE_WORDS))
    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().choices[0].message.content == WORDS


def test_extra_fields_and_headers_reach_the_provider(client, fake):
    extra = {"x_future": {"nested": [1, None, "ü"]}, "seed": 7}
    client.chat.completions.create(
        model="fake-gpt",
        messages=user("hello"),
        extra_body=extra,
        extra_headers={"openai-beta": "future=v9"},
    )
    call = fake.only_call()
    sent = json.loads(fake.body(call))
    assert {name: sent[name] for name in extra} == extra
    assert call["headers"]["openai-beta"] == "future=v9"


def test_the_callers_key_stays_with_the_gateway(client, gateway, fake):
    client.chat.completions.create(model="fake-gpt", messages=user("hello"))
    shown = fake.only_call()["headers"]["authorization"]
    hashed = hashlib.sha256(f"Bearer {OPENAI_SECRET}".encode()).hexdigest()
    assert shown == f"sha256:{hashed}"
    assert gateway.key not in json.dumps(fake.calls())


def test_the_async_client_runs_calls_side_by_side(gateway, fake):
    async def several():
        options = {"base_url": f"{gateway.url}/v1", "api_key": gateway.key, "max_retries": 0}
        async with openai.AsyncOpenAI(**options) as client:
            text = f"[[fake:latency_ms=300]] {FIVE_WORDS}"
            calls = [client.chat.completions.create(model="fake-gpt", messages=user(text)) for _ in range(8)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(several())
    assert [answer.choices[0].message.content for answer in answers] == [WORDS] * 8
    assert fake.stats()["max_in_flight"] > 1
