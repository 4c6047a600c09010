//! Faults by value: conditions that never hold, filters that nothing passes, amounts and thresholds
//! that nothing reaches.

use super::super::faults::{Fault, fault, wide};

const CI: &str = "repo/.github/workflows/ci.yml";
const SERVICE: &str = "manifests/service.yaml";
const RULES: &str = "manifests/rules.yaml";
const MORE: &str = "manifests/more-rules.yaml";
const TESTS: &str = "run: cargo test --workspace";
const ALL_OF_CI: &[&str] = &["ci.builds-automated", "ci.security-scanning"];

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: cargo test --workspace\n        if: ${{ 1 == 2 }}",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: cargo test --workspace\n        if: github.ref == 'refs/heads/nowhere'",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: cargo test --workspace\n        if: github.event_name == 'schedule'",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: cargo test --workspace\n        if: failure()",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: if false; then cargo test --workspace; fi",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: \"[ 1 -eq 2 ] && cargo test --workspace\"",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: bash -c 'cargo test --workspace || true'",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: \"run() { cargo test --workspace; }\"",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: |\n          if cargo test --workspace; then echo passed; else echo failed; fi",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: |\n          trap 'exit 0' EXIT\n          cargo test --workspace",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: |\n          cargo test --workspace\n          echo done\n        shell: bash {0}",
    ),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: cat <<'EOF'>plan\n          cargo test --workspace\n          EOF",
    ),
    fault("ci.tests-automated", CI, TESTS, "run: pytest -k nothing"),
    fault(
        "ci.tests-automated",
        CI,
        TESTS,
        "run: go test -run '^$' ./...",
    ),
    wide(
        "ci.tests-automated",
        CI,
        "jobs:\n  verify:\n",
        "jobs:\n  first:\n    if: false\n    steps: [{run: make}]\n  verify:\n    needs: first\n",
        &[
            "ci.builds-automated",
            "ci.security-scanning",
            "ci.deploy-automated",
            "code.lint-clean",
            "code.type-check-clean",
            "deps.licenses-compatible",
        ],
    ),
    wide(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: {push: {branches: [never-used]}}",
        ALL_OF_CI,
    ),
    wide(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: {pull_request: {paths: [\"notes/**\"]}}",
        ALL_OF_CI,
    ),
    fault(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: {pull_request: {types: [closed]}}",
    ),
    wide(
        "ci.tests-automated",
        CI,
        "on: [push, pull_request]",
        "on: {workflow_dispatch: {}}",
        ALL_OF_CI,
    ),
    fault(
        "ci.actions-pinned",
        CI,
        "actions/checkout@v5",
        "actions/checkout@5-dev-branch",
    ),
    fault(
        "ci.strangers-run-nothing",
        "repo/.github/workflows/label.yml",
        "",
        "on: pull_request\npermissions: {}\nenv: {TITLE: \"${{ github.event.pull_request.title }}\"}\njobs:\n  \
         label:\n    steps:\n      - run: echo ${{ env.TITLE }}\n",
    ),
    fault(
        "k8s.liveness-probe",
        SERVICE,
        "          livenessProbe:\n            httpGet:\n              path: /health/live\n              port: 8080\n",
        "          livenessProbe:\n            exec: {command: [cat, /etc/hostname]}\n",
    ),
    fault(
        "k8s.memory-limits",
        SERVICE,
        "memory: 512Mi",
        "memory: 512m",
    ),
    fault(
        "k8s.memory-limits",
        SERVICE,
        "memory: 512Mi",
        "memory: 999Ti",
    ),
    fault("k8s.cpu-limits", SERVICE, "cpu: \"1\"", "cpu: \"10000\""),
    fault("k8s.resource-requests", SERVICE, "cpu: 250m", "cpu: 250000"),
    wide(
        "container.no-privileged",
        SERVICE,
        "drop: [\"ALL\"]",
        "drop: [\"ALL\"]\n              add: [\"SYS_BOOT\"]",
        &["container.capabilities"],
    ),
    fault(
        "container.image-pinned",
        SERVICE,
        "agent:1.4.2",
        "agent:${VERSION}",
    ),
    fault(
        "k8s.roles-bounded",
        "manifests/binding.yaml",
        "",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all}\n\
         roleRef: {kind: ClusterRole, name: admin}\nsubjects: [{kind: ServiceAccount, name: agent}]\n",
    ),
    fault(
        "k8s.roles-bounded",
        "manifests/role.yaml",
        "",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: leases}\n\
         rules: [{apiGroups: [\"*\"], resources: [leases], verbs: [get]}]\n",
    ),
    fault(
        "alert.high-latency",
        RULES,
        "[5m]))) > 10",
        "[5m]))) > 8000",
    ),
    fault(
        "alert.breaker-open",
        MORE,
        "max(seaworthy_breaker_state) > 0",
        "max(seaworthy_breaker_state) == 7",
    ),
    fault(
        "alert.severity-set",
        RULES,
        "{severity: critical}\n        annotations: {runbook_url: docs/runbooks/error-rate.md}",
        "{severity: \"{{ $labels.level }}\"}\n        annotations: {runbook_url: docs/runbooks/error-rate.md}",
    ),
    fault(
        "alert.runbook-links",
        RULES,
        "runbook_url: docs/runbooks/high-latency.md",
        "runbook_url: \"https://wiki.example.org/\"",
    ),
    fault(
        "deps.update-strategy",
        "repo/.github/dependabot.yml",
        "",
        "version: 2\nupdates: [{package-ecosystem: cargo, directory: /, open-pull-requests-limit: 0}]\n",
    ),
    fault(
        "deps.no-known-vulns",
        "repo/reports/audit.json",
        "",
        "{\"vulnerabilities\": {\"a\": {\"severity\": \"critical\"}}, \"metadata\": {\"vulnerabilities\": \
         {\"high\": 0, \"critical\": 0, \"total\": 1}}}\n",
    ),
    fault(
        "deps.no-known-vulns",
        "repo/reports/govulncheck.json",
        "",
        "{\n  \"config\": {\"protocol_version\": \"v1\"}\n}\n{\n  \"finding\": {\"osv\": \"GO-2026-1\", \
         \"trace\": [{\"function\": \"Parse\"}]}\n}\n",
    ),
    fault(
        "iam.least-privilege",
        "cloud/grants.json",
        "",
        "{\"PolicyDocument\": {\"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"iam:CreateAccessKey\"], \
         \"Resource\": \"arn:aws:iam::1:user/*\"}]}}\n",
    ),
    fault(
        "data.encryption-at-rest",
        "cloud/database.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_db_instance\", \"address\": \"db\", \
         \"values\": {\"engine\": \"postgres\", \"multi_az\": true, \"publicly_accessible\": false, \
         \"deletion_protection\": true, \"backup_retention_period\": 7, \"tags\": {\"team\": \"agents\"}}}]}}}\n",
    ),
    fault(
        "cloud.waf",
        "cloud/firewall.json",
        "",
        "{\"planned_values\": {\"root_module\": {\"resources\": [{\"type\": \"aws_wafv2_web_acl\", \"address\": \"w\", \
         \"values\": {\"rule\": [], \"tags\": {\"team\": \"agents\"}}}]}}}\n",
    ),
];
