//! A canonical call as a messages request.

use super::encode_content as content;
use crate::{
    json::{self, Members},
    loss::{Feature, Losses},
    wire::{
        claude,
        shared::{allowed_elsewhere, claudes_budget, lose, native_fields, tools as write_tools},
    },
};
use seaworthy_core::{
    call::{Call, Effort, Function, ReasoningMode, ResponseFormat, Sampling, ToolChoice},
    dialect::Dialect,
};

/// The API wants a bound in every request; this one is sent if the caller set none. Every model
/// on offer takes it.
const DEFAULT_MAX_TOKENS: u64 = 4_096;

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("model", &call.model);
        body.num("max_tokens", most(call));
        if !call.system.is_empty() {
            body.array("system", |items| {
                content::blocks(&call.system, "system", items, losses);
            });
        }
        body.array("messages", |items| {
            for (index, message) in call.messages.iter().enumerate() {
                content::message(message, index, items, losses);
            }
        });
        if !call.stop.is_empty() {
            body.array("stop_sequences", |items| {
                call.stop.iter().for_each(|stop| items.str(stop));
            });
        }
        let wanted = call.reasoning.mode;
        let wanted = wanted.or(call.reasoning.effort.map(|_| ReasoningMode::Adaptive));
        let own = Dialect::AnthropicMessages;
        let (thinking, chance) = claude::thinking(call, wanted, own, losses);
        sampling(&chance, body, losses);
        tools(call, body, losses);
        output(call, thinking, body, losses);
        labels(call, body, losses);
        native_fields(Dialect::AnthropicMessages, call, body, losses);
        lose(
            call,
            &[
                Feature::Penalty,
                Feature::Seed,
                Feature::Metadata,
                Feature::Store,
                Feature::Choices,
            ],
            losses,
        );
        if call.stream {
            body.bool("stream", true);
        }
    });
    losses.add_unknown(&call.unknown_fields);
    out
}

/// The bound that is sent; thoughts count towards it.
fn most(call: &Call) -> u64 {
    let thoughts = match call.reasoning.mode {
        Some(ReasoningMode::BudgetTokens(budget)) if budget >= DEFAULT_MAX_TOKENS => budget,
        _ => 0,
    };
    let usual = DEFAULT_MAX_TOKENS.saturating_add(thoughts);
    call.max_output_tokens.unwrap_or(usual)
}

fn sampling(sampling: &Sampling, body: &mut Members<'_>, losses: &mut Losses) {
    if let Some(temperature) = sampling.temperature {
        if temperature > 1.0 {
            losses.add(Feature::HighTemperature, "temperature");
        }
        body.float("temperature", temperature.min(1.0));
    }
    if let Some(top_p) = sampling.top_p {
        body.float("top_p", top_p);
    }
    if let Some(top_k) = sampling.top_k {
        body.num("top_k", top_k);
    }
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if !call.tools.is_empty() {
        body.array("tools", |items| {
            write_tools(
                Dialect::AnthropicMessages,
                call,
                items,
                losses,
                |tool, items| items.object(|out| function(tool, out)),
            );
        });
    }
    let elsewhere = match &call.tool_choice {
        Some(ToolChoice::Allowed { required, .. }) => Some(allowed_elsewhere(*required, losses)),
        _ => None,
    };
    let (kind, name) = match elsewhere.as_ref().or(call.tool_choice.as_ref()) {
        Some(ToolChoice::Native(_)) => {
            return losses.add(Feature::NativeToolChoice, "tool_choice");
        }
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name)),
        // The rule about parallel calls lives in the choice, so there has to be one.
        None if call.parallel_tool_calls == Some(false) && !call.tools.is_empty() => ("auto", None),
        None => return,
    };
    body.object("tool_choice", |choice| {
        choice.str("type", kind);
        if let Some(name) = name {
            choice.str("name", name);
        }
        if let Some(parallel) = call.parallel_tool_calls.filter(|_| kind != "none") {
            choice.bool("disable_parallel_tool_use", !parallel);
        }
    });
}

fn function(function: &Function, out: &mut Members<'_>) {
    out.str("name", &function.name);
    if let Some(description) = &function.description {
        out.str("description", description);
    }
    let schema = function.schema.as_deref();
    out.raw(
        "input_schema",
        schema.unwrap_or(r#"{"type":"object","properties":{}}"#),
    );
    if let Some(strict) = function.strict {
        out.bool("strict", strict);
    }
    if let Some(ttl) = function.cache {
        content::cache_control(ttl, out);
    }
}

fn output(
    call: &Call,
    thinking: Option<ReasoningMode>,
    body: &mut Members<'_>,
    losses: &mut Losses,
) {
    if let Some(mode) = thinking {
        body.object("thinking", |out| match mode {
            ReasoningMode::Off => {
                out.str("type", "disabled");
            }
            ReasoningMode::Adaptive => {
                out.str("type", "adaptive");
            }
            ReasoningMode::BudgetTokens(budget) => {
                let budget = claudes_budget(budget, Some(most(call)), losses);
                out.str("type", "enabled").num("budget_tokens", budget);
            }
        });
    }
    let schema = match &call.response_format {
        None => None,
        Some(ResponseFormat::JsonObject) => {
            losses.add(Feature::JsonObject, "response_format");
            None
        }
        Some(ResponseFormat::JsonSchema {
            description,
            schema,
            ..
        }) => {
            if description.is_some() {
                let path = "response_format.json_schema.description";
                losses.add(Feature::SchemaDescription, path);
            }
            Some(schema)
        }
    };
    if schema.is_none() && call.reasoning.effort.is_none() {
        return;
    }
    body.object("output_config", |out| {
        if let Some(effort) = call.reasoning.effort {
            if effort == Effort::Minimal {
                losses.add(Feature::NearestEffort, "reasoning_effort");
            }
            out.str("effort", effort_word(effort));
        }
        if let Some(schema) = schema {
            out.object("format", |out| {
                out.str("type", "json_schema").raw("schema", schema);
            });
        }
    });
}

fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::ExtraHigh => "xhigh",
        Effort::Max => "max",
    }
}

fn labels(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if let Some(user) = call.end_user() {
        body.object("metadata", |out| {
            out.str("user_id", user);
        });
        if call
            .safety_identifier
            .as_deref()
            .is_some_and(|other| other != user)
        {
            losses.add(Feature::EndUser, "safety_identifier");
        }
    }
    match call.service_tier.as_deref() {
        None => {}
        Some("auto") => {
            body.str("service_tier", "auto");
        }
        Some("default") => {
            body.str("service_tier", "standard_only");
        }
        Some(_) => losses.add(Feature::ServiceTier, "service_tier"),
    }
}
