//! What ConfigMaps hold as texts: rules, dashboards, and the configuration of programs.

use super::Manifests;
use crate::files::Problem;
use crate::files::yaml::{self, Node, Value};

/// Whether an entry of this name holds a document that is read, and its ending.
pub(crate) fn ending(name: &str) -> Option<&str> {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending)?;
    let known = [
        "yaml",
        "yml",
        "json",
        "rules",
        "toml",
        "conf",
        "ini",
        "cfg",
        "properties",
    ];
    known.contains(&ending).then_some(ending)
}

/// A secret is not looked into; what Alertmanager is told stands in one by custom.
fn is_readable(map: &Node, name: &str) -> bool {
    map.text_at("kind") == Some("ConfigMap") || name.starts_with("alertmanager")
}

impl Manifests {
    /// Adds the documents that a map holds; an object of Kubernetes within it is not applied.
    pub(super) fn add_embedded(&mut self, path: &str, map: &Node) {
        let entries = ["data", "stringData"]
            .into_iter()
            .filter_map(|key| map.get(key));
        for (name, node) in entries.flat_map(Node::entries) {
            let (Some(text), Some(ending)) = (node.text(), ending(name)) else {
                continue;
            };
            if !is_readable(map, name) {
                continue;
            }
            // The text begins on the line of its node.
            let before = node.line.saturating_sub(1);
            if matches!(ending, "yaml" | "yml" | "json" | "rules") {
                self.add_text(path, name, before, text);
            } else {
                self.settings.add_lines_from(path, text, before);
            }
        }
    }

    fn add_text(&mut self, path: &str, name: &str, before: usize, text: &str) {
        match yaml::parse(text) {
            Ok(documents) => {
                for mut node in documents {
                    move_down(&mut node, before);
                    if node.get("apiVersion").is_none() || node.get("kind").is_none() {
                        self.add_document(path, &node);
                    }
                }
            }
            // What a program fills in when it starts need not be valid before.
            Err(_) if text.contains("{{") => {}
            Err(broken) => {
                let found = format!("{name}: {}", broken.why);
                self.broken
                    .push(Problem::new(path, before + broken.line, found));
            }
        }
    }
}

/// Lines count from the beginning of the text.
fn move_down(node: &mut Node, by: usize) {
    node.line += by;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| move_down(item, by)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, item)| move_down(item, by)),
        Value::Null | Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::files::manifests::Manifests;

    #[test]
    fn a_map_holds_rules_dashboards_and_settings() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  r.yml: |\n    groups:\n    \
            - rules:\n      - alert: A\n        expr: up == 0\n  d.json: '{\"panels\": []}'\n  a.toml: |\n    \
            [log]\n    level = \"info\"\n  o.yaml: |\n    apiVersion: v1\n    kind: Pod\n  LEVEL: info\n";
        std::fs::write(folder.path().join("m.yaml"), text).expect("written");
        let read = Manifests::read(folder.path());
        assert_eq!(read.broken, []);
        let rule = read.rules.first().expect("a rule");
        assert_eq!((rule.name.as_str(), rule.line), ("A", 8));
        assert_eq!((read.dashboards.len(), read.objects.len()), (1, 1));
        let said: Vec<_> = read
            .settings
            .all
            .iter()
            .map(|s| (s.key.as_str(), s.line))
            .collect();
        assert!(said.contains(&("log.level", 13)), "{said:?}");
        assert!(said.contains(&("data.level", 17)), "{said:?}");
    }
}
