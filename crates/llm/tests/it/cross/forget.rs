//! What a call or a reply is without what was lost, and in a form that can be compared.

use seaworthy_core::{
    call::{
        Block, Call, Message, Reasoning, ReasoningMode, Reply, ResponseFormat, Role, Tool,
        ToolChoice,
    },
    call::{Effort, Sealed, StopReason},
    dialect::Dialect,
};
use seaworthy_llm::{Feature, Loss};

/// Takes out of a call what was lost on the way to a provider of the dialect.
pub(super) fn forget(call: &mut Call, losses: &[Loss], dialect: Dialect) {
    for loss in losses {
        forget_one(call, loss.feature, dialect);
    }
    implied(call, dialect);
    if losses
        .iter()
        .any(|loss| loss.feature == Feature::ThinkingRuledOut)
    {
        call.reasoning.mode = None;
    }
}

fn forget_one(call: &mut Call, feature: Feature, dialect: Dialect) {
    match feature {
        Feature::TopK => call.sampling.top_k = None,
        Feature::Seed => call.sampling.seed = None,
        Feature::Penalty => {
            call.sampling.frequency_penalty = None;
            call.sampling.presence_penalty = None;
        }
        Feature::HighTemperature => call.sampling.temperature = Some(1.0),
        Feature::Metadata => call.metadata.clear(),
        Feature::Label => call.metadata.clear(),
        Feature::ServiceTier => call.service_tier = None,
        Feature::EndUser => (call.user, call.safety_identifier) = (None, None),
        Feature::Store => call.store = None,
        Feature::OpenAiSetting => call.openai.clear(),
        Feature::ParallelToolCalls => call.parallel_tool_calls = None,
        Feature::JsonObject => call.response_format = None,
        Feature::SchemaDescription => {
            if let Some(ResponseFormat::JsonSchema { description, .. }) = &mut call.response_format
            {
                *description = None;
            }
        }
        // Nothing that is compared has one.
        Feature::FileName => {}
        Feature::SpeakerName => call.messages.iter_mut().for_each(|m| m.name = None),
        Feature::LateInstruction => {
            let late = call.messages.iter_mut().filter(|m| m.role == Role::System);
            late.for_each(|message| message.role = Role::User);
        }
        Feature::OnlyInstruction => call.messages.push(Message {
            role: Role::User,
            name: None,
            blocks: std::mem::take(&mut call.system),
        }),
        Feature::CachePoint => {
            retain_blocks(call, |block| !matches!(block, Block::CachePoint(_)));
            each_function(call, |function| function.cache = None);
        }
        Feature::Thinking => retain_blocks(call, |block| is_kept_thought(block, dialect)),
        Feature::ToolError => call
            .messages
            .iter_mut()
            .flat_map(|m| &mut m.blocks)
            .for_each(|block| {
                if let Block::ToolResult { is_error, .. } = block {
                    *is_error = false;
                }
            }),
        Feature::StrictTool => each_function(call, |function| function.strict = None),
        Feature::NamedTool => {
            if let Some(ToolChoice::Allowed { names, .. }) = call.tool_choice.take() {
                call.tools.retain(
                    |tool| matches!(tool, Tool::Function(tool) if names.contains(&tool.name)),
                );
            }
            call.tool_choice = Some(ToolChoice::Required);
        }
        Feature::NoToolCall => {
            call.tools.clear();
            call.tool_choice = None;
        }
        Feature::ReasoningBudget | Feature::NearestBudget | Feature::NearestEffort => {
            forget_degree(call, feature);
        }
        Feature::ReasoningMode => call.reasoning.mode = None,
        Feature::Effort => {
            let mode = call.reasoning.mode.or(Some(ReasoningMode::Adaptive));
            call.reasoning = Reasoning { mode, effort: None };
        }
        // The answer begins anew, the question is the same. Whether to think is forgotten last.
        Feature::Prefill | Feature::ThinkingRuledOut => {}
        Feature::SamplingRuledOut => {
            let sampling = &mut call.sampling;
            sampling.temperature = sampling.temperature.filter(|it| *it >= 1.0);
            sampling.top_p = sampling.top_p.filter(|it| *it >= 0.95);
            sampling.top_k = None;
        }
        other => panic!("{other:?} was lost, and nobody says what that means"),
    }
}

