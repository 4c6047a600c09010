//! Usage of Anthropic messages: three classes of input that add up, cumulative within a stream.

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
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    #[serde(deserialize_with = "count")]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "count")]
    thinking_tokens: Option<u64>,
}

impl UsageObject {
    pub(super) fn to_reported(&self) -> Reported {
        let kept = self.cache_creation.as_ref();
        let hour = kept.and_then(|kept| kept.ephemeral_1h_input_tokens);
        let minutes = kept.and_then(|kept| kept.ephemeral_5m_input_tokens);
        let by_time = match (minutes, hour) {
            (None, None) => None,
            (minutes, hour) => Some(minutes.unwrap_or(0).saturating_add(hour.unwrap_or(0))),
        };
        Reported {
            input: self.input_tokens,
            cached_read: self.cache_read_input_tokens,
            cache_write: self.cache_creation_input_tokens.max(by_time),
            cache_write_1h: hour,
            output: self.output_tokens,
            reasoning: self
                .output_tokens_details
                .as_ref()
                .and_then(|details| details.thinking_tokens),
            audio_input: None,
            audio_output: None,
        }
    }
}

/// The `usage` object for a caller.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    let cache_write = usage
        .cache_write_5m_tokens
        .saturating_add(usage.cache_write_1h_tokens);
    out.num("input_tokens", usage.input_tokens)
        .num("cache_creation_input_tokens", cache_write)
        .num("cache_read_input_tokens", usage.cached_read_tokens)
        .object("cache_creation", |kept| {
            kept.num("ephemeral_5m_input_tokens", usage.cache_write_5m_tokens)
                .num("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens);
        })
        .num("output_tokens", usage.output_tokens);
    if usage.reasoning_tokens > 0 {
        out.object("output_tokens_details", |details| {
            details.num("thinking_tokens", usage.reasoning_tokens);
        });
    }
}

#[derive(Deserialize)]
struct Frame {
    usage: Option<UsageObject>,
}

#[derive(Deserialize)]
struct StartFrame {
    message: Frame,
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let frame: Frame = serde_json::from_slice(body).ok()?;
    frame.usage.map(|usage| usage.to_reported())
}

/// The keys of a delta that carry the answer, quotes included.
static CONTENT: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\"text\"", "\"partial_json\"", "\"thinking\""].map(Finder::new));

/// Reads one event in passing.
pub(super) fn observe(name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
    match event_type(name, data) {
        b"content_block_delta" => {
            let bytes = CONTENT.iter().map(|key| string_bytes(data, key));
            match bytes.into_iter().find(|len| *len > 0) {
                Some(bytes) => tally.add_content(bytes),
                None => Seen::Other,
            }
        }
        b"message_start" => {
            if let Ok(start) = serde_json::from_slice::<StartFrame>(data) {
                let mut reported = start.message.usage.unwrap_or_default().to_reported();
                // What has been generated at the start says nothing about the end.
                tally.output_floor = reported.output.take().unwrap_or(0);
                tally.reported = tally.reported.updated_by(reported);
            }
            Seen::Other
        }
        b"message_delta" => {
            tally.finished = true;
            if let Some(reported) = of_reply(data) {
                tally.reported = tally.reported.updated_by(reported);
            }
            Seen::Other
        }
        b"message_stop" => Seen::Terminal,
        b"error" => Seen::Error,
        _ => Seen::Other,
    }
}
