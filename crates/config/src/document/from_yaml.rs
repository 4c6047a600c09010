//! YAML into the common tree: one document, core schema, no anchors, aliases or tags.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span as Range};

use super::{Key, MAX_DEPTH, Node, Value, too_deep};
use crate::problem::{Finding, MAX_PROBLEMS};
use crate::source::{Span, lines};

/// Parses a YAML file, whose outermost level must be sections.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    let root = parse_value(text)?;
    match root.value {
        Value::Map(_) | Value::Null => Ok(root),
        _ => {
            let message = "expected sections such as `server:` at the outermost level";
            Err(vec![Finding::syntax(Some(root.span), message)])
        }
    }
}

/// Parses one YAML value of any kind.
pub(super) fn parse_value(text: &str) -> Result<Node, Vec<Finding>> {
    let mut builder = Builder::new(text);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, range)) => builder
                .take(event, range)
                .map_err(|finding| vec![finding])?,
            Err(error) => {
                let at = builder.offset(*error.marker());
                let message = format!("this is not valid YAML: {}", error.info());
                return Err(vec![Finding::syntax(Some(Span::in_file(at, at)), message)]);
            }
        }
    }
    if !builder.duplicates.is_empty() {
        return Err(builder.duplicates);
    }
    Ok(builder.root.unwrap_or(Node {
        value: Value::Null,
        span: Span::in_file(0, 0),
    }))
}

/// What a scalar without quotes means in the core schema.
pub(super) fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return Value::Float(f64::INFINITY * sign);
    }
    let integer = if let Some(octal) = text.strip_prefix("0o") {
        unsigned_digits(octal, 8)
    } else if let Some(hex) = text.strip_prefix("0x") {
        unsigned_digits(hex, 16)
    } else if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    };
    if let Some(integer) = integer {
        return Value::Integer(integer);
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    match text.parse() {
        Ok(number) if numeric => Value::Float(number),
        _ => Value::String(text.to_owned()),
    }
}

fn unsigned_digits(digits: &str, radix: u32) -> Option<i64> {
    if digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()
}

/// A list or map whose end has not come yet.
struct Open {
    start: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        seen: BTreeSet<String>,
        key: Option<Key>,
    },
}

/// Turns the parser's events into a tree, without recursion.
struct Builder<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    duplicates: Vec<Finding>,
    /// Line, column and byte of the last marker.
    last: (usize, usize, usize),
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let line_starts = lines(text).map(|(start, _)| start).collect();
        let (open, duplicates) = (Vec::new(), Vec::new());
        Self {
            text,
            line_starts,
            open,
            root: None,
            documents: 0,
            duplicates,
            last: (0, 0, 0),
        }
    }

    /// The byte that a marker stands at. Lines and columns are used because the marker's own index
    /// counts characters in some places and bytes in others. Markers mostly come in order, so that
    /// the way along a long line is not gone again and again.
    fn offset(&mut self, marker: Marker) -> usize {
        let (line, column) = (marker.line().saturating_sub(1), marker.col());
        let (mut from, mut passed) = match self.line_starts.get(line) {
            Some(start) => (*start, 0),
            None => return self.text.len(),
        };
        if self.last.0 == line && self.last.1 <= column {
            (passed, from) = (self.last.1, self.last.2);
        }
        let tail = &self.text[from..];
        let step = tail.char_indices().nth(column - passed);
        from += step.map_or(tail.len(), |(at, _)| at);
        self.last = (line, column, from);
        from
    }

    fn take(&mut self, event: Event<'_>, range: Range) -> Result<(), Finding> {
        let (start, end) = (self.offset(range.start), self.offset(range.end));
        let span = Span::in_file(start, end);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "expected one document, found a second one: remove the `---`";
                    return Err(Finding::syntax(Some(span), message));
                }
                Ok(())
            }
            Event::Alias(_) => Err(no_anchors(span)),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(span, anchor, tag.is_some())?;
                let key_place = matches!(
                    self.open.last(),
                    Some(Open {
                        content: Content::Map { key: None, .. },
                        ..
                    })
                );
                let value = if style == ScalarStyle::Plain && !key_place {
                    plain_scalar(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.add(Node { value, span })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(span, anchor, tag.is_some())?;
                self.push(start, span, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(span, anchor, tag.is_some())?;
                let (entries, seen) = (Vec::new(), BTreeSet::new());
                self.push(
                    start,
                    span,
                    Content::Map {
                        entries,
                        seen,
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { start, content }) = self.open.pop() else {
                    return Ok(());
                };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map { entries, .. } => Value::Map(entries),
                };
                let span = Span::in_file(start, end);
                self.add(Node { value, span })
            }
        }
    }

    fn push(&mut self, start: usize, span: Span, content: Content) -> Result<(), Finding> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.open.push(Open { start, content });
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Finding> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, seen, key }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Value::String(name) = node.value else {
                        let message = "expected a plain key, found a list or a section as the key";
                        return Err(Finding::syntax(Some(node.span), message));
                    };
                    if !seen.insert(name.clone()) && self.duplicates.len() < MAX_PROBLEMS {
                        self.duplicates
                            .push(Finding::duplicate(node.span, "", &name));
                    }
                    *key = Some(Key {
                        name,
                        span: node.span,
                    });
                }
            },
        }
        Ok(())
    }
}

fn no_anchors(span: Span) -> Finding {
    let message = "anchors and aliases are not supported: write the value out where it is used";
    Finding::syntax(Some(span), message)
}

fn refuse_extras(span: Span, anchor: usize, tagged: bool) -> Result<(), Finding> {
    if anchor != 0 {
        return Err(no_anchors(span));
    }
    if tagged {
        let message = "tags are not supported: quote a text instead of writing `!!str`";
        return Err(Finding::syntax(Some(span), message));
    }
    Ok(())
}
