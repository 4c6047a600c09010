//! What runs on Kubernetes, and the settings of it.

use seaworthy_verify::Status::{Fail, NotVerified, Pass};

use super::{AGENT, Case, SERVICE};

pub(super) const ON_KUBERNETES: &[Case] = &[
    // A number is a port of the container itself, or of nobody else.
    (
        "k8s.liveness-probe",
        Fail,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, ports: [{containerPort: 1}], livenessProbe: {tcpSocket: {port: 2}}}, \
          {name: b, ports: [{containerPort: 2}], livenessProbe: {tcpSocket: {port: 2}}}]}}}}",
        ],
    ),
    (
        "k8s.readiness-probe",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, livenessProbe: {httpGet: {path: /health, port: 1}}, readinessProbe: {httpGet: {path: /health, port: 2}}}]}}}}",
        ],
    ),
    (
        "container.no-privileged",
        Fail,
        &[
            "manifests/a.yaml\n{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{hostPath: {path: /srv/../etc/}}], containers: [\
          {name: a, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}",
        ],
    ),
    (
        "k8s.prestop-hook",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, lifecycle: {preStop: {httpGet: {path: /drain, port: 1}}}}]}}}}",
        ],
    ),
    (
        "k8s.anti-affinity",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {metadata: {labels: {app: a}}, spec: \
          {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: \
          {topologyKey: host, labelSelector: {matchLabels: {app: a}}}}]}}, containers: [{name: a}]}}}}",
        ],
    ),
    (
        "k8s.secrets-for-sensitive",
        Fail,
        &[
            AGENT,
            "manifests/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  notes.txt: |\n    \
          where it is\n    postgres://app:hunter2x@db/app\n",
        ],
    ),
    (
        "k8s.liveness-probe",
        Fail,
        &[
            "manifests/a.yaml\n{kind: DeploymentList, apiVersion: apps/v1, items: [{apiVersion: apps/v1, kind: Deployment, \
          metadata: {name: a}, spec: {template: {spec: {containers: [{name: a}]}}}}]}",
        ],
    ),
    (
        "k8s.manifests-valid",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: v1, kind: Config, clusters: []}",
            AGENT,
        ],
    ),
    (
        "k8s.manifests-valid",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: batch/v1, kind: Job, metadata: {generateName: a-}, spec: {template: {spec: {containers: [{name: a}]}}}}",
        ],
    ),
    (
        "k8s.manifests-valid",
        Fail,
        &[
            "manifests/a.yaml\n{apiVersion: batch/v1, kind: Job, metadata: {name: ''}, spec: {template: {spec: {containers: [{name: a}]}}}}",
        ],
    ),
    (
        "k8s.manifests-valid",
        Pass,
        &[
            AGENT,
            "manifests/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a.yaml: \"a: [{{ b }}\"\n",
        ],
    ),
    (
        "scale.metrics-defined",
        Pass,
        &[
            AGENT,
            "manifests/scaler.yaml\n{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: \
          {scaleTargetRef: {kind: Deployment, name: agent}, metrics: [{type: Pods, pods: {target: {type: AverageValue, averageValue: '10'}}}]}}",
        ],
    ),
    (
        "scale.cooldown",
        Pass,
        &[
            AGENT,
            "manifests/scaler.yaml\n{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: a}, spec: \
          {scaleTargetRef: {name: agent}, cooldownPeriod: 60, triggers: [{type: cpu}]}}",
        ],
    ),
    (
        "k8s.pod-disruption-budget",
        Pass,
        &[
            AGENT,
            "manifests/budget.yaml\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}, spec: \
          {minAvailable: 1, selector: {matchLabels: {app: agent}}}}",
        ],
    ),
    (
        "scale.no-session-affinity",
        Fail,
        &[
            SERVICE,
            "manifests/route.yaml\n{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, annotations: \
          {traefik.ingress.kubernetes.io/service.sticky.cookie: 'true'}}}",
        ],
    ),
];

/// Variables of pods, and settings.
pub(super) const SETTINGS: &[Case] = &[
    (
        "config.required-env-set",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, env: [{name: A, valueFrom: {configMapKeyRef: {name: gone, key: a, optional: true}}}]}]}}}}",
        ],
    ),
    (
        "config.required-env-set",
        Fail,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: web}, spec: {template: {spec: {containers: [\
          {name: a, env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: a}}}]}]}}}}",
            "manifests/map.yaml\n{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: shop}, data: {a: b}}",
        ],
    ),
    (
        "config.required-env-set",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: a}}}]}]}}}}",
            "manifests/map.yaml\n{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, binaryData: {a: Yg==}}",
        ],
    ),
    (
        "config.required-env-set",
        Fail,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [\
          {name: a, env: [{name: A, value: ChangeMe}]}]}}}}",
        ],
    ),
    (
        "breaker.enabled",
        Pass,
        &[
            "manifests/a.yaml\n{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, \
          data: {BREAKER_ENABLED: 'true'}}]}",
        ],
    ),
    // What tells the cluster, tests of rules, and objects that nobody applies set nothing.
    (
        "breaker.enabled",
        NotVerified,
        &[
            "manifests/a.yaml\n{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {breaker: {enabled: true}}}",
        ],
    ),
    (
        "breaker.enabled",
        NotVerified,
        &[
            "manifests/a.yaml\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a}, spec: {breaker: {enabled: true}}}",
        ],
    ),
    (
        "breaker.enabled",
        NotVerified,
        &["manifests/a.yaml\n{rule_files: [a.yml], tests: [], breaker: {enabled: true}}"],
    ),
    (
        "breaker.enabled",
        NotVerified,
        &[
            "manifests/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  o.yaml: |\n    apiVersion: example.org/v1\n    \
          kind: Gateway\n    breaker: {enabled: true}\n",
        ],
    ),
    (
        "alert.critical-defined",
        NotVerified,
        &[
            "manifests/map.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  r.yaml: |\n    groups: \
          [{rules: [{alert: A, expr: up == 0, labels: {severity: critical}}]}]\n",
        ],
    ),
    (
        "log.aggregation-elk",
        Fail,
        &[
            "manifests/c.yaml\n{exporters: {elasticsearch: {endpoints: [a]}, debug: {}}, service: {pipelines: {logs: {exporters: [debug]}}}}",
        ],
    ),
    (
        "log.aggregation-elk",
        Fail,
        &[
            "manifests/c.yaml\n{exporters: {debug: {}}, service: {pipelines: {logs: {exporters: [elasticsearch]}}}}",
        ],
    ),
    (
        "alert.high-memory",
        Fail,
        &[
            "manifests/r.yaml\n{groups: [{rules: [{alert: A, expr: 'memory_bytes / memory_limit_bytes > 90'}]}]}",
        ],
    ),
    (
        "alert.budget",
        Fail,
        &[
            "manifests/r.yaml\n{groups: [{rules: [{alert: A, expr: 'cost_usd / budget_limit_usd > 80'}]}]}",
        ],
    ),
    (
        "alert.budget",
        Pass,
        &[
            "manifests/r.yaml\n{groups: [{rules: [{alert: A, expr: 'cost_usd > budget_limit_usd'}]}]}",
        ],
    ),
];
