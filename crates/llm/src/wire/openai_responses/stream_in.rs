//! Events of a response as canonical deltas.

use super::{
    decode_item::{self, PARAGRAPH},
    reply::{self, Said},
    usage::UsageObject,
};
use crate::{
    error::status_of_kind, fault::Fault, stream::DecodeStream, wire::shared::native_opening,
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
    said: Said,
    finished: bool,
}

/// The block that is open, by the item it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Open {
    item: u64,
    part: u64,
    kind: Kind,
    /// Whether any piece of it has come.
    has_pieces: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Tool,
    Thinking,
}

/// Any event; which fields are there depends on its type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    logprobs: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    encrypted_content: Option<Cow<'a, str>>,
}

/// An event with an item as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    usage: Option<UsageObject>,
    #[serde(borrow)]
    error: Option<ErrorObject<'a>>,
    #[serde(borrow)]
    incomplete_details: Option<IncompleteDetails<'a>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct IncompleteDetails<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

impl DecodeStream for Decoder {
    fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let frame: Frame<'_> = serde_json::from_slice(data)
            .map_err(|error| Fault::whole(format!("expected an event of a response: {error}")))?;
        let (item, part) = (frame.output_index, frame.content_index);
        match &*frame.kind {
            "response.created" => {
                let response = frame
                    .response
                    .ok_or_else(|| lacks(&frame.kind, "response"))?;
                out.push(Delta::Start {
                    id: response.id.unwrap_or_default().into_owned(),
                    model: response.model.unwrap_or_default().into_owned(),
                });
            }
            "response.output_item.added" => {
                let added = frame.item.ok_or_else(|| lacks(&frame.kind, "item"))?;
                self.begin(item, added, out)?;
            }
            "response.output_text.delta" => {
                if frame.logprobs.is_some_and(|logprobs| !logprobs.is_empty()) {
                    out.push(Delta::Dropped("logprobs".to_owned()));
                }
                self.piece(item, part, Kind::Text, frame.delta, out)?;
            }
            "response.output_text.annotation.added" => {
                out.push(Delta::Dropped("annotations".to_owned()));
            }
            "response.refusal.delta" => {
                self.said.declines = true;
                self.piece(item, part, Kind::Refusal, frame.delta, out)?;
            }
            "response.function_call_arguments.delta" => {
                self.piece(item, 0, Kind::Tool, frame.delta, out)?;
            }
            // Some servers send all arguments at once instead of in pieces.
            "response.function_call_arguments.done" => {
                let is_new = matches!(self.open, Some(open) if !open.has_pieces);
                let whole = frame.arguments.filter(|_| is_new);
                self.piece(item, 0, Kind::Tool, whole, out)?;
            }
            "response.reasoning_summary_text.delta" => {
                self.thought(item, frame.summary_index, frame.delta, out)?;
            }
            "response.reasoning_text.delta" => self.thought(item, part, frame.delta, out)?,
            "response.content_part.done" => {
                if matches!(
                    self.open,
                    Some(Open {
                        kind: Kind::Text | Kind::Refusal,
                        ..
                    })
                ) {
                    self.close(out);
                }
            }
            "response.output_item.done" => self.complete(frame.item, data, out)?,
            "response.completed" | "response.incomplete" => {
                let response = frame
                    .response
                    .ok_or_else(|| lacks(&frame.kind, "response"))?;
                let is_complete = frame.kind == "response.completed";
                self.finish(response, is_complete, out);
            }
            "response.failed" => {
                let error = frame.response.and_then(|response| response.error);
                let (code, message) =
                    error.map_or((None, None), |error| (error.code, error.message));
                out.push(failure(code, message));
            }
            "error" => out.push(failure(frame.code, frame.message)),
            // The beginnings and ends of parts, and kinds of events that are yet to come.
            _ => {}
        }
        Ok(())
    }
}

impl Decoder {
    fn begin(&mut self, item: u64, added: Item<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        match &*added.kind {
            // They open with their first piece.
            "message" | "reasoning" => self.close(out),
            "function_call" => {
                self.said.calls_tool = true;
                let lacks = |field| lacks("response.output_item.added", field);
                let opening = BlockOpening::ToolUse {
                    id: added.call_id.ok_or_else(|| lacks("item.call_id"))?.into(),
                    name: added.name.ok_or_else(|| lacks("item.name"))?.into(),
                };
                self.open(item, 0, Kind::Tool, opening, out);
            }
            // What only this dialect knows is told whole, once it is complete.
            _ => {}
        }
        Ok(())
    }

