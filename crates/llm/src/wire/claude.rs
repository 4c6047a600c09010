//! What Claude takes beside thinking, at Anthropic's API and at Bedrock's.

use crate::loss::{Feature, Losses};
use seaworthy_core::{
    call::{Block, Call, Message, ReasoningMode, Role, Sampling, Sealed, ToolChoice},
    dialect::Dialect,
};

/// The least `top_p` beside thinking.
const LEAST_TOP_P: f64 = 0.95;

/// How it is told to think, and the sampling that goes with that. `wanted` is how it should think,
/// `own` the dialect of thoughts that it takes back.
pub(super) fn thinking(
    call: &Call,
    wanted: Option<ReasoningMode>,
    own: Dialect,
    losses: &mut Losses,
) -> (Option<ReasoningMode>, Sampling) {
    let mut sampling = call.sampling;
    let Some(mode) = wanted.filter(|mode| *mode != ReasoningMode::Off) else {
        return (wanted, sampling);
    };
    if has_to_call(call)
        || is_begun(call)
        || (mode != ReasoningMode::Adaptive && is_open(call, own))
    {
        let path = match call.reasoning.mode {
            Some(_) => "thinking",
            None => "reasoning_effort",
        };
        losses.add(Feature::ThinkingRuledOut, path);
        return (None, sampling);
    }
    let mut rule_out = |is_ruled_out: bool, path: &str| {
        if is_ruled_out {
            losses.add(Feature::SamplingRuledOut, path);
        }
        is_ruled_out
    };
    if rule_out(
        sampling.temperature.is_some_and(|it| it < 1.0),
        "temperature",
    ) {
        sampling.temperature = None;
    }
    if rule_out(sampling.top_p.is_some_and(|it| it < LEAST_TOP_P), "top_p") {
        sampling.top_p = None;
    }
    if rule_out(sampling.top_k.is_some(), "top_k") {
        sampling.top_k = None;
    }
    (Some(mode), sampling)
}

fn has_to_call(call: &Call) -> bool {
    let is_rule = matches!(
        &call.tool_choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Named(_)
                | ToolChoice::Allowed { required: true, .. }
        )
    );
    is_rule && !call.tools.is_empty()
}

/// Whether the caller has begun the answer.
fn is_begun(call: &Call) -> bool {
    let last = call.messages.last();
    last.is_some_and(|message| message.role == Role::Assistant)
}

/// Whether results of tools are answered, and the thoughts before these calls are not there. Within a
/// bound of tokens they have to be.
fn is_open(call: &Call, own: Dialect) -> bool {
    let is_said = |message: &Message| message.role == Role::Assistant;
    let Some(last) = call.messages.iter().rposition(is_said) else {
        return false;
    };
    let is_result = |block: &Block| matches!(block, Block::ToolResult { .. });
    let mut after = call.messages.iter().skip(last + 1);
    after.any(|message| message.blocks.iter().any(is_result))
        && !call
            .messages
            .get(last)
            .is_some_and(|said| begins_with_thought(&said.blocks, own))
}

fn begins_with_thought(blocks: &[Block], own: Dialect) -> bool {
    let is_own = |sealed: &Sealed| sealed.dialect == own;
    let mut first = blocks.iter().filter_map(|block| match block {
        Block::CachePoint(_) => None,
        Block::Thinking { signature, .. } => {
            signature.as_ref().filter(|it| is_own(it)).map(|_| true)
        }
        Block::EncryptedThinking(sealed) => is_own(sealed).then_some(true),
        _ => Some(false),
    });
    first.next().unwrap_or(false)
}
