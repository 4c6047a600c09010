//! Events of Cohere as canonical deltas.

use super::{reply, usage::UsageObject};
use crate::{fault::Fault, stream::DecodeStream};
use seaworthy_core::call::{BlockOpening, Delta};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Default)]
pub(super) struct Decoder {
    open: Option<Open>,
    ended: bool,
}

/// The block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool,
}

/// Any event; which fields are there depends on its type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    delta: Option<Piece<'a>>,
    logprobs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    usage: Option<UsageObject>,
}

/// At the start the lists of a message are empty, in the pieces they are an object each.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_plan: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

/// The one item of a piece; `None` for the lists of the start.
fn one<'a, T: Deserialize<'a>>(piece: Option<&'a RawValue>) -> Result<Option<T>, Fault> {
    let object = piece.filter(|json| json.get().starts_with('{'));
    let parsed = object.map(|json| serde_json::from_str(json.get()));
    parsed.transpose().map_err(|error| Fault::syntax(&error))
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

impl DecodeStream for Decoder {
    fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let frame: Frame<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected an event of an answer: {error}")))?;
        let lacks = |field: &str| Fault::at(field, format_args!("missing in `{}`", frame.kind));
        let piece = frame.delta;
        if frame.logprobs.is_some() {
            out.push(Delta::Dropped("logprobs".to_owned()));
        }
        match &*frame.kind {
            "message-start" => out.push(Delta::Start {
                id: frame.id.unwrap_or_default().into_owned(),
                model: String::new(),
            }),
            "content-start" | "content-delta" | "tool-plan-delta" => {
                let message = piece.and_then(|piece| piece.message);
                let message = message.ok_or_else(|| lacks("delta.message"))?;
                let content = one::<Content<'_>>(message.content)?;
                let (text, thinking) = content.map_or((None, None), |c| (c.text, c.thinking));
                self.piece(Open::Thinking, message.tool_plan.or(thinking), out);
                self.piece(Open::Text, text, out);
            }
            "tool-call-start" => {
                self.close(out);
                let call = call_of(piece)?.ok_or_else(|| lacks("delta.message.tool_calls"))?;
                let function = call.function.ok_or_else(|| lacks("function"))?;
                out.push(Delta::Open(BlockOpening::ToolUse {
                    id: call.id.ok_or_else(|| lacks("id"))?.into_owned(),
                    name: function.name.ok_or_else(|| lacks("name"))?.into_owned(),
                }));
                self.open = Some(Open::Tool);
                self.arguments(function.arguments, out);
            }
            "tool-call-delta" => {
                let call = call_of(piece)?.ok_or_else(|| lacks("delta.message.tool_calls"))?;
                self.arguments(call.function.and_then(|f| f.arguments), out);
            }
            "content-end" | "tool-call-end" => self.close(out),
            "citation-start" => out.push(Delta::Dropped("citations".to_owned())),
            "message-end" => self.end(piece.ok_or_else(|| lacks("delta"))?, out),
            // Ends of citations, and kinds of events that are yet to come.
            _ => {}
        }
        Ok(())
    }
}

fn call_of(piece: Option<Piece<'_>>) -> Result<Option<ToolCall<'_>>, Fault> {
    one(piece.and_then(|piece| piece.message?.tool_calls))
}

impl Decoder {
    fn piece(&mut self, kind: Open, text: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return;
        };
        if self.open != Some(kind) {
            self.close(out);
            self.open = Some(kind);
            out.push(Delta::Open(match kind {
                Open::Thinking => BlockOpening::Thinking,
                Open::Text | Open::Tool => BlockOpening::Text,
            }));
        }
        out.push(match kind {
            Open::Thinking => Delta::Thinking(text.into_owned()),
            Open::Text | Open::Tool => Delta::Text(text.into_owned()),
        });
    }

    fn arguments(&mut self, text: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        let text = text.filter(|text| !text.is_empty() && self.open == Some(Open::Tool));
        out.extend(text.map(|text| Delta::Arguments(text.into_owned())));
    }

    fn end(&mut self, piece: Piece<'_>, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.close(out);
        let usage = piece.usage.and_then(|usage| usage.to_reported().complete());
        out.extend(usage.map(Delta::Usage));
        let word = piece.finish_reason.unwrap_or_default();
        out.push(match reply::stop_reason(&word) {
            Ok(stop_reason) => Delta::Finish {
                stop_reason,
                stop_sequence: None,
            },
            Err(broke_off) => broke_off.delta(piece.error.map(Cow::into_owned)),
        });
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }
}
