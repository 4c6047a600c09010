"""Dev mode: no configuration, one key, the echo model, in both dialects."""

import httpx

TEXT = "ship to shore"


def test_the_echo_model_answers_an_openai_client(dev):
    client = dev.openai()
    messages = [{"role": "user", "content": TEXT}]
    whole = client.chat.completions.create(model="echo", messages=messages)
    assert TEXT in whole.choices[0].message.content
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    stream = client.chat.completions.create(
        model="echo", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_the_echo_model_answers_an_anthropic_client(dev):
    client = dev.anthropic()
    request = {"model": "echo", "max_tokens": 100, "messages": [{"role": "user", "content": TEXT}]}
    whole = client.messages.create(**request)
    assert TEXT in whole.content[0].text
    with client.messages.stream(**request) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        usage = stream.get_final_message().usage
    assert (usage.input_tokens, usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)


def test_a_key_is_needed_even_in_dev_mode(dev):
    assert httpx.get(f"{dev.url}/v1/models").status_code == 401
    assert "echo" in {model.id for model in dev.openai().models.list()}
