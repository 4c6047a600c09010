//! Usage of Bedrock: classes of input that add up, told once at the end of a stream.

use crate::{
    json::Members,
    usage::{Reported, Seen, Tally, count, string_bytes},
};
use memchr::memmem::Finder;
use seaworthy_core::usage::Usage;
use serde::Deserialize;
use std::{borrow::Cow, sync::LazyLock};

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TokenUsage<'a> {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_input_tokens: Option<u64>,
    #[serde(borrow)]
    cache_details: Vec<CacheDetail<'a>>,
}

/// Input written to the cache for a time.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CacheDetail<'a> {
    #[serde(borrow)]
    ttl: Cow<'a, str>,
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
}

impl TokenUsage<'_> {
    pub(super) fn to_reported(&self) -> Reported {
        let hour = self.cache_details.iter().find(|kept| kept.ttl == "1h");
        Reported {
            input: self.input_tokens,
            cached_read: self.cache_read_input_tokens,
            cache_write: self.cache_write_input_tokens,
            cache_write_1h: hour.and_then(|kept| kept.input_tokens),
            output: self.output_tokens,
            ..Reported::default()
        }
    }
}

/// The `usage` object for a caller.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    let cache_write = usage
        .cache_write_5m_tokens
        .saturating_add(usage.cache_write_1h_tokens);
    out.num("inputTokens", usage.input_tokens)
        .num("outputTokens", usage.output_tokens)
        .num("totalTokens", usage.total())
        .num("cacheReadInputTokens", usage.cached_read_tokens)
        .num("cacheWriteInputTokens", cache_write);
    if cache_write > 0 {
        out.array("cacheDetails", |items| {
            for (ttl, tokens) in [
                ("1h", usage.cache_write_1h_tokens),
                ("5m", usage.cache_write_5m_tokens),
            ] {
                if tokens > 0 {
                    items.object(|kept| {
                        kept.str("ttl", ttl).num("inputTokens", tokens);
                    });
                }
            }
        });
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    usage: Option<TokenUsage<'a>>,
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let frame: Frame<'_> = serde_json::from_slice(body).ok()?;
    Some(frame.usage?.to_reported())
}

/// The keys of a delta that carry the answer, quotes included.
static CONTENT: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"text\"", "\"input\""].map(Finder::new));

/// Reads one event in passing.
pub(super) fn observe(name: &[u8], data: &[u8], tally: &mut Tally) -> Seen {
    match name {
        b"contentBlockDelta" => {
            let bytes = CONTENT.iter().map(|key| string_bytes(data, key));
            match bytes.into_iter().find(|len| *len > 0) {
                Some(bytes) => tally.add_content(bytes),
                None => Seen::Other,
            }
        }
        b"messageStop" => {
            tally.finished = true;
            Seen::Other
        }
        b"metadata" => {
            if let Some(reported) = of_reply(data) {
                tally.reported = tally.reported.updated_by(reported);
            }
            Seen::Terminal
        }
        _ if super::is_failure(name) => Seen::Error,
        _ => Seen::Other,
    }
}
