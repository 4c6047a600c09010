//! The effective configuration as text, as a hash, and compared with another one. Secrets are
//! redacted in all of them.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Headers};
use crate::decode::join;
use crate::document::Format;
use crate::secret::SecretRef;
use crate::value::{ServerUrl, SharedStateUrl, StorageUrl, Text as _};

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
    let mut changes = Vec::new();
    compare(
        "",
        Some(&without_nulls(tree(old))),
        Some(&without_nulls(tree(new))),
        &mut changes,
    );
    let new = hidden(new);
    for (key, before) in hidden(old) {
        let after = new
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, after)| after);
        // What shows a difference is among the changes already.
        let is_unseen = |after: &&Hidden<'_>| **after != before && after.shown() == before.shown();
        if let Some(after) = after.filter(is_unseen) {
            let told = |side: &Hidden<'_>| Some(Value::from(side.shown()).to_string());
            changes.push(Change {
                key,
                old: told(&before),
                new: told(after),
            });
        }
    }
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

/// A value of which not all is shown.
#[derive(PartialEq)]
enum Hidden<'a> {
    Literal(&'a SecretRef),
    Url(&'a ServerUrl),
}

impl Hidden<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Literal(secret) => secret.to_string(),
            Self::Url(url) => url.to_string(),
        }
    }
}

/// The secrets that are written into the configuration, with their keys.
fn hidden(config: &Config) -> Vec<(String, Hidden<'_>)> {
    let mut found = Vec::new();
    for (name, provider) in &config.providers {
        let path = join("providers", name);
        for (key, secret) in [
            ("api_key", provider.api_key.as_ref()),
            ("access_key_id", provider.access_key_id.as_ref()),
            ("secret_access_key", provider.secret_access_key.as_ref()),
            ("session_token", provider.session_token.as_ref()),
        ] {
            found.extend(secret_of(join(&path, key), secret));
        }
        for (header, value) in provider.headers.iter() {
            if Headers::is_secret(header, value) {
                let key = join(&join(&path, "headers"), header);
                found.push((key, Hidden::Literal(value)));
            }
        }
    }
    for (key, secret) in [
        ("storage.password", config.storage.password.as_ref()),
        (
            "shared_state.password",
            config.shared_state.password.as_ref(),
        ),
        ("auth.sigv4.secret", config.auth.sigv4.secret.as_ref()),
        (
            "auth.sigv4.previous_secret",
            config.auth.sigv4.previous_secret.as_ref(),
        ),
    ] {
        found.extend(secret_of(key.to_owned(), secret));
    }
    if let StorageUrl::Postgres(url) = &config.storage.url {
        found.push(("storage.url".to_owned(), Hidden::Url(url)));
    }
    if let SharedStateUrl::Redis(url) = &config.shared_state.url {
        found.push(("shared_state.url".to_owned(), Hidden::Url(url)));
    }
    found
}

/// A secret that is written out, under its key.
fn secret_of(key: String, secret: Option<&SecretRef>) -> Option<(String, Hidden<'_>)> {
    let literal = secret.filter(|s| matches!(s, SecretRef::Literal(_)));
    literal.map(|secret| (key, Hidden::Literal(secret)))
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
            old: old.map(Value::to_string),
            new: new.map(Value::to_string),
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
