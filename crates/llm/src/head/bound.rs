//! Writing a bound of the output into a request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use serde_json::value::RawValue;

use super::{Head, after_brace, range_in};
use crate::wire;

/// The body with its output bounded by so many tokens: every bound that it has is replaced, and one
/// is added to a body without any. Every other byte stays as it was.
#[must_use]
pub fn bound_output(dialect: Dialect, body: &Bytes, head: &Head, tokens: u64) -> Bytes {
    let bound = tokens.to_string();
    if !head.bounds_at.is_empty() {
        let edits = head.bounds_at.iter().map(|at| (at.clone(), bound.as_str()));
        return replaced(body, edits.collect());
    }
    let (at, text) = match str::from_utf8(body) {
        Ok(text) => addition(dialect, text, tokens),
        // A head was read of it, so that it is UTF-8.
        Err(_) => return body.clone(),
    };
    replaced(body, vec![(at, text.as_str())])
}

/// Where a bound is added, and what.
fn addition(dialect: Dialect, body: &str, tokens: u64) -> (Range<usize>, String) {
    let rules = wire::of(dialect).head_rules();
    let name = rules.max_tokens.first().copied().unwrap_or("max_tokens");
    let member = format!("\"{name}\":{tokens}");
    let Some(settings) = rules.settings.first() else {
        return (after_brace(body, 0), format!("{member},"));
    };
    let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(body).unwrap_or_default();
    let known = rules.settings.iter().find_map(|name| fields.get(*name));
    match known.map(|raw| (raw.get(), range_in(body, raw.get()))) {
        Some((object, at)) if object.starts_with('{') => {
            let is_empty = object.trim_matches(['{', '}']).trim().is_empty();
            let comma = if is_empty { "" } else { "," };
            (after_brace(body, at.start), format!("{member}{comma}"))
        }
        Some((_, at)) => (at, format!("{{{member}}}")),
        None => (
            after_brace(body, 0),
            format!("\"{settings}\":{{{member}}},"),
        ),
    }
}

fn replaced(body: &Bytes, mut edits: Vec<(Range<usize>, &str)>) -> Bytes {
    edits.sort_by_key(|(at, _)| at.start);
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut copied = 0;
    for (at, text) in edits {
        out.extend_from_slice(&body[copied..at.start]);
        out.extend_from_slice(text.as_bytes());
        copied = at.end;
    }
    out.extend_from_slice(&body[copied..]);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{self, InPath};

    fn bounded(dialect: Dialect, body: &str) -> (String, Option<u64>) {
        let path = InPath {
            model: "m",
            stream: false,
        };
        let read = |body: &Bytes| head::head_in_path(dialect, path, body).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let bounded = bound_output(dialect, &body, &read(&body), 7);
        let most = read(&bounded).max_output_tokens;
        (String::from_utf8(bounded.to_vec()).unwrap(), most)
    }

    #[test]
    fn a_bound_is_added_or_replaced_in_every_dialect() {
        use Dialect::{
            AnthropicMessages, BedrockConverse, CohereChat, Gemini, OpenAiChat, OpenAiResponses,
        };
        const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
        const GEMINI: &str = r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#;
        const BEDROCK: &str = r#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#;
        let with = |body: &str, member: &str| body.replacen('{', &format!("{{{member},"), 1);
        let cases = [
            (OpenAiChat, CHAT.to_owned()),
            (OpenAiChat, with(CHAT, r#""max_tokens":900"#)),
            (
                OpenAiChat,
                with(CHAT, r#""max_tokens":900,"max_completion_tokens": 20"#),
            ),
            (OpenAiChat, with(CHAT, r#""max_tokens":null"#)),
            (OpenAiResponses, r#"{"model":"m","input":"a"}"#.to_owned()),
            (AnthropicMessages, with(CHAT, r#""max_tokens":900"#)),
            (CohereChat, CHAT.to_owned()),
            (Gemini, GEMINI.to_owned()),
            (Gemini, with(GEMINI, r#""generationConfig":{}"#)),
            (Gemini, with(GEMINI, r#""generation_config":{"topK":1}"#)),
            (
                Gemini,
                with(GEMINI, r#""generationConfig":{"maxOutputTokens":900}"#),
            ),
            (BedrockConverse, BEDROCK.to_owned()),
            (BedrockConverse, with(BEDROCK, r#""inferenceConfig":null"#)),
        ];
        for (dialect, body) in cases {
            let (text, most) = bounded(dialect, &body);
            assert_eq!(most, Some(7), "{text}");
            assert!(!text.contains("900"), "{text}");
        }
    }
}
