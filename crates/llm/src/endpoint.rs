//! Where a provider takes calls, below its base URL.

use seaworthy_core::dialect::Dialect;
use std::{borrow::Cow, fmt::Write as _};

/// The path, with the query where the dialect needs one, of a call for this model.
#[must_use]
pub fn endpoint(dialect: Dialect, model: &str, stream: bool) -> Cow<'static, str> {
    match dialect {
        Dialect::OpenAiChat => "/chat/completions".into(),
        Dialect::OpenAiResponses => "/responses".into(),
        Dialect::AnthropicMessages => "/v1/messages".into(),
        Dialect::BedrockConverse => {
            let method = if stream {
                "converse-stream"
            } else {
                "converse"
            };
            format!("/model/{}/{method}", path_segment(model)).into()
        }
        Dialect::CohereChat => "/v2/chat".into(),
        Dialect::Gemini => {
            let method = if stream {
                "streamGenerateContent?alt=sse"
            } else {
                "generateContent"
            };
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/v1beta/models/{}:{method}", path_segment(model)).into()
        }
    }
}

/// The path of a question for the number of tokens, of providers that can be asked.
#[must_use]
pub fn count_endpoint(dialect: Dialect, model: &str) -> Cow<'static, str> {
    match dialect {
        Dialect::Gemini => {
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/v1beta/models/{}:countTokens", path_segment(model)).into()
        }
        Dialect::BedrockConverse => format!("/model/{}/count-tokens", path_segment(model)).into(),
        Dialect::OpenAiResponses => "/responses/input_tokens".into(),
        Dialect::OpenAiChat | Dialect::AnthropicMessages | Dialect::CohereChat => {
            "/v1/messages/count_tokens".into()
        }
    }
}

/// A segment of a path, with everything escaped that means something in one.
#[must_use]
pub fn path_segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_in_paths_are_escaped() {
        assert_eq!(
            endpoint(Dialect::Gemini, "models/gemini-3-pro", false),
            "/v1beta/models/gemini-3-pro:generateContent"
        );
        assert_eq!(
            endpoint(Dialect::Gemini, "../x?", true),
            "/v1beta/models/..%2Fx%3F:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            endpoint(Dialect::BedrockConverse, "anthropic.claude:0", false),
            "/model/anthropic.claude%3A0/converse"
        );
        let arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x";
        assert_eq!(
            endpoint(Dialect::BedrockConverse, arn, true),
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/converse-stream"
        );
    }
}
