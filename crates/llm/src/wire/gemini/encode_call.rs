//! A canonical call as a generateContent request.

use super::encode_part::{self, Names};
use crate::{
    json::{self, Members},
    loss::{Feature, Losses},
    wire::shared,
};
use seaworthy_core::{
    call::{
        Call, Effort, Function, Native, Reasoning, ReasoningMode, ResponseFormat, Role, Tool,
        ToolChoice,
    },
    dialect::Dialect,
};

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let names = Names::of(call);
    json::object(&mut out, |body| {
        let mut system = Vec::new();
        json::array(&mut system, |parts| {
            encode_part::parts(&call.system, "system", &names, parts, losses);
        });
        if system != b"[]" {
            body.object("systemInstruction", |content| {
                content.raw("parts", &system);
            });
        }
        body.array("contents", |contents| {
            for (index, message) in call.messages.iter().enumerate() {
                let path = format!("messages[{index}]");
                if message.name.is_some() {
                    losses.add(Feature::SpeakerName, format!("{path}.name"));
                }
                let role = match message.role {
                    Role::Assistant => "model",
                    Role::User => "user",
                    Role::System => {
                        losses.add(Feature::LateInstruction, &path);
                        "user"
                    }
                };
                let path = format!("{path}.content");
                let mut parts = Vec::new();
                json::array(&mut parts, |items| {
                    encode_part::parts(&message.blocks, &path, &names, items, losses);
                });
                // A content without parts is refused; it says nothing anyway.
                if parts != b"[]" {
                    contents.object(|content| {
                        content.str("role", role).raw("parts", &parts);
                    });
                }
            }
        });
        tools(call, body, losses);
        settings(call, body, losses);
        labels(call, body, losses);
        shared::native_fields(Dialect::Gemini, call, body, losses);
    });
    losses.add_unknown(&call.unknown_fields);
    out
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if call.tools.iter().any(is_strict) {
        losses.add(Feature::StrictTool, "tools");
    }
    if !call.tools.is_empty() {
        let mut declared = Vec::new();
        body.array("tools", |items| {
            let functions = call.tools.iter().filter_map(|tool| match tool {
                Tool::Function(function) => Some(function),
                Tool::Native(_) => None,
            });
            json::array(&mut declared, |items| {
                functions.for_each(|tool| items.object(|out| function(tool, out)));
            });
            if declared != b"[]" {
                items.object(|tool| {
                    tool.raw("functionDeclarations", &declared);
                });
            }
            shared::tools(Dialect::Gemini, call, items, losses, |_, _| {});
        });
    }
    let (mode, names): (_, &[String]) = match &call.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed {
            required: true,
            names,
        }) => ("ANY", names),
        Some(ToolChoice::Allowed { names, .. }) => ("VALIDATED", names),
        Some(ToolChoice::Native(Native { dialect, json, .. })) => {
            if *dialect == Dialect::Gemini {
                body.object("toolConfig", |out| {
                    out.raw("functionCallingConfig", json);
                });
            } else {
                losses.add(Feature::NativeToolChoice, "tool_choice");
            }
            return;
        }
    };
    body.object("toolConfig", |out| {
        out.object("functionCallingConfig", |out| {
            out.str("mode", mode);
            if !names.is_empty() {
                out.array("allowedFunctionNames", |items| {
                    names.iter().for_each(|name| items.str(name));
                });
            }
        });
    });
}

fn is_strict(tool: &Tool) -> bool {
    matches!(tool, Tool::Function(function) if function.strict == Some(true))
}

fn function(function: &Function, out: &mut Members<'_>) {
    out.str("name", &function.name);
    if let Some(description) = &function.description {
        out.str("description", description);
    }
    if let Some(schema) = &function.schema {
        out.raw("parametersJsonSchema", schema);
    }
}

fn settings(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    let mut config = Vec::new();
    json::object(&mut config, |out| {
        if let Some(most) = call.max_output_tokens {
            out.num("maxOutputTokens", most);
        }
        let sampling = &call.sampling;
        for (name, value) in [
            ("temperature", sampling.temperature),
            ("topP", sampling.top_p),
            ("frequencyPenalty", sampling.frequency_penalty),
            ("presencePenalty", sampling.presence_penalty),
        ] {
            if let Some(value) = value {
                out.float(name, value);
            }
        }
        if let Some(top_k) = sampling.top_k {
            out.num("topK", top_k);
        }
        if let Some(seed) = sampling.seed {
            out.int("seed", seed);
        }
        if !call.stop.is_empty() {
            out.array("stopSequences", |items| {
                call.stop.iter().for_each(|stop| items.str(stop));
            });
        }
        if let Some(format) = &call.response_format {
            response_format(format, out, losses);
        }
        reasoning(&call.model, call.reasoning, out, losses);
    });
    if config != b"{}" {
        body.raw("generationConfig", &config);
    }
    shared::lose_tool_marks(call, losses);
    let lost = [
        Feature::Choices,
        Feature::Prewarm,
        Feature::Prefill,
        Feature::ParallelToolCalls,
        Feature::EndUser,
    ];
    shared::lose(call, &lost, losses);
}

