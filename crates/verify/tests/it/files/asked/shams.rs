//! Faults that leave something in the place of the control: empty, in another namespace, or idle.

use super::super::faults::{Fault, fault, wide};

const SERVICE: &str = "manifests/service.yaml";
const AROUND: &str = "manifests/around.yaml";
const RULES: &str = "manifests/rules.yaml";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "k8s.liveness-probe",
        SERVICE,
        "          livenessProbe:\n            httpGet:\n              path: /health/live\n              port: 8080\n",
        "          livenessProbe: {}\n",
    ),
    fault(
        "k8s.startup-probe",
        SERVICE,
        "          startupProbe:\n            httpGet:\n              path: /health/live\n              port: 8080\n",
        "          startupProbe:\n            exec:\n              command: [\"sh\", \"-c\", \"exit 0\"]\n",
    ),
    fault(
        "k8s.readiness-probe",
        SERVICE,
        "path: /health/ready\n              port: 8080",
        "path: /health/ready\n              port: web",
    ),
    fault(
        "k8s.readiness-probe",
        SERVICE,
        "path: /health/ready\n              port: 8080\n",
        "path: /health/ready\n              port: 9090\n          ports: [{containerPort: 8080}]\n",
    ),
    fault("k8s.cpu-limits", SERVICE, "cpu: \"1\"", "cpu: \"0\""),
    fault("k8s.memory-limits", SERVICE, "memory: 512Mi", "memory:"),
    fault("k8s.resource-requests", SERVICE, "cpu: 250m", "cpu: 0m"),
    wide(
        "container.no-privileged",
        SERVICE,
        "drop: [\"ALL\"]",
        "drop: [\"ALL\"]\n              add: [\"SYS_ADMIN\"]",
        &["container.capabilities"],
    ),
    fault(
        "container.no-privileged",
        "manifests/job.yaml",
        "",
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: job}\nspec: {jobTemplate: {spec: {template: {spec: \
         {securityContext: {runAsNonRoot: true}, containers: [{name: job, image: \"job:1.2\", \
         securityContext: {privileged: true}}]}}}}}\n",
    ),
    fault(
        "container.image-pinned",
        SERVICE,
        "      containers:\n",
        "      initContainers:\n        - name: first\n          image: busybox\n          securityContext:\n            \
         allowPrivilegeEscalation: false\n            capabilities: {drop: [ALL]}\n      containers:\n",
    ),
    wide(
        "k8s.secrets-for-sensitive",
        SERVICE,
        "              value: en\n",
        "              value: en\n            - name: STORE\n              value: postgres://app:hunter2@db/app\n",
        &["secrets.external-store"],
    ),
    fault(
        "k8s.termination-grace",
        SERVICE,
        "\"/bin/sleep\", \"5\"",
        "\"sh\", \"-c\", \"sleep 1m\"",
    ),
    fault(
        "k8s.pod-disruption-budget",
        AROUND,
        "minAvailable: 1",
        "maxUnavailable: 2",
    ),
    fault(
        "k8s.pod-disruption-budget",
        AROUND,
        "minAvailable: 1",
        "minAvailable: 0%",
    ),
    fault(
        "deploy.rolling-update",
        SERVICE,
        "maxUnavailable: 0",
        "maxUnavailable: 3",
    ),
    fault(
        "scale.metrics-defined",
        AROUND,
        "        target:\n          type: Utilization\n          averageUtilization: 70\n",
        "",
    ),
    fault(
        "k8s.roles-bounded",
        "manifests/binding.yaml",
        "",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: all}\n\
         roleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: agent}]\n",
    ),
    wide(
        "k8s.network-policy",
        AROUND,
        "  podSelector:\n    matchLabels:\n      app: agent\n  policyTypes",
        "  podSelector:\n    matchExpressions: [{key: app, operator: NotIn, values: [agent]}]\n  policyTypes",
        &["net.egress-restricted", "net.ingress-restricted"],
    ),
    fault(
        "net.egress-restricted",
        AROUND,
        "cidr: 10.0.0.0/8",
        "cidr: \"::/0\"",
    ),
    fault(
        "net.ingress-restricted",
        AROUND,
        "podSelector:\n            matchLabels:\n              app: proxy",
        "namespaceSelector: {}",
    ),
    fault(
        "net.load-balancer",
        SERVICE,
        "targetPort: 8080",
        "targetPort: web\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: agent}",
    ),
    fault(
        "alert.severity-set",
        RULES,
        "{severity: critical}\n        annotations: {runbook_url: docs/runbooks/error-rate.md}",
        "{severity: \"\"}\n        annotations: {runbook_url: docs/runbooks/error-rate.md}",
    ),
    fault(
        "alert.runbook-links",
        RULES,
        "runbook_url: docs/runbooks/high-latency.md",
        "runbook_url: TBD",
    ),
    wide(
        "alert.high-error-rate",
        RULES,
        "> 0.0",
        "> 90.0",
        &["alert.elevated-error-rate"],
    ),
    fault("alert.high-latency", RULES, "for: 10m", "for: 900d"),
    fault(
        "dash.present",
        "manifests/dashboard.json",
        "sum(rate(seaworthy_requests_total[$__rate_interval]))",
        "",
    ),
    fault(
        "dash.cost",
        "manifests/more-dashboards.json",
        "sum(seaworthy_spent_usd_total)",
        "",
    ),
];
