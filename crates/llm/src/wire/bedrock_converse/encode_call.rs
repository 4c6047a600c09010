//! A canonical call as a Converse request.

use super::{
    documents::Names,
    encode_content::{self, Written},
};
use crate::{
    json::{self, Items, Members},
    loss::{Feature, Losses},
    wire::{claude, shared},
};
use seaworthy_core::{
    call::{
        Call, Effort, Function, Message, ReasoningMode, ResponseFormat, Role, Sampling, ToolChoice,
    },
    dialect::Dialect,
};

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        let mut written = Written {
            losses: &mut *losses,
            names: Names::default(),
        };
        if !call.system.is_empty() {
            body.array("system", |items| {
                encode_content::blocks(&call.system, "system", items, &mut written);
            });
        }
        body.array("messages", |items| {
            messages(&call.messages, items, &mut written);
        });
        let (mode, chance) = match call.model.contains("claude") {
            true => claude::thinking(call, call.reasoning.mode, Dialect::BedrockConverse, losses),
            false => (call.reasoning.mode, call.sampling),
        };
        inference(call, &chance, body);
        tools(call, body, losses);
        output(call, body, losses);
        model_fields(call, (mode, &chance), body, losses);
        if !call.metadata.is_empty() {
            body.object("requestMetadata", |out| {
                for (name, value) in &call.metadata {
                    out.str(name, value);
                }
            });
        }
        match call.service_tier.as_deref() {
            Some(tier @ ("default" | "flex" | "priority" | "reserved")) => {
                body.object("serviceTier", |out| {
                    out.str("type", tier);
                });
            }
            Some("auto") | None => {}
            Some(_) => losses.add(Feature::ServiceTier, "service_tier"),
        }
        shared::native_fields(Dialect::BedrockConverse, call, body, losses);
    });
    let lost = [
        Feature::Penalty,
        Feature::Seed,
        Feature::Choices,
        Feature::Prewarm,
        Feature::ParallelToolCalls,
        Feature::EndUser,
        Feature::Store,
    ];
    shared::lose(call, &lost, losses);
    losses.add_unknown(&call.unknown_fields);
    out
}

/// Turns have to alternate here, so what one side says in a row is one turn.
fn messages(messages: &[Message], out: &mut Items<'_>, written: &mut Written<'_>) {
    let mut turn: Option<(Role, Vec<u8>)> = None;
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        if message.name.is_some() {
            written
                .losses
                .add(Feature::SpeakerName, format!("{path}.name"));
        }
        let mut content = Vec::new();
        json::array(&mut content, |items| {
            encode_content::blocks(&message.blocks, &format!("{path}.content"), items, written);
        });
        // A message without content is refused; it says nothing anyway.
        if content == b"[]" {
            continue;
        }
        match &mut turn {
            Some((role, before)) if *role == message.role => {
                before.pop();
                before.push(b',');
                before.extend_from_slice(&content[1..]);
            }
            _ => {
                if let Some(turn) = turn.replace((message.role, content)) {
                    write(&turn, out);
                }
            }
        }
    }
    if let Some(turn) = turn {
        write(&turn, out);
    }
}

fn write((role, content): &(Role, Vec<u8>), out: &mut Items<'_>) {
    let role = match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    out.object(|message| {
        message.str("role", role).raw("content", content);
    });
}

