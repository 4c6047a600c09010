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

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::call::{CacheTtl, Function, Tool};

    const OWN: Dialect = Dialect::AnthropicMessages;

    fn with_tools(tool_choice: ToolChoice) -> Call {
        Call {
            tools: vec![Tool::Function(Function::default())],
            tool_choice: Some(tool_choice),
            ..Call::default()
        }
    }

    /// The result of a call is answered; these blocks stood before the call.
    fn answered(before: Vec<Block>) -> Call {
        let message = |role, blocks| Message {
            role,
            name: None,
            blocks,
        };
        let call = Block::ToolUse {
            id: "c".to_owned(),
            name: "look".to_owned(),
            arguments: "{}".to_owned(),
        };
        let result = Block::ToolResult {
            tool_use_id: "c".to_owned(),
            blocks: Vec::new(),
            is_error: false,
        };
        let said = before.into_iter().chain([call]).collect();
        Call {
            messages: vec![
                message(Role::Assistant, said),
                message(Role::User, vec![result]),
            ],
            ..Call::default()
        }
    }

    fn sealed(dialect: Dialect) -> Sealed {
        Sealed {
            dialect,
            text: "sealed".to_owned(),
        }
    }

    /// Whether it is told to think, and what is lost.
    fn thinks(call: &Call, mode: ReasoningMode) -> (bool, usize) {
        let mut losses = Losses::default();
        let (thinking, _) = thinking(call, Some(mode), OWN, &mut losses);
        (thinking == Some(mode), losses.so_far().len())
    }

    #[test]
    fn it_thinks_unless_a_tool_has_to_be_called() {
        for (call, thinks_then) in [
            (with_tools(ToolChoice::Required), false),
            (with_tools(ToolChoice::Named("a".to_owned())), false),
            (
                with_tools(ToolChoice::Allowed {
                    required: true,
                    names: Vec::new(),
                }),
                false,
            ),
            (
                with_tools(ToolChoice::Allowed {
                    required: false,
                    names: Vec::new(),
                }),
                true,
            ),
            (with_tools(ToolChoice::Auto), true),
            // Without tools there is nothing to call.
            (
                Call {
                    tools: Vec::new(),
                    ..with_tools(ToolChoice::Required)
                },
                true,
            ),
        ] {
            let (is_told, losses) = thinks(&call, ReasoningMode::Adaptive);
            assert_eq!(
                (is_told, losses == 0),
                (thinks_then, thinks_then),
                "{call:?}"
            );
            // Not to think goes together with everything.
            assert_eq!(thinks(&call, ReasoningMode::Off), (true, 0));
        }
    }

    #[test]
    fn within_a_bound_it_thinks_after_a_call_only_with_its_own_thoughts_of_before() {
        let thought = |signature| Block::Thinking {
            text: "calm".to_owned(),
            signature,
        };
        let mode = ReasoningMode::BudgetTokens(2_048);
        for (before, may) in [
            (vec![thought(Some(sealed(OWN)))], true),
            (vec![Block::EncryptedThinking(sealed(OWN))], true),
            (
                vec![
                    Block::CachePoint(CacheTtl::Short),
                    thought(Some(sealed(OWN))),
                ],
                true,
            ),
            (vec![thought(None)], false),
            (vec![thought(Some(sealed(Dialect::Gemini)))], false),
            (
                vec![Block::EncryptedThinking(sealed(Dialect::OpenAiResponses))],
                false,
            ),
            (vec![Block::Text("So.".to_owned())], false),
            (Vec::new(), false),
        ] {
            let call = answered(before);
            assert_eq!(thinks(&call, mode).0, may, "{call:?}");
            assert!(thinks(&call, ReasoningMode::Adaptive).0, "{call:?}");
        }
    }
}
