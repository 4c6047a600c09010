//! A complete chat completion, from and to the canonical reply.

use super::{
    decode_content,
    encode_content::{Call, write_calls},
    stream_tools::{LEGACY, made_up_id},
    usage,
};
use crate::{
    fault::Fault,
    json::{self, Members, Node, Object, Trail},
    loss::{Feature, Losses},
    wire::shared::BrokeOff,
};
use seaworthy_core::{
    call::{Block, Reply, StopReason},
    dialect::Dialect,
};

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
    fields.skip(&[
        "object",
        "created",
        "usage",
        "system_fingerprint",
        "service_tier",
    ]);
    let mut choices = fields.required("choices", "an array of one choice", |node| {
        let choices = node.each(choice)?;
        if choices.len() == 1 {
            return Ok(choices);
        }
        Err(node.fault(format_args!("expected one choice, found {}", choices.len())))
    })?;
    let (mut blocks, stop_reason) = choices.pop().unwrap_or((Vec::new(), StopReason::EndTurn));
    let id = fields.optional("id", |node| node.string())?;
    let id = id.unwrap_or_default();
    for (number, block) in blocks.iter_mut().enumerate() {
        if let Block::ToolUse { id: own, .. } = block
            && own.is_empty()
        {
            *own = made_up_id(&id, number);
        }
    }
    Ok(Reply {
        id,
        model: fields
            .optional("model", |node| node.string())?
            .unwrap_or_default(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

fn choice(node: Node<'_>) -> Result<(Vec<Block>, StopReason), Fault> {
    let mut fields = node.object()?;
    fields.skip(&["index"]);
    let blocks = fields.required("message", "an object", |node| {
        let mut fields = node.object()?;
        fields.skip(&["role"]);
        let blocks = decode_content::answered_blocks(&mut fields)?;
        fields.finish();
        Ok(blocks)
    })?;
    let calls_tool = blocks
        .iter()
        .any(|block| matches!(block, Block::ToolUse { .. } | Block::Native(_)));
    let declines = blocks
        .iter()
        .any(|block| matches!(block, Block::Refusal(_)));
    let told = fields.optional("finish_reason", |node| {
        let told = stop_reason(Some(&node.string()?), calls_tool, declines);
        told.map_err(|broke_off| broke_off.fault(node))
    })?;
    fields.finish();
    let untold = || stop_reason(None, calls_tool, declines).unwrap_or(StopReason::EndTurn);
    Ok((blocks, told.unwrap_or_else(untold)))
}

/// What servers say of an answer of which nobody can make use.
const BROKE_OFF: &[(&str, u16)] = &[
    ("error", 500),
    ("abort", 500),
    ("insufficient_system_resource", 503),
];

/// Why the model stopped. A forced tool call and a refusal both say `stop`, so what was said
/// decides as well.
pub(super) fn stop_reason(
    finish_reason: Option<&str>,
    calls_tool: bool,
    declines: bool,
) -> Result<StopReason, BrokeOff> {
    if let Some(broke_off) = finish_reason.and_then(|word| BrokeOff::of(word, BROKE_OFF)) {
        return Err(broke_off);
    }
    Ok(match finish_reason {
        Some("length" | "model_length") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::ContentFilter,
        Some("tool_calls" | "function_call") => StopReason::ToolUse,
        _ if calls_tool => StopReason::ToolUse,
        _ if declines => StopReason::Refusal,
        _ => StopReason::EndTurn,
    })
}

/// The dialect's word; `declined` tells that the refusal itself is part of the answer, `is_legacy` that the
/// call is one of the time before tools.
pub(super) fn finish_reason(
    stop_reason: StopReason,
    declined: bool,
    is_legacy: bool,
) -> &'static str {
    match stop_reason {
        StopReason::ToolUse if is_legacy => LEGACY,
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Paused => "stop",
        StopReason::MaxTokens | StopReason::ContextWindowExceeded => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal if declined => "stop",
        StopReason::Refusal | StopReason::ContentFilter => "content_filter",
    }
}

pub(super) fn encode(reply: &Reply, created_unix_s: i64, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::object(&mut out, |body| {
        body.str("id", &reply.id)
            .str("object", "chat.completion")
            .int("created", created_unix_s)
            .str("model", &reply.model)
            .array("choices", |choices| {
                choices.object(|choice| encode_choice(reply, choice, losses));
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

fn encode_choice(reply: &Reply, choice: &mut Members<'_>, losses: &mut Losses) {
    let said = Said::of(reply, losses);
    choice.num("index", 0).object("message", |message| {
        message.str("role", "assistant");
        message.str_or_null("content", said.content.as_deref());
        message.str_or_null("refusal", said.refusal.as_deref());
        if let Some(reasoning) = &said.reasoning {
            message.str("reasoning_content", reasoning);
        }
        if let Some(legacy) = said.legacy {
            message.raw(LEGACY, legacy);
        }
        write_calls(&said.calls, message);
    });
    choice.null("logprobs");
    let (declined, is_legacy) = (said.refusal.is_some(), said.legacy.is_some());
    let reason = finish_reason(reply.stop_reason, declined, is_legacy);
    choice.str("finish_reason", reason);
}

/// The blocks of a reply sorted into the fields of a message.
#[derive(Default)]
struct Said<'r> {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<String>,
    calls: Vec<Call<'r>>,
    /// The one call of a function of the time before tools.
    legacy: Option<&'r str>,
}

impl<'r> Said<'r> {
    fn of(reply: &'r Reply, losses: &mut Losses) -> Self {
        let mut said = Self::default();
        for (index, block) in reply.blocks.iter().enumerate() {
            let path = || format!("content[{index}]");
            match block {
                Block::Text(text) => *said.content.get_or_insert_default() += text,
                Block::Refusal(text) => *said.refusal.get_or_insert_default() += text,
                Block::Thinking { text, signature } => {
                    if !text.is_empty() {
                        *said.reasoning.get_or_insert_default() += text;
                    }
                    if signature.is_some() {
                        losses.add(Feature::Signature, path());
                    }
                }
                Block::ToolUse {
                    id,
                    name,
                    arguments,
                } => said.calls.push(Call::Function(id, name, arguments)),
                Block::Native(native) if native.dialect == Dialect::OpenAiChat => {
                    match &*native.kind {
                        LEGACY => said.legacy = Some(&native.json),
                        _ => said.calls.push(Call::Native(&native.json)),
                    }
                }
                Block::CachePoint(_) => {}
                Block::EncryptedThinking(_)
                | Block::Media(_)
                | Block::ToolResult { .. }
                | Block::Native(_) => losses.add(Feature::NativeAnswer, path()),
            }
        }
        said
    }
}
