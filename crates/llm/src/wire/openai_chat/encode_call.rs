//! A canonical call as a chat completions request.

use super::encode_content as content;
use crate::{
    json::{self, Members},
    loss::{Feature, Losses},
    wire::shared::{lose, lose_tool_marks, native_fields, tools as write_tools},
};
use seaworthy_core::{
    call::{Call, Effort, Function, Reasoning, ReasoningMode, ResponseFormat, ToolChoice},
    dialect::Dialect,
};

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("model", &call.model);
        body.array("messages", |messages| {
            content::system(&call.system, messages, losses);
            for (index, message) in call.messages.iter().enumerate() {
                content::message(message, index, messages, losses);
            }
        });
        lose(
            call,
            &[
                Feature::TopK,
                Feature::Choices,
                Feature::Prewarm,
                Feature::Prefill,
            ],
            losses,
        );
        bounds(call, body);
        sampling(call, body);
        tools(call, body, losses);
        if let Some(format) = &call.response_format {
            body.object("response_format", |out| response_format(format, out));
        }
        if let Some(effort) = effort(call.reasoning, losses) {
            body.str("reasoning_effort", effort);
        }
        labels(call, body);
        if let Some(store) = call.store {
            body.bool("store", store);
        }
        for setting in &call.openai {
            body.raw(setting.name, &setting.json);
        }
        native_fields(Dialect::OpenAiChat, call, body, losses);
        if call.stream {
            // Always with usage: what is not reported has to be guessed.
            body.bool("stream", true)
                .object("stream_options", |options| {
                    options.bool("include_usage", true);
                });
        }
    });
    losses.add_unknown(&call.unknown_fields);
    out
}

fn bounds(call: &Call, body: &mut Members<'_>) {
    if let Some(most) = call.max_output_tokens {
        body.num("max_completion_tokens", most);
    }
    if !call.stop.is_empty() {
        body.array("stop", |items| {
            call.stop.iter().for_each(|stop| items.str(stop))
        });
    }
}

fn sampling(call: &Call, body: &mut Members<'_>) {
    let sampling = &call.sampling;
    let floats = [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ];
    for (name, value) in floats {
        if let Some(value) = value {
            body.float(name, value);
        }
    }
    if let Some(seed) = sampling.seed {
        body.int("seed", seed);
    }
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if !call.tools.is_empty() {
        body.array("tools", |items| {
            write_tools(Dialect::OpenAiChat, call, items, losses, |tool, items| {
                items.object(|out| function_tool(tool, tool.strict, out));
            });
        });
        lose_tool_marks(call, losses);
        if let Some(parallel) = call.parallel_tool_calls {
            body.bool("parallel_tool_calls", parallel);
        }
    }
    match &call.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => {
            body.str("tool_choice", "auto");
        }
        Some(ToolChoice::None) => {
            body.str("tool_choice", "none");
        }
        Some(ToolChoice::Required) => {
            body.str("tool_choice", "required");
        }
        Some(ToolChoice::Named(name)) => {
            body.object("tool_choice", |choice| {
                choice.str("type", "function").object("function", |out| {
                    out.str("name", name);
                });
            });
        }
        Some(ToolChoice::Allowed { required, names }) => {
            body.object("tool_choice", |choice| {
                choice
                    .str("type", "allowed_tools")
                    .object("allowed_tools", |out| {
                        allowed(*required, names, out, |name, tool| {
                            tool.object("function", |out| {
                                out.str("name", name);
                            });
                        });
                    });
            });
        }
        Some(ToolChoice::Native(native)) if native.dialect == Dialect::OpenAiChat => {
            body.raw("tool_choice", &native.json);
        }
        Some(ToolChoice::Native(_)) => losses.add(Feature::NativeToolChoice, "tool_choice"),
    }
}

/// A mode and the functions that may be called.
pub(in crate::wire) fn allowed(
    required: bool,
    names: &[String],
    out: &mut Members<'_>,
    write: impl Fn(&str, &mut Members<'_>),
) {
    out.str("mode", if required { "required" } else { "auto" })
        .array("tools", |tools| {
            for name in names {
                tools.object(|tool| {
                    tool.str("type", "function");
                    write(name, tool);
                });
            }
        });
}

/// The members of a tool that is a function.
pub(in crate::wire) fn function_tool(
    function: &Function,
    strict: Option<bool>,
    out: &mut Members<'_>,
) {
    out.str("type", "function").object("function", |out| {
        out.str("name", &function.name);
        if let Some(description) = &function.description {
            out.str("description", description);
        }
        if let Some(schema) = &function.schema {
            out.raw("parameters", schema);
        }
        if let Some(strict) = strict {
            out.bool("strict", strict);
        }
    });
}

fn response_format(format: &ResponseFormat, out: &mut Members<'_>) {
    match format {
        ResponseFormat::JsonObject => {
            out.str("type", "json_object");
        }
        ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            out.str("type", "json_schema").object("json_schema", |out| {
                // The name is required here and means nothing to the model.
                out.str("name", name.as_deref().unwrap_or("answer"));
                if let Some(description) = description {
                    out.str("description", description);
                }
                out.raw("schema", schema);
                if let Some(strict) = strict {
                    out.bool("strict", *strict);
                }
            });
        }
    }
}

/// The word for how hard to think, if anything was said about it.
pub(in crate::wire) fn effort(reasoning: Reasoning, losses: &mut Losses) -> Option<&'static str> {
    let effort = match (reasoning.effort, reasoning.mode) {
        (_, Some(ReasoningMode::Off)) => return Some("none"),
        (Some(effort), Some(ReasoningMode::BudgetTokens(_))) => {
            losses.add(Feature::ReasoningBudget, "thinking.budget_tokens");
            effort
        }
        (Some(effort), _) => effort,
        (None, Some(ReasoningMode::BudgetTokens(budget))) => {
            losses.add(Feature::ReasoningBudget, "thinking.budget_tokens");
            match budget {
                0..=4_095 => Effort::Low,
                4_096..=16_383 => Effort::Medium,
                _ => Effort::High,
            }
        }
        (None, Some(ReasoningMode::Adaptive) | None) => return None,
    };
    Some(match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    })
}

/// Who asks, and what for.
pub(in crate::wire) fn labels(call: &Call, body: &mut Members<'_>) {
    if let Some(user) = &call.user {
        body.str("user", user);
    }
    if let Some(identifier) = &call.safety_identifier {
        body.str("safety_identifier", identifier);
    }
    if !call.metadata.is_empty() {
        body.object("metadata", |out| {
            for (name, value) in &call.metadata {
                out.str(name, value);
            }
        });
    }
    if let Some(tier) = &call.service_tier {
        body.str("service_tier", tier);
    }
}
