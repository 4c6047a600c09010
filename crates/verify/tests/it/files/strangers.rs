//! Good files of strangers, in forms that our own do not have: nothing in them is a fault.

use std::fs;

use seaworthy_verify::Status;
use tempfile::TempDir;

use super::super::support::{complaints, ids};
use super::check_files;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for name in ["repo", "manifests"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    folder
}

/// Rules, a dashboard, the way of an alert, a log shipper and settings, all within maps.
const MAPS: &str = r##"
apiVersion: v1
kind: ConfigMap
metadata: {name: rules}
data:
  agent.rules: |
    groups:
      - name: agent
        rules:
          - record: slo:errors:ratio
            expr: sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))
          - alert: Gone
            expr: absent(up{job="agent"})
            labels: {severity: critical}
            annotations: {runbook_url: "https://runbooks.example.org/gone"}
          - alert: Burning
            expr: slo:errors:ratio > (14.4 * 0.001)
            labels: {severity: critical}
            annotations: {runbook_url: "https://runbooks.example.org/errors"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: boards}
data:
  overview.json: '{"title": "Overview", "panels": [{"title": "Requests", "targets": [{"expr": "up"}]}]}'
---
apiVersion: v1
kind: Secret
metadata: {name: alertmanager}
stringData:
  alertmanager.yaml: |
    route: {receiver: chat, routes: [{matchers: ['severity="critical"'], receiver: pager}]}
    receivers:
      - {name: chat, slack_configs: [{channel: "#alerts"}]}
      - {name: pager, pagerduty_configs: [{routing_key_file: /etc/key}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: collector}
data:
  config.yaml: |
    processors: {probabilistic_sampler: {sampling_percentage: 10}}
    exporters: {elasticsearch: {endpoints: ["https://logs.example.org:9200"]}}
    service: {pipelines: {logs: {exporters: [elasticsearch]}}}
  agent.toml: |
    [breaker]
    enabled = true
"##;

#[tokio::test]
async fn what_maps_hold_is_read() {
    let folder = folder(&[("manifests/maps.yaml", MAPS)]);
    let report = check_files(folder.path()).await;
    let passed = ids(&report, Status::Pass);
    for id in [
        "alert.agent-down",
        "alert.high-error-rate",
        "alert.critical-defined",
        "alert.runbook-links",
        "alert.receivers-configured",
        "alert.routes-to-oncall",
        "slo.slis-defined",
        "dash.present",
        "dash.overview",
        "log.aggregation-elk",
        "trace.sampling",
        "breaker.enabled",
        "k8s.manifests-valid",
    ] {
        assert!(passed.contains(&id), "{id}\n{}", complaints(&report));
    }
}

/// A proxy that starts first and stays, a store of secrets, and a file of Kustomize.
const CHART: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: agent, namespace: web}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      initContainers:
        - {name: proxy, image: 'proxy:1.2', restartPolicy: Always, ports: [{name: http, containerPort: 8080}]}
      containers:
        - {name: agent, image: 'gcr.io/distroless/static-debian12:nonroot', ports: [{name: app, containerPort: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: agent, namespace: web, labels: {app: agent}}
spec: {selector: {app: agent}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: agent, namespace: watch}
spec:
  namespaceSelector: {matchNames: [web]}
  selector: {matchExpressions: [{key: app, operator: In, values: [agent]}]}
  endpoints: [{port: http}]
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: keys}
spec: {secretStoreRef: {name: vault, kind: ClusterSecretStore}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: agent, namespace: web}
data:
  SECRETS_BACKEND: vault
  page.txt: |
    See http://gateway:8081
    Mail: ops@example.org
";

#[tokio::test]
async fn a_proxy_beside_the_service_and_a_store_of_secrets_are_no_faults() {
    let kustomization =
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n";
    let folder = folder(&[
        ("manifests/chart.yaml", CHART),
        ("manifests/kustomization.yaml", kustomization),
    ]);
    let report = check_files(folder.path()).await;
    let failed = ids(&report, Status::Fail);
    for id in [
        "k8s.manifests-valid",
        "k8s.secrets-for-sensitive",
        "net.load-balancer",
        "metrics.scraped",
        "container.image-pinned",
        "state.persistent-store",
        "state.shared-store",
        "secrets.external-store",
    ] {
        assert!(!failed.contains(&id), "{id}\n{}", complaints(&report));
    }
}

#[tokio::test]
async fn a_monitor_that_reaches_nothing_scrapes_nothing() {
    for (find, replace) in [
        ("endpoints: [{port: http}]", "endpoints: []"),
        ("endpoints: [{port: http}]", "endpoints: [{port: metrics}]"),
        ("matchNames: [web]", "matchNames: [shop]"),
        ("values: [agent]", "values: [other]"),
    ] {
        let chart = CHART.replace(find, replace);
        let folder = folder(&[("manifests/chart.yaml", &chart)]);
        let report = check_files(folder.path()).await;
        let failed = ids(&report, Status::Fail);
        assert!(
            failed.contains(&"metrics.scraped"),
            "{replace}\n{}",
            complaints(&report)
        );
    }
}
