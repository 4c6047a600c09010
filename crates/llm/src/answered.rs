//! Whether a body that came with 200 is an answer at all: some servers send their errors like that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use seaworthy_core::dialect::Dialect;
use serde_json::value::RawValue;

use crate::embed::Embedding;

/// Whether this is a reply of the dialect, complete or not, and not an error or something else.
#[must_use]
pub fn is_reply(dialect: Dialect, body: &[u8]) -> bool {
    holds_any(
        body,
        match dialect {
            Dialect::OpenAiChat => &[("choices", '[')],
            Dialect::OpenAiResponses => &[("output", '[')],
            Dialect::AnthropicMessages => &[("content", '[')],
            // A prompt that was blocked, and a model that said nothing.
            Dialect::Gemini => &[
                ("candidates", '['),
                ("promptFeedback", '{'),
                ("usageMetadata", '{'),
            ],
            // Its errors have a sentence there.
            Dialect::CohereChat => &[("message", '{')],
            Dialect::BedrockConverse => &[("output", '{')],
        },
    )
}

/// Whether these are vectors, and not an error or something else.
#[must_use]
pub fn is_vectors(form: Embedding, body: &[u8]) -> bool {
    let member = match form {
        Embedding::OpenAi => ("data", '['),
        Embedding::Gemini => ("embedding", '{'),
        Embedding::GeminiBatch => ("embeddings", '['),
        // By type, or as older models give them.
        Embedding::Cohere => return holds_any(body, &[("embeddings", '{'), ("embeddings", '[')]),
    };
    holds_any(body, &[member])
}

/// Whether an object has one of these members, with a value that begins like this.
fn holds_any(body: &[u8], members: &[(&str, char)]) -> bool {
    // What is no UTF-8 within a text makes it no other answer: those of any dialect are passed on.
    let text = String::from_utf8_lossy(body);
    let fields: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(&text);
    let Ok(fields) = fields else {
        return false;
    };
    members.iter().any(|(name, begin)| {
        let value = fields.get(*name);
        value.is_some_and(|value| value.get().starts_with(*begin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_empty_documents_are_no_replies() {
        let dialects = [
            Dialect::OpenAiChat,
            Dialect::OpenAiResponses,
            Dialect::AnthropicMessages,
            Dialect::Gemini,
            Dialect::CohereChat,
            Dialect::BedrockConverse,
        ];
        for dialect in dialects {
            for body in [
                "",
                "{}",
                "null",
                "[]",
                "{\"choices\":null}",
                r#"{"error":{"message":"no","type":"x"}}"#,
                r#"{"id":"x","message":"no"}"#,
                r#"{"type":"error","error":{"type":"x","message":"no"}}"#,
            ] {
                assert!(!is_reply(dialect, body.as_bytes()), "{dialect:?} {body}");
            }
        }
    }

    #[test]
    fn replies_without_usage_and_with_escaped_names_are_replies() {
        assert!(is_reply(Dialect::OpenAiChat, br#"{"choices":[]}"#));
        assert!(is_reply(Dialect::OpenAiChat, b"{\"ch\\u006fices\": [{}]}"));
        assert!(is_reply(Dialect::Gemini, br#"{"promptFeedback":{}}"#));
        assert!(is_reply(Dialect::CohereChat, br#"{"message":{}}"#));
        let not_utf8 = b"{\"candidates\":[{\"text\":\"\xff\"}]}";
        assert!(is_reply(Dialect::Gemini, not_utf8));
        assert!(is_vectors(Embedding::Cohere, br#"{"embeddings":{}}"#));
        assert!(!is_vectors(Embedding::OpenAi, br#"{"error":{}}"#));
    }
}
