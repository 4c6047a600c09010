//! Frames of Bedrock as canonical deltas.

use super::{decode_content::sealed, reply, usage::TokenUsage};
use crate::{fault::Fault, stream::DecodeStream};
use seaworthy_core::call::{BlockOpening, Delta};
use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Decoder {
    open: Option<Open>,
    /// The signature of the open block, as far as it has come.
    signature: String,
}

/// The block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool,
    /// It has no canonical form; its pieces are left out until it closes.
    Unknown,
}

/// The payload of any event; which fields are there depends on its name.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    start: Option<BlockStart<'a>>,
    #[serde(borrow)]
    delta: Option<Piece<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    usage: Option<TokenUsage<'a>>,
    trace: Option<IgnoredAny>,
    additional_model_response_fields: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUseStart<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart<'a> {
    #[serde(borrow)]
    tool_use_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_use: Option<ToolUsePiece<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<ReasoningPiece<'a>>,
    citation: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ToolUsePiece<'a> {
    #[serde(borrow)]
    input: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningPiece<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    redacted_content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl DecodeStream for Decoder {
    fn event(&mut self, name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        if super::is_failure(name) {
            out.push(failure(name, data));
            return Ok(());
        }
        let payload: Payload<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected an event of an answer: {error}")))?;
        for (name, is_there) in [
            ("trace", payload.trace.is_some()),
            (
                "additionalModelResponseFields",
                payload.additional_model_response_fields.is_some(),
            ),
        ] {
            if is_there {
                out.push(Delta::Dropped(name.to_owned()));
            }
        }
        match name {
            b"messageStart" => out.push(Delta::Start {
                id: String::new(),
                model: String::new(),
            }),
            b"contentBlockStart" => self.start(payload.start, out),
            b"contentBlockDelta" => {
                let piece = payload.delta;
                self.piece(piece.ok_or_else(|| Fault::at("delta", "missing"))?, out);
            }
            b"contentBlockStop" => self.close(out),
            b"messageStop" => {
                self.close(out);
                let word = payload.stop_reason.unwrap_or_default();
                out.push(match reply::stop_reason(&word) {
                    Ok(stop_reason) => Delta::Finish {
                        stop_reason,
                        stop_sequence: None,
                    },
                    Err(broke_off) => broke_off.delta(None),
                });
            }
            b"metadata" => {
                let usage = payload
                    .usage
                    .and_then(|usage| usage.to_reported().complete());
                out.extend(usage.map(Delta::Usage));
            }
            // Kinds of events that are yet to come.
            _ => {}
        }
        Ok(())
    }
}

impl Decoder {
    /// Only calls have to begin; everything else begins with its first piece.
    fn start(&mut self, start: Option<BlockStart<'_>>, out: &mut Vec<Delta>) {
        self.close(out);
        let Some(start) = start else { return };
        match start.tool_use {
            Some(call) if call.kind.is_none() => {
                self.open = Some(Open::Tool);
                out.push(Delta::Open(BlockOpening::ToolUse {
                    id: call.tool_use_id.into_owned(),
                    name: call.name.into_owned(),
                }));
            }
            _ => {
                self.open = Some(Open::Unknown);
                out.push(Delta::Dropped("content".to_owned()));
            }
        }
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<Delta>) {
        if self.open == Some(Open::Unknown) {
            return;
        }
        if piece.citation.is_some() {
            out.push(Delta::Dropped("citation".to_owned()));
        }
        if let Some(text) = piece.text.filter(|text| !text.is_empty()) {
            self.open(Open::Text, out);
            out.push(Delta::Text(text.into_owned()));
        }
        if let Some(call) = piece.tool_use
            && self.open == Some(Open::Tool)
            && !call.input.is_empty()
        {
            out.push(Delta::Arguments(call.input.into_owned()));
        }
        let Some(reasoning) = piece.reasoning_content else {
            return;
        };
        if let Some(data) = reasoning.redacted_content {
            self.close(out);
            let data = sealed(data.into_owned());
            out.push(Delta::Open(BlockOpening::EncryptedThinking(data)));
            out.push(Delta::Close);
        }
        if let Some(text) = reasoning.text.filter(|text| !text.is_empty()) {
            self.open(Open::Thinking, out);
            out.push(Delta::Thinking(text.into_owned()));
        }
        if let Some(signature) = reasoning.signature.filter(|text| !text.is_empty()) {
            self.open(Open::Thinking, out);
            self.signature += &signature;
        }
    }

    fn open(&mut self, kind: Open, out: &mut Vec<Delta>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        self.open = Some(kind);
        out.push(Delta::Open(match kind {
            Open::Thinking => BlockOpening::Thinking,
            Open::Text | Open::Tool | Open::Unknown => BlockOpening::Text,
        }));
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if !self.signature.is_empty() {
            let signature = std::mem::take(&mut self.signature);
            out.push(Delta::Signature(sealed(signature)));
        }
        match self.open.take() {
            None | Some(Open::Unknown) => {}
            Some(Open::Text | Open::Thinking | Open::Tool) => out.push(Delta::Close),
        }
    }
}

/// The payload of an exception is JSON; that of an error is its sentence.
fn failure(name: &[u8], data: &[u8]) -> Delta {
    let kind = String::from_utf8_lossy(name).into_owned();
    let message = match serde_json::from_slice::<Failure<'_>>(data) {
        Ok(failure) => failure.message.into_owned(),
        Err(_) => String::from_utf8_lossy(data).into_owned(),
    };
    Delta::Error {
        status: super::status_of(&kind),
        kind,
        message,
    }
}
