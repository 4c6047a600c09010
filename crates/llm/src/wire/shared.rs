//! What writers of several dialects have in common.

use crate::{
    fault::Fault,
    json::{self, Items, Members, Node},
    loss::{Feature, Losses},
};
use seaworthy_core::{
    call::{Block, BlockOpening, Call, Delta, Function, Native, Role, Tool, ToolChoice},
    dialect::Dialect,
};
use std::borrow::Cow;

/// An answer of which nobody can make use, whatever was said before: the provider's word for why, and
/// the HTTP status that it would have had before the answer began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokeOff {
    pub word: &'static str,
    pub status: u16,
}

impl BrokeOff {
    /// One of the provider's words for it.
    pub(super) fn of(word: &str, words: &[(&'static str, u16)]) -> Option<Self> {
        let known = words.iter().find(|(known, _)| *known == word);
        known.map(|&(word, status)| Self { word, status })
    }

    /// The fault of a whole answer, at the field with the word.
    pub(super) fn fault(self, node: Node<'_>) -> Fault {
        Fault {
            broke_off: Some(self.word),
            ..node.fault(format_args!("the provider broke off: {}", self.word))
        }
    }

    /// The end of a streamed answer, with the provider's sentence if there is one.
    pub(super) fn delta(self, sentence: Option<String>) -> Delta {
        let sentence = sentence.filter(|sentence| !sentence.is_empty());
        Delta::Error {
            status: self.status,
            kind: self.word.to_owned(),
            message: sentence
                .unwrap_or_else(|| format!("The provider broke its answer off: {}.", self.word)),
        }
    }
}

/// The beginning of a block that only its own dialect knows. Its JSON stands within events, which end at a
/// line end.
pub(super) fn native_opening(dialect: Dialect, kind: &str, json: &str) -> BlockOpening {
    BlockOpening::Native(Native {
        dialect,
        kind: kind.to_owned(),
        json: json.replace(['\n', '\r'], " "),
    })
}

/// Blocks with the index they have on the wire, where a cache point is a mark of the block before.
pub(super) fn numbered(blocks: &[Block]) -> impl Iterator<Item = (usize, &Block)> {
    let mut next = 0;
    blocks.iter().map(move |block| {
        if !matches!(block, Block::CachePoint(_)) {
            next += 1;
        }
        (next.max(1) - 1, block)
    })
}

/// What is lost with a block that does not fit where it stands.
pub(super) fn lost_block(block: &Block) -> Feature {
    match block {
        Block::Thinking { .. } | Block::EncryptedThinking(_) => Feature::Thinking,
        Block::CachePoint(_) => Feature::CachePoint,
        Block::Media(_) => Feature::Media,
        Block::Text(_)
        | Block::Refusal(_)
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Native(_) => Feature::NativeBlock,
    }
}

/// Notes those of the features that the call makes use of: the dialect has no place for them.
pub(super) fn lose(call: &Call, features: &[Feature], losses: &mut Losses) {
    let sampling = &call.sampling;
    // A penalty of zero is none.
    let penalty = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty != 0.0);
    let last = call.messages.len().saturating_sub(1);
    let prefill = format!("messages[{last}]");
    for (feature, is_used, path) in [
        (Feature::TopK, sampling.top_k.is_some(), "top_k"),
        (Feature::Seed, sampling.seed.is_some(), "seed"),
        (
            Feature::Penalty,
            penalty(sampling.frequency_penalty),
            "frequency_penalty",
        ),
        (
            Feature::Penalty,
            penalty(sampling.presence_penalty),
            "presence_penalty",
        ),
        (Feature::Stop, !call.stop.is_empty(), "stop"),
        (
            Feature::Choices,
            call.choices.is_some_and(|choices| choices > 1),
            "n",
        ),
        (
            Feature::Prewarm,
            call.max_output_tokens == Some(0),
            "max_tokens",
        ),
        (
            Feature::Prefill,
            call.messages
                .last()
                .is_some_and(|message| message.role == Role::Assistant),
            &prefill,
        ),
        (
            Feature::ParallelToolCalls,
            call.parallel_tool_calls == Some(false) && !call.tools.is_empty(),
            "parallel_tool_calls",
        ),
        (Feature::EndUser, call.user.is_some(), "user"),
        (
            Feature::EndUser,
            call.safety_identifier.is_some(),
            "safety_identifier",
        ),
        (Feature::Store, call.store == Some(true), "store"),
        (Feature::Metadata, !call.metadata.is_empty(), "metadata"),
        (
            Feature::ServiceTier,
            call.service_tier
                .as_ref()
                .is_some_and(|tier| tier != "auto"),
            "service_tier",
        ),
    ] {
        if is_used && features.contains(&feature) {
            losses.add(feature, path);
        }
    }
}

/// What a call says in fields of one dialect only. The stored answer that it continues belongs to
/// them: it is known to its own provider alone.
pub(super) fn native_fields(
    dialect: Dialect,
    call: &Call,
    body: &mut Members<'_>,
    losses: &mut Losses,
) {
    if let Some(id) = &call.previous_response_id {
        if dialect == Dialect::OpenAiResponses {
            body.str("previous_response_id", id);
        } else {
            losses.add(Feature::PreviousResponse, "previous_response_id");
        }
    }
    if !matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses) {
        for setting in &call.openai {
            losses.add(Feature::OpenAiSetting, setting.name);
        }
    }
    for field in &call.native_fields {
        if field.dialect == dialect {
            body.raw(&field.kind, &field.json);
        } else {
            losses.add(Feature::NativeField, &field.kind);
        }
    }
}

