"""Tokens of a certified OpenID provider: accepted, refused, and followed through a change of its keys."""

import contextlib
import json
import os
import pathlib
import subprocess
import threading
import time

import httpx
import pytest

from conftest import BINARY, ENVIRONMENT, answers, free_port, running, until

# xtask installs the folder there.
SERVER = pathlib.Path(os.environ.get("SEAWORTHY_OIDC", pathlib.Path(__file__).parents[2] / ".cache/oidc")) / "server.js"

CONFIG = """
[server]
listen = "{listen}"

[storage]
url = "sqlite:{database}"

[auth.jwt.issuers.peer]
issuer = "{issuer}"
audience = ["seaworthy"]
jwks_url = "{issuer}/jwks"
jwks_min_interval = "1s"
leeway = "1s"
roles_claim = "groups"

[auth.jwt.issuers.peer.roles]
"Platform Admins" = "admin"

[providers.local]
kind = "echo"

[models.echo]
targets = ["local/echo"]
"""


class Peer:
    """The OpenID provider."""

    def __init__(self, issuer, process):
        self.issuer = issuer
        self.process = process
        self.http = httpx.Client(base_url=issuer, timeout=10)

    def token(self, client="ada", resource="urn:seaworthy:RS256"):
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "api"}
        answer = self.http.post("/token", data=form, auth=(client, "the+secret+of+a+test"))
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def do(self, what):
        assert self.http.post(f"/{what}").status_code == 200


@contextlib.contextmanager
def started(log):
    with log.open("wb") as errors:
        process = subprocess.Popen(["node", SERVER], stdout=subprocess.PIPE, stderr=errors)
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Peer(json.loads(line)["issuer"], process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with started(tmp_path_factory.mktemp("peer") / "output") as peer:
        yield peer


@pytest.fixture(scope="module")
def guarded(peer, tmp_path_factory):
    """A gateway that trusts the peer: its address and its log."""
    folder = tmp_path_factory.mktemp("guarded")
    listen = f"127.0.0.1:{free_port()}"
    config = folder / "seaworthy.toml"
    config.write_text(CONFIG.format(listen=listen, database=folder / "seaworthy.db", issuer=peer.issuer))
    log = folder / "output"
    with running(["serve", "--config", config], log) as process:
        until("the gateway is ready", lambda: answers(f"http://{listen}/health/ready", process, log))
        yield f"http://{listen}", log


def models(url, token):
    return httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {token}"}, timeout=30)


def test_tokens_of_every_algorithm_open_the_gateway_and_the_log_knows_who_came(peer, guarded):
    url, log = guarded
    for algorithm in ["RS256", "ES256", "EdDSA"]:
        token = peer.token(resource=f"urn:seaworthy:{algorithm}")
        answer = models(url, token)
        assert answer.status_code == 200, f"{algorithm}: {answer.text}"
        chat = httpx.post(
            f"{url}/v1/chat/completions",
            headers={"authorization": f"Bearer {token}"},
            json={"model": "echo", "messages": [{"role": "user", "content": "Ahoy!"}]},
        )
        assert chat.status_code == 200, chat.text
        until("the log names the caller", lambda: '"key_id":"jwt:peer:ada"' in log.read_text())
        assert token not in log.read_text()


def test_groups_become_roles_and_other_audiences_get_nowhere(peer, guarded):
    url, _ = guarded
    for client, expected in [("root", 200), ("ada", 403)]:
        headers = {"authorization": f"Bearer {peer.token(client)}"}
        assert httpx.get(f"{url}/admin/v1/status", headers=headers).status_code == expected
    assert models(url, peer.token(resource="urn:other:RS256")).status_code == 401


def test_a_token_ends_when_its_time_is_over(peer, guarded):
    url, _ = guarded
    token = peer.token(resource="urn:seaworthy:ES256:3")
    assert models(url, token).status_code == 200
    until("the token has expired", lambda: models(url, token).status_code == 401)


def test_keys_roll_over_under_load_without_a_failed_request(peer, guarded):
    url, _ = guarded
    seen, over = [], threading.Event()

    def call():
        while not over.is_set():
            # A fresh token each time: it names whatever key the peer signs with at the moment.
            seen.append(models(url, peer.token()).status_code)

    callers = [threading.Thread(target=call) for _ in range(3)]
    old = peer.token()
    assert models(url, old).status_code == 200
    for caller in callers:
        caller.start()
    for _ in range(2):
        # Longer than `jwks_min_interval`: an unknown name of a key makes the gateway ask that often.
        time.sleep(1.2)
        peer.do("rotate")
        before = len(seen)
        until("callers come with tokens of the new key", lambda: len(seen) >= before + 6, 30)
    over.set()
    for caller in callers:
        caller.join()
    assert set(seen) == {200}, seen
    assert models(url, old).status_code == 200, "the old key is still published"


def test_a_peer_that_is_gone_is_survived_by_what_it_signed(peer, guarded):
    """The last one: the peer does not come back."""
    url, _ = guarded
    known, fresh = peer.token(), peer.token("root")
    assert models(url, known).status_code == 200
    peer.do("rotate")
    unknown = peer.token()
    peer.process.kill()
    peer.process.wait()
    for token in [known, fresh]:
        assert models(url, token).status_code == 200
    # The keys are asked for again once `jwks_min_interval` has passed.
    seen = []

    def is_unavailable():
        seen.append(models(url, unknown))
        return seen[-1].status_code == 503

    until("the keys are asked for again", is_unavailable)
    answer = seen[-1]
    assert answer.headers["retry-after"]
    assert answer.json()["error"]["code"] == "identity_unavailable"
