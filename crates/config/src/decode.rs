//! Decodes the tree into typed configuration, and finds every problem on the way, not only the
//! first: what cannot be decoded is noted and cut out, and the rest is decoded again without it.

mod deserializer;
mod fault;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use self::deserializer::{Context, NodeDeserializer};
use crate::document::{Node, Value};
use crate::mask;
use crate::problem::{Finding, MAX_PROBLEMS};

/// What decoding came to: the value as far as it could be read, and what was wrong.
pub(crate) struct Decoded<T> {
    pub value: Option<T>,
    pub findings: Vec<Finding>,
}

/// Decodes `root`.
pub(crate) fn decode<T: DeserializeOwned>(root: &Node) -> Decoded<T> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut cut = BTreeSet::new();
    loop {
        let context = Context {
            cut: &cut,
            noted: RefCell::new(Vec::new()),
        };
        let outcome = T::deserialize(NodeDeserializer::root(root, &context));
        for noted in context.noted.into_inner() {
            if !findings.contains(&noted) {
                findings.push(noted);
            }
        }
        let (finding, path) = match outcome {
            Ok(value) => {
                return Decoded {
                    value: Some(value),
                    findings,
                };
            }
            Err(fault) => fault.into_finding(),
        };
        let missing_because_cut = cut.contains(&finding.path) && finding.path != path;
        if !missing_because_cut {
            findings.push(finding);
        }
        if path.is_empty() || findings.len() >= MAX_PROBLEMS || !cut.insert(path) {
            return Decoded {
                value: None,
                findings,
            };
        }
    }
}

/// The path of `key` under `parent`.
pub(crate) fn join(parent: &str, key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
    let key = if !key.is_empty() && key.chars().all(plain) {
        key.to_owned()
    } else {
        format!("\"{key}\"")
    };
    if parent.is_empty() {
        key
    } else {
        format!("{parent}.{key}")
    }
}

/// What stands at `path`, in words, without its text if that may be a secret.
pub(crate) fn describe(node: &Node, path: &str) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Integer(_) | Value::Float(_) | Value::String(_) if holds_secret(path) => {
            "a text that is not shown".to_owned()
        }
        Value::Integer(value) => format!("the number {value}"),
        Value::Float(value) => format!("the number {value}"),
        Value::String(text) if mask::looks_secret(text) => "a text that is not shown".to_owned(),
        Value::String(text) if text.chars().count() > 60 => {
            format!("a text of {} characters", text.chars().count())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a section".to_owned(),
    }
}

fn holds_secret(path: &str) -> bool {
    path.split('.')
        .any(|segment| segment == "headers" || mask::is_secret_name(segment))
}
