//! Settings: every value of every document with the dotted path to it, whatever the format.

mod objects;

use serde_json::Value as Json;

use super::yaml::{Node, Value};

/// More settings are not kept.
const MAX_SETTINGS: usize = 200_000;

/// Parts of Kubernetes objects that tell a cluster how to run a program, and the program nothing.
const OF_CLUSTERS: [&str; 8] = [
    "securityContext",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "resources",
    "affinity",
    "topologySpreadConstraints",
    "tolerations",
];

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) path: String,
    pub(crate) line: usize,
    /// The keys on the way to it, in lower case, separated by dots.
    pub(crate) key: String,
    pub(crate) value: String,
}

/// All settings that were found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) all: Vec<Setting>,
    /// The configuration in force is among them, and it says everything.
    pub(crate) complete: bool,
}

impl Setting {
    /// The value as a number, a unit of time turned into seconds.
    pub(crate) fn number(&self) -> Option<f64> {
        number(&self.value)
    }

    /// It switches something on.
    pub(crate) fn is_on(&self) -> bool {
        let word = self.value.to_ascii_lowercase();
        matches!(word.as_str(), "true" | "on" | "yes" | "enabled")
    }

    /// It switches something off.
    pub(crate) fn is_off(&self) -> bool {
        let word = self.value.to_ascii_lowercase();
        matches!(
            word.as_str(),
            "false" | "off" | "no" | "disabled" | "none" | "null" | ""
        ) || self.number() == Some(0.0)
    }

    /// Whether path and key together have every one of these words, each with its alternatives.
    pub(crate) fn is_about(&self, words: &[&str]) -> bool {
        let place = format!("{}.{}", self.path.to_ascii_lowercase(), self.key);
        words
            .iter()
            .all(|word| word.split('|').any(|one| names(&place, one)))
    }
}

/// Whether a place has a word: a short one at the beginning of a part, a longer one anywhere.
fn names(place: &str, word: &str) -> bool {
    const LONG: usize = 5;
    if word.len() >= LONG || word.contains('_') {
        return place.contains(word);
    }
    let mut parts = place.split(|c: char| !c.is_alphanumeric());
    parts.any(|part| part.starts_with(word))
}

/// A number, also with a unit of time or a percent sign; durations are in seconds.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches('"');
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let value: f64 = digits.parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "seconds" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" | "days" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_536_000.0,
        "%" => 0.01,
        _ => return None,
    };
    Some(value * factor)
}

impl Settings {
    /// Adds everything below a document's root; of an object of Kubernetes, what it tells programs.
    pub(crate) fn add(&mut self, path: &str, node: &Node) {
        let is_object = node.get("kind").is_some() && node.get("apiVersion").is_some();
        match is_object {
            true => objects::add(self, path, node),
            false => self.walk(path, String::new(), node, false),
        }
    }

    fn walk(&mut self, path: &str, key: String, node: &Node, is_object: bool) {
        if self.all.len() >= MAX_SETTINGS {
            return;
        }
        match &node.value {
            Value::Text(text) => self.keep(path, node.line, key, text),
            Value::Null => self.keep(path, node.line, key, ""),
            Value::List(items) => {
                for item in items {
                    // `- name: X, value: Y` says that X is Y.
                    let named = item.text_at("name").zip(item.text_at("value"));
                    if let Some((name, value)) = named {
                        let key = join(&key, name);
                        self.keep(path, item.line, key, value);
                    }
                    let name = item.text_at("name").unwrap_or_default();
                    self.walk(
                        path,
                        if name.is_empty() {
                            key.clone()
                        } else {
                            join(&key, name)
                        },
                        item,
                        is_object,
                    );
                }
            }
            Value::Map(entries) => {
                for (name, value) in entries {
                    if !(is_object && OF_CLUSTERS.contains(&name.as_str())) {
                        self.walk(path, join(&key, name), value, is_object);
                    }
                }
            }
        }
    }

