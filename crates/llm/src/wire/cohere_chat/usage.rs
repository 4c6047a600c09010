//! Usage of Cohere: what is billed, next to what was counted with the model's own markers.

use crate::{
    json::Members,
    usage::{Reported, Seen, Tally, count, event_type, string_bytes},
};
use memchr::memmem::Finder;
use seaworthy_core::usage::Usage;
use serde::Deserialize;
use std::{borrow::Cow, sync::LazyLock};

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageObject {
    billed_units: Option<Tokens>,
    tokens: Option<Tokens>,
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
}

impl UsageObject {
    /// What is billed counts; the other figures step in where it is missing.
    pub(super) fn to_reported(&self) -> Reported {
        let figure = |pick: fn(&Tokens) -> Option<u64>| {
            let billed = self.billed_units.as_ref().and_then(pick);
            billed.or_else(|| self.tokens.as_ref().and_then(pick))
        };
        let input = figure(|tokens| tokens.input_tokens);
        Reported {
            output: figure(|tokens| tokens.output_tokens),
            ..Reported::of_whole_input(input, self.cached_tokens, None)
        }
    }
}

/// The `usage` object for a caller.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    for name in ["billed_units", "tokens"] {
        out.object(name, |tokens| {
            tokens
                .num("input_tokens", usage.total_input())
                .num("output_tokens", usage.output_tokens);
        });
    }
    out.num("cached_tokens", usage.cached_read_tokens);
}

#[derive(Deserialize)]
struct Frame<'a> {
    usage: Option<UsageObject>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct EventFrame<'a> {
    #[serde(borrow)]
    delta: Frame<'a>,
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let frame: Frame<'_> = serde_json::from_slice(body).ok()?;
    Some(frame.usage?.to_reported())
}

/// The keys that carry the answer, quotes included.
static CONTENT: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    ["\"text\"", "\"arguments\"", "\"thinking\"", "\"tool_plan\""].map(Finder::new)
});

/// Reads one event in passing.
pub(super) fn observe(name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
    if data.trim_ascii() == b"[DONE]" {
        return Seen::Terminal;
    }
    match event_type(name, data) {
        b"content-delta" | b"tool-plan-delta" | b"tool-call-delta" => {
            let bytes = CONTENT.iter().map(|key| string_bytes(data, key));
            match bytes.into_iter().find(|len| *len > 0) {
                Some(bytes) => tally.add_content(bytes),
                None => Seen::Other,
            }
        }
        b"message-end" => {
            let Ok(EventFrame { delta }) = serde_json::from_slice(data) else {
                return Seen::Other;
            };
            if let Some(usage) = &delta.usage {
                tally.reported = tally.reported.updated_by(usage.to_reported());
            }
            match delta.finish_reason.as_deref() {
                Some("ERROR" | "TIMEOUT") => Seen::Error,
                _ => Seen::Terminal,
            }
        }
        _ => Seen::Other,
    }
}
