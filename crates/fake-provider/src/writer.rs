//! What the writers of the dialects share.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::script::{Event, Role};

/// A server-sent event with a name (empty: none) and JSON.
pub(crate) fn sse(name: &str, data: &Value) -> Bytes {
    let name = match name {
        "" => String::new(),
        name => format!("event: {name}\n"),
    };
    format!("{name}data: {data}\n\n").into()
}

pub(crate) fn event(role: Role, tokens: u64, bytes: Bytes) -> Event {
    Event {
        role,
        bytes,
        tokens,
    }
}

/// The arguments of a call as a value.
pub(crate) fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(json!({}))
}
