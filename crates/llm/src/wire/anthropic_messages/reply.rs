//! A complete message, from and to the canonical reply.

use super::{decode_content, usage};
use crate::{
    fault::Fault,
    json::{self, Items, Object, Trail},
    loss::{Feature, Losses},
    seal::{self, Kind},
    wire::shared::answered_arguments,
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
        let reply = read(&mut fields)?;
        fields.finish();
        reply
    };
    reply.usage = usage::of_reply(body).and_then(|reported| reported.complete());
    reply.unknown_fields = trail.into_unknown();
    Ok(reply)
}

fn read(fields: &mut Object<'_>) -> Result<Reply, Fault> {
    fields.skip(&["type", "role", "usage"]);
    let stop_word = fields.optional("stop_reason", |node| node.string())?;
    Ok(Reply {
        id: fields.text("id")?,
        model: fields.text("model")?,
        blocks: fields.required("content", "an array of blocks", decode_content::blocks)?,
        stop_reason: stop_word.map_or(StopReason::EndTurn, |word| stop_reason(&word)),
        stop_sequence: fields.optional("stop_sequence", |node| node.string())?,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

/// Why the model stopped; a word of the future counts as the end of a turn.
pub(super) fn stop_reason(word: &str) -> StopReason {
    match word {
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "pause_turn" => StopReason::Paused,
        "refusal" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextWindowExceeded,
        _ => StopReason::EndTurn,
    }
}

/// The dialect's word.
pub(super) fn stop_word(stop_reason: StopReason) -> &'static str {
    match stop_reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Paused => "pause_turn",
        StopReason::Refusal | StopReason::ContentFilter => "refusal",
        StopReason::ContextWindowExceeded => "model_context_window_exceeded",
    }
}

/// Usage is part of every message of this dialect: a reply without it says zero.
pub(super) fn encode(reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::object(&mut out, |body| {
        body.str("id", &reply.id)
            .str("type", "message")
            .str("role", "assistant")
            .str("model", &reply.model)
            .array("content", |items| {
                for (index, block) in reply.blocks.iter().enumerate() {
                    self::block(block, index, items, losses);
                }
            })
            .str("stop_reason", stop_word(reply.stop_reason))
            .str_or_null("stop_sequence", reply.stop_sequence.as_deref())
            .object("usage", |out| {
                let usage = reply.usage.as_ref();
                usage::encode(usage.unwrap_or(&Usage::default()), out);
            });
    });
    losses.add_unknown(&reply.unknown_fields);
    out
}

fn block(block: &Block, index: usize, items: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::Text(text) | Block::Refusal(text) => items.object(|block| {
            block.str("type", "text").str("text", text);
        }),
        Block::ToolUse {
            id,
            name,
            arguments,
        } => items.object(|block| {
            block
                .str("type", "tool_use")
                .str("id", id)
                .str("name", name);
            answered_arguments("input", arguments, block);
        }),
        Block::Thinking { text, signature } => items.object(|block| {
            let signature = signature.as_ref().map(wrap_signature).unwrap_or_default();
            block
                .str("type", "thinking")
                .str("thinking", text)
                .str("signature", &signature);
        }),
        Block::EncryptedThinking(sealed) => items.object(|block| {
            block
                .str("type", "redacted_thinking")
                .str("data", &wrap_reasoning(sealed));
        }),
        Block::CachePoint(_) => {}
        Block::Native(native) if native.dialect == Dialect::AnthropicMessages => {
            items.raw(&native.json);
        }
        Block::Media(_) | Block::ToolResult { .. } | Block::Native(_) => {
            losses.add(Feature::NativeAnswer, format!("content[{index}]"));
        }
    }
}

/// A signature in the form that a caller of this dialect hands back.
pub(super) fn wrap_signature(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::AnthropicMessages, Kind::Signature, sealed)
}

/// Sealed reasoning in the form that a caller of this dialect hands back.
pub(super) fn wrap_reasoning(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::AnthropicMessages, Kind::Reasoning, sealed)
}