fn inference(call: &Call, sampling: &Sampling, body: &mut Members<'_>) {
    let mut config = Vec::new();
    json::object(&mut config, |out| {
        if let Some(most) = call.max_output_tokens {
            out.num("maxTokens", most);
        }
        if let Some(temperature) = sampling.temperature {
            out.float("temperature", temperature);
        }
        if let Some(top_p) = sampling.top_p {
            out.float("topP", top_p);
        }
        if !call.stop.is_empty() {
            out.array("stopSequences", |items| {
                call.stop.iter().for_each(|stop| items.str(stop));
            });
        }
    });
    if config != b"{}" {
        body.raw("inferenceConfig", &config);
    }
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if call.tool_choice == Some(ToolChoice::None) {
        // Tools that are not offered are not called.
        losses.add(Feature::NoToolCall, "tool_choice");
        return;
    }
    if let Some(ToolChoice::Native(_)) = &call.tool_choice {
        losses.add(Feature::NativeToolChoice, "tool_choice");
    }
    if call.tools.is_empty() {
        return;
    }
    body.object("toolConfig", |config| {
        config.array("tools", |items| {
            shared::tools(Dialect::BedrockConverse, call, items, losses, function);
        });
        match &call.tool_choice {
            Some(ToolChoice::Allowed { required, .. }) => {
                let is_any = shared::allowed_elsewhere(*required, losses) == ToolChoice::Required;
                choice(config, if is_any { "any" } else { "auto" }, None);
            }
            Some(ToolChoice::Auto) => choice(config, "auto", None),
            Some(ToolChoice::Required) => choice(config, "any", None),
            Some(ToolChoice::Named(name)) => choice(config, "tool", Some(name)),
            Some(ToolChoice::None | ToolChoice::Native(_)) | None => {}
        }
    });
}

fn choice(config: &mut Members<'_>, rule: &str, name: Option<&str>) {
    config.object("toolChoice", |choice| {
        choice.object(rule, |out| {
            if let Some(name) = name {
                out.str("name", name);
            }
        });
    });
}

fn function(function: &Function, items: &mut Items<'_>) {
    items.object(|tool| {
        tool.object("toolSpec", |out| {
            out.str("name", &function.name);
            if let Some(description) = &function.description {
                out.str("description", description);
            }
            out.object("inputSchema", |out| {
                let schema = function.schema.as_deref();
                out.raw(
                    "json",
                    schema.unwrap_or(r#"{"type":"object","properties":{}}"#),
                );
            });
            if let Some(strict) = function.strict {
                out.bool("strict", strict);
            }
        });
    });
    if let Some(ttl) = function.cache {
        encode_content::cache_point(ttl, items);
    }
}

fn output(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if call.response_format == Some(ResponseFormat::JsonObject) {
        losses.add(Feature::JsonObject, "response_format");
    }
    let schema = match &call.response_format {
        Some(ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            ..
        }) => Some((name, description, schema)),
        _ => None,
    };
    if call.reasoning.effort == Some(Effort::Minimal) {
        losses.add(Feature::NearestEffort, "reasoning_effort");
    }
    let effort = call.reasoning.effort.map(effort_word);
    if schema.is_none() && effort.is_none() {
        return;
    }
    body.object("outputConfig", |config| {
        if let Some(effort) = effort {
            config.str("effort", effort);
        }
        let Some((name, description, schema)) = schema else {
            return;
        };
        config.object("textFormat", |format| {
            format
                .str("type", "json_schema")
                .object("structure", |structure| {
                    structure.object("jsonSchema", |out| {
                        out.str("schema", schema);
                        if let Some(name) = name {
                            out.str("name", name);
                        }
                        if let Some(description) = description {
                            out.str("description", description);
                        }
                    });
                });
        });
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

/// Settings that models have and the API has not: Claude's are known.
fn model_fields(
    call: &Call,
    (mode, sampling): (Option<ReasoningMode>, &Sampling),
    body: &mut Members<'_>,
    losses: &mut Losses,
) {
    if mode.is_none() && sampling.top_k.is_none() {
        return;
    }
    if !call.model.contains("claude") {
        if mode.is_some() {
            losses.add(Feature::ReasoningMode, "thinking");
        }
        shared::lose(call, &[Feature::TopK], losses);
        return;
    }
    body.object("additionalModelRequestFields", |out| {
        if let Some(top_k) = sampling.top_k {
            out.num("top_k", top_k);
        }
        if let Some(mode) = mode {
            out.object("thinking", |out| match mode {
                ReasoningMode::Off => {
                    out.str("type", "disabled");
                }
                ReasoningMode::Adaptive => {
                    out.str("type", "adaptive");
                }
                ReasoningMode::BudgetTokens(budget) => {
                    let budget = shared::claudes_budget(budget, call.max_output_tokens, losses);
                    out.str("type", "enabled").num("budget_tokens", budget);
                }
            });
        }
    });
}
