//! Canonical deltas as chat completion chunks.

use super::{
    reply,
    stream_tools::{CUSTOM, LEGACY},
    usage,
};
use crate::{
    json::{self, Members, Scan},
    loss::{Feature, Losses},
    stream::{EncodeStream, StreamSettings},
};
use seaworthy_core::{
    call::{BlockOpening, Delta, Native},
    usage::Usage,
};

pub(super) struct Encoder {
    settings: StreamSettings,
    id: String,
    model: String,
    usage: Option<Usage>,
    open: Open,
    tool_calls: u64,
    declined: bool,
    /// Whether there was a call of the time before tools.
    is_legacy: bool,
}

/// The block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Plain,
    Refusal,
    /// A tool call, and whether any argument has been sent.
    Tool {
        has_arguments: bool,
    },
    /// The call of a custom tool.
    Custom,
    /// A call of the time before tools.
    Legacy,
}

impl Encoder {
    pub(super) fn new(settings: StreamSettings) -> Self {
        Self {
            settings,
            id: String::new(),
            model: String::new(),
            usage: None,
            open: Open::Plain,
            tool_calls: 0,
            declined: false,
            is_legacy: false,
        }
    }

    fn chunk(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
        out.extend_from_slice(b"data: ");
        json::object(out, |body| {
            body.str("id", &self.id)
                .str("object", "chat.completion.chunk")
                .int("created", self.settings.created_unix_s)
                .str("model", &self.model);
            fill(body);
        });
        out.extend_from_slice(b"\n\n");
    }

    fn choice(
        &self,
        out: &mut Vec<u8>,
        finish_reason: Option<&str>,
        delta: impl FnOnce(&mut Members<'_>),
    ) {
        self.chunk(out, |body| {
            body.array("choices", |choices| {
                choices.object(|choice| {
                    choice
                        .num("index", 0)
                        .object("delta", delta)
                        .null("logprobs")
                        .str_or_null("finish_reason", finish_reason);
                });
            });
            if self.settings.include_usage {
                body.null("usage");
            }
        });
    }

    fn tool_call(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
        self.choice(out, None, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.num("index", self.tool_calls.saturating_sub(1));
                    fill(call);
                });
            });
        });
    }

    fn arguments(&self, text: &str, out: &mut Vec<u8>) {
        match self.open {
            Open::Custom => self.tool_call(out, |call| {
                call.object(CUSTOM, |custom| {
                    custom.str("input", text);
                });
            }),
            Open::Legacy => self.choice(out, None, |delta| {
                delta.object(LEGACY, |call| {
                    call.str("arguments", text);
                });
            }),
            Open::Plain | Open::Refusal | Open::Tool { .. } => self.tool_call(out, |call| {
                call.object("function", |function| {
                    function.str("arguments", text);
                });
            }),
        }
    }

    /// A call as this dialect alone has it.
    fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        if native.kind == LEGACY {
            (self.open, self.is_legacy) = (Open::Legacy, true);
            return self.choice(out, None, |delta| {
                delta.raw(LEGACY, &native.json);
            });
        }
        self.open = Open::Custom;
        self.tool_calls += 1;
        self.tool_call(out, |call| {
            for (key, value) in Scan::new(native.json.as_bytes()) {
                call.raw(&String::from_utf8_lossy(key), value);
            }
        });
    }

    fn open(&mut self, opening: &BlockOpening, out: &mut Vec<u8>, losses: &mut Losses) {
        self.open = Open::Plain;
        match opening {
            BlockOpening::Text | BlockOpening::Thinking => {}
            BlockOpening::Refusal => {
                self.open = Open::Refusal;
                self.declined = true;
            }
            BlockOpening::ToolUse { id, name } => {
                self.open = Open::Tool {
                    has_arguments: false,
                };
                self.tool_calls += 1;
                self.tool_call(out, |call| {
                    call.str("id", id)
                        .str("type", "function")
                        .object("function", |function| {
                            function.str("name", name).str("arguments", "");
                        });
                });
            }
            BlockOpening::EncryptedThinking(_) => losses.add(Feature::NativeAnswer, "content"),
            BlockOpening::Native(native) => self.native(native, out),
        }
    }
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.choice(out, None, |delta| {
                    delta
                        .str("role", "assistant")
                        .str("content", "")
                        .null("refusal");
                });
            }
            Delta::Open(opening) => self.open(opening, out, losses),
            Delta::Text(text) => {
                let field = if self.open == Open::Refusal {
                    "refusal"
                } else {
                    "content"
                };
                self.choice(out, None, |delta| {
                    delta.str(field, text);
                });
            }
            Delta::Thinking(text) => self.choice(out, None, |delta| {
                delta.str("reasoning_content", text);
            }),
            Delta::Arguments(text) => {
                if let Open::Tool { has_arguments } = &mut self.open {
                    *has_arguments = true;
                }
                self.arguments(text, out);
            }
            Delta::Close => {
                let empty = Open::Tool {
                    has_arguments: false,
                };
                if self.open == empty {
                    // Callers parse the joined arguments, and nothing is not JSON.
                    self.arguments("{}", out);
                }
                self.open = Open::Plain;
            }
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => {
                if stop_sequence.is_some() {
                    losses.add(Feature::StopSequence, "stop_sequence");
                }
                let reason = reply::finish_reason(*stop_reason, self.declined, self.is_legacy);
                self.choice(out, Some(reason), |_| {});
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Signature(_) => losses.add(Feature::Signature, "content"),
            Delta::Dropped(what) => losses.add(Feature::NativeAnswer, what),
            Delta::Ping | Delta::Error { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.settings.include_usage) {
            self.chunk(out, |body| {
                body.array("choices", |_| {})
                    .object("usage", |out| usage::encode(&usage, out));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
