//! A complete answer of Gemini, from and to the canonical reply.

use super::{
    decode_part::{self, Calls},
    usage,
};
use crate::{
    fault::Fault,
    json::{self, Items, Members, Node, Object, Trail},
    loss::{Feature, Losses},
    seal::{self, Kind},
    wire::shared::{BrokeOff, answered_arguments},
};
use seaworthy_core::{
    call::{Block, Reply, Sealed, StopReason},
    dialect::Dialect,
};

pub(super) fn decode(body: &[u8]) -> Result<Reply, Fault> {
    let trail = Trail::default();
    let mut reply = {
        let root = trail.root(body)?;
        let mut fields = root.object()?;
        // All of its fields are optional, so that an error would be an empty answer.
        if !crate::is_reply(Dialect::Gemini, body) {
            return Err(root.fault("expected `candidates`"));
        }
        let reply = read(&mut fields, body)?;
        fields.finish();
        reply
    };
    reply.usage = usage::of_reply(body).and_then(|reported| reported.complete());
    reply.unknown_fields = trail.into_unknown();
    Ok(reply)
}

fn read(fields: &mut Object<'_>, body: &[u8]) -> Result<Reply, Fault> {
    fields.skip(&["usageMetadata", "createTime"]);
    let id = fields.optional("responseId", |node| node.string())?;
    let id = id.unwrap_or_default();
    let mut calls = Calls::of_reply(&id, body);
    let candidates = fields.optional("candidates", |node| {
        let candidates = node.each(|candidate| self::candidate(candidate, &mut calls))?;
        if candidates.len() > 1 {
            let found = candidates.len();
            return Err(node.fault(format_args!("expected one candidate, found {found}")));
        }
        Ok(candidates)
    })?;
    // Without an answer the prompt itself was blocked.
    let is_blocked = fields.optional("promptFeedback", |node| {
        node.object()?.optional("blockReason", |node| node.string())
    })?;
    let without_answer = match is_blocked.flatten() {
        Some(_) => StopReason::ContentFilter,
        None => StopReason::EndTurn,
    };
    let (blocks, stop_reason) = candidates
        .and_then(|mut candidates| candidates.pop())
        .unwrap_or((Vec::new(), without_answer));
    Ok(Reply {
        id,
        model: fields
            .optional("modelVersion", |node| node.string())?
            .unwrap_or_default(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    })
}

fn candidate(node: Node<'_>, calls: &mut Calls) -> Result<(Vec<Block>, StopReason), Fault> {
    let mut fields = node.object()?;
    fields.skip(&[
        "index",
        "safetyRatings",
        "tokenCount",
        "avgLogprobs",
        "finishMessage",
    ]);
    let blocks = fields.optional("content", |node| {
        let mut fields = node.object()?;
        fields.skip(&["role"]);
        let blocks = fields.optional("parts", |node| decode_part::parts(node, calls))?;
        fields.finish();
        Ok(blocks.unwrap_or_default())
    })?;
    let blocks = blocks.unwrap_or_default();
    let calls_tool = blocks.iter().any(|b| matches!(b, Block::ToolUse { .. }));
    let stop_reason = fields.optional("finishReason", |node| {
        stop_reason(&node.string()?, calls_tool).map_err(|broke_off| broke_off.fault(node))
    })?;
    fields.finish();
    Ok((blocks, stop_reason.unwrap_or(ended(calls_tool))))
}

/// What an answer says of which nobody can make use.
const BROKE_OFF: &[(&str, u16)] = &[
    ("MALFORMED_FUNCTION_CALL", 500),
    ("UNEXPECTED_TOOL_CALL", 500),
    ("TOO_MANY_TOOL_CALLS", 500),
    ("MALFORMED_RESPONSE", 500),
    ("MISSING_THOUGHT_SIGNATURE", 500),
    ("NO_IMAGE", 500),
];

/// Why the model stopped. The dialect has one word for an answer that is whole; all the others, and
/// those of the future, say that something took it away or cut it.
pub(super) fn stop_reason(word: &str, calls_tool: bool) -> Result<StopReason, BrokeOff> {
    match word {
        "" | "STOP" | "FINISH_REASON_UNSPECIFIED" => Ok(ended(calls_tool)),
        // The rest would come with another request, by a token that other dialects do not know.
        "MAX_TOKENS" | "CONTINUATION" => Ok(StopReason::MaxTokens),
        _ => BrokeOff::of(word, BROKE_OFF).map_or(Ok(StopReason::ContentFilter), Err),
    }
}

/// How an answer ends that is whole.
pub(super) fn ended(calls_tool: bool) -> StopReason {
    match calls_tool {
        true => StopReason::ToolUse,
        false => StopReason::EndTurn,
    }
}

/// The dialect's word.
pub(super) fn finish_reason(stop_reason: StopReason) -> &'static str {
    match stop_reason {
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Paused => "STOP",
        StopReason::MaxTokens | StopReason::ContextWindowExceeded => "MAX_TOKENS",
        StopReason::Refusal | StopReason::ContentFilter => "SAFETY",
    }
}

