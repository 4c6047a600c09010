//! Canonical deltas as events of a response, in the order that clients rely on.

mod native;

use super::reply::{self, COMPLETED, Frame, Part};
use crate::{
    error,
    json::{self, Members},
    loss::{Feature, Losses},
    stream::{EncodeStream, StreamSettings},
};
use seaworthy_core::{
    call::{BlockOpening, Delta, StopReason},
    usage::Usage,
};

const IN_PROGRESS: &str = "in_progress";

pub(super) struct Encoder {
    created_unix_s: i64,
    id: String,
    model: String,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    /// Items that are complete, as JSON: the last event repeats them all.
    items: Vec<Vec<u8>>,
    item: Item,
    declined: bool,
    sequence_number: u64,
}

/// The item that is being written.
enum Item {
    None,
    /// Texts and refusals side by side, and whether the last one is still open.
    Message(Vec<(PartKind, String)>),
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
    Reasoning {
        text: String,
        encrypted: Option<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PartKind {
    Text,
    Refusal,
}

impl PartKind {
    fn part(self, text: &str) -> Part<'_> {
        match self {
            Self::Text => Part::Text(text),
            Self::Refusal => Part::Refusal(text),
        }
    }
}

impl Encoder {
    pub(super) fn new(settings: StreamSettings) -> Self {
        Self {
            created_unix_s: settings.created_unix_s,
            id: String::new(),
            model: String::new(),
            usage: None,
            stop: None,
            items: Vec::new(),
            item: Item::None,
            declined: false,
            sequence_number: 0,
        }
    }

