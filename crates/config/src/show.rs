//! The effective configuration as text, as a hash, and compared with another one. Secrets are
//! redacted in all of them.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::decode::join;
use crate::document::Format;
use crate::mark;
use crate::secret::SecretRef;
use crate::value::Text as _;

/// The effective configuration with every default, as a file that can be loaded again.
pub fn show(config: &Config, format: Format) -> String {
    let tree = without_nulls(tree(config));
    match format {
        Format::Toml => toml::to_string_pretty(&tree).unwrap_or_default(),
        Format::Yaml => {
            let mut text = String::new();
            write_yaml(&tree, 0, &mut text);
            text
        }
    }
}

/// One option that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The path of the key, such as `server.listen`.
    pub key: String,
    /// The value before, as JSON; `None` when it was not set.
    pub old: Option<String>,
    /// The value after, as JSON; `None` when it is not set any more.
    pub new: Option<String>,
}

/// The options that differ, in the order of their keys. A secret that was written into the
/// configuration, or a password within a URL, that has changed is listed without either value.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = mark::written(|| (without_nulls(tree(old)), without_nulls(tree(new))));
    let mut changes = Vec::new();
    compare("", Some(&old), Some(&new), &mut changes);
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

/// Every reference to a secret in a configuration, each once. Values that are written out are none.
pub fn secret_refs(config: &Config) -> Vec<SecretRef> {
    let mut found = Vec::new();
    collect_refs(&tree(config), &mut found);
    found.sort_by_key(ToString::to_string);
    found.dedup();
    found
}

fn collect_refs(value: &Value, found: &mut Vec<SecretRef>) {
    match value {
        Value::Object(entries) => entries.values().for_each(|one| collect_refs(one, found)),
        Value::Array(items) => items.iter().for_each(|one| collect_refs(one, found)),
        Value::String(text) if text.starts_with("secret://") => {
            found.extend(SecretRef::parse(text).ok());
        }
        _ => {}
    }
}

/// SHA-256 of the effective configuration.
pub(crate) fn hash(config: &Config) -> String {
    let digest = Sha256::digest(tree(config).to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tree(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// An option that is not set has no place in the text: TOML has no null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    let empty = serde_json::Map::new();
    let entries = |value: Option<&Value>| value.is_none_or(Value::is_object);
    if entries(old) && entries(new) {
        let old = old.and_then(Value::as_object).unwrap_or(&empty);
        let new = new.and_then(Value::as_object).unwrap_or(&empty);
        for key in old
            .keys()
            .chain(new.keys().filter(|key| !old.contains_key(*key)))
        {
            compare(&join(path, key), old.get(key), new.get(key), changes);
        }
    } else if old != new {
        changes.push(Change {
            key: path.to_owned(),
            old: old.map(|value| mark::removed(&value.to_string())),
            new: new.map(|value| mark::removed(&value.to_string())),
        });
    }
}

/// Block style for sections, flow style for lists; texts are quoted as JSON does, which YAML reads.
fn write_yaml(value: &Value, depth: usize, text: &mut String) {
    let Value::Object(entries) = value else {
        return;
    };
    for (key, value) in entries {
        let indent = "  ".repeat(depth);
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        let key = if key.chars().all(plain) {
            key.clone()
        } else {
            Value::from(key.as_str()).to_string()
        };
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push_str(&format!("{indent}{key}:\n"));
                write_yaml(value, depth + 1, text);
            }
            other => text.push_str(&format!("{indent}{key}: {other}\n")),
        }
    }
}
