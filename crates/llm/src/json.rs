//! JSON without a tree: a cursor that knows its path, and a writer that keeps the order given.

mod read;
mod scan;
mod write;

pub(crate) use read::{Node, Object, Trail};
pub(crate) use scan::Scan;
pub(crate) use write::{Items, Members, array, object, write_string};

use crate::fault::Fault;

/// The body as text.
pub(crate) fn text(body: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let line = memchr::memchr_iter(b'\n', &body[..at]).count() + 1;
        Fault::whole(format!(
            "malformed JSON: expected UTF-8, found an invalid byte at offset {at} (line {line})"
        ))
    })
}

/// What a JSON value is, for an error message: short values are shown, long ones named.
pub(crate) fn describe(json: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let kind = match json.bytes().next() {
        Some(b'{') => return "an object".to_owned(),
        Some(b'[') => return "an array".to_owned(),
        Some(b'"') => "the string ",
        Some(b't' | b'f' | b'n') | None => "",
        Some(_) => "the number ",
    };
    let shown: String = json.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < json.len() { "…" } else { "" };
    format!("{kind}{shown}{more}")
}

/// Whether `text` is a valid JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
