//! YAML with lines: every document of a file as a tree, anchors resolved, bounded in depth and size.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deeper is refused.
const MAX_DEPTH: usize = 64;
/// More nodes, aliases counted, are refused.
const MAX_NODES: usize = 200_000;

/// A value and the line it begins on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value under a path of keys, separated by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path)?.text()
    }

    pub(crate) fn number_at(&self, path: &str) -> Option<f64> {
        self.text_at(path)?.parse().ok()
    }

    /// Programs that read YAML 1.1 take `yes` and `on` for true.
    pub(crate) fn is_true_at(&self, path: &str) -> bool {
        matches!(self.text_at(path), Some("true" | "yes" | "on"))
    }

    pub(crate) fn is_false_at(&self, path: &str) -> bool {
        matches!(self.text_at(path), Some("false" | "no" | "off"))
    }

    /// Whether it says something: no null, and nothing empty.
    pub(crate) fn says_something(&self) -> bool {
        match &self.value {
            Value::Null => false,
            Value::Text(text) => !text.trim().is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
        }
    }

    /// The value under a path of keys, when it says something.
    pub(crate) fn said_at(&self, path: &str) -> Option<&Self> {
        self.at(path).filter(|node| node.says_something())
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn items_at(&self, path: &str) -> &[Self] {
        self.at(path).map_or(&[], Self::items)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// Why a file is not YAML that we read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// Reads every document of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Broken> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, range) = event.map_err(|error| Broken {
            line: error.marker().line(),
            why: error.info().to_owned(),
        })?;
        builder.take(event, range.start.line())?;
    }
    Ok(builder.documents)
}

/// A list or map whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    /// The map's keys wait here for their values; a list has none.
    key: Option<Option<String>>,
    items: Vec<Node>,
    entries: Vec<(String, Node)>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    documents: Vec<Node>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Broken> {
        match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| broken(line, "an alias names no anchor"))?;
                self.nodes += size(&node);
                self.add(Node { line, ..node }, 0)
            }
            Event::Scalar(text, style, anchor, _) => {
                let value = match &*text {
                    _ if style != ScalarStyle::Plain => Value::Text(text.into_owned()),
                    "" | "~" | "null" | "Null" | "NULL" => Value::Null,
                    "True" | "TRUE" => Value::Text("true".to_owned()),
                    "False" | "FALSE" => Value::Text("false".to_owned()),
                    _ => Value::Text(text.into_owned()),
                };
                self.add(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, None),
            Event::MappingStart(anchor, _) => self.begin(line, anchor, Some(None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open.key {
                    None => Value::List(open.items),
                    Some(_) => Value::Map(merged(open.entries)),
                };
                let line = open.line;
                self.add(Node { line, value }, open.anchor)
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        line: usize,
        anchor: usize,
        key: Option<Option<String>>,
    ) -> Result<(), Broken> {
        if self.open.len() >= MAX_DEPTH {
            return Err(broken(line, "nested too deeply"));
        }
        self.open.push(Open {
            line,
            anchor,
            key,
            items: Vec::new(),
            entries: Vec::new(),
        });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(broken(node.line, "too large"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.key {
            None => open.items.push(node),
            Some(key) => match key.take() {
                Some(key) => open.entries.push((key, node)),
                None => *key = Some(node.text().unwrap_or_default().to_owned()),
            },
        }
        Ok(())
    }
}

/// The entries with those of `<<`, a map or a list of maps; what is said itself comes first.
fn merged(mut entries: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let Some(at) = entries.iter().position(|(key, _)| key == "<<") else {
        return entries;
    };
    let (_, from) = entries.remove(at);
    for source in from.items().iter().chain(Some(&from)) {
        for (key, node) in source.entries() {
            if !entries.iter().any(|(own, _)| own == key) {
                entries.push((key.clone(), node.clone()));
            }
        }
    }
    entries
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
        _ => 1,
    }
}

fn broken(line: usize, why: &str) -> Broken {
    Broken {
        line,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_documents_with_lines_anchors_and_json() {
        let text = "a: &x\n  b: [1, two]\nc: *x\n---\n{\"k\": null}\n";
        let documents = parse(text).expect("valid");
        let [first, second] = documents.as_slice() else {
            panic!("two documents: {documents:?}");
        };
        assert_eq!(first.at("c.b").map(|node| node.items().len()), Some(2));
        assert_eq!(first.at("a.b").map(|node| node.line), Some(2));
        assert_eq!(second.at("k").and_then(|node| node.text()), None);
    }

    #[test]
    fn merged_maps_say_what_they_merge() {
        let text =
            "x: &x {a: 1, b: 2}\ny: &y {c: True}\nz: {<<: [*x, *y], b: 3}\nw: {b: 4, <<: *x}\n";
        let document = parse(text).expect("valid").remove(0);
        let at = |path| document.text_at(path);
        assert_eq!((at("z.a"), at("z.b")), (Some("1"), Some("3")));
        assert_eq!(
            (at("z.c"), at("w.a"), at("w.b")),
            (Some("true"), Some("1"), Some("4"))
        );
        assert_eq!(at("z.<<"), None);
    }

    #[test]
    fn refuses_what_is_broken_deep_or_huge() {
        assert_eq!(parse("a: [1\nb: 2").expect_err("broken").line, 2);
        assert!(parse(&"[".repeat(100)).is_err());
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for i in 0..9 {
            let (from, to) = (char::from(b'a' + i), char::from(b'b' + i));
            bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(", "));
        }
        assert!(parse(&bomb).expect_err("too large").why.contains("large"));
    }
}
