//! Canonical deltas as events of Cohere.

use super::{reply, usage};
use crate::{
    error::sse_event,
    json::Members,
    loss::{Feature, Losses},
    stream::EncodeStream,
};
use seaworthy_core::{
    call::{BlockOpening, Delta},
    usage::Usage,
};

#[derive(Default)]
pub(super) struct Encoder {
    /// How many parts of the content have been written, and how many calls.
    parts: u64,
    calls: u64,
    open: Open,
    finish_reason: Option<&'static str>,
    usage: Option<Usage>,
}

/// The block that is open.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Content,
    /// A tool call, and whether any argument has been sent.
    Call {
        has_arguments: bool,
    },
}

fn event(kind: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    sse_event(kind, out, |body| {
        body.str("type", kind);
        fill(body);
    });
}

/// An event with a piece of the message at an index.
fn piece(kind: &str, index: u64, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    event(kind, out, |body| {
        body.num("index", index).object("delta", |delta| {
            delta.object("message", fill);
        });
    });
}

impl Encoder {
    fn open(&mut self, opening: &BlockOpening, out: &mut Vec<u8>, losses: &mut Losses) {
        let kind = match opening {
            BlockOpening::Text | BlockOpening::Refusal => "text",
            BlockOpening::Thinking => "thinking",
            BlockOpening::ToolUse { id, name } => {
                self.open = Open::Call {
                    has_arguments: false,
                };
                piece("tool-call-start", self.calls, out, |message| {
                    message.object("tool_calls", |call| {
                        call.str("id", id)
                            .str("type", "function")
                            .object("function", |function| {
                                function.str("name", name).str("arguments", "");
                            });
                    });
                });
                return;
            }
            BlockOpening::EncryptedThinking(_) | BlockOpening::Native(_) => {
                return losses.add(Feature::NativeAnswer, "content");
            }
        };
        self.open = Open::Content;
        piece("content-start", self.parts, out, |message| {
            message.object("content", |content| {
                content.str("type", kind).str(kind, "");
            });
        });
    }

    fn content(&self, field: &str, text: &str, out: &mut Vec<u8>) {
        piece("content-delta", self.parts, out, |message| {
            message.object("content", |content| {
                content.str(field, text);
            });
        });
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open = Open::Call {
            has_arguments: true,
        };
        piece("tool-call-delta", self.calls, out, |message| {
            message.object("tool_calls", |call| {
                call.object("function", |function| {
                    function.str("arguments", text);
                });
            });
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::None => {}
            Open::Content => {
                event("content-end", out, |body| {
                    body.num("index", self.parts);
                });
                self.parts += 1;
            }
            Open::Call { has_arguments } => {
                if !has_arguments {
                    // Callers parse the joined arguments, and nothing is not JSON.
                    self.arguments("{}", out);
                }
                event("tool-call-end", out, |body| {
                    body.num("index", self.calls);
                });
                self.calls += 1;
            }
        }
        self.open = Open::None;
    }
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { id, .. } => event("message-start", out, |body| {
                body.str("id", id).object("delta", |delta| {
                    delta.object("message", |message| {
                        message
                            .str("role", "assistant")
                            .array("content", |_| {})
                            .str("tool_plan", "")
                            .array("tool_calls", |_| {})
                            .array("citations", |_| {});
                    });
                });
            }),
            Delta::Open(opening) => self.open(opening, out, losses),
            Delta::Text(text) => self.content("text", text, out),
            Delta::Thinking(text) => self.content("thinking", text, out),
            Delta::Arguments(text) => self.arguments(text, out),
            Delta::Close => self.close(out),
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => {
                if stop_sequence.is_some() {
                    losses.add(Feature::StopSequence, "stop_sequence");
                }
                self.finish_reason = Some(reply::finish_reason(*stop_reason));
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Signature(_) => losses.add(Feature::Signature, "content"),
            Delta::Dropped(what) => losses.add(Feature::NativeAnswer, what),
            Delta::Ping | Delta::Error { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(finish_reason) = self.finish_reason.take() else {
            return;
        };
        event("message-end", out, |body| {
            body.object("delta", |delta| {
                delta.str("finish_reason", finish_reason);
                if let Some(usage) = &self.usage {
                    delta.object("usage", |out| usage::encode(usage, out));
                }
            });
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
