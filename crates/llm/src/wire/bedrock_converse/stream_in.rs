//! Frames of Bedrock as canonical deltas.

use super::{decode_content::sealed, reply, usage::TokenUsage};
use crate::{
    fault::Fault,
    json::{self, Scan},
    stream::DecodeStream,
    wire::shared::native_opening,
};
use seaworthy_core::{
    call::{BlockOpening, Delta},
    dialect::Dialect,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Decoder {
    open: Option<Open>,
    /// The signature of the open block, as far as it has come.
    signature: String,
    /// What the tool whose result is open returned, as far as it has come.
    result: Option<ToolResult>,
}

/// What a tool returned that the provider runs.
struct ToolResult {
    /// Its members but the content, as JSON.
    start: String,
    /// The content, as JSON.
    content: Vec<String>,
    bytes: usize,
}

/// How much of such a result is kept until it is complete.
const MOST_BYTES: usize = 4 << 20;

/// The block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// A call, also one of a tool that the provider runs.
    Tool,
    Result,
    /// It has no canonical form; its pieces are left out until it closes.
    Unknown,
}

/// The payload of any event; which fields are there depends on its name.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    start: Option<&'a RawValue>,
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
    #[serde(borrow)]
    tool_result: Option<&'a RawValue>,
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
    tool_result: Option<Vec<&'a RawValue>>,
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
            b"contentBlockStart" => self.start(payload.start, out)?,
            b"contentBlockDelta" => {
                let piece = payload.delta;
                self.piece(piece.ok_or_else(|| Fault::at("delta", "missing"))?, out)?;
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
    fn start(&mut self, json: Option<&RawValue>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.close(out);
        let Some(json) = json.map(RawValue::get) else {
            return Ok(());
        };
        let start: BlockStart<'_> = serde_json::from_str(json).map_err(|error| {
            Fault::at(
                "start",
                format_args!("expected how a block begins: {error}"),
            )
        })?;
        let native = |json| native_opening(Dialect::BedrockConverse, "toolUse", json);
        self.open = Some(Open::Tool);
        match (start.tool_use, start.tool_result) {
            (Some(call), _) if call.kind.is_none() => {
                out.push(Delta::Open(BlockOpening::ToolUse {
                    id: call.tool_use_id.into_owned(),
                    name: call.name.into_owned(),
                }));
            }
            (Some(_), _) => out.push(Delta::Open(native(json))),
            (None, Some(result)) => {
                self.open = Some(Open::Result);
                self.result = Some(ToolResult {
                    start: result.get().to_owned(),
                    content: Vec::new(),
                    bytes: 0,
                });
            }
            (None, None) => {
                self.open = Some(Open::Unknown);
                out.push(Delta::Dropped("content".to_owned()));
            }
        }
        Ok(())
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        if self.open == Some(Open::Unknown) {
            return Ok(());
        }
        if let Some(result) = &mut self.result {
            for item in piece.tool_result.unwrap_or_default() {
                result.bytes += item.get().len();
                result.content.push(item.get().to_owned());
            }
            return match result.bytes <= MOST_BYTES {
                true => Ok(()),
                false => Err(Fault::whole("expected less of what one tool returned")),
            };
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
            return Ok(());
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
        Ok(())
    }

    fn open(&mut self, kind: Open, out: &mut Vec<Delta>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        self.open = Some(kind);
        out.push(Delta::Open(match kind {
            Open::Thinking => BlockOpening::Thinking,
            Open::Text | Open::Tool | Open::Result | Open::Unknown => BlockOpening::Text,
        }));
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if !self.signature.is_empty() {
            let signature = std::mem::take(&mut self.signature);
            out.push(Delta::Signature(sealed(signature)));
        }
        match self.open.take() {
            None | Some(Open::Unknown) => {}
            Some(Open::Result) => {
                let opening = self.result.take().map(ToolResult::opening);
                out.extend(opening.map(Delta::Open));
                out.push(Delta::Close);
            }
            Some(Open::Text | Open::Thinking | Open::Tool) => out.push(Delta::Close),
        }
    }
}

impl ToolResult {
    /// The whole of it, as an answer that is no stream has it.
    fn opening(self) -> BlockOpening {
        let mut written = Vec::new();
        json::object(&mut written, |block| {
            block.object("toolResult", |result| {
                for (key, value) in Scan::new(self.start.as_bytes()) {
                    result.raw(&String::from_utf8_lossy(key), value);
                }
                result.array("content", |items| {
                    for item in &self.content {
                        items.raw(item);
                    }
                });
            });
        });
        let written = String::from_utf8_lossy(&written);
        native_opening(Dialect::BedrockConverse, "toolResult", &written)
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
