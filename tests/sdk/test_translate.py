"""Each official SDK against the other family's provider: the caller sees its own API, the provider its own,
and the tokens are the provider's to the last one."""

import json

import anthropic
import cohere
import openai
import pytest
from conftest import png, tokens, until

WORDS = "the ship holds her course"
FIVE_WORDS = "[[fake:output_tokens=5]]"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
SAMPLE = {"city": "sample", "days": 1}
CACHED = "[[fake:cached_tokens=11,cache_write_tokens=3,output_tokens=5]]"


def function(name):
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


def tool(name):
    return {"name": name, "description": name, "input_schema": SCHEMA}


def user(text):
    return [{"role": "user", "content": text}]


def chat(client, text, **more):
    return client.chat.completions.create(**{"model": "fake-claude", "messages": user(text), **more})


def message(client, text, **more):
    return client.messages.create(**{"model": "fake-gpt", "max_tokens": 2048, "messages": user(text), **more})


def sent(fake):
    """The path and the body of the only call that reached the provider."""
    call = fake.only_call()
    return call["path"], json.loads(fake.body(call))


@pytest.fixture
def from_openai(gateway):
    return gateway.openai()


@pytest.fixture
def from_anthropic(gateway):
    return gateway.anthropic()


def test_a_chat_completion_from_anthropic(from_openai, fake):
    messages = [{"role": "system", "content": "be brief"}, *user(FIVE_WORDS)]
    completion = from_openai.chat.completions.create(model="fake-claude", messages=messages)
    assert completion.choices[0].message.content == WORDS
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.prompt_tokens == tokens("be brief", FIVE_WORDS)
    assert completion.usage.completion_tokens == 5
    assert completion._request_id
    path, body = sent(fake)
    assert path == "/v1/messages"
    assert body["max_tokens"] >= 1024
    assert fake.only_call()["headers"]["anthropic-version"]


def test_a_message_from_openai(from_anthropic, fake):
    answer = message(from_anthropic, FIVE_WORDS, system="be brief")
    assert answer.content[0].text == WORDS
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == tokens("be brief", FIVE_WORDS)
    assert answer.usage.output_tokens == 5
    assert answer._request_id
    path, body = sent(fake)
    assert path == "/v1/chat/completions"
    assert body["max_completion_tokens"] == 2048
    assert "anthropic-version" not in fake.only_call()["headers"]


@pytest.mark.parametrize("include_usage", [True, False, None])
def test_a_streamed_completion_from_anthropic(from_openai, fake, include_usage):
    options = {} if include_usage is None else {"stream_options": {"include_usage": include_usage}}
    chunks = list(chat(from_openai, FIVE_WORDS, stream=True, **options))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WORDS
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    if include_usage:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage.prompt_tokens == tokens(FIVE_WORDS)
        assert chunks[-1].usage.completion_tokens == 5
    else:
        assert with_usage == []


def test_a_streamed_message_from_openai(from_anthropic, fake):
    events = list(message(from_anthropic, FIVE_WORDS, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds.count("content_block_delta") == 5
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2].usage.output_tokens == 5
    with from_anthropic.messages.stream(model="fake-gpt", max_tokens=99, messages=user(FIVE_WORDS)) as stream:
        assert "".join(stream.text_stream) == WORDS
        whole = stream.get_final_message()
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (tokens(FIVE_WORDS), 5)
    assert whole.stop_reason == "end_turn"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_anthropic_are_called_in_parallel_and_answered(from_openai, fake, stream):
    tools = [function("weather"), function("news")]
    messages = user("[[fake:tool=weather+news]]")
    if stream:
        with from_openai.chat.completions.stream(model="fake-claude", messages=messages, tools=tools) as events:
            asked = events.until_done().get_final_completion()
    else:
        asked = from_openai.chat.completions.create(model="fake-claude", messages=messages, tools=tools)
    assert asked.choices[0].finish_reason == "tool_calls"
    calls = asked.choices[0].message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("weather", SAMPLE),
        ("news", SAMPLE),
    ]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    called = [call.model_dump(include={"id", "type", "function"}) for call in calls]
    ours = {"role": "assistant", "content": None, "tool_calls": called}
    fake.reset()
    answered = from_openai.chat.completions.create(
        model="fake-claude", messages=[*messages, ours, *results], tools=tools
    )
    assert answered.choices[0].message.content
    turns = sent(fake)[1]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "tool_result"]
    assert [block["tool_use_id"] for block in turns[2]["content"]] == [call.id for call in calls]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_openai_are_called_in_parallel_and_answered(from_anthropic, fake, stream):
    ask = {"model": "fake-gpt", "max_tokens": 99, "tools": [tool("weather"), tool("news")]}
    messages = user("[[fake:tool=weather+news]]")
    if stream:
        with from_anthropic.messages.stream(**ask, messages=messages) as events:
            asked = events.get_final_message()
    else:
        asked = from_anthropic.messages.create(**ask, messages=messages)
    assert asked.stop_reason == "tool_use"
    calls = [block for block in asked.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("weather", SAMPLE), ("news", SAMPLE)]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    ours = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]
    fake.reset()
    answered = from_anthropic.messages.create(
        **ask,
        messages=[*messages, {"role": "assistant", "content": ours}, {"role": "user", "content": results}],
    )
    assert [block.type for block in answered.content] == ["text"]
    turns = sent(fake)[1]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool"]
    assert [turn["tool_call_id"] for turn in turns[2:]] == [call.id for call in calls]


