//! Faults that keep the form of a control, and take away what it does.

use super::super::faults::{Fault, fault, wide};

const SERVICE: &str = "manifests/service.yaml";
const AROUND: &str = "manifests/around.yaml";
const DOCKER: &str = "repo/Dockerfile";
const COMPOSE: &str = "repo/compose.yaml";
const LIVENESS: &str = "          livenessProbe:\n            httpGet:\n              path: /health/live\n              port: 8080\n";

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "k8s.liveness-probe",
        SERVICE,
        LIVENESS,
        "          livenessProbe:\n            exec: {command: [sh, -c, \"curl -f localhost || true\"]}\n",
    ),
    fault(
        "k8s.liveness-probe",
        SERVICE,
        LIVENESS,
        "          livenessProbe:\n            exec: {command: [sleep, \"1\"]}\n",
    ),
    fault(
        "k8s.liveness-probe",
        SERVICE,
        LIVENESS,
        "          livenessProbe: {failureThreshold: 100000, httpGet: {path: /health/live, port: 8080}}\n",
    ),
    fault(
        "k8s.liveness-probe",
        SERVICE,
        LIVENESS,
        "          livenessProbe: {httpGet: {path: /health/live, port: 8080, host: example.com}}\n",
    ),
    fault(
        "k8s.readiness-probe",
        SERVICE,
        "path: /health/ready\n              port: 8080\n",
        "path: /health/live/?full\n              port: 8080\n",
    ),
    fault(
        "container.non-root",
        SERVICE,
        "runAsNonRoot: true",
        "runAsNonRoot: true\n        runAsUser: 00",
    ),
    fault(
        "container.image-pinned",
        SERVICE,
        "agent:1.4.2",
        "agent:stable",
    ),
    fault(
        "container.image-pinned",
        SERVICE,
        "agent:1.4.2",
        "agent@sha256:latest",
    ),
    fault(
        "k8s.secrets-for-sensitive",
        AROUND,
        "AGENT_MODE: live",
        "AGENT_MODE: live\n  model.txt: Z2hwXzBhMUIyYzNENGU1RjZnN0g4aTlKMGsxTDJtM040bzVQNnE3Ug==",
    ),
    wide(
        "k8s.secrets-for-sensitive",
        AROUND,
        "AGENT_MODE: live",
        "DB_PASSWORD: hunter2hunter2",
        &["secrets.external-store"],
    ),
    fault(
        "k8s.secrets-for-sensitive",
        SERVICE,
        "          envFrom:\n",
        "          args: [--cache-password, hunter2]\n          envFrom:\n",
    ),
    fault(
        "k8s.prestop-hook",
        SERVICE,
        "\"/bin/sleep\", \"5\"",
        "\"/bin/true\"",
    ),
    fault(
        "k8s.anti-affinity",
        SERVICE,
        "            matchLabels:\n              app: agent\n      volumes:",
        "            matchLabels:\n              app: nobody\n      volumes:",
    ),
    fault(
        "k8s.service-account",
        SERVICE,
        "serviceAccountName: agent",
        "serviceAccountName: \"\"",
    ),
    fault(
        "k8s.manifests-valid",
        "manifests/maps.yaml",
        "",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken}\ndata:\n  rules.yaml: \"a: [1\"\n",
    ),
    fault(
        "scale.metrics-defined",
        AROUND,
        "averageUtilization: 70",
        "averageUtilization: 0",
    ),
    fault(
        "scale.cooldown",
        AROUND,
        "stabilizationWindowSeconds: 300",
        "stabilizationWindowSeconds: 0",
    ),
    fault(
        "k8s.pod-disruption-budget",
        AROUND,
        "minAvailable: 1",
        "minAvailable: 100%",
    ),
    fault(
        "k8s.pod-disruption-budget",
        AROUND,
        "minAvailable: 1",
        "maxUnavailable: 0",
    ),
    fault(
        "deploy.rolling-update",
        SERVICE,
        "maxUnavailable: 0",
        "maxUnavailable: 0\n      maxSurge: 0",
    ),
    fault(
        "net.egress-restricted",
        AROUND,
        "cidr: 10.0.0.0/8",
        "cidr: 0.0.0.0/1\n        - ipBlock: {cidr: 128.0.0.0/1}",
    ),
    fault(
        "net.egress-restricted",
        AROUND,
        "cidr: 10.0.0.0/8",
        "cidr: 0.0.0.0/0\n            except: [192.0.2.7/32]",
    ),
    fault(
        "net.egress-restricted",
        AROUND,
        "    - to:\n        - ipBlock:\n            cidr: 10.0.0.0/8",
        "    - ports: [{port: 1, endPort: 65535}]",
    ),
    fault(
        "scale.no-session-affinity",
        AROUND,
        "proxy-body-size: 10m",
        "proxy-body-size: 10m\n    nginx.ingress.kubernetes.io/affinity: cookie",
    ),
    fault(
        "k8s.roles-bounded",
        AROUND,
        "verbs: [\"get\"]",
        "verbs: [\"get\", \"impersonate\"]",
    ),
    fault(
        "k8s.roles-bounded",
        "manifests/binding.yaml",
        "",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all}\n\
         roleRef: {kind: Role, name: agent}\nsubjects: [{kind: Group, name: \"system:unauthenticated\"}]\n",
    ),
    fault(
        "k8s.disk-quota",
        SERVICE,
        "ephemeral-storage: 1Gi",
        "ephemeral-storage: \"0\"",
    ),
    fault(
        "config.required-env-set",
        SERVICE,
        "value: en",
        "valueFrom: {configMapKeyRef: {name: agent, key: GONE}}",
    ),
    fault(
        "container.dockerfile-user",
        DOCKER,
        "USER 65532",
        "USER $WHO",
    ),
    fault(
        "container.base-pinned",
        DOCKER,
        "FROM debian:12-slim",
        "FROM debian:stable-slim",
    ),
    fault(
        "container.base-pinned",
        DOCKER,
        "USER 65532",
        "COPY --from=example.org/tools/uv:latest /uv /uv\nUSER 65532",
    ),
    fault(
        "container.healthcheck",
        DOCKER,
        "HEALTHCHECK CMD [\"/agent\", \"health\"]",
        "HEALTHCHECK --interval=5s \\\n  CMD exit 0",
    ),
    fault(
        "container.multi-stage",
        DOCKER,
        "FROM debian:12-slim\nCOPY --from=build /build/target/release/agent /agent",
        "FROM build",
    ),
    fault(
        "container.command-exists",
        DOCKER,
        "[\"python\", \"-m\", \"src.service\"]",
        "[\"uvicorn\"]\nCMD [\"src.gone:app\"]",
    ),
    fault(
        "compose.healthchecks",
        COMPOSE,
        "[\"CMD\", \"pg_isready\"]",
        "[\"CMD-SHELL\", \"pg_isready || true\"]",
    ),
    fault(
        "compose.stores-not-published",
        "repo/deploy/compose.cache.yaml",
        "",
        "services: {cache: {image: \"dragonfly:1.23\", ports: [\"6379:6379\"], restart: always, mem_limit: 1g, \
         healthcheck: {test: [CMD, redis-cli, ping]}}}\n",
    ),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "mem_limit: 512m",
        "mem_limit: 512m\n    volumes: [\"/var/lib/docker:/d\"]",
    ),
    fault(
        "compose.no-privileges",
        COMPOSE,
        "mem_limit: 512m",
        "mem_limit: 512m\n    devices: [\"/dev/mem:/dev/mem\"]",
    ),
    fault(
        "compose.images-pinned",
        COMPOSE,
        "postgres:17.2",
        "postgres:alpine",
    ),
    fault(
        "compose.secrets-not-inline",
        COMPOSE,
        "mem_limit: 512m",
        "mem_limit: 512m\n    command: [serve, --admin-password, hunter2]",
    ),
];
