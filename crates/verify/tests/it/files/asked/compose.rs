//! Faults in compose files, workflows, plans and pods.

use super::super::faults::{Fault, fault, wide};

const COMPOSE: &str = "repo/compose.yaml";
const CI: &str = "repo/.github/workflows/ci.yml";
const SERVICE: &str = "manifests/service.yaml";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "compose.stores-not-published",
        COMPOSE,
        "127.0.0.1:5432:5432",
        "5432:5432",
    ),
    fault(
        "compose.healthchecks",
        COMPOSE,
        "    healthcheck:\n      test: [\"CMD\", \"pg_isready\"]\n",
        "",
    ),
    fault(
        "container.command-exists",
        "repo/Dockerfile",
        "src.service",
        "src.gone",
    ),
    fault("compose.limits", COMPOSE, "memory: 1g", "cpus: \"1\""),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "    build: .",
        "    build: .\n    privileged: true",
    ),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "    build: .",
        "    build: .\n    volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]",
    ),
    fault(
        "compose.images-pinned",
        COMPOSE,
        "postgres:17.2",
        "postgres",
    ),
    fault(
        "compose.secrets-not-inline",
        COMPOSE,
        "${DB_PASSWORD}",
        "letmein",
    ),
    fault(
        "compose.restarts",
        COMPOSE,
        "    image: postgres:17.2\n    ports: [\"127.0.0.1:5432:5432\"]\n    restart: unless-stopped",
        "    image: postgres:17.2\n    ports: [\"127.0.0.1:5432:5432\"]\n    restart: \"no\"",
    ),
    fault(
        "ci.least-privilege",
        CI,
        "permissions:\n  contents: read",
        "permissions: write-all",
    ),
    fault(
        "ci.least-privilege",
        CI,
        "permissions:\n  contents: read\n",
        "",
    ),
    fault(
        "ci.strangers-run-nothing",
        CI,
        "      - run: ruff check",
        "      - run: echo \"${{ github.event.pull_request.title }}\"\n      - run: ruff check",
    ),
    fault(
        "ci.strangers-run-nothing",
        CI,
        "on: [push, pull_request]\npermissions:\n  contents: read\njobs:\n  verify:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5",
        "on: pull_request_target\npermissions:\n  contents: read\njobs:\n  verify:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n        with: {ref: \"${{ github.event.pull_request.head.sha }}\"}",
    ),
    fault(
        "k8s.token-not-mounted",
        SERVICE,
        "automountServiceAccountToken: false",
        "automountServiceAccountToken: true",
    ),
    fault(
        "container.capabilities",
        SERVICE,
        "type: RuntimeDefault",
        "type: Unconfined",
    ),
    wide(
        "container.no-privileged",
        SERVICE,
        "      automountServiceAccountToken: false",
        "      automountServiceAccountToken: false\n      hostNetwork: true",
        &[],
    ),
    fault(
        "cloud.storage-private",
        "cloud/terraform.json",
        "\"block_public_policy\": true",
        "\"block_public_policy\": false",
    ),
    fault(
        "cloud.deletion-protected",
        "cloud/aws.json",
        "\"DeletionProtection\": true",
        "\"DeletionProtection\": false",
    ),
    fault(
        "data.encryption-at-rest",
        "cloud/aws.json",
        "\"StorageEncrypted\": true",
        "\"StorageEncrypted\": null",
    ),
    fault(
        "cloud.security-groups",
        "cloud/aws.json",
        "\"ToPort\": 443",
        "\"ToPort\": 9999",
    ),
    fault(
        "cloud.security-groups",
        "cloud/aws.json",
        "\"FromPort\": 443, \"ToPort\": 443, \"IpRanges\": [{\"CidrIp\": \"0.0.0.0/0\"}]",
        "\"FromPort\": 22, \"ToPort\": 22, \"Ipv6Ranges\": [{\"CidrIpv6\": \"::/0\"}]",
    ),
];
