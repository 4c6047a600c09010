//! Moderations of OpenAI's API: only forwarded, and free of charge.

use crate::{
    fault::Fault,
    head::{self, Conversation, Head, HeadRules, InPath, ModelPlace, Shape},
};
use bytes::Bytes;

const RULES: HeadRules = HeadRules {
    model: ModelPlace::BodyOr("omni-moderation-latest"),
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

/// Reads the head of a request for moderation. The model can be changed with [`crate::splice`] if it
/// was named.
///
/// # Errors
/// A sentence for the caller, when the body is not such a request.
pub fn moderation_head(path: Option<InPath<'_>>, body: &Bytes) -> Result<Head, Fault> {
    head::read(&RULES, path, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice;

    #[test]
    fn moderation_has_a_model_of_its_own() {
        let body = Bytes::from_static(br#"{"input":"a"}"#);
        let head = moderation_head(None, &body).unwrap();
        assert_eq!(head.model, "omni-moderation-latest");
        assert_eq!(splice(&body, &head, Some("other"), false), body);
    }
}