def test_tool_choice_means_the_same(from_openai, from_anthropic, fake):
    forced = chat(from_openai, "hello", tools=[function("weather")], tool_choice="required")
    assert forced.choices[0].message.tool_calls[0].function.name == "weather"
    forced = message(from_anthropic, "hello", tools=[tool("weather")], tool_choice={"type": "any"})
    assert forced.content[0].name == "weather"


def test_pictures_cross_both_ways(from_openai, from_anthropic, fake):
    data = png()
    link = "https://images.test/hull.png"
    urls = [f"data:image/png;base64,{data}", link]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    chat(from_openai, [{"type": "text", "text": FIVE_WORDS}, *parts])
    blocks = sent(fake)[1]["messages"][0]["content"]
    assert [block["source"] for block in blocks if block["type"] == "image"] == [
        {"type": "base64", "media_type": "image/png", "data": data},
        {"type": "url", "url": link},
    ]
    fake.reset()
    sources = [{"type": "base64", "media_type": "image/png", "data": data}, {"type": "url", "url": link}]
    pictures = [{"type": "image", "source": source} for source in sources]
    message(from_anthropic, [{"type": "text", "text": FIVE_WORDS}, *pictures])
    parts = sent(fake)[1]["messages"][0]["content"]
    assert [part["image_url"]["url"] for part in parts if part["type"] == "image_url"] == urls


def test_classes_of_tokens_are_kept_apart(from_openai, from_anthropic, fake):
    usage = chat(from_openai, CACHED).usage
    assert usage.prompt_tokens == tokens(CACHED) + 11 + 3
    assert usage.prompt_tokens_details.cached_tokens == 11
    text = "[[fake:cached_tokens=11,output_tokens=5]]"
    usage = message(from_anthropic, text).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (tokens(text), 11)


def test_what_is_dropped_is_named(from_openai, from_anthropic, fake):
    create = from_openai.chat.completions.with_raw_response.create
    raw = create(model="fake-claude", messages=user("hello"), seed=7, extra_body={"x_future": 1})
    assert 'seed="' in raw.headers["x-seaworthy-dropped"]
    assert 'x_future="' in raw.headers["x-seaworthy-dropped"]
    assert raw.parse().choices
    create = from_anthropic.messages.with_raw_response.create
    raw = create(model="fake-gpt", max_tokens=99, messages=user("hello"), extra_body={"top_k": 7})
    assert 'top_k="' in raw.headers["x-seaworthy-dropped"]
    assert raw.parse().content


def test_what_would_change_the_question_raises_bad_request(from_openai, from_anthropic, fake):
    with pytest.raises(openai.BadRequestError, match="`n`") as caught:
        chat(from_openai, "hello", n=2)
    assert caught.value.param == "n"
    search = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError, match=r"`tools\[0\]`"):
        message(from_anthropic, "hello", tools=[search])
    assert fake.stats()["calls"] == 0


