//! Operations of the OpenAI API that are no conversation: only forwarded, and metered.

use crate::{
    fault::Fault,
    head::{self, Conversation, Head, HeadRules, InPath, ModelPlace, Shape},
    usage::count,
};
use bytes::Bytes;
use seaworthy_core::usage::Usage;
use serde::Deserialize;

/// An operation that is no conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlainOperation {
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/moderations`
    Moderations,
}

const EMBEDDINGS: HeadRules = HeadRules {
    model: ModelPlace::Body,
    conversation: Conversation {
        field: "input",
        is_required: true,
        shape: Shape::Anything,
    },
    settings: &[],
    max_tokens: &[],
    max_tokens_required: false,
    max_tokens_least: 0,
    choices: &[],
    keeps_answers: false,
    usage_on_request: false,
};

const MODERATIONS: HeadRules = HeadRules {
    model: ModelPlace::BodyOr("omni-moderation-latest"),
    ..EMBEDDINGS
};

/// Reads the head of a request. The model can be changed with [`crate::splice`] if it was named.
///
/// # Errors
/// A sentence for the caller, when the body is not a request of this operation.
pub fn plain_head(
    operation: PlainOperation,
    path: Option<InPath<'_>>,
    body: &Bytes,
) -> Result<Head, Fault> {
    let rules = match operation {
        PlainOperation::Embeddings => &EMBEDDINGS,
        PlainOperation::Moderations => &MODERATIONS,
    };
    head::read(rules, path, body)
}

/// The usage within a reply; `None` if the provider does not say. Moderation never does: it is free.
#[must_use]
pub fn plain_usage(reply: &[u8]) -> Option<Usage> {
    let frame: Frame = serde_json::from_slice(reply).ok()?;
    Some(Usage {
        input_tokens: frame.usage?.prompt_tokens?,
        ..Usage::default()
    })
}

#[derive(Deserialize)]
struct Frame {
    usage: Option<UsageObject>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageObject {
    #[serde(deserialize_with = "count")]
    prompt_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice;

    fn body(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn embeddings_take_any_input_and_another_model() {
        for input in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2]]"] {
            let text = format!(r#"{{"input":{input},"model":"small"}}"#);
            let body = Bytes::from(text.clone());
            let head = plain_head(PlainOperation::Embeddings, None, &body).unwrap();
            assert_eq!((head.model.as_str(), head.stream), ("small", false));
            let spliced = splice(&body, &head, Some("large"), true);
            assert_eq!(spliced, text.replace("small", "large"));
        }
    }

    #[test]
    fn only_moderation_has_a_model_of_its_own() {
        let body = body(r#"{"input":"a"}"#);
        let fault = plain_head(PlainOperation::Embeddings, None, &body).unwrap_err();
        assert_eq!(fault.param.as_deref(), Some("model"));
        let head = plain_head(PlainOperation::Moderations, None, &body).unwrap();
        assert_eq!(head.model, "omni-moderation-latest");
        assert_eq!(splice(&body, &head, Some("other"), false), body);
    }

    #[test]
    fn nothing_to_look_at_is_refused() {
        for text in ["", "[]", r#"{"model":"a"}"#, r#"{"model":1,"input":"a"}"#] {
            assert!(plain_head(PlainOperation::Embeddings, None, &body(text)).is_err());
        }
    }

    #[test]
    fn usage_is_what_the_provider_says() {
        let usage = |reply: &str| plain_usage(reply.as_bytes()).map(|usage| usage.total());
        let reply = r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        assert_eq!(usage(reply), Some(8));
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":0}}"#), Some(0));
        assert_eq!(usage(r#"{"results":[]}"#), None);
    }
}
