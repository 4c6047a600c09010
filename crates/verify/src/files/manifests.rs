//! A folder of manifests: Kubernetes objects, Prometheus rules, Grafana dashboards, and every other
//! document with its settings.

use std::collections::BTreeSet;
use std::path::Path;

use ignore::WalkBuilder;

use super::settings::Settings;
use super::yaml::{self, Node};
use super::{Problem, relative};

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
    /// Files that are not valid YAML or JSON.
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
}

/// A Grafana dashboard.
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) panels: usize,
    pub(crate) panel_titles: Vec<String>,
    /// Expression and line of each query.
    pub(crate) queries: Vec<(usize, String)>,
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
            .filter(|entry| entry.metadata().is_ok_and(|m| m.len() <= MAX_BYTES))
            .map(ignore::DirEntry::into_path)
            .filter(|path| {
                let extension = path.extension().and_then(|e| e.to_str());
                let known = ["yaml", "yml", "json", "toml", "conf", "ini", "cfg"];
                extension.is_some_and(|extension| known.contains(&extension))
            })
            .take(MAX_FILES)
            .collect();
        paths.sort();
        for path in paths {
            let name = relative(root, &path);
            manifests.files += 1;
            match std::fs::read_to_string(&path) {
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
            // Rules and their tests speak of other systems, and set nothing.
            if node.get("groups").is_none() && node.get("rule_files").is_none() {
                self.settings.add(path, &node);
            }
            self.documents.push(Object {
                path: path.to_owned(),
                node: node.clone(),
            });
            if node.get("kind").is_some() && node.get("apiVersion").is_some() {
                self.add_object(path, node);
            } else if node.get("groups").is_some() {
                self.add_rules(path, &node);
            } else if node.get("panels").is_some() {
                self.dashboards.push(dashboard(path, &node));
            }
        }
    }

    fn add_object(&mut self, path: &str, node: Node) {
        match node.text_at("kind") {
            Some("List") => {
                for item in node.items_at("items") {
                    self.add_object(path, item.clone());
                }
            }
            Some("PrometheusRule") => {
                if let Some(spec) = node.get("spec") {
                    self.add_rules(path, spec);
                }
            }
            _ => self.objects.push(Object {
                path: path.to_owned(),
                node,
            }),
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
            let owned = |path: &str| rule.text_at(path).map(str::to_owned);
            self.rules.push(Rule {
                path: path.to_owned(),
                line: rule.line,
                name: name.to_owned(),
                expression: owned("expr").unwrap_or_default(),
                severity: owned("labels.severity"),
                runbook: owned("annotations.runbook_url").or_else(|| owned("annotations.runbook")),
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
        self.node.at("spec.template.spec")
    }

    pub(crate) fn containers(&self) -> &[Node] {
        self.pod().map_or(&[], |pod| pod.items_at("containers"))
    }

    /// The labels of its pods.
    pub(crate) fn pod_labels(&self) -> &[(String, Node)] {
        let labels = self.node.at("spec.template.metadata.labels");
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

/// Whether every label that a selector asks for is there; an empty selector selects everything.
pub(crate) fn selects(selector: &Node, labels: &[(String, Node)]) -> bool {
    selector.entries().iter().all(|(key, value)| {
        labels
            .iter()
            .any(|(k, v)| k == key && v.text() == value.text())
    })
}

fn dashboard(path: &str, node: &Node) -> Dashboard {
    let mut queries = Vec::new();
    let (mut panels, mut panel_titles) = (0, Vec::new());
    let mut open: Vec<&Node> = node.items_at("panels").iter().collect();
    while let Some(panel) = open.pop() {
        panels += usize::from(panel.text_at("type") != Some("row"));
        panel_titles.extend(panel.text_at("title").map(str::to_owned));
        open.extend(panel.items_at("panels"));
        for target in panel.items_at("targets") {
            if let Some(expression) = target.text_at("expr") {
                queries.push((target.line, expression.to_owned()));
            }
        }
    }
    queries.sort();
    Dashboard {
        path: path.to_owned(),
        title: node.text_at("title").unwrap_or_default().to_owned(),
        panels,
        panel_titles,
        queries,
    }
}
