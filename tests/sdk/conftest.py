"""Starts the binary as users would, and gives each judge clients that differ only in base URL and key."""

import base64
import contextlib
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import time
import zlib

import anthropic
import httpx
import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SEAWORTHY_BIN", ROOT / "target/debug/seaworthy")).resolve()
OPENAI_SECRET = "sk-upstream-openai"
ANTHROPIC_SECRET = "sk-upstream-anthropic"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("SEAWORTHY_")},
    "FAKE_OPENAI_KEY": OPENAI_SECRET,
    "FAKE_ANTHROPIC_KEY": ANTHROPIC_SECRET,
    "SIGNING_SECRET": "a secret of this deployment, long enough",
    "NO_COLOR": "1",
}

BASE = """
[server]
listen = "{listen}"

[storage]
url = "sqlite:{database}"

[auth.sigv4]
secret = "secret://env/SIGNING_SECRET"
"""

CONFIG = """
[providers.openai]
kind = "openai"
base_url = "{fake}/v1"
api_key = "secret://env/FAKE_OPENAI_KEY"
timeouts = {{ first_byte = "2s", between_chunks = "2s" }}

[providers.anthropic]
kind = "anthropic"
base_url = "{fake}"
api_key = "secret://env/FAKE_ANTHROPIC_KEY"
timeouts = {{ first_byte = "2s", between_chunks = "2s" }}

[providers.patient]
kind = "openai"
base_url = "{fake}/v1"
api_key = "secret://env/FAKE_OPENAI_KEY"

[providers.local]
kind = "echo"

[models.fake-gpt]
targets = ["openai/fake-gpt"]

[models.fake-gpt-limited]
targets = ["openai/fake-gpt-limited"]

[models.fake-gpt-large]
targets = ["patient/fake-gpt"]

[models.fake-embedding]
targets = ["openai/fake-embedding"]

[models.fake-moderation]
targets = ["openai/fake-moderation"]

[models.fake-claude]
targets = ["anthropic/fake-claude"]

[models.fake-claude-limited]
targets = ["anthropic/fake-claude-limited"]

[models.echo]
targets = ["local/echo"]
"""


def free_port():
    """A port that nobody listens on, below those that systems give to outgoing connections: one of
    these would sit on it while a server is away between two starts."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(10_000, 32_000)
            probe.bind(("127.0.0.1", port))
            return port


def until(what, holds, seconds=60.0):
    """Waits until `holds()` is true; how long it took. The limit is only there to end a test that fails."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