/// Who asks, and what for.
fn labels(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    let (labels, others): (Vec<_>, Vec<_>) = call.metadata.iter().partition(is_label);
    if !labels.is_empty() {
        body.object("labels", |out| {
            for (name, value) in labels {
                out.str(name, value);
            }
        });
    }
    for (name, _) in others {
        losses.add(Feature::Label, format!("metadata.{name}"));
    }
    match call.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default") => {
            body.str("serviceTier", "standard");
        }
        Some(tier @ ("flex" | "priority")) => {
            body.str("serviceTier", tier);
        }
        Some(_) => losses.add(Feature::ServiceTier, "service_tier"),
    }
    if let Some(store) = call.store {
        body.bool("store", store);
    }
}

/// Google takes short labels of small letters, digits, `_` and `-`, and refuses a call with others.
fn is_label((name, value): &&(String, String)) -> bool {
    let is_plain = |text: &str| {
        let is_fine = |c: char| c.is_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        text.chars().count() <= 63 && text.chars().all(is_fine)
    };
    name.starts_with(char::is_lowercase) && is_plain(name) && is_plain(value)
}

fn response_format(format: &ResponseFormat, out: &mut Members<'_>, losses: &mut Losses) {
    out.str("responseMimeType", "application/json");
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
        out.raw("responseJsonSchema", schema);
    }
}

/// Gemini 3 and later take a level; before that there was only a budget.
fn reasoning(model: &str, reasoning: Reasoning, out: &mut Members<'_>, losses: &mut Losses) {
    let takes_levels = encode_part::takes_levels(model);
    lose_reasoning(reasoning, takes_levels, losses);
    let (budget, level) = match (reasoning.mode, reasoning.effort) {
        (None, None) => return,
        (Some(ReasoningMode::Off), _) => (Some(0), None),
        (_, Some(effort)) if takes_levels => (None, Some(level(effort))),
        (Some(ReasoningMode::BudgetTokens(budget)), _) => {
            (Some(i64::try_from(budget).unwrap_or(i64::MAX)), None)
        }
        (_, Some(effort)) => (Some(usual_budget(effort)), None),
        (Some(ReasoningMode::Adaptive), None) => (Some(-1), None),
    };
    out.object("thinkingConfig", |out| {
        if let Some(budget) = budget {
            out.int("thinkingBudget", budget);
        }
        if let Some(level) = level {
            out.str("thinkingLevel", level);
        }
        let is_on = !matches!(reasoning.mode, None | Some(ReasoningMode::Off));
        if is_on {
            out.bool("includeThoughts", true);
        }
    });
}

/// Of a budget and an effort only one can be told, and not every degree of effort.
fn lose_reasoning(reasoning: Reasoning, takes_levels: bool, losses: &mut Losses) {
    let is_on = reasoning.mode != Some(ReasoningMode::Off);
    let Some(effort) = reasoning.effort.filter(|_| is_on) else {
        return;
    };
    match reasoning.mode {
        Some(ReasoningMode::BudgetTokens(_)) if takes_levels => {
            losses.add(Feature::ReasoningBudget, "thinking.budget_tokens");
        }
        Some(ReasoningMode::BudgetTokens(_)) => {
            return losses.add(Feature::Effort, "reasoning_effort");
        }
        _ => {}
    }
    let has_none = match effort {
        Effort::Minimal => !takes_levels,
        Effort::ExtraHigh | Effort::Max => true,
        Effort::Low | Effort::Medium | Effort::High => false,
    };
    if has_none {
        losses.add(Feature::NearestEffort, "reasoning_effort");
    }
}

fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::ExtraHigh | Effort::Max => "HIGH",
    }
}

/// What the provider itself makes of efforts at its OpenAI-compatible API.
fn usual_budget(effort: Effort) -> i64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::ExtraHigh | Effort::Max => 24_576,
    }
}
