//! Usage of chat completions: `prompt_tokens` holds the cached tokens too, and a stream reports
//! only at its end.

use crate::{
    json::Members,
    usage::{Reported, Seen, Tally, count, has_value, string_bytes},
};
use memchr::memmem::Finder;
use seaworthy_core::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageObject {
    #[serde(deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    audio_tokens: Option<u64>,
}

impl UsageObject {
    /// The classes kept apart.
    pub(super) fn to_reported(&self) -> Reported {
        let input_details = self.prompt_tokens_details.as_ref();
        let output_details = self.completion_tokens_details.as_ref();
        let input = Reported::of_whole_input(
            self.prompt_tokens,
            input_details.and_then(|d| d.cached_tokens),
            input_details.and_then(|d| d.cache_write_tokens),
        );
        let audio = input_details.and_then(|d| d.audio_tokens);
        Reported {
            output: self.completion_tokens,
            reasoning: output_details.and_then(|d| d.reasoning_tokens),
            audio_input: audio.map(|n| n.min(input.input.unwrap_or(0))),
            audio_output: output_details.and_then(|d| d.audio_tokens),
            ..input
        }
    }
}

/// The `usage` object for a caller: the cached tokens are part of the prompt again.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    let cache_write = usage
        .cache_write_5m_tokens
        .saturating_add(usage.cache_write_1h_tokens);
    out.num("prompt_tokens", usage.total_input())
        .num("completion_tokens", usage.output_tokens)
        .num("total_tokens", usage.total())
        .object("prompt_tokens_details", |details| {
            details
                .num("cached_tokens", usage.cached_read_tokens)
                .num("cache_write_tokens", cache_write)
                .num("audio_tokens", usage.audio_input_tokens);
        })
        .object("completion_tokens_details", |details| {
            details
                .num("reasoning_tokens", usage.reasoning_tokens)
                .num("audio_tokens", usage.audio_output_tokens);
        });
}

/// A reply or a chunk of one, as far as usage is concerned.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    usage: Option<UsageObject>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Frame<'_> {
    fn has_no_choice(&self) -> bool {
        let choices = self.choices.map_or("[]", RawValue::get);
        choices
            .strip_prefix('[')
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(']'))
    }
}

/// A whole reply, of which nothing else is of interest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    usage: Option<UsageObject>,
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    reply.usage.map(|usage| usage.to_reported())
}

/// The keys to look for, quotes included.
struct Probes {
    usage: Finder<'static>,
    error: Finder<'static>,
    finish: Finder<'static>,
    content: [Finder<'static>; 6],
}

static PROBES: LazyLock<Probes> = LazyLock::new(|| Probes {
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    finish: Finder::new("\"finish_reason\""),
    content: [
        "\"content\"",
        "\"arguments\"",
        "\"reasoning_content\"",
        "\"reasoning\"",
        "\"refusal\"",
        "\"data\"",
    ]
    .map(Finder::new),
});

/// Reads one chunk in passing.
pub(super) fn observe(data: &[u8], tally: &mut Tally) -> Seen {
    if data.trim_ascii() == b"[DONE]" {
        return Seen::Terminal;
    }
    let probes = &*PROBES;
    let content_bytes = probes.content.iter().map(|key| string_bytes(data, key));
    let content_bytes = content_bytes.into_iter().find(|len| *len > 0).unwrap_or(0);
    let mut seen = Seen::Other;
    if content_bytes > 0 {
        seen = tally.add_content(content_bytes);
    } else if has_value(data, &probes.finish) {
        tally.finished = true;
    }
    if !has_value(data, &probes.usage) && !has_value(data, &probes.error) {
        return seen;
    }
    let Ok(frame) = serde_json::from_slice::<Frame<'_>>(data) else {
        return seen;
    };
    if frame.error.is_some() {
        return Seen::Error;
    }
    let Some(usage) = &frame.usage else {
        return seen;
    };
    tally.reported = tally.reported.updated_by(usage.to_reported());
    if frame.has_no_choice() {
        Seen::UsageOnly
    } else {
        seen
    }
}