@contextlib.contextmanager
def running(arguments, log, **environment):
    """A process of the binary, its output in a file; stopped at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BINARY, *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**ENVIRONMENT, **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{arguments[0]} did not end within 10 s of SIGTERM: {log.read_text()}")


def answers(url, process, log):
    """True when the server at `url` is ready; fails when it has ended."""
    assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()}"
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


class Fake:
    """The fake provider, seen through its control API."""

    def __init__(self, url):
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/__control", timeout=30)

    def reset(self):
        assert self.http.post("/reset").status_code == 200

    def stats(self):
        return self.http.get("/stats").json()

    def calls(self):
        return self.http.get("/calls").json()["calls"]

    def only_call(self):
        """The one call that was made, with its headers as a dictionary."""
        (call,) = self.calls()
        return {**call, "headers": dict(call["headers"])}

    def body(self, call):
        return self.http.get(f"/calls/{call['seq']}/body").content

    def queue(self, fault, times=1, **matching):
        answer = self.http.post("/faults", json={"fault": fault, "times": times, **matching})
        assert answer.status_code == 200, answer.text


class Gateway:
    """A running gateway: where it is, and a key for it."""

    def __init__(self, url, key, pid):
        self.url = url
        self.key = key
        self.pid = pid
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30)

    def openai(self, **options):
        options = {"api_key": self.key, "max_retries": 0, "timeout": 30, **options}
        return openai.OpenAI(base_url=f"{self.url}/v1", **options)

    def anthropic(self, **options):
        options = {"api_key": self.key, "max_retries": 0, "timeout": 30, **options}
        return anthropic.Anthropic(base_url=self.url, **options)

    def requests_counted(self, **labels):
        """The sum of `seaworthy_requests_total` over calls of models, or those of them with these labels."""
        lines = self.http.get("/metrics").text.splitlines()
        samples = [line for line in lines if line.startswith("seaworthy_requests_total{")]
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        of_models = [line for line in samples if 'model=""' not in line and all(label in line for label in wanted)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in of_models)

    def resident_bytes(self):
        pages = pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def fake_provider(log):
    with running(["fake-provider", "--listen", "127.0.0.1:0"], log) as process:
        until("the fake provider says where it listens", lambda: process.poll() is not None or b"\n" in log.read_bytes())
        assert process.poll() is None, log.read_text()
        yield Fake("http://" + json.loads(log.read_text().splitlines()[0])["listening"])


@pytest.fixture(scope="session")
def fake_server(tmp_path_factory):
    with fake_provider(tmp_path_factory.mktemp("fake") / "output") as fake:
        yield fake


@pytest.fixture
def fake(fake_server):
    """The fake provider with nothing counted, logged or queued."""
    fake_server.reset()
    return fake_server


def keys(config, *arguments):
    """What `seaworthy keys` says."""
    ran = subprocess.run(
        [BINARY, "keys", "--config", config, "--format", "json", *arguments],
        capture_output=True,
        env=ENVIRONMENT,
        cwd=config.parent,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout)


@contextlib.contextmanager
def serving(folder, sections):
    """A gateway with this configuration, where it listens and stores, and a key."""
    listen = f"127.0.0.1:{free_port()}"
    config = folder / "seaworthy.toml"
    config.write_text(BASE.format(listen=listen, database=folder / "seaworthy.db") + sections)
    key = keys(config, "create", "--name", "sdk")
    aws = keys(config, "aws-credentials", key["id"])
    log = folder / "output"
    with running(["serve", "--config", config], log) as process:
        until("the gateway is ready", lambda: answers(f"http://{listen}/health/ready", process, log))
        gateway = Gateway(f"http://{listen}", key["key"], process.pid)
        gateway.aws = aws["access_key_id"], aws["secret_access_key"]
        yield gateway


@pytest.fixture(scope="session")
def gateway(fake_server, tmp_path_factory):
    """A gateway with a real configuration: two providers over HTTP, and the echo model."""
    with serving(tmp_path_factory.mktemp("gateway"), CONFIG.format(fake=fake_server.url)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def played(request, tmp_path_factory):
    """What is wrong with each cell of the matrix that this run is for; all of them are played at once."""
    import cells  # The SDKs take seconds to load, and only the matrix needs all of them.

    items = request.session.items
    wanted = [item.callspec.params["cell"] for item in items if getattr(item, "originalname", None) == "test_cell"]
    folder = tmp_path_factory.mktemp("matrix")
    with fake_provider(folder / "fake") as fake, serving(folder, cells.config(fake.url)) as gateway:
        return cells.play(gateway, fake, wanted)


def pytest_terminal_summary(terminalreporter):
    """The table of the matrix, of what its tests took down: they may have run in another process."""
    reports = [report for group in ("passed", "failed") for report in terminalreporter.stats.get(group, [])]
    noted = [value for report in reports for name, value in report.user_properties if name == "cell"]
    if noted:
        import cells

        ended = {tuple(cell): problem for cell, problem in noted}
        terminalreporter.section("official SDKs")
        for line in cells.table({cell: ended[cell] for cell in cells.CELLS if cell in ended}):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def dev(tmp_path_factory):
    """A gateway without a configuration, as a new user starts it."""
    folder = tmp_path_factory.mktemp("dev")
    listen = f"127.0.0.1:{free_port()}"
    log = folder / "output"
    with running(["serve"], log, SEAWORTHY__SERVER__LISTEN=listen) as process:
        until("dev mode is ready", lambda: answers(f"http://{listen}/health/ready", process, log))

        def key():
            return re.search(r"Bearer ([^\s\"']+)'", log.read_text())

        until("the line with a key is printed", key)
        yield Gateway(f"http://{listen}", key().group(1), process.pid)


def tokens(*texts):
    """The fake provider's rule for input: a token for every 4 bytes, rounded up."""
    return -(-sum(len(text.encode()) for text in texts) // 4)


def png():
    """The smallest picture, as base64."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")).decode()
