//! Events of Anthropic messages as canonical deltas.

use super::{reply, usage::UsageObject};
use crate::{error::status_of_kind, fault::Fault, seal, stream::DecodeStream, usage::Reported};
use seaworthy_core::{
    call::{BlockOpening, Delta, Sealed, StopReason},
    dialect::Dialect,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

mod native;

use native::NativeBlock;

#[derive(Default)]
pub(super) struct Decoder {
    reported: Reported,
    /// The signature of the open block, as far as it has come.
    signature: String,
    /// The open block, if only this dialect knows it: it is told once it is complete.
    native: Option<NativeBlock>,
    finished: bool,
}

/// Any event; which fields are there depends on its type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<OpeningBlock<'a>>,
    #[serde(borrow)]
    delta: Option<Piece<'a>>,
    usage: Option<UsageObject>,
    #[serde(borrow)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    usage: Option<UsageObject>,
}

#[derive(Deserialize)]
struct OpeningBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// The `delta` of a block or of the message.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_sequence: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl DecodeStream for Decoder {
    fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        let frame: Frame<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected an event of a message: {error}")))?;
        match &*frame.kind {
            "message_start" => {
                let message = frame
                    .message
                    .ok_or_else(|| lacks("message_start", "message"))?;
                self.usage(message.usage.as_ref(), out);
                out.push(Delta::Start {
                    id: message.id.into_owned(),
                    model: message.model.into_owned(),
                });
            }
            "content_block_start" => {
                let block = frame.content_block;
                let block = block.ok_or_else(|| lacks("content_block_start", "content_block"))?;
                self.open(block, data, out)?;
            }
            "content_block_delta" => {
                let piece = frame.delta;
                let piece = piece.ok_or_else(|| lacks("content_block_delta", "delta"))?;
                match &mut self.native {
                    Some(block) => block.push(&piece, data)?,
                    None => self.piece(piece, out),
                }
            }
            "content_block_stop" => {
                if let Some(block) = self.native.take() {
                    block.finish(out);
                    return Ok(());
                }
                if !self.signature.is_empty() {
                    out.push(Delta::Signature(sealed(std::mem::take(
                        &mut self.signature,
                    ))));
                }
                out.push(Delta::Close);
            }
            "message_delta" => {
                self.usage(frame.usage.as_ref(), out);
                let stop = frame.delta.ok_or_else(|| lacks("message_delta", "delta"))?;
                if let Some(word) = stop.stop_reason {
                    self.finished = true;
                    out.push(Delta::Finish {
                        stop_reason: reply::stop_reason(&word),
                        stop_sequence: stop.stop_sequence.map(Cow::into_owned),
                    });
                }
            }
            "error" => {
                let error = frame.error.ok_or_else(|| lacks("error", "error"))?;
                let kind = error.kind.unwrap_or_default().into_owned();
                out.push(Delta::Error {
                    status: status_of_kind(&kind),
                    kind,
                    message: error.message.unwrap_or_default().into_owned(),
                });
            }
            "ping" => out.push(Delta::Ping),
            // The proper end, even from servers that never say why the model stopped.
            "message_stop" if !self.finished => out.push(Delta::Finish {
                stop_reason: StopReason::EndTurn,
                stop_sequence: None,
            }),
            // The API promises that new kinds of events may come.
            _ => {}
        }
        Ok(())
    }
}

impl Decoder {
    fn usage(&mut self, usage: Option<&UsageObject>, out: &mut Vec<Delta>) {
        let Some(usage) = usage else { return };
        self.reported = self.reported.updated_by(usage.to_reported());
        out.extend(self.reported.complete().map(Delta::Usage));
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<Delta>) {
        let owned = |field: Option<Cow<'_, str>>| field.unwrap_or_default().into_owned();
        out.push(match piece.kind.as_deref().unwrap_or_default() {
            "text_delta" => Delta::Text(owned(piece.text)),
            "input_json_delta" => Delta::Arguments(owned(piece.partial_json)),
            "thinking_delta" => Delta::Thinking(owned(piece.thinking)),
            "signature_delta" => {
                self.signature += &piece.signature.unwrap_or_default();
                return;
            }
            other => Delta::Dropped(other.to_owned()),
        });
    }

    fn open(
        &mut self,
        block: OpeningBlock<'_>,
        data: &[u8],
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        let text = |field: Option<Cow<'_, str>>| field.unwrap_or_default().into_owned();
        match &*block.kind {
            "text" => {
                out.push(Delta::Open(BlockOpening::Text));
                out.extend(
                    block
                        .text
                        .filter(|text| !text.is_empty())
                        .map(|t| Delta::Text(t.into())),
                );
            }
            "thinking" => {
                out.push(Delta::Open(BlockOpening::Thinking));
                let thinking = Some(text(block.thinking)).filter(|text| !text.is_empty());
                out.extend(thinking.map(Delta::Thinking));
                self.signature = text(block.signature);
            }
            "redacted_thinking" => {
                let data = sealed(text(block.data));
                out.push(Delta::Open(BlockOpening::EncryptedThinking(data)));
            }
            "tool_use" => {
                let lacks = |field| lacks("content_block_start of tool_use", field);
                out.push(Delta::Open(BlockOpening::ToolUse {
                    id: block.id.ok_or_else(|| lacks("id"))?.into_owned(),
                    name: block.name.ok_or_else(|| lacks("name"))?.into_owned(),
                }));
                // Some servers send all arguments at once instead of in pieces.
                let whole = block.input.map(RawValue::get);
                let whole = whole.filter(|json| json.len() > "{ }".len());
                out.extend(whole.map(|json| Delta::Arguments(json.to_owned())));
            }
            other => self.native = Some(NativeBlock::new(other, data)?),
        }
        Ok(())
    }
}

fn sealed(text: String) -> Sealed {
    seal::unwrap(Dialect::AnthropicMessages, text)
}

fn lacks(event: &str, field: &str) -> Fault {
    Fault::at(field, format_args!("missing in `{event}`"))
}
