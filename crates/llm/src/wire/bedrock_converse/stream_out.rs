//! Canonical deltas as frames of Bedrock.

use super::{reply, usage};
use crate::{
    event_stream::{self, Kind},
    json::{self, Members, Scan},
    loss::{Feature, Losses},
    stream::EncodeStream,
};
use seaworthy_core::{
    call::{BlockOpening, Delta},
    usage::Usage,
};

#[derive(Default)]
pub(super) struct Encoder {
    index: u64,
    usage: Usage,
    is_finished: bool,
}

fn event(name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    let mut payload = Vec::new();
    json::object(&mut payload, fill);
    event_stream::write(Kind::Event, name, &payload, out);
}

impl Encoder {
    fn open(&self, opening: &BlockOpening, out: &mut Vec<u8>) {
        match opening {
            BlockOpening::Text | BlockOpening::Refusal | BlockOpening::Thinking => {}
            BlockOpening::ToolUse { id, name } => event("contentBlockStart", out, |body| {
                body.object("start", |start| {
                    start.object("toolUse", |call| {
                        call.str("toolUseId", id).str("name", name);
                    });
                })
                .num("contentBlockIndex", self.index);
            }),
            BlockOpening::EncryptedThinking(sealed) => {
                let data = reply::wrap_reasoning(sealed);
                self.reasoning("redactedContent", &data, out);
            }
            BlockOpening::Native(native) => self.native(&native.json, out),
        }
    }

    /// A call of a tool that the provider runs, whose arguments follow, or what such a tool returned.
    fn native(&self, json: &str, out: &mut Vec<u8>) {
        let result = Scan::new(json.as_bytes()).member("toolResult");
        event("contentBlockStart", out, |body| {
            match result {
                None => body.raw("start", json),
                Some(result) => body.object("start", |start| {
                    start.object("toolResult", |start| {
                        for (key, value) in Scan::new(result).filter(|(key, _)| key != b"content") {
                            start.raw(&String::from_utf8_lossy(key), value);
                        }
                    });
                }),
            }
            .num("contentBlockIndex", self.index);
        });
        if let Some(content) = result.and_then(|result| Scan::new(result).member("content")) {
            self.piece(out, |delta| {
                delta.raw("toolResult", content);
            });
        }
    }

    fn piece(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
        event("contentBlockDelta", out, |body| {
            body.object("delta", fill)
                .num("contentBlockIndex", self.index);
        });
    }

    fn reasoning(&self, field: &str, text: &str, out: &mut Vec<u8>) {
        self.piece(out, |delta| {
            delta.object("reasoningContent", |out| {
                out.str(field, text);
            });
        });
    }
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { .. } => event("messageStart", out, |body| {
                body.str("role", "assistant");
            }),
            Delta::Open(opening) => self.open(opening, out),
            Delta::Text(text) => self.piece(out, |delta| {
                delta.str("text", text);
            }),
            Delta::Arguments(text) => self.piece(out, |delta| {
                delta.object("toolUse", |call| {
                    call.str("input", text);
                });
            }),
            Delta::Thinking(text) => self.reasoning("text", text, out),
            Delta::Signature(sealed) => {
                self.reasoning("signature", &reply::wrap_signature(sealed), out);
            }
            Delta::Close => {
                event("contentBlockStop", out, |body| {
                    body.num("contentBlockIndex", self.index);
                });
                self.index += 1;
            }
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => {
                if stop_sequence.is_some() {
                    losses.add(Feature::StopSequence, "stop_sequence");
                }
                self.is_finished = true;
                event("messageStop", out, |body| {
                    body.str("stopReason", reply::stop_word(*stop_reason));
                });
            }
            Delta::Usage(usage) => self.usage = *usage,
            Delta::Dropped(what) => losses.add(Feature::NativeAnswer, what),
            Delta::Ping | Delta::Error { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_finished) {
            event("metadata", out, |body| {
                body.object("usage", |out| usage::encode(&self.usage, out));
            });
        }
    }
}