    fn keep(&mut self, path: &str, line: usize, key: String, value: &str) {
        self.all.push(Setting {
            path: path.to_owned(),
            line,
            key,
            value: value.to_owned(),
        });
    }

    /// Adds the configuration that a server says is in force.
    pub(crate) fn add_json(&mut self, path: &str, json: &Json) {
        let mut open = vec![(String::new(), json)];
        while let Some((key, json)) = open.pop() {
            match json {
                Json::Object(map) => {
                    open.extend(map.iter().map(|(name, value)| (join(&key, name), value)));
                }
                Json::Array(items) => open.extend(items.iter().map(|item| (key.clone(), item))),
                Json::String(text) => self.keep(path, 0, key, text),
                Json::Null => self.keep(path, 0, key, ""),
                other => self.keep(path, 0, key, &other.to_string()),
            }
        }
        self.all
            .sort_by(|a, b| (&a.path, a.line, &a.key).cmp(&(&b.path, b.line, &b.key)));
    }

    /// Adds the lines of a file of `key value` or `key = value`, such as redis.conf.
    pub(crate) fn add_lines(&mut self, path: &str, text: &str) {
        self.add_lines_from(path, text, 0);
    }

    /// The same, of a text that begins after this line of the file.
    pub(crate) fn add_lines_from(&mut self, path: &str, text: &str, before: usize) {
        let mut section = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let line = line.trim_end_matches(';');
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.split(']').next())
            {
                section = name.trim_start_matches('[').to_ascii_lowercase();
                continue;
            }
            let Some((key, value)) = line.split_once(['=', ' ', '\t']) else {
                continue;
            };
            let value = value
                .trim_start_matches(['=', ' ', '\t'])
                .trim()
                .trim_matches('"');
            let value = value.trim_matches('\'');
            self.keep(path, before + index + 1, join(&section, key.trim()), value);
        }
    }
}

fn join(key: &str, name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if key.is_empty() {
        name
    } else {
        format!("{key}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, number};
    use crate::files::yaml;

    #[test]
    fn every_value_has_its_way_through_the_document() {
        let mut settings = Settings::default();
        let text = "a:\n  - name: X\n    value: 1\n  - b: [c, d]\n";
        for node in yaml::parse(text).expect("valid") {
            settings.add("f.yaml", &node);
        }
        let has = |key: &str, value: &str| {
            settings
                .all
                .iter()
                .any(|s| s.key == key && s.value == value)
        };
        assert!(
            has("a.x", "1") && has("a.b", "c") && has("a.b", "d"),
            "{settings:?}"
        );
    }

    #[test]
    fn how_a_cluster_runs_a_program_is_no_setting_of_it() {
        let mut settings = Settings::default();
        let text = "apiVersion: apps/v1\nkind: Deployment\nspec: {containers: [{securityContext: \
                    {allowPrivilegeEscalation: false}, env: [{name: LEVEL, value: info}]}]}\n";
        for node in yaml::parse(text).expect("valid") {
            settings.add("f.yaml", &node);
        }
        let has = |part: &str| settings.all.iter().any(|s| s.key.contains(part));
        assert!(has("level") && !has("escalation"), "{settings:?}");
    }

    #[test]
    fn lines_of_other_formats_are_settings_too() {
        let mut settings = Settings::default();
        settings.add_lines(
            "redis.conf",
            "appendonly yes\n# save 1\n[memory]\nttl = \"5m\"\n",
        );
        let keys: Vec<_> = settings
            .all
            .iter()
            .map(|s| (s.key.as_str(), s.value.as_str()))
            .collect();
        assert_eq!(keys, [("appendonly", "yes"), ("memory.ttl", "5m")]);
        assert_eq!(number("5m"), Some(300.0));
        assert_eq!(number("80%"), Some(0.8));
        assert_eq!(number("500MB"), None);
    }
}
