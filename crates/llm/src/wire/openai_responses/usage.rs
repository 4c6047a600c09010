//! Usage of Responses: the classes of chat completions under other names, in the last event.

use crate::{
    json::Members,
    usage::{Reported, Seen, Tally, count, event_type, string_bytes},
};
use memchr::memmem::Finder;
use seaworthy_core::usage::Usage;
use serde::Deserialize;
use std::sync::LazyLock;

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageObject {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

impl UsageObject {
    pub(super) fn to_reported(&self) -> Reported {
        let details = self.input_tokens_details.as_ref();
        let output_details = self.output_tokens_details.as_ref();
        Reported {
            output: self.output_tokens,
            reasoning: output_details.and_then(|d| d.reasoning_tokens),
            ..Reported::of_whole_input(
                self.input_tokens,
                details.and_then(|d| d.cached_tokens),
                details.and_then(|d| d.cache_write_tokens),
            )
        }
    }
}

/// The `usage` object for a caller: the cached tokens are part of the input again.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    let cache_write = usage
        .cache_write_5m_tokens
        .saturating_add(usage.cache_write_1h_tokens);
    out.num("input_tokens", usage.total_input())
        .object("input_tokens_details", |details| {
            details
                .num("cached_tokens", usage.cached_read_tokens)
                .num("cache_write_tokens", cache_write);
        })
        .num("output_tokens", usage.output_tokens)
        .object("output_tokens_details", |details| {
            details.num("reasoning_tokens", usage.reasoning_tokens);
        })
        .num("total_tokens", usage.total());
}

#[derive(Deserialize)]
struct Frame {
    usage: Option<UsageObject>,
}

#[derive(Deserialize)]
struct EventFrame {
    response: Frame,
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let frame: Frame = serde_json::from_slice(body).ok()?;
    frame.usage.map(|usage| usage.to_reported())
}

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));

/// Reads one event in passing.
pub(super) fn observe(name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
    let kind = event_type(name, data);
    let seen = match kind {
        b"response.completed" | b"response.incomplete" => Seen::Terminal,
        b"response.failed" => Seen::Error,
        b"error" => return Seen::Error,
        _ if kind.ends_with(b".delta") => {
            return match string_bytes(data, &DELTA) {
                0 => Seen::Other,
                bytes => tally.add_content(bytes),
            };
        }
        _ => return Seen::Other,
    };
    if let Ok(EventFrame { response }) = serde_json::from_slice(data)
        && let Some(usage) = response.usage
    {
        tally.reported = tally.reported.updated_by(usage.to_reported());
    }
    seen
}
