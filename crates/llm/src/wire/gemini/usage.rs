//! Usage of Gemini: thoughts stand beside the answer, zeros are left out, and every chunk of a
//! stream tells the running figures.

use crate::{
    json::Members,
    usage::{Reported, Seen, Tally, count},
};
use seaworthy_core::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The `usageMetadata` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    #[serde(deserialize_with = "count")]
    prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    cached_content_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    total_token_count: Option<u64>,
    prompt_tokens_details: Vec<Modality>,
    candidates_tokens_details: Vec<Modality>,
}

/// The tokens of one kind of content.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: String,
    #[serde(deserialize_with = "count")]
    token_count: Option<u64>,
}

fn audio_in(details: &[Modality]) -> Option<u64> {
    let audio = details.iter().find(|part| part.modality == "AUDIO")?;
    audio.token_count
}

impl UsageMetadata {
    pub(super) fn to_reported(&self) -> Reported {
        // What a tool of the provider read is input too, and stands beside the prompt.
        let whole = match (self.prompt_token_count, self.tool_use_prompt_token_count) {
            (None, None) => None,
            (prompt, tools) => Some(prompt.unwrap_or(0).saturating_add(tools.unwrap_or(0))),
        };
        let input = Reported::of_whole_input(whole, self.cached_content_token_count, None);
        let answered = match (self.candidates_token_count, self.thoughts_token_count) {
            // A count of zero is left out; the total tells that counting was done.
            (None, None) => self
                .total_token_count
                .map(|total| total.saturating_sub(whole.unwrap_or(0))),
            (answer, thoughts) => Some(answer.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        };
        let audio = audio_in(&self.prompt_tokens_details);
        Reported {
            output: answered,
            reasoning: self.thoughts_token_count,
            audio_input: audio.map(|n| n.min(input.input.unwrap_or(0))),
            audio_output: audio_in(&self.candidates_tokens_details),
            ..input
        }
    }
}

/// The `usageMetadata` object for a caller.
pub(super) fn encode(usage: &Usage, out: &mut Members<'_>) {
    let answer = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
    out.num("promptTokenCount", usage.total_input())
        .num("cachedContentTokenCount", usage.cached_read_tokens)
        .num("candidatesTokenCount", answer)
        .num("thoughtsTokenCount", usage.reasoning_tokens)
        .num("totalTokenCount", usage.total());
    for (name, tokens) in [
        ("promptTokensDetails", usage.audio_input_tokens),
        ("candidatesTokensDetails", usage.audio_output_tokens),
    ] {
        if tokens > 0 {
            out.array(name, |items| {
                items.object(|part| {
                    part.str("modality", "AUDIO").num("tokenCount", tokens);
                });
            });
        }
    }
}

/// A reply or a chunk of one, as far as usage is concerned.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow, default)]
    candidates: Vec<Candidate<'a>>,
    #[serde(borrow)]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

impl Part<'_> {
    /// Without the quotes.
    fn bytes(&self) -> usize {
        let text = self
            .text
            .map_or(0, |text| text.get().len().saturating_sub(2));
        text + self.function_call.map_or(0, |call| call.get().len())
    }
}

pub(super) fn of_reply(body: &[u8]) -> Option<Reported> {
    let frame: Frame<'_> = serde_json::from_slice(body).ok()?;
    Some(frame.usage_metadata?.to_reported())
}

/// Reads one chunk in passing.
pub(super) fn observe(data: &[u8], tally: &mut Tally) -> Seen {
    let Ok(frame) = serde_json::from_slice::<Frame<'_>>(data) else {
        return Seen::Other;
    };
    if frame.error.is_some() {
        return Seen::Error;
    }
    let ends = frame.candidates.iter().any(|c| c.finish_reason.is_some());
    tally.finished |= ends || (frame.candidates.is_empty() && frame.prompt_feedback.is_some());
    if let Some(usage) = &frame.usage_metadata {
        let mut reported = usage.to_reported();
        if !tally.finished {
            // The figures so far: the least that an aborted answer has cost.
            let so_far = reported.output.take().unwrap_or(0);
            tally.output_floor = tally.output_floor.max(so_far);
        }
        tally.reported = tally.reported.updated_by(reported);
    }
    let contents = frame.candidates.iter().filter_map(|c| c.content.as_ref());
    let bytes = contents.flat_map(|c| &c.parts).map(Part::bytes).sum();
    if bytes > 0 {
        tally.add_content(bytes)
    } else {
        Seen::Other
    }
}