/// A bound or a degree of reasoning becomes the nearest that the provider takes.
fn forget_degree(call: &mut Call, feature: Feature) {
    match feature {
        Feature::ReasoningBudget => {
            let effort = call.reasoning.effort;
            let nearest = match call.reasoning.mode {
                Some(ReasoningMode::BudgetTokens(4_096..=16_383)) => Effort::Medium,
                Some(ReasoningMode::BudgetTokens(16_384..)) => Effort::High,
                _ => Effort::Low,
            };
            call.reasoning = Reasoning {
                mode: effort.map(|_| ReasoningMode::Adaptive),
                effort: effort.or(Some(nearest)),
            };
        }
        Feature::NearestBudget => {
            let most = call.max_output_tokens.unwrap_or(u64::MAX);
            if let Some(ReasoningMode::BudgetTokens(budget)) = &mut call.reasoning.mode {
                *budget = (*budget).min(most - 1).max(1_024);
            }
        }
        Feature::NearestEffort => {
            call.reasoning.effort = match call.reasoning.effort {
                Some(Effort::Minimal) => Some(Effort::Low),
                _ => Some(Effort::High),
            };
        }
        other => panic!("{other:?} is no degree of reasoning"),
    }
}

/// What a provider of the dialect does in any case.
fn implied(call: &mut Call, dialect: Dialect) {
    let reasoning = &mut call.reasoning;
    match dialect {
        Dialect::AnthropicMessages => {
            let thoughts = match reasoning.mode {
                Some(ReasoningMode::BudgetTokens(budget)) if budget >= 4_096 => budget,
                _ => 0,
            };
            call.max_output_tokens = call.max_output_tokens.or(Some(4_096 + thoughts));
            // One name serves for both.
            call.user = call.user.take().or(call.safety_identifier.take());
            if reasoning.effort.is_some() && reasoning.mode.is_none() {
                reasoning.mode = Some(ReasoningMode::Adaptive);
            }
        }
        // It has no word for what it does anyway.
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            if reasoning.mode == Some(ReasoningMode::Adaptive) {
                reasoning.mode = None;
            }
            // Who serves a response keeps it; the head of the request tells whether to.
            if dialect == Dialect::OpenAiResponses {
                call.store = None;
            }
            move_pictures_of_results(call, dialect);
        }
        Dialect::CohereChat => {
            let is_strict = call.tools.iter().any(
                |tool| matches!(tool, Tool::Function(function) if function.strict == Some(true)),
            );
            each_function(call, |function| function.strict = is_strict.then_some(true));
            move_pictures_of_results(call, dialect);
        }
        Dialect::Gemini | Dialect::BedrockConverse => {}
    }
}

/// Where results are text only, the pictures in them are said by the user.
fn move_pictures_of_results(call: &mut Call, dialect: Dialect) {
    if dialect == Dialect::OpenAiResponses {
        return;
    }
    for message in &mut call.messages {
        let mut pictures = Vec::new();
        for block in &mut message.blocks {
            if let Block::ToolResult { blocks, .. } = block {
                let is_picture = |block: &mut Block| matches!(block, Block::Media(_));
                pictures.extend(blocks.extract_if(.., is_picture));
            }
        }
        message.blocks.append(&mut pictures);
    }
}

/// Reasoning goes back only to whom it came from; what nobody signed, only where it is plain text.
fn is_kept_thought(block: &Block, dialect: Dialect) -> bool {
    let is_own = |sealed: &Sealed| sealed.dialect == dialect;
    match block {
        Block::Thinking {
            signature: None, ..
        } => dialect == Dialect::CohereChat,
        Block::Thinking {
            signature: Some(sealed),
            ..
        } => is_own(sealed) && dialect != Dialect::OpenAiChat,
        Block::EncryptedThinking(sealed) => is_own(sealed),
        _ => true,
    }
}

