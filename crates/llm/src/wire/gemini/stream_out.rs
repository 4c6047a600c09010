//! Canonical deltas as chunks of Gemini, as server-sent events or as the items of an array.

use super::{
    reply::{self, Signature},
    usage,
};
use crate::{
    framing::Framing,
    json::{self, Items, Members},
    loss::{Feature, Losses},
    seal::Kind,
    stream::EncodeStream,
};
use seaworthy_core::{
    call::{BlockOpening, Delta, StopReason},
    usage::Usage,
};

pub(super) struct Encoder {
    framing: Framing,
    /// Whether a chunk has been written.
    begun: bool,
    id: String,
    model: String,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    /// The call that is open; it is told whole.
    call: Option<Call>,
    signature: Signature,
}

struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Encoder {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            begun: false,
            id: String::new(),
            model: String::new(),
            usage: None,
            stop: None,
            call: None,
            signature: Signature::default(),
        }
    }

    fn chunk(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
        let is_first = !std::mem::replace(&mut self.begun, true);
        match (self.framing, is_first) {
            (Framing::JsonArray, true) => out.push(b'['),
            (Framing::JsonArray, false) => out.extend_from_slice(b",\r\n"),
            _ => out.extend_from_slice(b"data: "),
        }
        let start = out.len();
        json::object(out, |body| {
            fill(body);
            body.str("modelVersion", &self.model)
                .str("responseId", &self.id);
        });
        if self.framing != Framing::JsonArray {
            // Arguments stand as the model laid them out, and a line end would end the event.
            for byte in &mut out[start..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    fn parts(&mut self, out: &mut Vec<u8>, parts: impl FnOnce(&mut Signature, &mut Items<'_>)) {
        let mut signature = std::mem::take(&mut self.signature);
        self.chunk(out, |body| {
            body.array("candidates", |candidates| {
                candidates.object(|candidate| {
                    reply::content(candidate, |items| parts(&mut signature, items));
                    candidate.num("index", 0);
                });
            });
        });
        self.signature = signature;
    }

    /// A signature that other reasoning follows stands alone.
    fn flush_signature(&mut self, out: &mut Vec<u8>) {
        if self.signature.0.is_some() {
            self.parts(out, Signature::flush);
        }
    }

    fn open(&mut self, opening: &BlockOpening, out: &mut Vec<u8>) {
        match opening {
            BlockOpening::Text | BlockOpening::Refusal => {}
            BlockOpening::ToolUse { id, name } => {
                self.call = Some(Call {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                });
            }
            BlockOpening::Thinking => self.flush_signature(out),
            BlockOpening::EncryptedThinking(sealed) => {
                self.flush_signature(out);
                self.signature = Signature(Some(reply::wrap(Kind::Reasoning, sealed)));
            }
            BlockOpening::Native(native) => {
                self.flush_signature(out);
                self.parts(out, |_, parts| parts.raw(&native.json));
            }
        }
    }
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            Delta::Open(opening) => self.open(opening, out),
            Delta::Text(text) => self.parts(out, |signature, parts| {
                reply::text_part(text, signature, parts);
            }),
            Delta::Thinking(text) => self.parts(out, |_, parts| reply::thought_part(text, parts)),
            Delta::Arguments(text) => {
                if let Some(call) = &mut self.call {
                    call.arguments.push_str(text);
                }
            }
            Delta::Signature(sealed) => {
                self.signature = Signature(Some(reply::wrap(Kind::Signature, sealed)));
            }
            Delta::Close => {
                if let Some(call) = self.call.take() {
                    self.parts(out, |signature, parts| {
                        let call = (&*call.id, &*call.name, &*call.arguments);
                        reply::call_part(call, signature, parts);
                    });
                }
            }
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => {
                if stop_sequence.is_some() {
                    losses.add(Feature::StopSequence, "stop_sequence");
                }
                self.stop = Some(*stop_reason);
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Dropped(what) => losses.add(Feature::NativeAnswer, what),
            Delta::Ping | Delta::Error { .. } => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(stop_reason) = self.stop.take() else {
            return;
        };
        let mut signature = std::mem::take(&mut self.signature);
        let usage = self.usage;
        self.chunk(out, |body| {
            body.array("candidates", |candidates| {
                candidates.object(|candidate| {
                    reply::content(candidate, |parts| {
                        reply::text_part("", &mut signature, parts)
                    });
                    candidate
                        .str("finishReason", reply::finish_reason(stop_reason))
                        .num("index", 0);
                });
            });
            if let Some(usage) = &usage {
                body.object("usageMetadata", |out| usage::encode(usage, out));
            }
        });
        if self.framing == Framing::JsonArray {
            out.push(b']');
        }
    }
}
