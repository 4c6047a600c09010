"""Streams that break, and callers who leave: nobody waits, nothing is lost, nothing goes on unseen."""

import contextlib
import socket
import time

import anthropic
import httpx
import openai
import pytest
from conftest import until


def chat_stream(gateway, directives):
    messages = [{"role": "user", "content": f"[[fake:{directives}]]"}]
    return gateway.openai().chat.completions.create(model="fake-gpt", messages=messages, stream=True)


def message_stream(gateway, directives):
    messages = [{"role": "user", "content": f"[[fake:{directives}]]"}]
    return gateway.anthropic().messages.create(model="fake-claude", max_tokens=5000, messages=messages, stream=True)


BREAKS = [
    "cut_after_bytes=2000,chunks=100",
    "cut_after_bytes=2000,chunks=100,cut=close",
    "error_after_tokens=3",
    "stall_after_tokens=3",
]


@pytest.mark.parametrize("directives", BREAKS)
def test_a_stream_that_breaks_raises_after_what_had_come(gateway, fake, directives):
    counted = gateway.requests_counted()
    seen = []
    with pytest.raises(openai.APIError):
        for chunk in chat_stream(gateway, directives):
            seen.append(chunk)
    assert seen, "what came before the break was delivered"
    seen = []
    with pytest.raises(anthropic.APIError):
        for event in message_stream(gateway, directives):
            seen.append(event)
    assert seen, "what came before the break was delivered"
    until("both requests are counted", lambda: gateway.requests_counted() == counted + 2)
    assert fake.stats()["in_flight"] == 0


@pytest.mark.parametrize("open_stream", [chat_stream, message_stream])
def test_a_stream_that_ends_without_its_last_event_is_given_one(gateway, fake, open_stream):
    succeeded = gateway.requests_counted(outcome="success")
    assert list(open_stream(gateway, "missing_terminator"))
    until("the request is counted", lambda: gateway.requests_counted(outcome="success") == succeeded + 1)


def test_text_flows_while_the_provider_is_still_speaking(gateway, fake):
    began = time.monotonic()
    first = None
    for chunk in chat_stream(gateway, "chunks=10,chunk_delay_ms=100"):
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.monotonic() - began
    assert first < 0.7 < time.monotonic() - began


@pytest.mark.parametrize("open_stream", [chat_stream, message_stream])
def test_a_caller_who_leaves_a_stream_ends_the_providers_work(gateway, fake, open_stream):
    counted = gateway.requests_counted()
    stream = open_stream(gateway, "chunks=1000,chunk_delay_ms=20")
    for _, _ in zip(range(5), stream):
        pass
    stream.close()
    took = until("the provider sees it", lambda: fake.stats()["streams"]["aborted_by_client"] == 1, seconds=10.0)
    call = fake.only_call()
    assert 0 < call["aborted_at_token"] < 1000, took
    until("the request is counted", lambda: gateway.requests_counted() == counted + 1)


def test_a_caller_who_leaves_before_the_answer_ends_the_providers_work(gateway, fake):
    body = {"model": "fake-gpt", "messages": [{"role": "user", "content": "[[fake:latency_ms=1900]]"}]}
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.post("/v1/chat/completions", json=body, timeout=0.3)
    until("the provider sees it", lambda: fake.stats()["outcomes"]["aborted_by_client"] == 1, seconds=10.0)


def test_a_stalled_caller_does_not_make_the_gateway_hoard(gateway, fake):
    """The provider is slowed down with the caller, instead of being read into the gateway's memory."""
    before = gateway.resident_bytes()
    small_window = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)])
    messages = [{"role": "user", "content": "[[fake:answer_bytes=30000000]]"}]
    body = {"model": "fake-gpt", "messages": messages, "stream": True}
    headers = {"authorization": f"Bearer {gateway.key}"}
    with httpx.Client(transport=small_window, timeout=30, headers=headers) as client:
        with client.stream("POST", f"{gateway.url}/v1/chat/completions", json=body) as response:
            next(response.iter_raw())
            time.sleep(1.0)
            assert gateway.resident_bytes() - before < 10_000_000
    until("the provider sees the end", lambda: fake.stats()["in_flight"] == 0, seconds=10.0)


@pytest.mark.parametrize("directives", ["usage=missing", "usage=zero", "usage=late", "usage=after_end"])
def test_odd_usage_reports_do_not_harm_the_stream(gateway, fake, directives):
    chunks = list(chat_stream(gateway, f"output_tokens=5,{directives}"))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "the ship holds her course"


def test_many_aborted_streams_leave_nothing_behind(gateway, fake):
    for _ in range(50):
        stream = chat_stream(gateway, "chunks=1000,chunk_delay_ms=20")
        next(iter(stream))
        stream.close()
    until("the provider is idle", lambda: fake.stats()["in_flight"] == 0, seconds=10.0)
    assert fake.stats()["streams"]["aborted_by_client"] == 50
