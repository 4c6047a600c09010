//! Whose words the events of a stream plainly are: a provider of another kind than is configured
//! answers in its own.

use crate::{json::Scan, usage::event_type};
use seaworthy_core::dialect::Dialect;

/// The dialect that this event plainly belongs to, if it is one with which streams begin. `None` says
/// nothing: servers send events of their own.
pub(crate) fn dialect_of(name: &[u8], data: &[u8]) -> Option<Dialect> {
    let mut by_members = None;
    for (member, value) in Scan::new(data) {
        match member {
            b"type" if name.is_empty() => {
                let named = by_type(event_type(b"", &[b"\"type\":", value].concat()));
                if named.is_some() {
                    return named;
                }
            }
            b"choices" => by_members = Some(Dialect::OpenAiChat),
            b"candidates" => by_members = Some(Dialect::Gemini),
            _ => {}
        }
    }
    by_type(name).or(by_members)
}

fn by_type(kind: &[u8]) -> Option<Dialect> {
    match kind {
        b"message_start" => Some(Dialect::AnthropicMessages),
        b"message-start" => Some(Dialect::CohereChat),
        b"response.created" | b"response.queued" | b"response.in_progress" => {
            Some(Dialect::OpenAiResponses)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_tell_by_their_first_event_whose_they_are_or_nothing() {
        for (name, data, expected) in [
            ("", r#"{"id":"x","choices":[]}"#, Some(Dialect::OpenAiChat)),
            ("message_start", "{}", Some(Dialect::AnthropicMessages)),
            (
                "",
                r#"{"type": "message_start"}"#,
                Some(Dialect::AnthropicMessages),
            ),
            (
                "",
                r#"{"id":"x","type":"message-start"}"#,
                Some(Dialect::CohereChat),
            ),
            ("response.created", "{}", Some(Dialect::OpenAiResponses)),
            ("response.queued", "{}", Some(Dialect::OpenAiResponses)),
            ("response.in_progress", "{}", Some(Dialect::OpenAiResponses)),
            // The name goes before what stands in it.
            (
                "message_start",
                r#"{"choices":[]}"#,
                Some(Dialect::AnthropicMessages),
            ),
            (
                "",
                r#"{"candidates":[{"content":{}}]}"#,
                Some(Dialect::Gemini),
            ),
            // What is within a member says nothing, and nor does what is not known.
            (
                "",
                r#"{"delta":{"type":"message_start","choices":[]}}"#,
                None,
            ),
            ("", r#"{"type":"choices"}"#, None),
            ("ping", r#"{"type":"message_start"}"#, None),
            ("", "[DONE]", None),
            ("", "", None),
        ] {
            let found = dialect_of(name.as_bytes(), data.as_bytes());
            assert_eq!(found, expected, "{name} {data}");
        }
    }
}
