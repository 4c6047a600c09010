//! A complete response, from and to the canonical reply.

use super::{decode_item, usage};
use crate::{
    fault::Fault,
    json::{self, Items, Members, Node, Object, Trail},
    loss::{Feature, Losses},
    seal::{self, Kind},
    wire::shared::BrokeOff,
};
use seaworthy_core::{
    call::{Block, Reply, Sealed, StopReason},
    dialect::Dialect,
    usage::Usage,
};
use std::borrow::Cow;

pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let trail = Trail::default();
    let mut reply = {
        let mut fields = trail.root(body)?.object()?;
        read(&mut fields)?
    };
    reply.usage = usage::of_reply(body).and_then(|reported| reported.complete());
    reply.unknown_fields = trail.into_unknown();
    Ok(reply)
}

/// How an answer stands of which nobody can make use.
const BROKE_OFF: &[(&str, u16)] = &[("failed", 500), ("cancelled", 500)];

/// Most of the fields repeat the request, so only the answer itself is looked at.
fn read(fields: &mut Object<'_>) -> Result<Reply, Fault> {
    let status = fields.optional("status", |node| node.string())?;
    if let Some(broke_off) = status.as_deref().and_then(|s| BrokeOff::of(s, BROKE_OFF)) {
        let message = fields.optional("error", |node| node.object()?.text("message"))?;
        return Err(Fault {
            broke_off: Some(broke_off.word),
            ..Fault::at("status", message.unwrap_or_default())
        });
    }
    let reason = fields.optional("incomplete_details", |node| {
        node.object()?.optional("reason", |node| node.string())
    })?;
    // Incomplete for a reason that is not told is not complete.
    let untold = (status.as_deref() == Some(INCOMPLETE)).then(String::new);
    let reason = reason.flatten().or(untold);
    let blocks = fields.required("output", "an array of items", |node| node.each(item))?;
    let blocks: Vec<Block> = blocks.into_iter().flatten().collect();
    Ok(Reply {
        id: fields.text("id")?,
        model: fields.text("model")?,
        stop_reason: stop_reason(reason.as_deref(), Said::of(&blocks)),
        blocks,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

fn item(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    let blocks = if kind == "message" {
        fields.skip(&["id", "status", "role"]);
        decode_item::phase(&mut fields)?;
        fields.required("content", "an array of parts", decode_item::content)?
    } else {
        match decode_item::said_by_model(&kind, &mut fields)? {
            // Thoughts that are neither told nor sealed say nothing.
            Some(Block::Thinking {
                text,
                signature: None,
            }) if text.is_empty() => Vec::new(),
            Some(block) => vec![block],
            None => return Ok(vec![Block::Native(decode_item::native(kind, node))]),
        }
    };
    fields.finish();
    Ok(blocks)
}

/// What an answer holds, as far as it tells why the model stopped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub calls_tool: bool,
    pub declines: bool,
}

impl Said {
    fn of(blocks: &[Block]) -> Self {
        Self {
            calls_tool: blocks.iter().any(|b| matches!(b, Block::ToolUse { .. })),
            declines: blocks.iter().any(|b| matches!(b, Block::Refusal(_))),
        }
    }
}

/// Why the model stopped: the API says so only if something went short.
pub(super) fn stop_reason(incomplete_reason: Option<&str>, said: Said) -> StopReason {
    match incomplete_reason {
        Some("content_filter") => StopReason::ContentFilter,
        Some(_) => StopReason::MaxTokens,
        None if said.calls_tool => StopReason::ToolUse,
        None if said.declines => StopReason::Refusal,
        None => StopReason::EndTurn,
    }
}

/// Why the answer is incomplete, in the dialect's words; `declined` tells that the refusal itself is
/// part of the answer.
pub(super) fn incomplete_reason(stop_reason: StopReason, declined: bool) -> Option<&'static str> {
    match stop_reason {
        StopReason::MaxTokens | StopReason::ContextWindowExceeded => Some("max_output_tokens"),
        StopReason::Refusal if declined => None,
        StopReason::Refusal | StopReason::ContentFilter => Some("content_filter"),
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Paused => None,
    }
}

pub(super) fn encode(reply: &Reply, created_unix_s: i64, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let declined = Said::of(&reply.blocks).declines;
    let incomplete_reason = incomplete_reason(reply.stop_reason, declined);
    let frame = Frame {
        id: &reply.id,
        model: &reply.model,
        created_unix_s,
        ended: Some(incomplete_reason),
        usage: reply.usage.as_ref(),
    };
    json::object(&mut out, |body| {
        frame.write(body, |items| {
            output(reply, last_status(incomplete_reason), items, losses);
        });
    });
    if reply.stop_sequence.is_some() {
        losses.add(Feature::StopSequence, "stop_sequence");
    }
    losses.add_unknown(&reply.unknown_fields);
    out
}

/// A response without what was said.
pub(super) struct Frame<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub created_unix_s: i64,
    /// `None`: in progress. Otherwise why it is incomplete, if it is.
    pub ended: Option<Option<&'a str>>,
    pub usage: Option<&'a Usage>,
}

