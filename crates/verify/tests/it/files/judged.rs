//! Small files in which one thing decides: what it is, and how a check ends.

use std::fs;

use seaworthy_verify::Status;
use tempfile::TempDir;

use super::super::support::{complaints, ids};
use super::check_files;

mod kubernetes;
mod repositories;

use kubernetes::{ON_KUBERNETES, SETTINGS};
use repositories::IN_REPOSITORIES;

use Status::{Fail, NotVerified, Pass};

/// A check, how it ends, and the files: each begins with its path.
type Case = (&'static str, Status, &'static [&'static str]);

/// A service of two pods; `ports` and what else a case needs stand in files of its own.
const AGENT: &str = "manifests/agent.yaml\n\
    apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: agent, namespace: web}\nspec:\n  replicas: 1\n  \
    selector: {matchLabels: {app: agent}}\n  template:\n    metadata: {labels: {app: agent}}\n    spec:\n      \
    containers:\n        - {name: agent, image: 'agent:1.2', ports: [{name: http, containerPort: 8000}]}\n";

const SERVICE: &str = "manifests/service.yaml\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: agent, namespace: web, labels: {app: agent}}\n\
    spec: {selector: {app: agent}, ports: [{name: http, port: 80, targetPort: http}]}\n";

async fn judge(id: &str, files: &[String]) -> (Option<Status>, String) {
    let folder = TempDir::new().expect("a folder");
    for name in ["repo", "manifests"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    for file in files {
        let (path, text) = file.split_once('\n').expect("a path and a text");
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    let report = check_files(folder.path()).await;
    let all = [Pass, Fail, NotVerified, Status::NotApplicable];
    let status = all.into_iter().find(|s| ids(&report, *s).contains(&id));
    let said = complaints(&report);
    let own = said.lines().find(|line| line.starts_with(id));
    (status, own.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn one_thing_decides() {
    let mut wrong = Vec::new();
    for (id, expected, files) in [ON_KUBERNETES, SETTINGS, IN_REPOSITORIES].concat() {
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        let (status, said) = judge(id, &files).await;
        if status != Some(expected) {
            let last = files.last().expect("a file");
            wrong.push(format!(
                "{id} is {status:?}, not {expected:?}: {said}\n{last}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

const OWN: &str = "selector: {matchLabels: {app: agent}}";
const PORT: &str = "endpoints: [{port: http}]";

/// Whether a monitor of the Prometheus operator reaches the pods in the namespace `web`.
async fn reaches(kind: &str, namespace: &str, spec: &str, service: &str) -> bool {
    let monitor = format!(
        "manifests/monitor.yaml\napiVersion: monitoring.coreos.com/v1\nkind: {kind}\n\
         metadata: {{name: agent, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    );
    let files = [AGENT.to_owned(), service.to_owned(), monitor];
    let (status, said) = judge("metrics.scraped", &files).await;
    assert!(matches!(status, Some(Pass | Fail)), "{said}");
    status == Some(Pass)
}

#[tokio::test]
async fn a_monitor_of_services_reaches_what_it_may_see() {
    let any = format!("namespaceSelector: {{any: true}}, {OWN}, {PORT}");
    let named = format!("namespaceSelector: {{matchNames: [web]}}, {OWN}, {PORT}");
    let own = format!("{OWN}, {PORT}");
    let all = format!("selector: {{}}, {PORT}");
    let portless = format!("{OWN}, endpoints: [{{path: /metrics}}]");
    let anywhere = SERVICE.replace(", namespace: web", "");
    let elsewhere = SERVICE.replace("namespace: web", "namespace: shop");
    for (namespace, spec, service, expected) in [
        ("watch", &any, SERVICE, true),
        ("watch", &own, SERVICE, false),
        ("web", &own, SERVICE, true),
        ("web", &all, SERVICE, false),
        ("watch", &named, anywhere.as_str(), true),
        ("watch", &any, elsewhere.as_str(), false),
        ("web", &portless, SERVICE, true),
    ] {
        let found = reaches("ServiceMonitor", namespace, spec, service).await;
        assert_eq!(found, expected, "in {namespace}: {spec}\n{service}");
    }
}

#[tokio::test]
async fn a_monitor_of_pods_reaches_what_it_may_see() {
    let own = format!("{OWN}, podMetricsEndpoints: [{{port: http}}]");
    let others = "selector: {matchLabels: {app: x}}, podMetricsEndpoints: [{port: http}]";
    let closed = format!("{OWN}, podMetricsEndpoints: [{{port: x}}]");
    for (namespace, spec, expected) in [
        ("web", own.as_str(), true),
        ("watch", own.as_str(), false),
        ("web", others, false),
        ("web", closed.as_str(), false),
    ] {
        let found = reaches("PodMonitor", namespace, spec, SERVICE).await;
        assert_eq!(found, expected, "in {namespace}: {spec}");
    }
}
