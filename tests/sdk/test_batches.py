"""The official OpenAI SDK sends files and batches, and a killed gateway goes on where it was."""

import json

import httpx
import openai
import pytest
from conftest import answers, free_port, running, until

ENDED = ("completed", "failed", "expired", "cancelled")


def lines(requests, endpoint="/v1/chat/completions"):
    """A file of requests, by their names."""
    written = [
        {"custom_id": name, "method": "POST", "url": endpoint, "body": body} for name, body in requests.items()
    ]
    return "\n".join(json.dumps(line) for line in written).encode()


def chat(model, text):
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def send(client, requests, endpoint="/v1/chat/completions"):
    file = client.files.create(file=("requests.jsonl", lines(requests, endpoint)), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def results(client, file_id):
    """The lines of a file of results, by their names."""
    if file_id is None:
        return {}
    found = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    names = [line["custom_id"] for line in found]
    assert len(names) == len(set(names))
    return {line["custom_id"]: line for line in found}


def until_ended(client, batch, seconds=60.0):
    until("the batch ends", lambda: client.batches.retrieve(batch.id).status in ENDED, seconds)
    return client.batches.retrieve(batch.id)


def test_files_are_sent_listed_fetched_and_deleted(gateway):
    client = gateway.openai()
    content = b'{"custom_id": "a"}\n'
    file = client.files.create(file=("a.jsonl", content), purpose="batch")
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(content), "a.jsonl", "batch")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert file.id in [listed.id for listed in client.files.list(purpose="batch")]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_is_carried_out_and_each_request_has_its_result(gateway, fake):
    client = gateway.openai()
    batch = send(
        client,
        {
            "local": chat("echo", "hello there"),
            "openai": chat("fake-gpt", "hello there"),
            "anthropic": chat("fake-claude", "hello there"),
            "refused": chat("fake-gpt", "[[fake:status=400]]"),
        },
    )
    assert batch.status == "validating"
    batch = until_ended(client, batch)
    assert batch.status == "completed"
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (4, 3, 1)
    found = results(client, batch.output_file_id)
    assert list(found) == ["local", "openai", "anthropic"]
    for result in found.values():
        assert result["response"]["status_code"] == 200
        assert result["response"]["body"]["choices"][0]["message"]["content"]
    assert list(results(client, batch.error_file_id)) == ["refused"]
    assert batch.id in [listed.id for listed in client.batches.list()]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/embeddings", {"model": "fake-embedding", "input": "hello there"}),
        ("/v1/responses", {"model": "fake-claude", "input": "hello there"}),
    ],
)
def test_other_endpoints_have_batches_too(gateway, endpoint, body):
    client = gateway.openai()
    batch = until_ended(client, send(client, {"one": body}, endpoint))
    assert batch.status == "completed"
    assert results(client, batch.output_file_id)["one"]["response"]["status_code"] == 200


def test_a_file_with_a_mistake_fails_and_says_where(gateway):
    client = gateway.openai()
    batch = until_ended(client, send(client, {"a": chat("echo", "x"), "b": chat("nobody", "x")}))
    assert batch.status == "failed"
    assert [(error.line, error.code) for error in batch.errors.data] == [(2, "model_not_found")]


def test_a_batch_is_cancelled(gateway):
    client = gateway.openai()
    requests = {str(number): chat("fake-gpt", "[[fake:latency_ms=200]]") for number in range(100)}
    batch = send(client, requests)
    until("it has begun", lambda: client.batches.retrieve(batch.id).status == "in_progress")
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = until_ended(client, batch)
    assert batch.status == "cancelled"
    assert batch.request_counts.completed < 100


CONFIG = """
[server]
listen = "{listen}"
[auth]
enabled = false
[storage]
url = "sqlite:{database}"
[batches]
concurrency = 4
[providers.openai]
kind = "openai"
base_url = "{fake}/v1"
api_key = "secret://env/FAKE_OPENAI_KEY"
[models.fake-gpt]
targets = ["openai/fake-gpt"]
"""


def test_a_killed_gateway_goes_on_and_runs_nothing_twice_that_had_a_result(fake, tmp_path):
    listen = f"127.0.0.1:{free_port()}"
    config = tmp_path / "seaworthy.toml"
    config.write_text(CONFIG.format(listen=listen, database=tmp_path / "s.db", fake=fake.url))
    client = openai.OpenAI(base_url=f"http://{listen}/v1", api_key="none", max_retries=0)
    ready = f"http://{listen}/health/ready"
    serve = ["serve", "--config", config]
    with running(serve, tmp_path / "first") as process:
        until("it is ready", lambda: answers(ready, process, tmp_path / "first"))
        requests = {str(number): chat("fake-gpt", "[[fake:latency_ms=150]]") for number in range(40)}
        batch = send(client, requests)
        until("it is in the middle", lambda: len(fake.calls()) >= 14)
        process.kill()
        process.wait()
    with running(serve, tmp_path / "second") as process:
        until("it is ready again", lambda: answers(ready, process, tmp_path / "second"))
        batch = until_ended(client, batch, 60)
        assert batch.status == "completed"
        assert set(results(client, batch.output_file_id)) == set(requests)
        # Only what was open at the kill was sent again.
        assert 40 <= len(fake.calls()) <= 44
        usage = httpx.get(f"http://{listen}/admin/v1/usage?by=operation").json()
        (total,) = [row for row in usage["data"] if row["group"] == "batch_chat"]
        assert 40 <= total["calls"] <= 44
