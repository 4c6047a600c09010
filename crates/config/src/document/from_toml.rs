//! TOML into the common tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, MAX_DEPTH, Node, Value, too_deep};
use crate::problem::Finding;
use crate::source::Span;

/// Parses a TOML document.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error
            .span()
            .map(|range| Span::in_file(range.start, range.end));
        vec![Finding::syntax(
            span,
            format!("this is not valid TOML: {}", error.message()),
        )]
    })?;
    let span = span_of(&document);
    Ok(Node {
        value: table(document.into_inner(), 0).map_err(|finding| vec![finding])?,
        span,
    })
}

fn span_of<T>(spanned: &Spanned<T>) -> Span {
    let range = spanned.span();
    Span::in_file(range.start, range.end)
}

fn table(table: DeTable<'_>, depth: usize) -> Result<Value, Finding> {
    let entries = table.into_iter().map(|(key, value)| {
        let span = span_of(&key);
        Ok((
            Key {
                name: key.into_inner().into_owned(),
                span,
            },
            node(value, depth + 1)?,
        ))
    });
    Ok(Value::Map(entries.collect::<Result<_, _>>()?))
}

fn node(spanned: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Finding> {
    let span = span_of(&spanned);
    if depth > MAX_DEPTH {
        return Err(too_deep(span));
    }
    let value = match spanned.into_inner() {
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(value) => Value::Integer(
            i64::from_str_radix(value.as_str(), value.radix())
                .map_err(|_| Finding::error(Some(span), "", "this whole number is too large"))?,
        ),
        DeValue::Float(value) => Value::Float(
            value
                .as_str()
                .parse()
                .map_err(|_| Finding::error(Some(span), "", "this number cannot be read"))?,
        ),
        DeValue::String(value) => Value::String(value.into_owned()),
        DeValue::Datetime(value) => Value::String(value.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| node(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(entries) => table(entries, depth)?,
    };
    Ok(Node { value, span })
}