@pytest.mark.parametrize(
    ("fault", "for_openai", "for_anthropic"),
    [
        ("status=400", openai.BadRequestError, anthropic.BadRequestError),
        ("status=404", openai.NotFoundError, anthropic.NotFoundError),
        ("status=422", openai.UnprocessableEntityError, anthropic.UnprocessableEntityError),
        ("status=429", openai.RateLimitError, anthropic.RateLimitError),
        ("status=500", openai.InternalServerError, anthropic.InternalServerError),
        ("status=503", openai.InternalServerError, anthropic.OverloadedError),
        ("status=529", openai.InternalServerError, anthropic.OverloadedError),
        ("status=401", openai.InternalServerError, anthropic.InternalServerError),
        ("disconnect", openai.InternalServerError, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_raise_the_sdks_own_class(from_openai, from_anthropic, fake, fault, for_openai, for_anthropic, stream):
    with pytest.raises(for_openai) as caught:
        list(chat(from_openai, f"[[fake:{fault}]]", stream=stream))
    assert set(caught.value.response.json()["error"]) == {"message", "type", "param", "code"}
    with pytest.raises(for_anthropic) as caught:
        list(message(from_anthropic, f"[[fake:{fault}]]", stream=stream))
    body = caught.value.response.json()
    assert body["type"] == "error"
    assert body["request_id"] == caught.value.response.headers["request-id"]


def test_an_exhausted_quota_is_final_and_a_rate_limit_is_not(gateway, fake):
    with pytest.raises(openai.RateLimitError) as caught:
        chat(gateway.openai(max_retries=2), "[[fake:error=insufficient_quota]]")
    assert caught.value.type == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.APIStatusError) as caught:
        message(gateway.anthropic(max_retries=2), "[[fake:error=insufficient_quota]]")
    assert caught.value.body["error"]["type"] == "billing_error"
    assert fake.stats()["calls"] == 2, "nobody tried again"
    fake.reset()
    fake.queue("status=429,retry_after_ms=10", path="/v1/messages")
    assert chat(gateway.openai(max_retries=1), FIVE_WORDS).choices
    fake.queue("status=503,retry_after=0", path="/v1/chat/completions")
    assert message(gateway.anthropic(max_retries=1), FIVE_WORDS).content
    assert fake.stats()["calls"] == 4


BREAKS = ["cut_after_bytes=2000,chunks=100", "error_after_tokens=3", "stall_after_tokens=3"]


@pytest.mark.parametrize("directives", BREAKS)
def test_a_stream_that_breaks_raises_after_what_had_come(from_openai, from_anthropic, fake, directives):
    text = f"[[fake:{directives}]]"
    seen = []
    with pytest.raises(openai.APIError):
        for chunk in chat(from_openai, text, stream=True):
            seen.append(chunk)
    assert len(seen) > 1
    seen = []
    with pytest.raises(anthropic.APIError):
        for event in message(from_anthropic, text, stream=True):
            seen.append(event)
    assert len(seen) > 1
    until("the provider is let go", lambda: fake.stats()["in_flight"] == 0)


def test_a_caller_who_leaves_stops_the_provider(from_openai, from_anthropic, fake):
    slow = "[[fake:output_tokens=500,chunk_delay_ms=20]]"
    for stream in (chat(from_openai, slow, stream=True), message(from_anthropic, slow, stream=True)):
        for _ in range(3):
            next(iter(stream))
        stream.close()
    until("the provider is let go", lambda: fake.stats()["in_flight"] == 0, 9)
    assert all(call["issued"]["output"] < 400 for call in fake.calls())


def test_tokens_of_another_familys_model_are_estimated_and_the_answer_says_so(from_anthropic, fake):
    raw = from_anthropic.messages.with_raw_response.count_tokens(model="fake-gpt", messages=user("twelve bytes"))
    assert raw.headers["x-seaworthy-estimated"] == "true"
    assert 3 <= raw.parse().input_tokens <= 12
    assert fake.stats()["calls"] == 0


def counted_tokens(gateway):
    lines = gateway.http.get("/metrics").text.splitlines()
    counted = {}
    for line in lines:
        if line.startswith("seaworthy_tokens_used_total{"):
            kind = line.split('type="')[1].split('"')[0]
            counted[kind] = counted.get(kind, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counted


def rise(before, after):
    return {kind: after[kind] - before.get(kind, 0) for kind in after if kind != "reasoning"}


def issued_classes(issued):
    """Reasoning is part of the output; Anthropic does not report it apart, so it is not compared by itself."""
    return {
        "input": issued["input"],
        "cached_read": issued["cached"],
        "cache_write": issued["cache_write"],
        "output": issued["output"] + issued["reasoning"],
    }


@pytest.mark.parametrize("text", [FIVE_WORDS, CACHED, "[[fake:reasoning_tokens=7,output_tokens=5]]"])
@pytest.mark.parametrize("stream", [False, True])
def test_counted_tokens_are_the_providers(gateway, fake, text, stream):
    """What metrics count rises by exactly what the fake provider issued."""
    before = counted_tokens(gateway)
    list(chat(gateway.openai(), text, stream=stream))
    list(message(gateway.anthropic(), text, stream=stream))
    until("both requests are counted", lambda: fake.stats()["in_flight"] == 0)
    issued = fake.stats()["tokens"]
    until("their tokens are counted", lambda: rise(before, counted_tokens(gateway)) == issued_classes(issued))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_was_cut_by_a_filter_never_looks_complete_to_coheres_sdk(gateway, fake, stream):
    """Its second version has no word for it, and takes the one of its first."""
    client = cohere.ClientV2(api_key=gateway.key, base_url=gateway.url)
    asked = {"model": "fake-gpt", "messages": user("[[fake:finish=content_filter]]")}
    if stream:
        reason = list(client.chat_stream(**asked))[-1].delta.finish_reason
    else:
        reason = client.chat(**asked).finish_reason
    assert reason == "ERROR_TOXIC"
