//! Writing a bound of the output into a request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use serde_json::value::RawValue;

use super::{Edit, Head, after_brace, range_in};
use crate::wire;

/// The body with its output bounded by so many tokens: every bound that it has is replaced, and one
/// is added to a body without any. Every other byte stays as it was.
///
/// Its head comes with it, so that nobody has to read the body again; `None` where the dialect has
/// no bound as low as this one.
#[must_use]
pub fn bound_output(
    dialect: Dialect,
    body: &Bytes,
    head: &Head,
    tokens: u64,
) -> (Bytes, Option<Head>) {
    let bound = tokens.to_string();
    let mut edits: Vec<(Range<usize>, String)> = match head.bounds_at.is_empty() {
        false => {
            let places = head.bounds_at.iter();
            places.map(|at| (at.clone(), bound.clone())).collect()
        }
        true => match str::from_utf8(body) {
            Ok(text) => vec![addition(dialect, text, tokens)],
            // A head was read of it, so that it is UTF-8.
            Err(_) => return (body.clone(), None),
        },
    };
    let is_possible = tokens >= wire::of(dialect).head_rules().max_tokens_least;
    let bounded = is_possible.then(|| bounded(head, &edits, &bound));
    edits.sort_by_key(|(at, _)| at.start);
    let body = replaced(body, edits);
    let head = bounded.map(|bounded| Head {
        max_output_tokens: Some(tokens),
        input_bytes: body.len(),
        ..bounded
    });
    (body, head)
}

/// The head with every place where it is after these edits, each of which brings the bound.
fn bounded(head: &Head, edits: &[(Range<usize>, String)], bound: &str) -> Head {
    let moved = |place: usize| {
        let before = edits.iter().filter(|(at, _)| at.start < place);
        before.fold(place, |place, (at, text)| place + text.len() - at.len())
    };
    let moved_range = |at: &Range<usize>| moved(at.start)..moved(at.end);
    let bounds = edits.iter().map(|(at, text)| {
        let start = moved(at.start) + text.rfind(bound).unwrap_or(0);
        start..start + bound.len()
    });
    Head {
        model_at: head.model_at.as_ref().map(moved_range),
        bounds_at: bounds.collect(),
        model_missing_at: head.model_missing_at.map(moved),
        usage_edit: head.usage_edit.as_ref().map(|edit| Edit {
            at: moved_range(&edit.at),
            text: edit.text,
        }),
        ..head.clone()
    }
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

fn replaced(body: &Bytes, edits: Vec<(Range<usize>, String)>) -> Bytes {
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
        let (bounded, head) = bound_output(dialect, &body, &read(&body), 7);
        let again = read(&bounded);
        let most = again.max_output_tokens;
        assert_eq!(head, Some(again), "as if it had been read again");
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
