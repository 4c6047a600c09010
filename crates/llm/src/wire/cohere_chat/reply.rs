//! A complete answer of Cohere, from and to the canonical reply. It does not name the model.

use super::{decode_message, usage};
use crate::{
    fault::Fault,
    json::{self, Members, Object, Trail},
    loss::{Feature, Losses},
    wire::{openai_chat, shared::BrokeOff},
};
use seaworthy_core::call::{Block, Reply, StopReason};

pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let trail = Trail::default();
    let mut reply = {
        let mut fields = trail.root(body)?.object()?;
        let reply = read(&mut fields)?;
        fields.finish();
        reply
    };
    reply.usage = usage::of_reply(body).and_then(|reported| reported.complete());
    reply.unknown_fields = trail.into_unknown();
    Ok(reply)
}

fn read(fields: &mut Object<'_>) -> Result<Reply, Fault> {
    fields.skip(&["usage"]);
    let blocks = fields.required("message", "an object", |node| {
        let mut fields = node.object()?;
        fields.skip(&["role"]);
        let blocks = decode_message::said_by_model(&mut fields)?;
        fields.finish();
        Ok(blocks)
    })?;
    let stop_reason = fields.required("finish_reason", "a string", |node| {
        stop_reason(&node.string()?).map_err(|broke_off| broke_off.fault(node))
    })?;
    Ok(Reply {
        id: fields
            .optional("id", |node| node.string())?
            .unwrap_or_default(),
        model: String::new(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

/// What an answer says that broke off.
const BROKE_OFF: &[(&str, u16)] = &[("ERROR", 500), ("TIMEOUT", 504), ("USER_CANCEL", 500)];

/// Why the model stopped; a word of the future counts as the end of a turn.
pub(super) fn stop_reason(word: &str) -> Result<StopReason, BrokeOff> {
    match word {
        "STOP_SEQUENCE" => Ok(StopReason::StopSequence),
        "MAX_TOKENS" => Ok(StopReason::MaxTokens),
        "ERROR_LIMIT" => Ok(StopReason::ContextWindowExceeded),
        "TOOL_CALL" => Ok(StopReason::ToolUse),
        "ERROR_TOXIC" => Ok(StopReason::ContentFilter),
        _ => BrokeOff::of(word, BROKE_OFF).map_or(Ok(StopReason::EndTurn), Err),
    }
}

/// The dialect's word.
pub(super) fn finish_reason(stop_reason: StopReason) -> &'static str {
    match stop_reason {
        StopReason::EndTurn | StopReason::Paused => "COMPLETE",
        StopReason::StopSequence => "STOP_SEQUENCE",
        StopReason::MaxTokens | StopReason::ContextWindowExceeded => "MAX_TOKENS",
        StopReason::ToolUse => "TOOL_CALL",
        // The word of the dialect's first version (`FinishReason` in the official SDK). The second has
        // none (`ChatFinishReason`), but takes any; an answer that was cut must not look complete.
        StopReason::Refusal | StopReason::ContentFilter => "ERROR_TOXIC",
    }
}

pub(super) fn encode(reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::object(&mut out, |body| {
        body.str("id", &reply.id)
            .str("finish_reason", finish_reason(reply.stop_reason))
            .object("message", |message| {
                message.str("role", "assistant");
                said(reply, message, losses);
            });
        if let Some(usage) = &reply.usage {
            body.object("usage", |out| usage::encode(usage, out));
        }
    });
    if reply.stop_sequence.is_some() {
        losses.add(Feature::StopSequence, "stop_sequence");
    }
    losses.add_unknown(&reply.unknown_fields);
    out
}

fn said(reply: &Reply, message: &mut Members<'_>, losses: &mut Losses) {
    let mut content = Vec::new();
    let mut calls = Vec::new();
    json::array(&mut content, |items| {
        for (index, block) in reply.blocks.iter().enumerate() {
            let path = || format!("content[{index}]");
            match block {
                Block::Text(text) | Block::Refusal(text) => items.object(|part| {
                    part.str("type", "text").str("text", text);
                }),
                Block::Thinking { text, signature } => {
                    if signature.is_some() {
                        losses.add(Feature::Signature, path());
                    }
                    if !text.is_empty() {
                        items.object(|part| {
                            part.str("type", "thinking").str("thinking", text);
                        });
                    }
                }
                Block::ToolUse {
                    id,
                    name,
                    arguments,
                } => calls.push((id, name, arguments)),
                Block::CachePoint(_) => {}
                Block::EncryptedThinking(_)
                | Block::Media(_)
                | Block::ToolResult { .. }
                | Block::Native(_) => losses.add(Feature::NativeAnswer, path()),
            }
        }
    });
    if content != b"[]" {
        message.raw("content", &content);
    }
    if !calls.is_empty() {
        message.array("tool_calls", |items| {
            for (id, name, arguments) in calls {
                items.object(|call| openai_chat::function_call(id, name, arguments, call));
            }
        });
    }
}
