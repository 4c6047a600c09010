//! A canonical call as a chat request.

use super::encode_message;
use crate::{
    json::{self, Members},
    loss::{Feature, Losses},
    wire::{openai_chat, shared},
};
use seaworthy_core::{
    call::{Call, Function, ReasoningMode, ResponseFormat, Tool, ToolChoice},
    dialect::Dialect,
};

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("model", &call.model);
        body.array("messages", |messages| {
            encode_message::system(&call.system, messages, losses);
            for (index, message) in call.messages.iter().enumerate() {
                encode_message::message(message, index, messages, losses);
            }
        });
        settings(call, body, losses);
        tools(call, body, losses);
        reasoning(call, body, losses);
        match &call.response_format {
            None => {}
            Some(format) => {
                body.object("response_format", |out| {
                    response_format(format, out, losses);
                });
            }
        }
        shared::native_fields(Dialect::CohereChat, call, body, losses);
        if call.stream {
            body.bool("stream", true);
        }
    });
    losses.add_unknown(&call.unknown_fields);
    out
}

fn settings(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if let Some(most) = call.max_output_tokens {
        body.num("max_tokens", most);
    }
    if !call.stop.is_empty() {
        body.array("stop_sequences", |items| {
            call.stop.iter().for_each(|stop| items.str(stop));
        });
    }
    let sampling = &call.sampling;
    for (name, value) in [
        ("temperature", sampling.temperature),
        ("p", sampling.top_p),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ] {
        if let Some(value) = value {
            body.float(name, value);
        }
    }
    if let Some(top_k) = sampling.top_k {
        body.num("k", top_k);
    }
    match sampling.seed.map(u64::try_from) {
        None => {}
        Some(Ok(seed)) => {
            body.num("seed", seed);
        }
        Some(Err(_)) => losses.add(Feature::Seed, "seed"),
    }
    shared::lose_tool_marks(call, losses);
    let lost = [
        Feature::Choices,
        Feature::Prewarm,
        Feature::Prefill,
        Feature::ParallelToolCalls,
        Feature::EndUser,
        Feature::Store,
        Feature::Metadata,
        Feature::ServiceTier,
    ];
    shared::lose(call, &lost, losses);
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    let named = match &call.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name),
        _ => None,
    };
    let is_offered = |function: &Function| named.is_none_or(|name| *name == function.name);
    if !call.tools.is_empty() {
        body.array("tools", |items| {
            shared::tools(Dialect::CohereChat, call, items, losses, |tool, items| {
                if is_offered(tool) {
                    items.object(|out| openai_chat::function_tool(tool, None, out));
                }
            });
        });
        let is_strict =
            |tool: &Tool| matches!(tool, Tool::Function(function) if function.strict == Some(true));
        if call.tools.iter().any(is_strict) {
            body.bool("strict_tools", true);
        }
    }
    match &call.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::Allowed { required, .. }) => {
            if shared::allowed_elsewhere(*required, losses) == ToolChoice::Required {
                body.str("tool_choice", "REQUIRED");
            }
        }
        Some(ToolChoice::None) => {
            body.str("tool_choice", "NONE");
        }
        Some(ToolChoice::Required) => {
            body.str("tool_choice", "REQUIRED");
        }
        Some(ToolChoice::Named(_)) => {
            losses.add(Feature::NamedTool, "tool_choice");
            body.str("tool_choice", "REQUIRED");
        }
        Some(ToolChoice::Native(_)) => losses.add(Feature::NativeToolChoice, "tool_choice"),
    }
}

fn reasoning(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    let (kind, budget) = match (call.reasoning.mode, call.reasoning.effort) {
        (None, None) => return,
        (Some(ReasoningMode::Off), _) => ("disabled", None),
        (Some(ReasoningMode::BudgetTokens(budget)), _) => ("enabled", Some(budget)),
        (Some(ReasoningMode::Adaptive), _) | (None, Some(_)) => ("enabled", None),
    };
    if call.reasoning.effort.is_some() {
        losses.add(Feature::Effort, "reasoning_effort");
    }
    body.object("thinking", |out| {
        out.str("type", kind);
        if let Some(budget) = budget {
            out.num("token_budget", budget);
        }
    });
}

fn response_format(format: &ResponseFormat, out: &mut Members<'_>, losses: &mut Losses) {
    out.str("type", "json_object");
    if let ResponseFormat::JsonSchema {
        schema,
        description,
        ..
    } = format
    {
        if description.is_some() {
            let path = "response_format.json_schema.description";
            losses.add(Feature::SchemaDescription, path);
        }
        out.raw("json_schema", schema);
    }
}
