//! A folder of manifests: Kubernetes objects, Prometheus rules, Grafana dashboards, and every other
//! document with its settings.

mod dashboard;
mod embedded;
mod selector;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::settings::Settings;
use super::yaml::{self, Node};
use super::{Problem, relative};

pub(crate) use dashboard::Dashboard;
pub(crate) use embedded::ending;
pub(crate) use selector::{fits, selects};

/// Larger files are not manifests.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// More files are not read.
const MAX_FILES: usize = 5_000;

/// Everything in the folder that could be understood, and what could not.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(crate) objects: Vec<Object>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) dashboards: Vec<Dashboard>,
    /// Every document, whatever it is.
    pub(crate) documents: Vec<Object>,
    /// Every value of every document.
    pub(crate) settings: Settings,
    /// Names of series that rules record.
    pub(crate) recorded: BTreeSet<String>,
    /// Templates of charts that Helm has not filled in.
    pub(crate) templates: usize,
    /// Files, and texts within ConfigMaps, that are not valid YAML or JSON.
    pub(crate) broken: Vec<Problem>,
    pub(crate) files: usize,
}

/// A Kubernetes object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) path: String,
    pub(crate) node: Node,
}

/// A Prometheus rule that alerts.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: Option<String>,
    pub(crate) runbook: Option<String>,
    /// How long the expression must hold before it fires, as it is written.
    pub(crate) wait: Option<String>,
}

/// Files that Kustomize lays over others: they are parts of objects.
fn patches(root: &Path, paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let names = ["kustomization.yaml", "kustomization.yml"];
    let is_one = |path: &&PathBuf| names.iter().any(|name| path.ends_with(name));
    for path in paths.iter().filter(is_one) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let folder = path.parent().unwrap_or(root);
        for document in yaml::parse(&text).unwrap_or_default() {
            let named = document.items_at("patches").iter();
            let named = named.filter_map(|patch| patch.text_at("path"));
            let merged = document.items_at("patchesStrategicMerge").iter();
            let all = named.chain(merged.filter_map(Node::text));
            // Some are written there, and some lie above the folder.
            out.extend(
                all.filter(|text| !text.contains('\n'))
                    .map(|text| folder.join(text)),
            );
        }
    }
    out
}