impl Frame<'_> {
    /// Clients expect the settings of the request in the answer; the ones here are what the API
    /// has by default, as the canonical reply does not know the request.
    pub(super) fn write(&self, body: &mut Members<'_>, output: impl FnOnce(&mut Items<'_>)) {
        let status = match self.ended {
            None => "in_progress",
            Some(None) => "completed",
            Some(Some(_)) => "incomplete",
        };
        body.str("id", self.id)
            .str("object", "response")
            .int("created_at", self.created_unix_s)
            .str("status", status)
            .bool("background", false)
            .null("error");
        match self.ended.flatten() {
            None => body.null("incomplete_details"),
            Some(reason) => body.object("incomplete_details", |details| {
                details.str("reason", reason);
            }),
        };
        body.null("instructions")
            .null("max_output_tokens")
            .null("max_tool_calls")
            .object("metadata", |_| {})
            .str("model", self.model)
            .array("output", output)
            .bool("parallel_tool_calls", true)
            .null("previous_response_id")
            .object("reasoning", |reasoning| {
                reasoning.null("effort").null("summary");
            })
            .str("service_tier", "default")
            .bool("store", false)
            .num("temperature", 1)
            .object("text", |text| {
                text.object("format", |format| {
                    format.str("type", "text");
                });
            })
            .str("tool_choice", "auto")
            .array("tools", |_| {})
            .num("top_p", 1)
            .str("truncation", "disabled");
        match self.usage {
            Some(usage) => body.object("usage", |out| usage::encode(usage, out)),
            None => body.null("usage"),
        };
    }
}

/// The items; `end` is how the last one stands.
fn output(reply: &Reply, end: &str, items: &mut Items<'_>, losses: &mut Losses) {
    let last = reply.blocks.len().saturating_sub(1);
    let mut position = 0;
    let mut next_id = |prefix: &str| {
        position += 1;
        item_id(prefix, &reply.id, position - 1)
    };
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (index, block) in reply.blocks.iter().enumerate() {
        let part = match block {
            Block::Text(text) => Some(Part::Text(text)),
            Block::Refusal(text) => Some(Part::Refusal(text)),
            _ => None,
        };
        if let Some(part) = part {
            parts.push(part);
            continue;
        }
        if !parts.is_empty() {
            items.object(|item| message(&next_id("msg"), COMPLETED, &parts, item));
            parts.clear();
        }
        let status = if index == last { end } else { COMPLETED };
        match block {
            Block::ToolUse {
                id,
                name,
                arguments,
            } => items.object(|item| {
                function_call(&next_id("fc"), status, (id, name, arguments), item);
            }),
            Block::Thinking { text, signature } => items.object(|item| {
                let signature = signature.as_ref().map(wrap_signature);
                reasoning(&next_id("rs"), status, (text, signature.as_deref()), item);
            }),
            Block::EncryptedThinking(sealed) => items.object(|item| {
                reasoning(
                    &next_id("rs"),
                    status,
                    ("", Some(&wrap_reasoning(sealed))),
                    item,
                );
            }),
            Block::Native(native) if native.dialect == Dialect::OpenAiResponses => {
                items.raw(&native.json);
            }
            Block::CachePoint(_) => {}
            _ => losses.add(Feature::NativeAnswer, format!("content[{index}]")),
        }
    }
    if !parts.is_empty() {
        items.object(|item| message(&next_id("msg"), end, &parts, item));
    }
}

pub(super) const COMPLETED: &str = "completed";
const INCOMPLETE: &str = "incomplete";

/// How the last item of an answer stands; those before it are complete.
pub(super) fn last_status(incomplete_reason: Option<&str>) -> &'static str {
    match incomplete_reason {
        None => COMPLETED,
        Some(_) => INCOMPLETE,
    }
}

/// An ID that is the answer's own, with a prefix that tells what it names.
pub(super) fn item_id(prefix: &str, reply_id: &str, index: usize) -> String {
    let bare = reply_id.strip_prefix("resp_").unwrap_or(reply_id);
    format!("{prefix}_{bare}_{index}")
}

/// A signature in the form that a caller of this dialect hands back.
pub(super) fn wrap_signature(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::OpenAiResponses, Kind::Signature, sealed)
}

/// Sealed reasoning in the form that a caller of this dialect hands back.
pub(super) fn wrap_reasoning(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::OpenAiResponses, Kind::Reasoning, sealed)
}

/// A part of a message.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Refusal(&'a str),
}

impl Part<'_> {
    pub(super) fn write(self, out: &mut Members<'_>) {
        match self {
            Self::Text(text) => {
                out.str("type", "output_text")
                    .str("text", text)
                    .array("annotations", |_| {})
                    .array("logprobs", |_| {});
            }
            Self::Refusal(text) => {
                out.str("type", "refusal").str("refusal", text);
            }
        }
    }
}

pub(super) fn message(id: &str, status: &str, parts: &[Part<'_>], item: &mut Members<'_>) {
    item.str("id", id)
        .str("type", "message")
        .str("status", status)
        .str("role", "assistant")
        .array("content", |items| {
            for part in parts {
                items.object(|out| part.write(out));
            }
        });
}

/// A call as its ID, its name and its arguments.
pub(super) fn function_call(
    id: &str,
    status: &str,
    (call_id, name, arguments): (&str, &str, &str),
    item: &mut Members<'_>,
) {
    // Callers parse the arguments of a complete call, and nothing is not JSON.
    let is_complete = status == COMPLETED && arguments.is_empty();
    item.str("id", id)
        .str("type", "function_call")
        .str("status", status)
        .str("call_id", call_id)
        .str("name", name)
        .str("arguments", if is_complete { "{}" } else { arguments });
}

/// Reasoning as its text and what seals it; it names its status only where it was cut.
pub(super) fn reasoning(
    id: &str,
    status: &str,
    (text, encrypted): (&str, Option<&str>),
    item: &mut Members<'_>,
) {
    item.str("id", id).str("type", "reasoning");
    if status == INCOMPLETE {
        item.str("status", status);
    }
    item.array("summary", |parts| {
        if !text.is_empty() {
            parts.object(|part| {
                part.str("type", "summary_text").str("text", text);
            });
        }
    });
    if let Some(encrypted) = encrypted {
        item.str("encrypted_content", encrypted);
    }
}
