//! Chunks of Gemini as canonical deltas.

use super::{
    decode_part::{Calls, native_kind},
    reply,
    usage::UsageMetadata,
};
use crate::{
    fault::Fault,
    seal::{self, Kind},
    stream::DecodeStream,
    wire::shared::native_opening,
};
use seaworthy_core::{
    call::{BlockOpening, Delta, StopReason},
    dialect::Dialect,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Decoder {
    calls: Option<Calls>,
    open: Option<Open>,
    called_tool: bool,
    finished: bool,
}

/// The block that is open: calls come whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    candidates: Vec<Candidate<'a>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    finish_message: Option<Cow<'a, str>>,
    grounding_metadata: Option<IgnoredAny>,
    citation_metadata: Option<IgnoredAny>,
    url_context_metadata: Option<IgnoredAny>,
    logprobs_result: Option<IgnoredAny>,
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
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    thought: bool,
    #[serde(borrow)]
    thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    inline_data: Option<IgnoredAny>,
    file_data: Option<IgnoredAny>,
}

impl Part<'_> {
    fn is_known(&self) -> bool {
        self.thought
            || self.text.is_some()
            || self.function_call.is_some()
            || self.inline_data.is_some()
            || self.file_data.is_some()
    }
}

/// A chunk whose parts are taken as they are written.
#[derive(Deserialize)]
struct Written {
    candidates: Vec<WrittenCandidate>,
}

#[derive(Deserialize)]
struct WrittenCandidate {
    #[serde(default)]
    index: u64,
    content: Option<WrittenContent>,
}

#[derive(Deserialize)]
struct WrittenContent {
    #[serde(default)]
    parts: Vec<Box<RawValue>>,
}

impl Written {
    /// A part of the first candidate by its number.
    fn part(chunk: &[u8], number: usize) -> Result<String, Fault> {
        let lost = |error: &dyn std::fmt::Display| {
            Fault::at("parts", format_args!("expected a part: {error}"))
        };
        let chunk: Self = serde_json::from_slice(chunk).map_err(|error| lost(&error))?;
        let mut first = chunk.candidates.into_iter().filter(|one| one.index == 0);
        let content = first.find_map(|candidate| candidate.content);
        let part = content.and_then(|content| content.parts.into_iter().nth(number));
        part.map(|part| part.get().to_owned())
            .ok_or_else(|| lost(&"none"))
    }
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(default)]
    code: u16,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl DecodeStream for Decoder {
    fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected a chunk of an answer: {error}")))?;
        if let Some(error) = chunk.error {
            out.push(Delta::Error {
                status: if error.code >= 400 { error.code } else { 500 },
                kind: error.status.unwrap_or_default().into_owned(),
                message: error.message.unwrap_or_default().into_owned(),
            });
            return Ok(());
        }
        if self.calls.is_none() {
            let id = chunk.response_id.unwrap_or_default().into_owned();
            self.calls = Some(Calls::of_reply(&id, data));
            out.push(Delta::Start {
                id,
                model: chunk.model_version.unwrap_or_default().into_owned(),
            });
        }
        let usage = chunk
            .usage_metadata
            .and_then(|usage| usage.to_reported().complete());
        out.extend(usage.map(Delta::Usage));
        let is_blocked = chunk
            .prompt_feedback
            .is_some_and(|f| f.block_reason.is_some());
        if is_blocked && chunk.candidates.is_empty() {
            self.finish(StopReason::ContentFilter, out);
        }
        for candidate in chunk.candidates {
            if candidate.index == 0 {
                self.candidate(candidate, data, out)?;
            } else {
                out.push(Delta::Dropped(format!("candidates[{}]", candidate.index)));
            }
        }
        Ok(())
    }
}

impl Decoder {
    fn candidate(
        &mut self,
        candidate: Candidate<'_>,
        data: &[u8],
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        for (name, is_there) in [
            ("groundingMetadata", candidate.grounding_metadata.is_some()),
            ("citationMetadata", candidate.citation_metadata.is_some()),
            (
                "urlContextMetadata",
                candidate.url_context_metadata.is_some(),
            ),
            ("logprobsResult", candidate.logprobs_result.is_some()),
        ] {
            if is_there {
                out.push(Delta::Dropped(name.to_owned()));
            }
        }
        let parts = candidate
            .content
            .map_or_else(Vec::new, |content| content.parts);
        for (number, part) in parts.into_iter().enumerate() {
            match part.is_known() {
                true => self.part(part, out),
                false => self.native(&Written::part(data, number)?, part, out),
            }
        }
        if let Some(word) = candidate.finish_reason {
            match reply::stop_reason(&word, self.called_tool) {
                Ok(stop_reason) => self.finish(stop_reason, out),
                Err(broke_off) => {
                    out.push(broke_off.delta(candidate.finish_message.map(Cow::into_owned)));
                }
            }
        }
        Ok(())
    }

    /// A part that only this dialect knows, with its own signature, if it has one.
    fn native(&mut self, json: &str, part: Part<'_>, out: &mut Vec<Delta>) {
        let Some(kind) = native_kind(json) else {
            return self.part(part, out);
        };
        self.close(out);
        let opening = native_opening(Dialect::Gemini, &kind, json);
        out.extend([Delta::Open(opening), Delta::Close]);
    }

    fn part(&mut self, part: Part<'_>, out: &mut Vec<Delta>) {
        let signature = part.thought_signature.filter(|text| !text.is_empty());
        let signature = signature.map(|text| seal::unwrap_kind(Dialect::Gemini, text.into_owned()));
        if part.thought {
            self.piece(Open::Thinking, part.text, out);
            if let Some((sealed, _)) = signature {
                out.push(Delta::Signature(sealed));
                self.close(out);
            }
            return;
        }
        if let Some((sealed, kind)) = signature {
            if kind == Some(Kind::Reasoning) {
                self.close(out);
                out.push(Delta::Open(BlockOpening::EncryptedThinking(sealed)));
            } else {
                self.open(Open::Thinking, out);
                out.push(Delta::Signature(sealed));
                self.open = None;
            }
            self.open = None;
            out.push(Delta::Close);
        }
        match (part.text, part.function_call) {
            (Some(text), _) => self.piece(Open::Text, Some(text), out),
            (None, Some(call)) => self.call(call, out),
            (None, None) => out.push(Delta::Dropped("part".to_owned())),
        }
    }

    fn piece(&mut self, kind: Open, text: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return;
        };
        self.open(kind, out);
        let text = text.into_owned();
        out.push(match kind {
            Open::Text => Delta::Text(text),
            Open::Thinking => Delta::Thinking(text),
        });
    }

    fn call(&mut self, call: FunctionCall<'_>, out: &mut Vec<Delta>) {
        self.close(out);
        self.called_tool = true;
        let calls = self.calls.get_or_insert_default();
        let name = call.name.into_owned();
        let id = calls.call(call.id.map(Cow::into_owned), &name);
        out.push(Delta::Open(BlockOpening::ToolUse { id, name }));
        let arguments = call.args.map(RawValue::get);
        out.extend(arguments.map(|json| Delta::Arguments(json.to_owned())));
        out.push(Delta::Close);
    }

    fn finish(&mut self, stop_reason: StopReason, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.close(out);
        out.push(Delta::Finish {
            stop_reason,
            stop_sequence: None,
        });
    }

    fn open(&mut self, kind: Open, out: &mut Vec<Delta>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        self.open = Some(kind);
        out.push(Delta::Open(match kind {
            Open::Text => BlockOpening::Text,
            Open::Thinking => BlockOpening::Thinking,
        }));
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }
}
