"""On a path within one dialect nothing changes on the way: bytes in, bytes out."""

import re

import httpx
import pytest

VERSION = {"anthropic-version": "2023-06-01"}

# What is legal JSON and tends to get lost: order, spacing, escapes, number spellings, large numbers,
# repeated and empty keys, unknown members on every level.
ODD = (
    b'{ "x_first" : 1.50 ,"model":"%s","max_tokens":900,\n'
    b'  "messages":[{"role":"user","name":"a\\u0062c","content":"\\u00fc \\ud83d\\ude80 \\/ %s","x_in":{"":null}}],'
    b'\t"x_big":123456789012345678901234567890,"x_exp":1E+3,"x_neg":-0.0,"x_list":[ ],"metadata":{}%s}\n'
)

# What differs from one answer to the next.
VOLATILE = [
    (rb"(chatcmpl-|msg_|req_|toolu_\d_msg_|call_\d_chatcmpl-)[0-9a-f]+", rb"\1ID"),
    (rb'"created":\d+', rb'"created":0'),
]


def odd(model, text, more=""):
    return ODD % (model.encode(), text.encode(), more.encode())


def settled(content):
    for pattern, replacement in VOLATILE:
        content = re.sub(pattern, replacement, content)
    return content


CASES = [
    ("/v1/chat/completions", "fake-gpt", {}),
    ("/v1/messages", "fake-claude", VERSION),
]


@pytest.fixture
def direct(fake):
    """The provider without a gateway in between."""
    return httpx.Client(base_url=fake.url, headers={"authorization": "Bearer any"})


@pytest.mark.parametrize(("path", "model", "headers"), CASES)
def test_a_request_arrives_byte_for_byte(gateway, fake, path, model, headers):
    body = odd(model, "hello")
    answer = gateway.http.post(path, content=body, headers={"content-type": "application/json", **headers})
    assert answer.status_code == 200, answer.text
    assert fake.body(fake.only_call()) == body


@pytest.mark.parametrize(("path", "model", "headers"), CASES)
def test_a_streaming_request_arrives_byte_for_byte(gateway, fake, path, model, headers):
    body = odd(model, "hello", ',"stream":true,"stream_options":{"include_usage":true,"x":[]}')
    answer = gateway.http.post(path, content=body, headers={"content-type": "application/json", **headers})
    assert answer.status_code == 200, answer.text
    assert fake.body(fake.only_call()) == body


@pytest.mark.parametrize(("path", "model", "headers"), CASES)
@pytest.mark.parametrize("directives", ["", "text=%C3%BC%20%22quoted%22%20%5C%20end", "answer_bytes=200000"])
def test_an_answer_comes_back_byte_for_byte(gateway, direct, path, model, headers, directives):
    body = odd(model, f"[[fake:{directives}]]").replace(b"900", b"100000")
    via = gateway.http.post(path, content=body, headers=headers)
    straight = direct.post(path, content=body, headers=headers)
    assert via.status_code == straight.status_code == 200
    assert settled(via.content) == settled(straight.content)
    assert via.headers["content-type"] == straight.headers["content-type"]


@pytest.mark.parametrize(("path", "model", "headers"), CASES)
@pytest.mark.parametrize("directives", ["", "reasoning_tokens=3,chunks=3", "chunks=1000"])
def test_a_stream_comes_back_byte_for_byte(gateway, direct, path, model, headers, directives):
    body = odd(model, f"[[fake:{directives}]]", ',"stream":true,"stream_options":{"include_usage":true}')
    via = gateway.http.post(path, content=body, headers=headers)
    straight = direct.post(path, content=body, headers=headers)
    assert settled(via.content) == settled(straight.content)
    assert via.headers["content-type"].startswith("text/event-stream")


def test_a_stream_without_usage_is_as_the_provider_would_send_it(gateway, direct):
    body = odd("fake-gpt", "hello", ',"stream":true')
    via = gateway.http.post("/v1/chat/completions", content=body)
    straight = direct.post("/v1/chat/completions", content=body)
    # The gateway may ask for usage on its own account, and then takes it out again.
    assert settled(via.content).replace(b',"usage":null', b"") == settled(straight.content)


def test_a_twenty_megabyte_answer_arrives_whole(gateway, fake):
    body = odd("fake-gpt-large", "[[fake:answer_bytes=20000000]]").replace(b"900", b"9000000")
    answer = gateway.http.post("/v1/chat/completions", content=body)
    assert answer.status_code == 200
    assert len(answer.json()["choices"][0]["message"]["content"]) == 20_000_000