    fn event(&mut self, kind: &str, out: &mut Vec<u8>, fill: impl FnOnce(&Self, &mut Members<'_>)) {
        error::sse_event(kind, out, |body| {
            body.str("type", kind)
                .num("sequence_number", self.sequence_number);
            fill(self, body);
        });
        self.sequence_number += 1;
    }

    /// An event about the whole response.
    fn response(&mut self, kind: &str, ended: Option<Option<&str>>, out: &mut Vec<u8>) {
        self.event(kind, out, |this, body| {
            let frame = Frame {
                id: &this.id,
                model: &this.model,
                created_unix_s: this.created_unix_s,
                ended,
                usage: this.usage.as_ref().filter(|_| ended.is_some()),
            };
            body.object("response", |response| {
                frame.write(response, |items| {
                    for item in &this.items {
                        items.raw(item);
                    }
                });
            });
        });
    }

    /// An event about the item that is being written.
    fn about_item(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&Self, &mut Members<'_>),
    ) {
        self.event(kind, out, |this, body| {
            body.num("output_index", this.items.len() as u64)
                .str("item_id", &this.item_id());
            fill(this, body);
        });
    }

    /// An event about the last part of a message.
    fn about_part(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&Self, &mut Members<'_>),
    ) {
        self.about_item(kind, out, |this, body| {
            body.num("content_index", this.part_index());
            fill(this, body);
        });
    }

    fn item_id(&self) -> String {
        let prefix = match &self.item {
            Item::None | Item::Message(_) => "msg",
            Item::Call { .. } => "fc",
            Item::Reasoning { .. } => "rs",
        };
        reply::item_id(prefix, &self.id, self.items.len())
    }

    fn part_index(&self) -> u64 {
        match &self.item {
            Item::Message(parts) => (parts.len() as u64).saturating_sub(1),
            _ => 0,
        }
    }

    fn item_json(&self, status: &str) -> Vec<u8> {
        let id = self.item_id();
        let mut json = Vec::new();
        json::object(&mut json, |item| match &self.item {
            Item::None => {}
            Item::Message(parts) => {
                let parts: Vec<Part<'_>> =
                    parts.iter().map(|(kind, text)| kind.part(text)).collect();
                reply::message(&id, status, &parts, item);
            }
            Item::Call {
                call_id,
                name,
                arguments,
            } => reply::function_call(&id, status, (call_id, name, arguments), item),
            Item::Reasoning { text, encrypted } => {
                reply::reasoning(&id, status, (text, encrypted.as_deref()), item);
            }
        });
        json
    }

    fn begin(&mut self, item: Item, out: &mut Vec<u8>) {
        self.complete_item(COMPLETED, out);
        self.item = item;
        self.event("response.output_item.added", out, |this, body| {
            body.num("output_index", this.items.len() as u64)
                .raw("item", this.item_json(IN_PROGRESS));
        });
    }

    /// Ends the item that is being written. Only what follows tells whether it is complete, so this
    /// waits for the next item or the end.
    fn complete_item(&mut self, status: &str, out: &mut Vec<u8>) {
        match &self.item {
            Item::None => return,
            Item::Call { .. } => self.complete_arguments(status, out),
            Item::Message(_) | Item::Reasoning { .. } => {}
        }
        let json = self.item_json(status);
        self.event("response.output_item.done", out, |this, body| {
            body.num("output_index", this.items.len() as u64)
                .raw("item", &json);
        });
        self.items.push(json);
        self.item = Item::None;
    }

    fn open(&mut self, opening: &BlockOpening, out: &mut Vec<u8>) {
        match opening {
            BlockOpening::Text => self.open_part(PartKind::Text, out),
            BlockOpening::Refusal => {
                self.declined = true;
                self.open_part(PartKind::Refusal, out);
            }
            BlockOpening::ToolUse { id, name } => self.begin(
                Item::Call {
                    call_id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                },
                out,
            ),
            BlockOpening::Thinking => self.begin(
                Item::Reasoning {
                    text: String::new(),
                    encrypted: None,
                },
                out,
            ),
            BlockOpening::EncryptedThinking(sealed) => {
                let item = Item::Reasoning {
                    text: String::new(),
                    encrypted: Some(reply::wrap_reasoning(sealed).into_owned()),
                };
                self.begin(item, out);
            }
            BlockOpening::Native(native) => {
                self.complete_item(COMPLETED, out);
                self.native(native, out);
            }
        }
    }

    fn open_part(&mut self, kind: PartKind, out: &mut Vec<u8>) {
        if !matches!(self.item, Item::Message(_)) {
            self.begin(Item::Message(Vec::new()), out);
        }
        if let Item::Message(parts) = &mut self.item {
            parts.push((kind, String::new()));
        }
        self.about_part("response.content_part.added", out, |_, body| {
            body.object("part", |part| kind.part("").write(part));
        });
    }

    fn text(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Item::Message(parts) = &mut self.item else {
            return;
        };
        let Some((kind, text)) = parts.last_mut() else {
            return;
        };
        text.push_str(piece);
        match kind {
            PartKind::Text => self.about_part("response.output_text.delta", out, |_, body| {
                body.str("delta", piece).array("logprobs", |_| {});
            }),
            PartKind::Refusal => self.about_part("response.refusal.delta", out, |_, body| {
                body.str("delta", piece);
            }),
        }
    }

    fn arguments(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Item::Call { arguments, .. } = &mut self.item else {
            return;
        };
        arguments.push_str(piece);
        self.about_item("response.function_call_arguments.delta", out, |_, body| {
            body.str("delta", piece);
        });
    }

    fn complete_arguments(&mut self, status: &str, out: &mut Vec<u8>) {
        if status == COMPLETED
            && matches!(&self.item, Item::Call { arguments, .. } if arguments.is_empty())
        {
            // Callers parse the joined arguments, and nothing is not JSON.
            self.arguments("{}", out);
        }
        self.about_item(
            "response.function_call_arguments.done",
            out,
            |this, body| {
                if let Item::Call {
                    name, arguments, ..
                } = &this.item
                {
                    body.str("name", name).str("arguments", arguments);
                }
            },
        );
    }

    fn thinking(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Item::Reasoning { text, .. } = &mut self.item else {
            return;
        };
        let is_first = text.is_empty();
        text.push_str(piece);
        if is_first {
            self.about_item("response.reasoning_summary_part.added", out, |_, body| {
                summary_part("", body);
            });
        }
        self.about_item("response.reasoning_summary_text.delta", out, |_, body| {
            body.num("summary_index", 0).str("delta", piece);
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match &self.item {
            Item::None | Item::Call { .. } => {}
            Item::Message(parts) => {
                let Some((kind, text)) = parts.last().cloned() else {
                    return;
                };
                let (event, field) = match kind {
                    PartKind::Text => ("response.output_text.done", "text"),
                    PartKind::Refusal => ("response.refusal.done", "refusal"),
                };
                self.about_part(event, out, |_, body| {
                    body.str(field, &text);
                    if kind == PartKind::Text {
                        body.array("logprobs", |_| {});
                    }
                });
                self.about_part("response.content_part.done", out, |_, body| {
                    body.object("part", |part| kind.part(&text).write(part));
                });
            }
            Item::Reasoning { text, .. } => {
                if !text.is_empty() {
                    let text = text.clone();
                    self.about_item("response.reasoning_summary_text.done", out, |_, body| {
                        body.num("summary_index", 0).str("text", &text);
                    });
                    self.about_item("response.reasoning_summary_part.done", out, |_, body| {
                        summary_part(&text, body);
                    });
                }
            }
        }
    }
}

fn summary_part(text: &str, body: &mut Members<'_>) {
    body.num("summary_index", 0).object("part", |part| {
        part.str("type", "summary_text").str("text", text);
    });
}

impl EncodeStream for Encoder {
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        match delta {
            Delta::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.response("response.created", None, out);
                self.response("response.in_progress", None, out);
            }
            Delta::Open(opening) => self.open(opening, out),
            Delta::Text(text) => self.text(text, out),
            Delta::Arguments(text) => self.arguments(text, out),
            Delta::Thinking(text) => self.thinking(text, out),
            Delta::Signature(sealed) => {
                if let Item::Reasoning { encrypted, .. } = &mut self.item {
                    *encrypted = Some(reply::wrap_signature(sealed).into_owned());
                }
            }
            Delta::Close => self.close(out),
            Delta::Finish {
                stop_reason,
                stop_sequence,
            } => {
                if stop_sequence.is_some() {
                    losses.add(Feature::StopSequence, "stop_sequence");
                }
                self.stop = Some(*stop_reason);
                let reason = reply::incomplete_reason(*stop_reason, self.declined);
                self.complete_item(reply::last_status(reason), out);
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
        let reason = reply::incomplete_reason(stop_reason, self.declined);
        let kind = match reason {
            None => "response.completed",
            Some(_) => "response.incomplete",
        };
        self.response(kind, Some(reason), out);
    }

    fn sequence_number(&self) -> u64 {
        self.sequence_number
    }
}