    fn piece(
        &mut self,
        item: u64,
        part: u64,
        kind: Kind,
        text: Option<Cow<'_, str>>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(());
        };
        let goes_on = matches!(
            self.open,
            Some(open) if (open.item, open.part, open.kind) == (item, part, kind)
        );
        if !goes_on {
            let opening = match kind {
                Kind::Text => BlockOpening::Text,
                Kind::Refusal => BlockOpening::Refusal,
                Kind::Thinking => BlockOpening::Thinking,
                Kind::Tool => {
                    return Err(Fault::whole(format!(
                        "expected the pieces of one call after another, found a piece of item \
                         {item} which is not open"
                    )));
                }
            };
            self.open(item, part, kind, opening, out);
        }
        if let Some(open) = &mut self.open {
            open.has_pieces = true;
        }
        let text = text.into_owned();
        out.push(match kind {
            Kind::Text | Kind::Refusal => Delta::Text(text),
            Kind::Tool => Delta::Arguments(text),
            Kind::Thinking => Delta::Thinking(text),
        });
        Ok(())
    }

    /// All parts of one item of reasoning are one block.
    fn thought(
        &mut self,
        item: u64,
        part: u64,
        text: Option<Cow<'_, str>>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        if let Some(open) = &mut self.open
            && (open.item, open.kind) == (item, Kind::Thinking)
            && open.part != part
        {
            open.part = part;
            out.push(Delta::Thinking(PARAGRAPH.to_owned()));
        }
        self.piece(item, part, Kind::Thinking, text, out)
    }

    fn complete(
        &mut self,
        item: Option<Item<'_>>,
        data: &[u8],
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        let is_known = |kind: &str| matches!(kind, "message" | "reasoning" | "function_call");
        if let Some(item) = item.as_ref().filter(|item| !is_known(&item.kind)) {
            self.close(out);
            let written: Written<'_> = serde_json::from_slice(data)
                .map_err(|error| Fault::at("item", format_args!("expected an item: {error}")))?;
            let json = written.item.get();
            let opening = native_opening(Dialect::OpenAiResponses, &item.kind, json);
            out.extend([Delta::Open(opening), Delta::Close]);
            return Ok(());
        }
        let reasoning = item.filter(|item| item.kind == "reasoning");
        let encrypted = reasoning.and_then(|item| item.encrypted_content);
        if let Some(text) = encrypted.filter(|text| !text.is_empty()) {
            let (sealed, is_whole) = decode_item::sealed(text.into_owned());
            if matches!(
                self.open,
                Some(Open {
                    kind: Kind::Thinking,
                    ..
                })
            ) {
                out.push(Delta::Signature(sealed));
            } else if !is_whole {
                self.close(out);
                out.push(Delta::Open(BlockOpening::Thinking));
                out.push(Delta::Signature(sealed));
                out.push(Delta::Close);
            } else {
                self.close(out);
                out.push(Delta::Open(BlockOpening::EncryptedThinking(sealed)));
                out.push(Delta::Close);
            }
        }
        self.close(out);
        Ok(())
    }

    fn finish(&mut self, response: Response<'_>, is_complete: bool, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.close(out);
        let usage = response
            .usage
            .and_then(|usage| usage.to_reported().complete());
        out.extend(usage.map(Delta::Usage));
        let details = response.incomplete_details;
        let reason = details.and_then(|details| details.reason);
        // Incomplete for a reason that is not told is not complete.
        let reason = reason.or((!is_complete).then_some(Cow::Borrowed("")));
        out.push(Delta::Finish {
            stop_reason: reply::stop_reason(reason.as_deref(), self.said),
            stop_sequence: None,
        });
    }

    fn open(
        &mut self,
        item: u64,
        part: u64,
        kind: Kind,
        opening: BlockOpening,
        out: &mut Vec<Delta>,
    ) {
        self.close(out);
        self.open = Some(Open {
            item,
            part,
            kind,
            has_pieces: false,
        });
        out.push(Delta::Open(opening));
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }
}

fn failure(code: Option<Cow<'_, str>>, message: Option<Cow<'_, str>>) -> Delta {
    let kind = code.unwrap_or_default().into_owned();
    Delta::Error {
        status: status_of_kind(&kind),
        kind,
        message: message.unwrap_or_default().into_owned(),
    }
}

fn lacks(event: &str, field: &str) -> Fault {
    Fault::at(field, format_args!("missing in `{event}`"))
}
