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

/// What was found when looking for a path.
pub(crate) struct Found<'a> {
    /// The key that the node is under; the outermost node is under none.
    pub key: Option<&'a Key>,
    pub node: &'a Node,
    /// Whether it is what was looked for, and not only a section on the way there.
    pub exact: bool,
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
    // `[::1]:8080` begins like a list and is none.
    let is_address = text.trim().parse::<std::net::SocketAddr>().is_ok();
    if text.trim_start().starts_with(['[', '{']) && !is_address {
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

    /// What is at `path`, or else the nearest section above it that exists.
    pub(crate) fn nearest(&self, path: &[&str]) -> Found<'_> {
        let mut found = Found {
            key: None,
            node: self,
            exact: true,
        };
        for segment in path {
            let mut entries = found.node.entries().into_iter().flatten();
            let Some((key, node)) = entries.find(|(key, _)| key.name == *segment) else {
                return Found {
                    exact: false,
                    ..found
                };
            };
            found = Found {
                key: Some(key),
                node,
                exact: true,
            };
        }
        found
    }

    /// All values in it that are neither lists nor sections.
    pub(crate) fn leaves(&self) -> Vec<&Self> {
        match &self.value {
            Value::List(items) => items.iter().flat_map(Self::leaves).collect(),
            Value::Map(entries) => entries.iter().flat_map(|(_, node)| node.leaves()).collect(),
            _ => vec![self],
        }
    }

    /// The first text of a list that is `wanted`.
    pub(crate) fn item(&self, wanted: impl Fn(&str) -> bool) -> Option<&Self> {
        let Value::List(items) = &self.value else {
            return None;
        };
        items
            .iter()
            .find(|item| matches!(&item.value, Value::String(text) if wanted(text)))
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
