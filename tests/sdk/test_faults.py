"""Every fault of a provider as the official SDKs of OpenAI and Anthropic see it: the results are written in fixtures/faults.txt."""

import contextlib
import socket

import anthropic
import openai
import pytest
from conftest import ROOT, Gateway, answers, free_port, running, until

HEAD = """
[server]
listen = "{listen}"
max_response_size = "8KB"

[storage]
url = "memory:"

[auth]
enabled = false

[resilience.retries]
base_delay = "1ms"
budget = "100%"

[resilience.circuit_breaker]
enabled = false
"""

PROVIDER = """
[providers.{name}]
kind = "{kind}"
base_url = "{url}"
api_key = "secret://env/FAKE_OPENAI_KEY"
timeouts = {{ first_byte = "1s", first_token = "1s", between_chunks = "1s" }}

[providers.{name}.headers]
{headers}
"""


def read_table():
    """The faults with their four results, those of single faces, and what the SDKs raise."""
    faults, exceptions, raised, section = [], {}, {}, ""
    for line in (ROOT / "fixtures/faults.txt").read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[results]" and line and not line.startswith("#"):
            word, *_, of_openai, of_anthropic = line.split()
            raised[word] = {"openai": of_openai.split("|"), "anthropic": of_anthropic.split("|")}
        elif section == "[faults]" and line and not line.startswith("#"):
            fault, *expected = (cell.strip() for cell in line.split("|"))
            if " @" in fault:
                exceptions[tuple(fault.split(" @"))] = expected
            else:
                faults.append((fault, expected))
    return faults, exceptions, raised


FAULTS, EXCEPTIONS, RAISED = read_table()


def headers_of(fault):
    words = [] if fault in ("refused", "deaf", "") else fault.split(",")
    if "answer_bytes" not in fault:
        words.append("output_tokens=120")
    pairs = (word.split("=") if "=" in word else (word, "true") for word in words)
    return "\n".join(f'x-fake-{key.replace("_", "-")} = "{value}"' for key, value in pairs)


def write(config, listen, fake, deaf):
    text = HEAD.format(listen=listen)
    for kind, path in [("openai", "/v1"), ("anthropic", "")]:
        text += PROVIDER.format(name=f"{kind}-well", kind=kind, url=fake + path, headers=headers_of(""))
        for number, (fault, _) in enumerate(FAULTS):
            # Nothing listens on the discard port, and nobody reads at the deaf one.
            at = {"refused": "http://127.0.0.1:9", "deaf": f"http://127.0.0.1:{deaf}"}.get(fault, fake)
            text += PROVIDER.format(name=f"{kind}-{number}", kind=kind, url=at + path, headers=headers_of(fault))
            text += f'\n[models.{kind}-{number}-alone]\ntargets = ["{kind}-{number}/m"]\n'
            text += f'\n[models.{kind}-{number}-both]\ntargets = ["{kind}-{number}/m", "{kind}-well/m"]\n'
    config.write_text(text)


@pytest.fixture(scope="module")
def ill(fake_server, tmp_path_factory):
    """A gateway whose providers fail, each in its own way."""
    folder = tmp_path_factory.mktemp("ill")
    listen, log = f"127.0.0.1:{free_port()}", folder / "output"
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        write(folder / "c.toml", listen, fake_server.url, deaf.getsockname()[1])
        with running(["serve", "--config", folder / "c.toml"], log) as process:
            until("the gateway is ready", lambda: answers(f"http://{listen}/health/ready", process, log))
            yield Gateway(f"http://{listen}", "any", process.pid)


def chat(gateway, model, stream):
    """Whether the answer was whole; raises what the SDK raises."""
    answer = gateway.openai().chat.completions.create(
        model=model, stream=stream, messages=[{"role": "user", "content": "Ahoy"}]
    )
    if not stream:
        return answer.choices[0].finish_reason is not None
    reasons = [choice.finish_reason for chunk in answer for choice in chunk.choices]
    return reasons[-1] is not None


def message(gateway, model, stream):
    asked = {"model": model, "max_tokens": 5000, "messages": [{"role": "user", "content": "Ahoy"}]}
    if not stream:
        return gateway.anthropic().messages.create(**asked).stop_reason is not None
    events = [event.type for event in gateway.anthropic().messages.create(**asked, stream=True)]
    return "message_stop" in events


SDKS = {"openai": (openai, chat, "chat"), "anthropic": (anthropic, message, "messages")}


def seen(gateway, sdk, kind, number, targets, stream):
    """The result in the words of the table, or the exception."""
    library, ask, _ = SDKS[sdk]
    try:
        return "ok" if ask(gateway, f"{kind}-{number}-{targets}", stream) else "torn"
    except library.APIStatusError as error:
        # Anthropic's SDK gives errors within a stream the status of the stream.
        return "broken" if error.status_code == 200 else type(error).__name__
    except library.APIError as error:
        # A connection that breaks or hangs is no error event.
        return "torn" if isinstance(error, library.APIConnectionError) else "broken"


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault for fault, _ in FAULTS])
@pytest.mark.parametrize("sdk", SDKS)
def test_every_fault_is_what_the_table_says_to_official_sdks(ill, sdk, number):
    fault, usual = FAULTS[number]
    expected = EXCEPTIONS.get((fault, SDKS[sdk][2]), usual)
    wrong = []
    for kind in ("openai", "anthropic"):
        # What passes directly passes to the byte, and then it is the SDK that cannot read it.
        if kind == sdk and fault in ("bad_json", "bad_utf8"):
            continue
        columns = [(targets, stream) for targets in ("alone", "both") for stream in (False, True)]
        for cell, (targets, stream) in zip(expected, columns, strict=True):
            result = cell.split("/")[0 if kind == sdk else -1]
            found = seen(ill, sdk, kind, number, targets, stream)
            if found not in RAISED.get(result, {}).get(sdk, [result]):
                wrong.append(f"{kind}, {targets}, {stream=}: expected {result}, found {found}")
    assert not wrong