/// The tokens that Claude may think for: at least so many, and fewer than it may generate in all.
pub(super) fn claudes_budget(budget: u64, most: Option<u64>, losses: &mut Losses) -> u64 {
    let below = most.map_or(u64::MAX, |most| most.saturating_sub(1));
    let nearest = budget.min(below).max(1_024);
    if nearest != budget {
        losses.add(Feature::NearestBudget, "thinking.budget_tokens");
    }
    nearest
}

/// Whether a tool is offered: where a provider cannot be told which of them may be called, only those
/// are.
fn is_offered(dialect: Dialect, call: &Call, function: &Function) -> bool {
    match &call.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => {
            let can_be_told = matches!(
                dialect,
                Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini
            );
            can_be_told || names.contains(&function.name)
        }
        _ => true,
    }
}

/// `tool_choice` for a provider that cannot be told which tools may be called.
pub(super) fn allowed_elsewhere(required: bool, losses: &mut Losses) -> ToolChoice {
    losses.add(Feature::NamedTool, "tool_choice");
    match required {
        true => ToolChoice::Required,
        false => ToolChoice::Auto,
    }
}

/// Writes the tools; a dialect has its own form of functions, and takes its own tools as they are.
pub(super) fn tools(
    dialect: Dialect,
    call: &Call,
    items: &mut Items<'_>,
    losses: &mut Losses,
    write: impl Fn(&Function, &mut Items<'_>),
) {
    for (index, tool) in call.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) if is_offered(dialect, call, function) => {
                write(function, items);
            }
            Tool::Function(_) => {}
            Tool::Native(native) if native.dialect == dialect => items.raw(&native.json),
            Tool::Native(_) => losses.add(Feature::NativeTool, format!("tools[{index}]")),
        }
    }
}

/// Notes the marks of tools up to where the prompt should be cached.
pub(super) fn lose_tool_marks(call: &Call, losses: &mut Losses) {
    for (index, tool) in call.tools.iter().enumerate() {
        if matches!(tool, Tool::Function(function) if function.cache.is_some()) {
            losses.add(Feature::CachePoint, format!("tools[{index}]"));
        }
    }
}

/// The registered name of a media type: many say `image/jpg`, and some providers know `image/jpeg` only.
pub(super) fn registered(media_type: &str) -> &str {
    match media_type {
        "image/jpg" => "image/jpeg",
        other => other,
    }
}

/// A medium within a URL.
pub(super) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// The ID of a call without the signs that a provider does not take; others make IDs of more than
/// that. The call and its result are changed alike.
pub(super) fn clean_id<'i>(id: &'i str, signs: &str) -> Cow<'i, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    if id.chars().all(is_fine) {
        return Cow::Borrowed(id);
    }
    let clean = |c: char| if is_fine(c) { c } else { '_' };
    Cow::Owned(id.chars().map(clean).collect())
}

/// The arguments of a tool call, if they are an object; no arguments are an empty one.
pub(super) fn arguments_object(arguments: &str) -> Option<&str> {
    match arguments.trim_ascii() {
        "" => Some("{}"),
        json => json::is_object(json).then_some(json),
    }
}

/// Writes arguments where only an object may stand. If what the model wrote is none, it is handed
/// on under a name of its own: the tool will say so, and the model can mend it.
pub(super) fn answered_arguments(key: &str, arguments: &str, out: &mut Members<'_>) {
    match arguments_object(arguments) {
        Some(json) => out.raw(key, json),
        None => out.object(key, |input| {
            input.str(NOT_AN_OBJECT, arguments);
        }),
    };
}

/// The member under which arguments are handed on that are not a JSON object.
const NOT_AN_OBJECT: &str = "_invalid_arguments";
