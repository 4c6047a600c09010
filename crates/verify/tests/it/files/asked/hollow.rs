//! Faults that leave files in a repository which look like a control and hold none.

use super::super::faults::{Fault, fault, wide};

const CI: &str = "repo/.github/workflows/ci.yml";
const DOCKER: &str = "repo/Dockerfile";
const SETTINGS: &str = "manifests/settings.yaml";
const COMPOSE: &str = "repo/compose.yaml";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "budget.daily-monthly",
        SETTINGS,
        "per_day: 100",
        "max_price_age_days: 180",
    ),
    fault(
        "degrade.fallbacks",
        SETTINGS,
        "fallback: small-model",
        "rate_limit:\n  fallback_to_session: true",
    ),
    fault(
        "secrets.keys-least-privilege",
        SETTINGS,
        "key_scopes: chat",
        "key_scopes:\n  least_privilege: false",
    ),
    fault(
        "log.level-configured",
        SETTINGS,
        "level: info",
        "level: info\n  console_level: debug",
    ),
    fault(
        "privacy.data-retention",
        SETTINGS,
        "session_retention: 30d",
        "session_retention: 0d",
    ),
    fault(
        "deps.no-known-vulns",
        "repo/reports/osv.json",
        "",
        "{\"results\": [{\"packages\": [{\"vulnerabilities\": [{\"id\": \"GHSA-1\"}]}]}]}\n",
    ),
    fault(
        "test.behavioral",
        "repo/reports/worse-eval.json",
        "",
        "{\"results\": {\"stats\": {\"successes\": 1, \"failures\": 9}}}\n",
    ),
    fault(
        "test.coverage",
        "repo/reports/coverage-worse.json",
        "",
        "{\"totals\": {\"percent_covered\": 12.5}}\n",
    ),
    fault(
        "secrets.external-store",
        SETTINGS,
        "session_store: postgres",
        "session_store: postgres://app:hunter2@db/app",
    ),
    fault("repo.licence-present", "repo/LICENSE", "", " \n"),
    fault(
        "deps.update-strategy",
        "repo/.github/dependabot.yml",
        "",
        "\n",
    ),
    fault(
        "deps.lockfile-committed",
        "repo/package-lock.json",
        "",
        "{\"lockfileVersion\": 3, \"packages\": {}}\n",
    ),
    fault("deps.pinned", "repo/requirements.txt", "==", "==1.*,>="),
    fault(
        "repo.tests-exist",
        "repo/tests/adds.rs",
        "    assert_eq!(1 + 1, 2);\n",
        "",
    ),
    fault(
        "secrets.none-in-source",
        "repo/notes.md",
        "",
        "The key is ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R.\n",
    ),
    fault(
        "secrets.env-files-not-committed",
        "repo/config/production.env",
        "",
        "export DB_HOST=db\n",
    ),
    fault(
        "container.dockerfile-user",
        DOCKER,
        "USER 65532",
        "USER \"00:0\"",
    ),
    fault(
        "container.dockerfile-user",
        DOCKER,
        "USER 65532",
        "ARG WHO=root\nUSER ${WHO}",
    ),
    fault(
        "container.base-pinned",
        DOCKER,
        "FROM rust:1.95-slim",
        "ARG V=latest\nFROM rust:$V",
    ),
    fault(
        "container.healthcheck",
        DOCKER,
        "[\"/agent\", \"health\"]",
        "exit 0",
    ),
    fault(
        "container.healthcheck",
        DOCKER,
        "RUN cargo build --release\n\nFROM debian:12-slim\nCOPY --from=build /build/target/release/agent /agent\nUSER 65532\nHEALTHCHECK CMD [\"/agent\", \"health\"]\n",
        "HEALTHCHECK CMD [\"/agent\", \"health\"]\nRUN cargo build --release\n\nFROM debian:12-slim\nCOPY --from=build /build/target/release/agent /agent\nUSER 65532\n",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "run: cargo test --workspace",
        "name: cargo test\n        run: \"true\"",
    ),
    fault(
        "ci.tests-automated",
        CI,
        "cargo test --workspace",
        "cargo test --workspace || true",
    ),
    wide(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: workflow_dispatch",
        &["ci.builds-automated", "ci.security-scanning"],
    ),
    fault(
        "ci.tests-automated",
        CI,
        "run: cargo test --workspace",
        "run: cargo test --workspace\n        if: ${{ false }}",
    ),
    fault("code.lint-clean", CI, "ruff check", "pip install ruff"),
    fault(
        "code.type-check-clean",
        CI,
        "run: mypy --strict src",
        "run: mypy --strict src\n        continue-on-error: true",
    ),
    fault(
        "ci.builds-automated",
        CI,
        "docker build -t agent .",
        "echo docker build -t agent .",
    ),
    fault(
        "ci.actions-pinned",
        CI,
        "actions/checkout@v5",
        "actions/checkout@develop",
    ),
    fault(
        "ci.strangers-run-nothing",
        "repo/.github/workflows/label.yml",
        "",
        "on: pull_request_target\npermissions: {}\njobs:\n  label:\n    steps:\n      - run: gh pr checkout 1 && make\n",
    ),
    fault(
        "ci.strangers-run-nothing",
        "repo/.github/workflows/label.yml",
        "",
        "on: pull_request\npermissions: {}\njobs:\n  label:\n    steps:\n      - run: echo ${{ github.event.head_commit.message }}\n",
    ),
    fault(
        "docs.rollback-procedure",
        "repo/docs/operations.md",
        "## Rollback\n",
        "## Rollback\n\nTBD: the order of the steps.\n",
    ),
    fault(
        "compose.healthchecks",
        COMPOSE,
        "[\"CMD\", \"pg_isready\"]",
        "[\"CMD-SHELL\", \"exit 0\"]",
    ),
    fault("compose.limits", COMPOSE, "mem_limit: 512m", "mem_limit: 0"),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "mem_limit: 512m",
        "mem_limit: 512m\n    privileged: yes",
    ),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "mem_limit: 512m",
        "mem_limit: 512m\n    volumes: [\"/:/host:ro\"]",
    ),
    wide(
        "compose.stores-not-published",
        COMPOSE,
        "ports: [\"127.0.0.1:5432:5432\"]",
        "network_mode: host",
        &["compose.no-privileges"],
    ),
    fault(
        "compose.secrets-not-inline",
        COMPOSE,
        "${DB_PASSWORD}",
        "${DB_PASSWORD:-hunter2}",
    ),
    fault(
        "compose.secrets-not-inline",
        COMPOSE,
        "LOCALE: en",
        "STORE: postgres://app:hunter2@db/app",
    ),
];
