//! One way or more to break each control that files hold.

/// A change to one file; an empty `find` replaces or creates it, an empty result deletes it.
pub(crate) struct Fault {
    pub(crate) id: &'static str,
    pub(crate) file: &'static str,
    pub(crate) find: &'static str,
    pub(crate) replace: &'static str,
    /// What cannot stay green when this is broken.
    pub(crate) also: &'static [&'static str],
}

pub(crate) const fn fault(
    id: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Fault {
    Fault {
        id,
        file,
        find,
        replace,
        also: &[],
    }
}

/// A fault that breaks other controls as well.
pub(crate) const fn wide(
    id: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    also: &'static [&'static str],
) -> Fault {
    Fault {
        also,
        ..fault(id, file, find, replace)
    }
}

const SERVICE: &str = "manifests/service.yaml";
const AROUND: &str = "manifests/around.yaml";
const RULES: &str = "manifests/rules.yaml";
const DOCKER: &str = "repo/Dockerfile";
const CI: &str = "repo/.github/workflows/ci.yml";
const OPERATIONS: &str = "repo/docs/operations.md";
const INCIDENTS: &str = "repo/docs/incidents.md";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "config.keys-read",
        "repo/config/agent.yaml",
        "greeting: hello",
        "greeting: hello\nshield_level: 9",
    ),
    fault(
        "k8s.liveness-probe",
        SERVICE,
        "livenessProbe:",
        "otherProbe:",
    ),
    fault(
        "k8s.readiness-probe",
        SERVICE,
        "readinessProbe:",
        "otherProbe:",
    ),
    fault(
        "k8s.readiness-probe",
        SERVICE,
        "path: /health/ready",
        "path: /health/live",
    ),
    fault("k8s.startup-probe", SERVICE, "startupProbe:", "otherProbe:"),
    fault(
        "k8s.resource-requests",
        SERVICE,
        "              cpu: 250m\n",
        "",
    ),
    fault("k8s.cpu-limits", SERVICE, "              cpu: \"1\"\n", ""),
    fault(
        "k8s.memory-limits",
        SERVICE,
        "              memory: 512Mi\n",
        "",
    ),
    fault(
        "container.non-root",
        SERVICE,
        "runAsNonRoot: true",
        "runAsNonRoot: false",
    ),
    fault(
        "container.read-only-rootfs",
        SERVICE,
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
    ),
    fault(
        "container.no-privileged",
        SERVICE,
        "allowPrivilegeEscalation: false",
        "privileged: true",
    ),
    fault(
        "container.no-privileged",
        SERVICE,
        "drop: [\"ALL\"]",
        "drop: [\"NET_RAW\"]",
    ),
    fault(
        "container.image-pinned",
        SERVICE,
        "agent:1.4.2",
        "agent:latest",
    ),
    fault(
        "k8s.secrets-for-sensitive",
        SERVICE,
        "            - name: DB_PASSWORD\n",
        "            - name: API_TOKEN\n              value: abcdefgh\n            - name: DB_PASSWORD\n",
    ),
    fault(
        "k8s.termination-grace",
        SERVICE,
        "terminationGracePeriodSeconds: 60",
        "terminationGracePeriodSeconds: 12",
    ),
    fault(
        "k8s.termination-grace",
        SERVICE,
        "\"/bin/sleep\", \"5\"",
        "\"sh\", \"-c\", \"sleep 55s\"",
    ),
    fault("k8s.prestop-hook", SERVICE, "preStop:", "postStart:"),
    fault(
        "k8s.anti-affinity",
        SERVICE,
        "topologySpreadConstraints:",
        "somethingElse:",
    ),
    fault(
        "k8s.service-account",
        SERVICE,
        "      serviceAccountName: agent\n",
        "",
    ),
    wide(
        "k8s.manifests-valid",
        SERVICE,
        "sessionAffinity: None\n  selector:\n    app: agent",
        "sessionAffinity: None\n  selector:\n    app: agnet",
        &["net.load-balancer"],
    ),
    fault(
        "k8s.manifests-valid",
        "manifests/cut.yaml",
        "",
        "a: [1\nb: 2\n",
    ),
    fault(
        "ha.min-replicas",
        AROUND,
        "minReplicas: 2",
        "minReplicas: 1",
    ),
    wide(
        "scale.autoscaling-configured",
        AROUND,
        "    kind: Deployment\n    name: agent\n",
        "    kind: Deployment\n    name: other\n",
        &["k8s.manifests-valid"],
    ),
    fault("scale.min-max", AROUND, "maxReplicas: 10", "maxReplicas: 2"),
    fault("scale.metrics-defined", AROUND, "  metrics:", "  others:"),
    fault(
        "k8s.pod-disruption-budget",
        AROUND,
        "minAvailable: 1",
        "minAvailable: 0",
    ),
    fault(
        "deploy.rolling-update",
        SERVICE,
        "type: RollingUpdate",
        "type: Recreate",
    ),
    fault(
        "deploy.rolling-update",
        SERVICE,
        "maxUnavailable: 0",
        "maxUnavailable: 100%",
    ),
    wide(
        "k8s.network-policy",
        AROUND,
        "kind: NetworkPolicy",
        "kind: OtherPolicy",
        &["net.egress-restricted", "net.ingress-restricted"],
    ),
    fault(
        "scale.no-session-affinity",
        SERVICE,
        "sessionAffinity: None",
        "sessionAffinity: ClientIP",
    ),
    fault(
        "k8s.roles-bounded",
        AROUND,
        "verbs: [\"get\"]",
        "verbs: [\"*\"]",
    ),
    fault(
        "alert.critical-defined",
        RULES,
        "severity: critical",
        "severity: info",
    ),
    wide(
        "alert.warning-defined",
        RULES,
        "severity: warning",
        "severity: info",
        &["alert.elevated-error-rate"],
    ),
    fault(
        "alert.severity-set",
        RULES,
        "        labels: {severity: critical}\n        annotations: {runbook_url: docs/runbooks/error-rate.md}",
        "        annotations: {runbook_url: docs/runbooks/error-rate.md}",
    ),
    fault(
        "alert.runbook-links",
        RULES,
        "        annotations: {runbook_url: docs/runbooks/high-latency.md}\n",
        "",
    ),
    fault(
        "alert.agent-down",
        RULES,
        "up{job=\"agent\"} == 0",
        "seaworthy_requests_total > 1000",
    ),
    wide(
        "alert.high-error-rate",
        RULES,
        " > 0.0",
        " < 0.0",
        &["alert.elevated-error-rate"],
    ),
    fault(
        "alert.high-latency",
        RULES,
        "histogram_quantile(0.95, ",
        "max(",
    ),
    fault(
        "dash.present",
        "manifests/dashboard.json",
        "",
        "{\"title\": \"Agent\", \"panels\": []}",
    ),
    fault(
        "secrets.none-in-source",
        "repo/src/key.rs",
        "",
        "const KEY: &str = \"ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R\";\n",
    ),
    fault(
        "secrets.env-files-not-committed",
        "repo/.env",
        "",
        "DB_PASSWORD=hello\n",
    ),
    fault(
        "code.no-todo",
        "repo/src/lib.rs",
        "a + b",
        "a + b // XXX overflows",
    ),
    fault(
        "code.no-print",
        "repo/src/lib.rs",
        "    a + b",
        "    println!(\"adding\");\n    a + b",
    ),
    fault("deps.pinned", "repo/requirements.txt", "==", ">="),
    fault("deps.lockfile-committed", "repo/package-lock.json", "", ""),
    fault(
        "deps.update-strategy",
        "repo/.github/dependabot.yml",
        "",
        "",
    ),
    fault("repo.licence-present", "repo/LICENSE", "", ""),
    fault("repo.tests-exist", "repo/tests/adds.rs", "", ""),
    fault("container.dockerfile-user", DOCKER, "USER 65532\n", ""),
    fault(
        "container.dockerfile-user",
        DOCKER,
        "USER 65532",
        "USER root",
    ),
    fault("container.base-pinned", DOCKER, "rust:1.95-slim", "rust"),
    fault(
        "container.healthcheck",
        DOCKER,
        "HEALTHCHECK CMD [\"/agent\", \"health\"]",
        "HEALTHCHECK NONE",
    ),
    fault(
        "container.multi-stage",
        DOCKER,
        "FROM rust:1.95-slim AS build\nWORKDIR /build\nCOPY . .\nRUN cargo build --release\n",
        "",
    ),
    fault("ci.tests-automated", CI, "cargo test --workspace", "true"),
    fault("ci.builds-automated", CI, "docker build -t agent .", "true"),
    fault(
        "ci.deploy-automated",
        CI,
        "kubectl apply -f manifests/",
        "true",
    ),
    wide(
        "ci.security-scanning",
        CI,
        "cargo deny check",
        "true",
        &["deps.licenses-compatible"],
    ),
    fault(
        "ci.actions-pinned",
        CI,
        "actions/checkout@v5",
        "actions/checkout@main",
    ),
    fault("docs.architecture", "repo/docs/architecture.md", "", ""),
    fault(
        "docs.deployment-guide",
        OPERATIONS,
        "## Deployment",
        "## Setting out",
    ),
    fault(
        "docs.rollback-procedure",
        OPERATIONS,
        "notify the person on\ncall and the channel",
        "tell a person and the channel",
    ),
    fault(
        "docs.troubleshooting",
        OPERATIONS,
        "## Troubleshooting",
        "## Other",
    ),
    fault(
        "backup.strategy-documented",
        OPERATIONS,
        "## Backup",
        "## Other",
    ),
    fault(
        "backup.recovery-documented",
        OPERATIONS,
        "## Restore",
        "## Other",
    ),
    fault(
        "dr.plan-documented",
        OPERATIONS,
        "## Disaster recovery",
        "## Other",
    ),
    fault(
        "oncall.escalation-path",
        OPERATIONS,
        "## Escalation",
        "## Other",
    ),
    fault(
        "risk.register-documented",
        OPERATIONS,
        "## Risks",
        "## Other",
    ),
    fault(
        "incident.response-plan",
        INCIDENTS,
        "## Incident response plan",
        "## Other",
    ),
    fault(
        "incident.communication-plan",
        INCIDENTS,
        "## Incident communication",
        "## Other",
    ),
    fault(
        "incident.postmortem-process",
        INCIDENTS,
        "## Post-mortem",
        "## Other",
    ),
    fault(
        "privacy.pii-handling-documented",
        INCIDENTS,
        "## Personal data",
        "## Other",
    ),
    fault(
        "runbook.agent-down",
        "repo/docs/runbooks/service-down.md",
        "Symptom",
        "Sign",
    ),
    fault(
        "runbook.high-error-rate",
        "repo/docs/runbooks/error-rate.md",
        "",
        "",
    ),
    fault(
        "runbook.high-latency",
        "repo/docs/runbooks/high-latency.md",
        "",
        "",
    ),
    fault(
        "runbook.cost-spike",
        "repo/docs/runbooks/cost-spike.md",
        "",
        "",
    ),
    fault(
        "runbook.redis-failure",
        "repo/docs/runbooks/redis-lost.md",
        "",
        "",
    ),
];
