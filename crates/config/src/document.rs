//! A configuration text as one tree with positions, whichever of the two languages it is in.

mod from_toml;
mod from_yaml;

use std::path::Path;

use crate::problem::Finding;
use crate::source::Span;

/// How deep lists and sections may nest.
const MAX_DEPTH: usize = 64;
/// How large a configuration file may be.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, core schema, without anchors and tags.
    Yaml,
}

impl Format {
    /// The format that the extension of `path` stands for: `.toml`, `.yaml` or `.yml`.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub span: Span,
}

/// What both languages can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of an entry and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub name: String,
    pub span: Span,
}

/// Parses a whole file.
pub(crate) fn parse(text: &str, format: Format) -> Result<Node, Vec<Finding>> {
    if text.len() > MAX_BYTES {
        let message = format!("the configuration is larger than {MAX_BYTES} bytes");
        return Err(vec![Finding::error(None, "", message)]);
    }
    match format {
        Format::Toml => from_toml::parse(text),
        Format::Yaml => from_yaml::parse(text),
    }
}

/// Reads one value that was given outside the file, such as `8`, `true` or `[a, b]`.
pub(crate) fn parse_setting(text: &str, span: Span) -> Result<Node, String> {
    if text.trim_start().starts_with(['[', '{']) {
        let mut node = from_yaml::parse_value(text).map_err(|findings| {
            findings
                .into_iter()
                .next()
                .map(|finding| finding.message)
                .unwrap_or_default()
        })?;
        node.relocate(span);
        return Ok(node);
    }
    Ok(Node {
        value: from_yaml::plain_scalar(text),
        span,
    })
}

impl Node {
    /// The entries of a section. The checklists write sections as lists of one-key maps as well,
    /// and a section whose entries are all commented out is null in YAML: all three read the same.
    pub(crate) fn entries(&self) -> Option<Vec<(&Key, &Self)>> {
        match &self.value {
            Value::Null => Some(Vec::new()),
            Value::Map(entries) => Some(entries.iter().map(|(key, node)| (key, node)).collect()),
            Value::List(items) if !items.is_empty() => items
                .iter()
                .map(|item| match &item.value {
                    Value::Map(entries) => match entries.as_slice() {
                        [(key, node)] => Some((key, node)),
                        _ => None,
                    },
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// The node at `path`, or else the nearest one above it that exists, and the key it is under.
    pub(crate) fn nearest(&self, path: &[&str]) -> (Option<&Key>, &Self) {
        let mut found = (None, self);
        for segment in path {
            let Some(entries) = found.1.entries() else {
                break;
            };
            let Some((key, node)) = entries.into_iter().find(|(key, _)| key.name == *segment)
            else {
                break;
            };
            found = (Some(key), node);
        }
        found
    }

    fn relocate(&mut self, span: Span) {
        self.span = span;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.relocate(span)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, node)| {
                key.span = span;
                node.relocate(span);
            }),
            _ => {}
        }
    }
}

fn too_deep(span: Span) -> Finding {
    Finding::error(
        Some(span),
        "",
        format!("lists and sections nest deeper than {MAX_DEPTH} levels"),
    )
}

#[cfg(test)]
mod tests;
