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
///
/// Its head becomes that of the new body, so that nobody has to read it again. Where the dialect has
/// no bound as low as this one, that is `false`, and the head is of no use.
#[must_use]
pub fn bound_output(dialect: Dialect, body: &Bytes, head: &mut Head, tokens: u64) -> (Bytes, bool) {
    let mut digits = itoa::Buffer::new();
    let bound = digits.format(tokens);
    let mut edits: Vec<(Range<usize>, String)> = match head.bounds_at.is_empty() {
        false => {
            let places = head.bounds_at.iter();
            places.map(|at| (at.clone(), bound.to_owned())).collect()
        }
        true => vec![addition(dialect, body, bound)],
    };
    adjust(head, &edits, bound);
    edits.sort_by_key(|(at, _)| at.start);
    let body = replaced(body, &edits);
    head.max_output_tokens = Some(tokens);
    head.input_bytes = body.len();
    let is_possible = tokens >= wire::of(dialect).head_rules().max_tokens_least;
    (body, is_possible)
}

/// Every place of the head as it is after these edits, each of which brings the bound.
fn adjust(head: &mut Head, edits: &[(Range<usize>, String)], bound: &str) {
    let moved = |place: usize| {
        let before = edits.iter().filter(|(at, _)| at.start < place);
        before.fold(place, |place, (at, text)| place + text.len() - at.len())
    };
    let move_range = |at: &mut Range<usize>| *at = moved(at.start)..moved(at.end);
    let bounds = edits.iter().map(|(at, text)| {
        let start = moved(at.start) + text.rfind(bound).unwrap_or(0);
        start..start + bound.len()
    });
    head.bounds_at = bounds.collect();
    if let Some(at) = &mut head.model_at {
        move_range(at);
    }
    head.model_missing_at = head.model_missing_at.map(moved);
    if let Some(edit) = &mut head.usage_edit {
        move_range(&mut edit.at);
    }
}

/// Where a bound is added, and what.
fn addition(dialect: Dialect, body: &[u8], bound: &str) -> (Range<usize>, String) {
    let rules = wire::of(dialect).head_rules();
    let name = rules.max_tokens.first().copied().unwrap_or("max_tokens");
    let Some(settings) = rules.settings.first() else {
        return (
            after_brace(body, 0),
            ["\"", name, "\":", bound, ","].concat(),
        );
    };
    let member = format!("\"{name}\":{bound}");
    // A head was read of it, so that it is UTF-8.
    let text = str::from_utf8(body).unwrap_or_default();
    let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let known = rules.settings.iter().find_map(|name| fields.get(*name));
    match known.map(|raw| (raw.get(), range_in(text, raw.get()))) {
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

pub(super) fn replaced(body: &Bytes, edits: &[(Range<usize>, String)]) -> Bytes {
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
        let mut head = read(&body);
        let (bounded, is_possible) = bound_output(dialect, &body, &mut head, 7);
        let again = read(&bounded);
        let most = again.max_output_tokens;
        assert!(is_possible);
        assert_eq!(head, again, "as if it had been read again");
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
            (OpenAiChat, with(CHAT, r#""stream":true"#)),
            (
                OpenAiChat,
                with(
                    CHAT,
                    r#""max_tokens":900,"stream":true,"stream_options":{"include_usage":false},"max_completion_tokens":1"#,
                ),
            ),
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
