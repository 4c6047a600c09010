//! Canonical deltas as events of Anthropic messages.

use super::{reply, usage};
use crate::{
    json::{self, Members},
    loss::{Feature, Losses},
    stream::EncodeStream,
};
use seaworthy_core::{
    call::{BlockOpening, Delta, StopReason},
    usage::Usage,
};

#[derive(Default)]
pub(super) struct Encoder {
    index: u64,
    usage: Usage,
    stop: Option<(StopReason, Option<String>)>,
}

fn event(kind: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    json::object(out, |body| {
        body.str("type", kind);
        fill(body);
    });
    out.extend_from_slice(b"\n\n");
}

impl Encoder {
    fn start(&self, id: &str, model: &str, out: &mut Vec<u8>) {
        event("message_start", out, |body| {
            body.object("message", |message| {
                message
                    .str("id", id)
                    .str("type", "message")
                    .str("role", "assistant")
                    .str("model", model)
                    .array("content", |_| {})
                    .null("stop_reason")
                    .null("stop_sequence")
                    .object("usage", |out| usage::encode(&self.usage, out));
            });
        });
    }

    fn open(&self, opening: &BlockOpening, out: &mut Vec<u8>) {
        event("content_block_start", out, |body| {
            body.num("index", self.index);
            if let BlockOpening::Native(native) = opening {
                body.raw("content_block", &native.json);
                return;
            }
            body.object("content_block", |block| match opening {
                BlockOpening::Text | BlockOpening::Refusal => {
                    block.str("type", "text").str("text", "");
                }
                BlockOpening::ToolUse { id, name } => {
                    block
                        .str("type", "tool_use")
                        .str("id", id)
                        .str("name", name);
                    block.object("input", |_| {});
                }
                BlockOpening::Thinking => {
                    block
                        .str("type", "thinking")
                        .str("thinking", "")
                        .str("signature", "");
                }
                BlockOpening::EncryptedThinking(data) => {
                    block
                        .str("type", "redacted_thinking")
                        .str("data", &reply::wrap_reasoning(data));
                }
                BlockOpening::Native(_) => {}
            });
        });
    }

    fn piece(&self, kind: &str, field: &str, text: &str, out: &mut Vec<u8>) {
        event("content_block_delta", out, |body| {
            body.num("index", self.index).object("delta", |delta| {
                delta.str("type", kind).str(field, text);
            });
        });
    }
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { id, model } => self.start(id, model, out),
            Delta::Open(opening) => self.open(opening, out),
            Delta::Text(text) => self.piece("text_delta", "text", text, out),
            Delta::Arguments(text) => self.piece("input_json_delta", "partial_json", text, out),
            Delta::Thinking(text) => self.piece("thinking_delta", "thinking", text, out),
            Delta::Signature(sealed) => {
                self.piece(
                    "signature_delta",
                    "signature",
                    &reply::wrap_signature(sealed),
                    out,
                );
            }
            Delta::Close => {
                event("content_block_stop", out, |body| {
                    body.num("index", self.index);
                });
                self.index += 1;
            }
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => self.stop = Some((*stop_reason, stop_sequence.clone())),
            Delta::Usage(usage) => self.usage = *usage,
            Delta::Ping => event("ping", out, |_| {}),
            Delta::Dropped(what) => losses.add(Feature::NativeAnswer, what),
            Delta::Error { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let Some((stop_reason, stop_sequence)) = self.stop.take() else {
            return;
        };
        event("message_delta", out, |body| {
            body.object("delta", |delta| {
                delta
                    .str("stop_reason", reply::stop_word(stop_reason))
                    .str_or_null("stop_sequence", stop_sequence.as_deref());
            });
            body.object("usage", |out| usage::encode(&self.usage, out));
        });
        event("message_stop", out, |_| {});
    }
}