impl Manifests {
    pub(crate) fn read(root: &Path) -> Self {
        let mut manifests = Self::default();
        let walk = WalkBuilder::new(root)
            .hidden(false)
            .require_git(false)
            .build();
        let mut paths: Vec<_> = walk
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
            .map(ignore::DirEntry::into_path)
            .filter(|path| {
                let extension = path.extension().and_then(|e| e.to_str());
                let known = ["yaml", "yml", "json", "toml", "conf", "ini", "cfg"];
                extension.is_some_and(|extension| known.contains(&extension))
            })
            .collect();
        paths.sort();
        if paths.len() > MAX_FILES {
            let found = format!("{} files, of which {MAX_FILES} are read", paths.len());
            manifests.broken.push(Problem::new(".", 0, found));
            paths.truncate(MAX_FILES);
        }
        let patches = patches(root, &paths);
        for path in paths.iter().filter(|path| !patches.contains(*path)) {
            let name = relative(root, path);
            manifests.files += 1;
            if std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_BYTES) {
                let found = format!("is larger than the {MAX_BYTES} bytes that are read");
                manifests.broken.push(Problem::new(&name, 0, found));
                continue;
            }
            match std::fs::read_to_string(path) {
                Ok(text) => manifests.add(&name, &text),
                Err(error) => manifests
                    .broken
                    .push(Problem::new(&name, 1, error.to_string())),
            }
        }
        manifests
    }

    fn add(&mut self, path: &str, text: &str) {
        if !matches!(path.rsplit('.').next(), Some("yaml" | "yml" | "json")) {
            self.settings.add_lines(path, text);
            return;
        }
        // A chart's templates are not YAML before Helm has filled them in.
        if path.contains("templates/") && text.contains("{{") {
            self.templates += 1;
            return;
        }
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(broken) => {
                self.broken
                    .push(Problem::new(path, broken.line, broken.why));
                return;
            }
        };
        for node in documents {
            if node.get("kind").is_some() && node.get("apiVersion").is_some() {
                self.settings.add(path, &node);
                self.keep_document(path, &node);
                self.add_object(path, node);
            } else {
                self.add_document(path, &node);
            }
        }
    }

    fn keep_document(&mut self, path: &str, node: &Node) {
        self.documents.push(Object {
            path: path.to_owned(),
            node: node.clone(),
        });
    }

    /// Adds what is no object of Kubernetes: rules, dashboards, or the configuration of something.
    fn add_document(&mut self, path: &str, node: &Node) {
        self.keep_document(path, node);
        if node.get("groups").is_some() {
            return self.add_rules(path, node);
        }
        // Rules and their tests speak of other systems, and set nothing.
        if node.get("rule_files").is_none() {
            self.settings.add(path, node);
        }
        self.dashboards.extend(Dashboard::read(path, node));
    }

    fn add_object(&mut self, path: &str, node: Node) {
        match node.text_at("kind") {
            Some(kind) if kind.ends_with("List") && node.get("items").is_some() => {
                for item in node.items_at("items") {
                    self.add_object(path, item.clone());
                }
            }
            Some("PrometheusRule") => {
                if let Some(spec) = node.get("spec") {
                    self.add_rules(path, spec);
                }
            }
            kind => {
                if matches!(kind, Some("ConfigMap" | "Secret")) {
                    self.add_embedded(path, &node);
                }
                self.objects.push(Object {
                    path: path.to_owned(),
                    node,
                });
            }
        }
    }

    fn add_rules(&mut self, path: &str, node: &Node) {
        let groups = node.items_at("groups").iter();
        for rule in groups.flat_map(|group| group.items_at("rules")) {
            if let Some(name) = rule.text_at("record") {
                self.recorded.insert(name.to_owned());
            }
            let Some(name) = rule.text_at("alert") else {
                continue;
            };
            let owned = |path: &str| Some(rule.said_at(path)?.text()?.to_owned());
            self.rules.push(Rule {
                path: path.to_owned(),
                line: rule.line,
                name: name.to_owned(),
                expression: owned("expr").unwrap_or_default(),
                severity: owned("labels.severity"),
                runbook: owned("annotations.runbook_url").or_else(|| owned("annotations.runbook")),
                wait: owned("for"),
            });
        }
    }

    /// Objects of a kind.
    pub(crate) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |o| o.kind() == kind)
    }

    /// Objects that run a service: they keep pods alive.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|o| {
            matches!(
                o.kind(),
                "Deployment" | "StatefulSet" | "DaemonSet" | "Rollout"
            )
        })
    }

    /// Objects that start pods: services, jobs and pods of their own; a chart's tests are none.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|o| {
            let hook = o
                .node
                .at("metadata.annotations")
                .and_then(|a| a.get("helm.sh/hook"));
            let is_test = hook
                .and_then(Node::text)
                .is_some_and(|hook| hook.contains("test"));
            o.pod().is_some()
                && !is_test
                && matches!(
                    o.kind(),
                    "Deployment"
                        | "StatefulSet"
                        | "DaemonSet"
                        | "Rollout"
                        | "ReplicaSet"
                        | "Job"
                        | "CronJob"
                        | "Pod"
                )
        })
    }
}

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.node.text_at("kind").unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.node.text_at("metadata.name").unwrap_or("(unnamed)")
    }

    /// What its pods are.
    pub(crate) fn pod(&self) -> Option<&Node> {
        self.node.at(match self.kind() {
            "Pod" => "spec",
            "CronJob" => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        })
    }

    /// Whether both can be in one namespace: what names none goes where it is applied.
    pub(crate) fn beside(&self, other: &Self) -> bool {
        let namespace = |o: &Self| o.node.text_at("metadata.namespace").map(str::to_owned);
        match (namespace(self), namespace(other)) {
            (Some(own), Some(its)) => own == its,
            _ => true,
        }
    }

    pub(crate) fn containers(&self) -> &[Node] {
        self.pod().map_or(&[], |pod| pod.items_at("containers"))
    }

    /// The containers that run as long as the pod: its own, and those that start before them and
    /// stay.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Node> {
        let first = self.pod().map_or(&[][..], |p| p.items_at("initContainers"));
        let stays = |c: &&Node| c.text_at("restartPolicy") == Some("Always");
        self.containers().iter().chain(first.iter().filter(stays))
    }

    /// The labels of its pods.
    pub(crate) fn pod_labels(&self) -> &[(String, Node)] {
        let labels = self.node.at(match self.kind() {
            "Pod" => "metadata.labels",
            "CronJob" => "spec.jobTemplate.spec.template.metadata.labels",
            _ => "spec.template.metadata.labels",
        });
        labels.map_or(&[], Node::entries)
    }

    pub(crate) fn problem(&self, line: usize, found: impl std::fmt::Display) -> Problem {
        Problem::new(
            &self.path,
            line,
            format!("{} {}: {found}", self.kind(), self.name()),
        )
    }
}
