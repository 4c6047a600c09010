"""Official SDKs read through the signs of a gateway that tells callers of streams to wait."""

import json
import os
import pathlib
import subprocess

import anthropic
import cohere
import openai
import pytest
from conftest import ROOT, serving
from google import genai

# A provider's limit of a second, of which callers hear after 100 ms and then every 200.
WAITING = """
[resilience.retries]
budget = "100%"

[resilience.queue]
tell_after = "100ms"
tell_every = "200ms"
max_wait = "{patience}"

[providers.limited]
kind = "openai"
base_url = "{fake}/v1"
api_key = "secret://env/FAKE_OPENAI_KEY"

[models.m]
targets = ["limited/m"]

[models.chat]
targets = ["limited/chat"]

[models.responses]
targets = ["limited/responses"]

[models.messages]
targets = ["limited/messages"]
"""

SAYS = "Is the hull tight?"
# What the judge for Node asks for, each a model of its own.
NODE = ["chat", "responses", "messages"]


@pytest.fixture(scope="module")
def patient(fake_server, tmp_path_factory):
    """A gateway that waits for the provider's limit."""
    config = WAITING.format(fake=fake_server.url, patience="30s")
    with serving(tmp_path_factory.mktemp("patient"), config) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def hasty(fake_server, tmp_path_factory):
    """A gateway that gives up while the provider's limit lasts."""
    config = WAITING.format(fake=fake_server.url, patience="1500ms")
    with serving(tmp_path_factory.mktemp("hasty"), config) as gateway:
        yield gateway


LIMITED = "status=429,retry_after=1"


def chat(gateway):
    stream = gateway.openai().chat.completions.create(
        model="m", messages=[{"role": "user", "content": SAYS}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def responses(gateway):
    stream = gateway.openai().responses.create(model="m", input=SAYS, stream=True)
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def messages(gateway):
    asked = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": SAYS}]}
    with gateway.anthropic().messages.stream(**asked) as stream:
        return "".join(stream.text_stream)


def cohere_chat(gateway):
    client = cohere.ClientV2(api_key=gateway.key, base_url=gateway.url)
    stream = client.chat_stream(model="m", messages=[{"role": "user", "content": SAYS}])
    return "".join(event.delta.message.content.text for event in stream if event.type == "content-delta")


def gemini(gateway):
    client = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url})
    stream = client.models.generate_content_stream(model="m", contents=SAYS)
    return "".join(chunk.text or "" for chunk in stream)


def told(gateway):
    lines = gateway.http.get("/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("seaworthy_told_to_wait_total ")]
    return int(line.rsplit(" ", 1)[1])


@pytest.mark.parametrize(
    ("ask", "signs"), [(chat, 1), (responses, 1), (messages, 1), (cohere_chat, 1), (gemini, 0)]
)
def test_sdks_read_through_the_signs_where_their_dialect_has_some(patient, fake, ask, signs):
    before = told(patient)
    fake.queue(LIMITED)
    assert ask(patient)
    assert told(patient) == before + signs


def test_sdks_for_node_read_through_the_signs(patient, fake):
    folder = pathlib.Path(os.environ.get("SEAWORTHY_NODE", ROOT / ".cache/node"))
    order = {"url": patient.url, "key": patient.key, "says": SAYS}
    for name in NODE:
        fake.queue(LIMITED, model=name)
    before = told(patient)
    ran = subprocess.run(
        ["node", folder / "waits.mjs"], input=json.dumps(order), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [name for name, _, _ in results] == NODE
    for name, text, error in results:
        assert error is None and text, (name, text, error)
    assert told(patient) == before + len(NODE)


@pytest.mark.parametrize(("ask", "raises"), [(chat, openai.APIError), (messages, anthropic.APIError)])
def test_a_wait_that_ends_in_failure_raises_within_the_stream(hasty, fake, ask, raises):
    before = told(hasty)
    fake.queue(LIMITED, times=5)
    with pytest.raises(raises, match="Rate limit"):
        ask(hasty)
    assert told(hasty) == before + 1
