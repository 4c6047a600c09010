"""Every error raises the SDK's own exception, in the caller's dialect, with a request ID."""

import socket
import time

import anthropic
import openai
import pytest

OPENAI_BODY = {"model": "fake-gpt", "messages": [{"role": "user", "content": "hello"}]}
ANTHROPIC_BODY = {"model": "fake-claude", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
VERSION = {"anthropic-version": "2023-06-01"}


def chat(client, text="hello", **more):
    return client.chat.completions.create(**{**OPENAI_BODY, "messages": [{"role": "user", "content": text}], **more})


def message(client, text="hello", **more):
    return client.messages.create(**{**ANTHROPIC_BODY, "messages": [{"role": "user", "content": text}], **more})


def is_openai_error(response):
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"] and body["error"]["type"]
    assert response.headers["x-request-id"]
    return body["error"]


def is_anthropic_error(response):
    body = response.json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert set(body["error"]) >= {"type", "message"}
    # A provider's own error passes as it is, and then bears the provider's identifier.
    ours, theirs = response.headers["request-id"], response.headers.get("x-seaworthy-upstream-request-id")
    assert body["request_id"] in (ours, theirs)
    return body["error"]


def test_a_missing_key_is_401_and_never_reaches_a_provider(gateway, fake):
    bare = {"authorization": ""}
    response = gateway.http.post("/v1/chat/completions", json=OPENAI_BODY, headers=bare)
    assert response.status_code == 401
    is_openai_error(response)
    response = gateway.http.post("/v1/messages", json=ANTHROPIC_BODY, headers={**bare, **VERSION})
    assert response.status_code == 401
    assert is_anthropic_error(response)["type"] == "authentication_error"
    assert fake.stats()["calls"] == 0


def test_a_refusal_before_the_body_leaves_the_connection_usable_or_says_that_it_ends(gateway):
    """Otherwise a client that reuses the connection finds it closed, and a POST is not sent again."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
        time.sleep(0.1)
        client.sendall(b"{}")
        refusal = client.recv(65536).lower()
        assert refusal.startswith(b"http/1.1 401")
        if b"\r\nconnection: close" not in refusal:
            time.sleep(0.1)
            client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_wrong_key_raises_authentication_error(gateway, fake):
    with pytest.raises(openai.AuthenticationError) as caught:
        chat(gateway.openai(api_key="sk-wrong"))
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    with pytest.raises(anthropic.AuthenticationError) as caught:
        message(gateway.anthropic(api_key="sk-wrong"))
    assert caught.value.body["error"]["type"] == "authentication_error"
    assert fake.stats()["calls"] == 0


def test_an_unknown_model_raises_not_found_and_names_those_that_exist(gateway, fake):
    with pytest.raises(openai.NotFoundError, match="fake-gpt") as caught:
        chat(gateway.openai(), model="fake-gtp")
    assert caught.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError, match="fake-claude"):
        message(gateway.anthropic(), model="fake-clod")
    assert fake.stats()["calls"] == 0


@pytest.mark.parametrize("content", [b'{"model":', b"[]", b"", b'{"model":"fake-gpt","messages":[\xff]}', b"[" * 100_000])
def test_a_malformed_body_is_a_400_that_helps(gateway, fake, content):
    headers = {"content-type": "application/json"}
    response = gateway.http.post("/v1/chat/completions", content=content, headers=headers)
    assert response.status_code == 400
    is_openai_error(response)
    response = gateway.http.post("/v1/messages", content=content, headers={**headers, **VERSION})
    assert response.status_code == 400
    assert is_anthropic_error(response)["type"] == "invalid_request_error"


def test_a_malformed_request_raises_bad_request(gateway, fake):
    with pytest.raises(openai.BadRequestError):
        chat(gateway.openai(), messages="nonsense")
    with pytest.raises(openai.BadRequestError):
        chat(gateway.openai(), model=7)
    with pytest.raises(anthropic.BadRequestError):
        message(gateway.anthropic(), messages=[])


def test_a_body_over_the_limit_is_413_and_never_reaches_a_provider(gateway, fake):
    huge = "x" * 11_000_000
    with pytest.raises(openai.APIStatusError) as caught:
        chat(gateway.openai(), huge)
    assert caught.value.status_code == 413
    is_openai_error(caught.value.response)
    with pytest.raises(anthropic.APIStatusError) as caught:
        message(gateway.anthropic(), huge)
    assert caught.value.status_code == 413
    assert is_anthropic_error(caught.value.response)["type"] == "request_too_large"
    assert fake.stats()["calls"] == 0


def test_an_unknown_path_is_404_and_a_wrong_method_405(gateway):
    for method, path, status in [("GET", "/v1/no-such-thing", 404), ("GET", "/v1/chat/completions", 405)]:
        response = gateway.http.request(method, path)
        assert response.status_code == status
        is_openai_error(response)


@pytest.mark.parametrize(
    ("fault", "for_openai", "for_anthropic"),
    [
        ("status=400", openai.BadRequestError, anthropic.BadRequestError),
        ("status=429", openai.RateLimitError, anthropic.RateLimitError),
        ("status=500", openai.InternalServerError, anthropic.InternalServerError),
        ("status=503", openai.InternalServerError, (anthropic.ServiceUnavailableError, anthropic.OverloadedError)),
        ("status=529", openai.InternalServerError, anthropic.OverloadedError),
        ("disconnect", openai.InternalServerError, anthropic.InternalServerError),
        ("disconnect,cut=close", openai.InternalServerError, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_failure_raises_the_sdks_own_class(gateway, fake, fault, for_openai, for_anthropic, stream):
    with pytest.raises(for_openai) as caught:
        chat(gateway.openai(), f"[[fake:{fault}]]", stream=stream)
    is_openai_error(caught.value.response)
    with pytest.raises(for_anthropic) as caught:
        message(gateway.anthropic(), f"[[fake:{fault}]]", stream=stream)
    is_anthropic_error(caught.value.response)


def test_retry_after_is_passed_on_only_if_the_provider_sent_it(gateway, fake):
    # The targets are left alone for as long, so they are of this test.
    with pytest.raises(openai.RateLimitError) as caught:
        chat(gateway.openai(), "[[fake:status=429,retry_after=99]]", model="fake-gpt-limited")
    assert caught.value.response.headers["retry-after"] == "99"
    with pytest.raises(anthropic.RateLimitError) as caught:
        message(gateway.anthropic(), "[[fake:status=429,retry_after=99]]", model="fake-claude-limited")
    assert caught.value.response.headers["retry-after"] == "99"


def test_the_sdks_own_retries_succeed(gateway, fake):
    fake.queue("status=429,retry_after_ms=10", times=2, path="/v1/chat/completions")
    assert chat(gateway.openai(max_retries=2)).choices
    fake.queue("status=529,retry_after=0", times=1, path="/v1/messages")
    assert message(gateway.anthropic(max_retries=2)).content
    assert fake.stats()["outcomes"]["completed"] >= 5


def test_an_exhausted_quota_keeps_its_code(gateway, fake):
    with pytest.raises(openai.RateLimitError) as caught:
        chat(gateway.openai(), "[[fake:error=insufficient_quota]]")
    assert caught.value.code == "insufficient_quota"


@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_refuses_our_key_is_not_the_callers_fault(gateway, fake, status):
    with pytest.raises(openai.InternalServerError):
        chat(gateway.openai(), f"[[fake:status={status}]]")
    with pytest.raises(anthropic.InternalServerError):
        message(gateway.anthropic(), f"[[fake:status={status}]]")


@pytest.mark.parametrize("stream", [False, True])
def test_a_hang_ends_in_504_within_the_first_byte_timeout(gateway, fake, stream):
    with pytest.raises(openai.InternalServerError) as caught:
        chat(gateway.openai(timeout=10), "[[fake:hang]]", stream=stream)
    assert caught.value.status_code == 504
    with pytest.raises(anthropic.GatewayTimeoutError):
        message(gateway.anthropic(timeout=10), "[[fake:hang]]", stream=stream)
    # It timed out; it did not wait for the SDK's timeout.
    ended = [call["ended_after_ms"] for call in fake.calls()]
    assert len(ended) == 2 and all(1500 < after < 4000 for after in ended)


@pytest.mark.parametrize("fault", ["garbage", "bad_json", "content_type=text/html"])
def test_nonsense_from_the_provider_is_an_error_or_passes_but_costs_one_request_only(gateway, fake, fault):
    counted = gateway.requests_counted()
    response = gateway.http.post(
        "/v1/chat/completions",
        json={**OPENAI_BODY, "messages": [{"role": "user", "content": f"[[fake:{fault}]]"}]},
    )
    assert response.status_code in (200, 502)
    if response.status_code == 502:
        is_openai_error(response)
    assert chat(gateway.openai()).choices[0].message.content
    assert gateway.requests_counted() == counted + 2
