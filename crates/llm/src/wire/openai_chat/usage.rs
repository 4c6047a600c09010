//! Usage of chat completions: `prompt_tokens` holds the cached tokens too, and a stream reports
//! only at its end.

use crate::{
    json::{Members, Scan},
    usage::{Reported, Seen, Tally, count_of as count, has_value, string_bytes},
};
use memchr::memmem::Finder;
use seaworthy_core::usage::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// The `usage` object.
#[derive(Debug, Default)]
pub(super) struct UsageObject {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_details: PromptDetails,
    completion_details: CompletionDetails,
}

#[derive(Debug, Default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl UsageObject {
    /// `None` for `null` and whatever else is no object.
    fn read(json: &[u8]) -> Option<Self> {
        let mut usage = Self::default();
        let mut members = Scan::new(json);
        for (name, value) in members.by_ref() {
            match name {
                b"prompt_tokens" => usage.prompt_tokens = count(value),
                b"completion_tokens" => usage.completion_tokens = count(value),
                b"prompt_tokens_details" => usage.prompt_details = PromptDetails::read(value),
                b"completion_tokens_details" => {
                    usage.completion_details = CompletionDetails::read(value);
                }
                _ => {}
            }
        }
        members.is_whole().then_some(usage)
    }

    /// The classes kept apart.
    pub(super) fn to_reported(&self) -> Reported {
        let (input_details, output_details) = (&self.prompt_details, &self.completion_details);
        let input = Reported::of_whole_input(
            self.prompt_tokens,
            input_details.cached_tokens,
            input_details.cache_write_tokens,
        );
        let audio = input_details.audio_tokens;
        Reported {
            output: self.completion_tokens,
            reasoning: output_details.reasoning_tokens,
            audio_input: audio.map(|n| n.min(input.input.unwrap_or(0))),
            audio_output: output_details.audio_tokens,
            ..input
        }
    }
}

/// Within what a parser reads; what is no object says nothing.
impl<'de> Deserialize<'de> for UsageObject {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(json)?;
        Ok(Self::read(json.get().as_bytes()).unwrap_or_default())
    }
}

impl PromptDetails {
    fn read(json: &[u8]) -> Self {
        let mut details = Self::default();
        for (name, value) in Scan::new(json) {
            match name {
                b"cached_tokens" => details.cached_tokens = count(value),
                b"cache_write_tokens" => details.cache_write_tokens = count(value),
                b"audio_tokens" => details.audio_tokens = count(value),
                _ => {}
            }
        }
        details
    }
}

impl CompletionDetails {
    fn read(json: &[u8]) -> Self {
        let mut details = Self::default();
        for (name, value) in Scan::new(json) {
            match name {
                b"reasoning_tokens" => details.reasoning_tokens = count(value),
                b"audio_tokens" => details.audio_tokens = count(value),
                _ => {}
            }
        }
        details
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

/// A chunk of a reply, as far as usage is concerned.
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

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let usage = UsageObject::read(Scan::new(body).member("usage")?)?;
    Some(usage.to_reported())
}

/// The keys to look for, quotes included.
struct Probes {
    usage: Finder<'static>,
    error: Finder<'static>,
    finish: Finder<'static>,
    content: [Finder<'static>; 7],
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
        "\"input\"",
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
    }
    // Some servers say with the last piece why the model stopped.
    tally.finished |= has_value(data, &probes.finish);
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