fn retain_blocks(call: &mut Call, keep: impl Fn(&Block) -> bool) {
    call.system.retain(&keep);
    call.messages
        .iter_mut()
        .for_each(|m| m.blocks.retain(&keep));
}

fn each_function(call: &mut Call, change: impl Fn(&mut seaworthy_core::call::Function)) {
    for tool in &mut call.tools {
        if let Tool::Function(function) = tool {
            change(function);
        }
    }
}

/// A call in which everything that means the same looks the same.
pub(super) fn alike(mut call: Call) -> Call {
    call.include_usage = false;
    call.openai.sort_by_key(|setting| setting.name);
    call.unknown_fields.clear();
    call.origins.clear();
    call.system_origins.clear();
    // What every provider does unless it is told otherwise.
    call.tool_choice = call
        .tool_choice
        .filter(|choice| *choice != ToolChoice::Auto);
    each_function(&mut call, |function| {
        function.strict = function.strict.filter(|strict| *strict);
        function
            .schema
            .get_or_insert_with(|| r#"{"type":"object","properties":{}}"#.to_owned());
    });
    if let Some(ResponseFormat::JsonSchema { name, strict, .. }) = &mut call.response_format {
        (*name, *strict) = (None, None);
    }
    let mut messages: Vec<Message> = Vec::new();
    for mut message in call.messages {
        message.blocks.iter_mut().for_each(plain);
        match messages.last_mut() {
            Some(last) if last.role == message.role && last.name == message.name => {
                last.blocks.append(&mut message.blocks);
            }
            _ if message.blocks.is_empty() => {}
            _ => messages.push(message),
        }
    }
    call.messages = messages;
    call
}

fn plain(block: &mut Block) {
    match block {
        Block::Media(media) => media.name = None,
        Block::ToolUse { arguments, .. } if arguments.is_empty() => *arguments = "{}".to_owned(),
        Block::ToolResult { blocks, .. } => blocks.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Takes out of a reply what was lost on the way to a caller of the dialect.
pub(super) fn forget_in_reply(reply: &mut Reply, losses: &[Loss], dialect: Dialect) {
    for loss in losses {
        match loss.feature {
            Feature::StopSequence => reply.stop_sequence = None,
            Feature::Signature => reply.blocks.iter_mut().for_each(|block| {
                if let Block::Thinking { signature, .. } = block {
                    *signature = None;
                }
            }),
            Feature::NativeAnswer => {
                reply
                    .blocks
                    .retain(|block| !matches!(block, Block::EncryptedThinking(_)));
            }
            other => panic!("{other:?} was lost, and nobody says what that means"),
        }
    }
    reply.stop_reason = nearest(reply.stop_reason, &reply.blocks, dialect);
    if !matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses) {
        for block in &mut reply.blocks {
            if let Block::Refusal(text) = block {
                *block = Block::Text(std::mem::take(text));
            }
        }
    }
}

/// The reason that a dialect has a word for.
fn nearest(reason: StopReason, blocks: &[Block], dialect: Dialect) -> StopReason {
    use StopReason::{
        ContentFilter, ContextWindowExceeded, EndTurn, MaxTokens, Paused, Refusal, StopSequence,
    };
    let declines = blocks
        .iter()
        .any(|block| matches!(block, Block::Refusal(_)));
    match (dialect, reason) {
        (Dialect::AnthropicMessages, ContentFilter) => Refusal,
        (Dialect::AnthropicMessages, reason) => reason,
        (Dialect::OpenAiChat | Dialect::OpenAiResponses, Refusal) if declines => Refusal,
        (_, Refusal) => ContentFilter,
        (_, Paused) => EndTurn,
        (Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini, StopSequence) => EndTurn,
        (Dialect::BedrockConverse, reason) => reason,
        (_, ContextWindowExceeded) => MaxTokens,
        (_, reason) => reason,
    }
}

/// A reply in which everything that means the same looks the same.
pub(super) fn alike_reply(mut reply: Reply) -> Reply {
    reply.unknown_fields.clear();
    reply.blocks.iter_mut().for_each(plain);
    reply
}
