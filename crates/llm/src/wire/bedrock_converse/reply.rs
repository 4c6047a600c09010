//! A complete answer of Bedrock, from and to the canonical reply.

use super::{
    decode_content,
    encode_content::{redacted, thought},
    usage,
};
use crate::{
    fault::Fault,
    json::{self, Items, Object, Trail},
    loss::{Feature, Losses},
    seal::{self, Kind},
    wire::shared::{BrokeOff, answered_arguments},
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
    fields.skip(&["usage", "metrics", "performanceConfig", "serviceTier"]);
    let blocks = fields.required("output", "an object", |node| {
        let mut fields = node.object()?;
        fields.required("message", "an object", |node| {
            let mut fields = node.object()?;
            fields.skip(&["role"]);
            let blocks = fields.required(
                "content",
                "an array of blocks",
                decode_content::answered_blocks,
            )?;
            fields.finish();
            Ok(blocks)
        })
    })?;
    let stop_reason = fields.required("stopReason", "a string", |node| {
        stop_reason(&node.string()?).map_err(|broke_off| broke_off.fault(node))
    })?;
    Ok(Reply {
        id: String::new(),
        model: String::new(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

/// What an answer says of which nobody can make use.
const BROKE_OFF: &[(&str, u16)] = &[("malformed_model_output", 424), ("malformed_tool_use", 424)];

/// Why the model stopped; a word of the future counts as the end of a turn.
pub(super) fn stop_reason(word: &str) -> Result<StopReason, BrokeOff> {
    Ok(match word {
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "guardrail_intervened" | "content_filtered" => StopReason::ContentFilter,
        "model_context_window_exceeded" => StopReason::ContextWindowExceeded,
        _ => return BrokeOff::of(word, BROKE_OFF).map_or(Ok(StopReason::EndTurn), Err),
    })
}

/// The dialect's word.
pub(super) fn stop_word(stop_reason: StopReason) -> &'static str {
    match stop_reason {
        StopReason::EndTurn | StopReason::Paused => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal | StopReason::ContentFilter => "content_filtered",
        StopReason::ContextWindowExceeded => "model_context_window_exceeded",
    }
}

/// Usage is part of every answer of this dialect: a reply without it says zero.
pub(super) fn encode(reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::object(&mut out, |body| {
        body.object("output", |output| {
            output.object("message", |message| {
                message.str("role", "assistant").array("content", |items| {
                    for (index, block) in reply.blocks.iter().enumerate() {
                        self::block(block, index, items, losses);
                    }
                });
            });
        });
        body.str("stopReason", stop_word(reply.stop_reason))
            .object("usage", |out| {
                let usage = reply.usage.as_ref();
                usage::encode(usage.unwrap_or(&Usage::default()), out);
            });
    });
    if reply.stop_sequence.is_some() {
        losses.add(Feature::StopSequence, "stop_sequence");
    }
    losses.add_unknown(&reply.unknown_fields);
    out
}

fn block(block: &Block, index: usize, items: &mut Items<'_>, losses: &mut Losses) {
    match block {
        Block::Text(text) | Block::Refusal(text) => items.object(|block| {
            block.str("text", text);
        }),
        Block::ToolUse {
            id,
            name,
            arguments,
        } => items.object(|block| {
            block.object("toolUse", |call| {
                call.str("toolUseId", id).str("name", name);
                answered_arguments("input", arguments, call);
            });
        }),
        Block::Thinking { text, signature } => items.object(|block| {
            let signature = signature.as_ref().map(wrap_signature);
            thought(text, signature.as_deref(), block);
        }),
        Block::EncryptedThinking(sealed) => items.object(|block| {
            redacted(&wrap_reasoning(sealed), block);
        }),
        Block::CachePoint(_) => {}
        Block::Native(native) if native.dialect == Dialect::BedrockConverse => {
            items.raw(&native.json);
        }
        Block::Media(_) | Block::ToolResult { .. } | Block::Native(_) => {
            losses.add(Feature::NativeAnswer, format!("content[{index}]"));
        }
    }
}

/// A signature in the form that a caller of this dialect hands back.
pub(super) fn wrap_signature(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::BedrockConverse, Kind::Signature, sealed)
}

/// Sealed reasoning in the form that a caller of this dialect hands back.
pub(super) fn wrap_reasoning(sealed: &Sealed) -> Cow<'_, str> {
    seal::wrap(Dialect::BedrockConverse, Kind::Reasoning, sealed)
}