pub(super) fn encode(reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::object(&mut out, |body| {
        body.array("candidates", |candidates| {
            candidates.object(|candidate| {
                content(candidate, |parts| encode_parts(reply, parts, losses));
                candidate
                    .str("finishReason", finish_reason(reply.stop_reason))
                    .num("index", 0);
            });
        });
        if let Some(usage) = &reply.usage {
            body.object("usageMetadata", |out| usage::encode(usage, out));
        }
        body.str("modelVersion", &reply.model)
            .str("responseId", &reply.id);
    });
    if reply.stop_sequence.is_some() {
        losses.add(Feature::StopSequence, "stop_sequence");
    }
    losses.add_unknown(&reply.unknown_fields);
    out
}

/// The content of a candidate.
pub(super) fn content(candidate: &mut Members<'_>, parts: impl FnOnce(&mut Items<'_>)) {
    candidate.object("content", |content| {
        content.array("parts", parts).str("role", "model");
    });
}

fn encode_parts(reply: &Reply, parts: &mut Items<'_>, losses: &mut Losses) {
    let mut signature = Signature::default();
    for (index, block) in reply.blocks.iter().enumerate() {
        match block {
            Block::Text(text) | Block::Refusal(text) => text_part(text, &mut signature, parts),
            Block::Thinking {
                text,
                signature: sealed,
            } => {
                signature.flush(parts);
                if !text.is_empty() {
                    thought_part(text, parts);
                }
                signature.0 = sealed.as_ref().map(|s| wrap(Kind::Signature, s));
            }
            Block::EncryptedThinking(sealed) => {
                signature.flush(parts);
                signature.0 = Some(wrap(Kind::Reasoning, sealed));
            }
            Block::ToolUse {
                id,
                name,
                arguments,
            } => call_part((id, name, arguments), &mut signature, parts),
            Block::Native(native) if native.dialect == Dialect::Gemini => parts.raw(&native.json),
            Block::CachePoint(_) => {}
            Block::Media(_) | Block::ToolResult { .. } | Block::Native(_) => {
                losses.add(Feature::NativeAnswer, format!("content[{index}]"));
            }
        }
    }
    signature.flush(parts);
}

/// A signature that waits for the part that follows its thoughts.
#[derive(Default)]
pub(super) struct Signature(pub Option<String>);

impl Signature {
    fn write(&mut self, part: &mut Members<'_>) {
        if let Some(signature) = self.0.take() {
            part.str("thoughtSignature", &signature);
        }
    }

    /// Writes a signature that no part follows.
    pub(super) fn flush(&mut self, parts: &mut Items<'_>) {
        if self.0.is_some() {
            text_part("", self, parts);
        }
    }
}

/// Something sealed in the form that a caller of this dialect hands back.
pub(super) fn wrap(kind: Kind, sealed: &Sealed) -> String {
    seal::wrap(Dialect::Gemini, kind, sealed).into_owned()
}

pub(super) fn text_part(text: &str, signature: &mut Signature, parts: &mut Items<'_>) {
    parts.object(|part| {
        part.str("text", text);
        signature.write(part);
    });
}

pub(super) fn thought_part(text: &str, parts: &mut Items<'_>) {
    parts.object(|part| {
        part.str("text", text).bool("thought", true);
    });
}

/// A call as its ID, its name and its arguments.
pub(super) fn call_part(
    (id, name, arguments): (&str, &str, &str),
    signature: &mut Signature,
    parts: &mut Items<'_>,
) {
    parts.object(|part| {
        part.object("functionCall", |call| {
            call.str("id", id).str("name", name);
            answered_arguments("args", arguments, call);
        });
        signature.write(part);
    });
}
