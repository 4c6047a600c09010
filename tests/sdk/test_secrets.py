"""AWS Secrets Manager as moto plays it, over TLS with an authority of its own, checking each signature."""

import contextlib
import datetime
import ipaddress
import json
import ssl
import subprocess
import sys

import boto3
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import BINARY, ENVIRONMENT, answers, free_port, running, until

REGION = "eu-central-1"
SECRET = "gateway/providers"
CONFIG = """
[server]
listen = "{listen}"

[storage]
url = "sqlite:{database}"

[providers.openai]
kind = "openai"
base_url = "{fake}/v1"
api_key = "secret://aws/gateway/providers#openai"

[models.gpt]
targets = ["openai/gpt"]

[secret_managers]
refresh_interval = "1s"

[secret_managers.aws]
region = "{region}"
endpoint = "{endpoint}"
{trust}
access_key_id = "secret://env/GATEWAY_ID"
secret_access_key = "secret://env/GATEWAY_SECRET"
"""


def certificates(folder):
    """An authority and a certificate of it for 127.0.0.1: their files."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def named(name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def build(subject, key, issuer):
        made = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))

    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build("an authority", authority, "an authority")
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    leaf = build("manager", own, "an authority")
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = leaf.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    pem = serialization.Encoding.PEM
    files = {
        "ca.pem": root.sign(authority, hashes.SHA256()).public_bytes(pem),
        "leaf.pem": leaf.sign(authority, hashes.SHA256()).public_bytes(pem),
        "leaf.key": own.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


class Manager:
    """moto: its address, and credentials that may read secrets and nothing else."""

    def __init__(self, url, ca):
        self.url, self.ca = url, ca
        self.trust = ssl.create_default_context(cafile=ca)
        root = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        self.secrets, iam = self.client("secretsmanager", **root), self.client("iam", **root)
        iam.create_user(UserName="gateway")
        key = iam.create_access_key(UserName="gateway")["AccessKey"]
        self.key = key["AccessKeyId"], key["SecretAccessKey"]
        allowed = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="gateway", PolicyName="reads", PolicyDocument=document)

    def client(self, service, **credentials):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, verify=str(self.ca), **credentials
        )

    def enforce(self, is_on):
        """From now on each request needs a signature of somebody who may make it, or none does."""
        count = "0" if is_on else "inf"
        headers = {"content-type": "text/plain"}
        url = f"{self.url}/moto-api/reset-auth"
        answer = httpx.post(url, content=count, headers=headers, verify=self.trust)
        assert answer.status_code == 200, answer.text

    def rotate(self, value):
        self.enforce(False)
        self.secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps({"openai": value}))
        self.enforce(True)


@contextlib.contextmanager
def started(folder):
    ca, leaf, key = certificates(folder)
    port = free_port()
    # Its program is a file of the virtual environment, which names its Python by a long path.
    run = "import sys; from moto.server import main; main(sys.argv[1:])"
    arguments = ["-H", "127.0.0.1", "-p", str(port), "-c", str(leaf), "-k", str(key)]
    log = folder / "moto"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", run, *arguments], stdout=output, stderr=output)
    url = f"https://127.0.0.1:{port}"
    trust = ssl.create_default_context(cafile=ca)

    def is_up():
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/moto-api/", verify=trust).status_code < 500
        return False

    try:
        until("moto listens", is_up, 30)
        yield Manager(url, ca)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    with started(tmp_path_factory.mktemp("moto")) as manager:
        manager.secrets.create_secret(Name=SECRET, SecretString=json.dumps({"openai": "old-pearl"}))
        manager.enforce(True)
        yield manager


def configured(manager, folder, fake, trust=True):
    listen = f"127.0.0.1:{free_port()}"
    trust = f'ca_file = "{manager.ca}"' if trust else ""
    (folder / "c.toml").write_text(
        CONFIG.format(
            listen=listen,
            database=folder / "c.db",
            fake=fake,
            region=REGION,
            endpoint=manager.url,
            trust=trust,
        )
    )
    return listen


def test_a_secret_is_fetched_with_our_signature_and_its_rotation_reaches_requests(manager, tmp_path):
    fake = f"127.0.0.1:{free_port()}"
    listen = configured(manager, tmp_path, f"http://{fake}")
    opened = {"GATEWAY_ID": manager.key[0], "GATEWAY_SECRET": manager.key[1]}
    keys = ["--key", "old-pearl", "--key", "new-pearl"]
    log, provider_log = tmp_path / "output", tmp_path / "provider"
    made = subprocess.run(
        [BINARY, "keys", "create", "--name", "t", "--config", "c.toml", "--format", "json"],
        cwd=tmp_path,
        env={**ENVIRONMENT, **opened},
        capture_output=True,
        check=True,
    )
    key = json.loads(made.stdout)["key"]

    def ask():
        body = {"model": "gpt", "messages": [{"role": "user", "content": "Ahoy"}]}
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx.post(f"http://{listen}/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return len(httpx.get(f"http://{fake}/__control/stats").json()["by_key"])

    with (
        running(["fake-provider", "--listen", fake, *keys], provider_log) as provider,
        running(["serve", "--config", "c.toml"], log, **opened) as process,
    ):
        until("it plays", lambda: answers(f"http://{fake}/__control/stats", provider, provider_log))
        until("it is ready", lambda: answers(f"http://{listen}/health/ready", process, log))
        assert ask() == 1
        manager.rotate("new-pearl")
        until("requests use the new key", lambda: ask() == 2)
    assert "pearl" not in log.read_text()
    assert manager.key[1] not in log.read_text()


@pytest.mark.parametrize(
    ("trust", "secret", "code", "words"),
    [
        (True, "not-the-secret", 78, "we may not read this secret"),
        (False, None, 69, "does not answer"),
    ],
)
def test_a_wrong_signature_and_an_unknown_authority_end_the_start(
    manager, tmp_path, trust, secret, code, words
):
    configured(manager, tmp_path, "http://127.0.0.1:9", trust)
    opened = {"GATEWAY_ID": manager.key[0], "GATEWAY_SECRET": secret or manager.key[1]}
    ran = subprocess.run(
        [BINARY, "serve", "--config", "c.toml"],
        cwd=tmp_path,
        env={**ENVIRONMENT, **opened},
        capture_output=True,
        timeout=60,
    )
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr.decode(), ran.stderr
