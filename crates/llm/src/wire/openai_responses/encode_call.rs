//! A canonical call as a Responses request.

use super::{VERBOSITY, encode_item};
use crate::{
    json::{self, Items, Members},
    loss::{Feature, Losses},
    wire::{openai_chat, shared},
};
use seaworthy_core::{
    call::{Block, Call, Function, ResponseFormat, ToolChoice},
    dialect::Dialect,
};

pub(super) fn encode(call: &Call, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("model", &call.model);
        // One text is what `instructions` is for, beside something to answer; several stay apart as
        // parts of an item.
        let instructions = match &*call.system {
            [Block::Text(text)] if !call.messages.is_empty() => Some(text),
            _ => None,
        };
        if let Some(text) = instructions {
            body.str("instructions", text);
        }
        body.array("input", |items| {
            if instructions.is_none() {
                encode_item::system(&call.system, "system", items, losses);
            }
            for (index, message) in call.messages.iter().enumerate() {
                encode_item::message(message, index, items, losses);
            }
        });
        settings(call, body, losses);
        tools(call, body, losses);
        reasoning(call, body, losses);
        // Left out it would mean true here and false everywhere else.
        body.bool("store", call.store.unwrap_or(false));
        if call.stream {
            body.bool("stream", true);
        }
    });
    losses.add_unknown(&call.unknown_fields);
    out
}

fn settings(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if let Some(most) = call.max_output_tokens {
        body.num("max_output_tokens", most);
    }
    if let Some(temperature) = call.sampling.temperature {
        body.float("temperature", temperature);
    }
    if let Some(top_p) = call.sampling.top_p {
        body.float("top_p", top_p);
    }
    text(call, body);
    openai_chat::labels(call, body);
    shared::native_fields(Dialect::OpenAiResponses, call, body, losses);
    let lost = [
        Feature::TopK,
        Feature::Penalty,
        Feature::Seed,
        Feature::Stop,
        Feature::Choices,
        Feature::Prewarm,
        Feature::Prefill,
    ];
    shared::lose_tool_marks(call, losses);
    shared::lose(call, &lost, losses);
}

/// The form of the answer, and the settings of the other API of OpenAI.
fn text(call: &Call, body: &mut Members<'_>) {
    let (verbosity, settings): (Vec<_>, Vec<_>) = call
        .openai
        .iter()
        .partition(|setting| setting.name == VERBOSITY);
    if call.response_format.is_some() || !verbosity.is_empty() {
        body.object("text", |text| {
            if let Some(format) = &call.response_format {
                text.object("format", |out| response_format(format, out));
            }
            for setting in verbosity {
                text.raw(setting.name, &setting.json);
            }
        });
    }
    for setting in settings {
        body.raw(setting.name, &setting.json);
    }
}

fn tools(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    if !call.tools.is_empty() {
        body.array("tools", |items| {
            shared::tools(Dialect::OpenAiResponses, call, items, losses, function);
        });
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
                choice.str("type", "function").str("name", name);
            });
        }
        Some(ToolChoice::Allowed { required, names }) => {
            body.object("tool_choice", |choice| {
                choice.str("type", "allowed_tools");
                openai_chat::write_allowed(*required, names, choice, |name, tool| {
                    tool.str("name", name);
                });
            });
        }
        Some(ToolChoice::Native(native)) if native.dialect == Dialect::OpenAiResponses => {
            body.raw("tool_choice", &native.json);
        }
        Some(ToolChoice::Native(_)) => losses.add(Feature::NativeToolChoice, "tool_choice"),
    }
}

fn function(function: &Function, items: &mut Items<'_>) {
    items.object(|out| {
        out.str("type", "function").str("name", &function.name);
        if let Some(description) = &function.description {
            out.str("description", description);
        }
        match &function.schema {
            Some(schema) => out.raw("parameters", schema),
            None => out.null("parameters"),
        };
        // Left out it would mean true here and false everywhere else.
        out.bool("strict", function.strict.unwrap_or(false));
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
            // The name is required here and means nothing to the model.
            out.str("type", "json_schema")
                .str("name", name.as_deref().unwrap_or("answer"));
            if let Some(description) = description {
                out.str("description", description);
            }
            out.raw("schema", schema);
            if let Some(strict) = strict {
                out.bool("strict", *strict);
            }
        }
    }
}

fn reasoning(call: &Call, body: &mut Members<'_>, losses: &mut Losses) {
    let effort = openai_chat::effort(call.reasoning, losses);
    if let Some(effort) = effort {
        body.object("reasoning", |out| {
            out.str("effort", effort);
        });
    }
    // Models that do not think refuse to be asked for their thoughts.
    let thinks =
        effort.is_some_and(|effort| effort != "none") || encode_item::has_own_thoughts(call);
    if thinks {
        body.array("include", |items| items.str("reasoning.encrypted_content"));
    }
}
