//! A Responses request as a canonical call.

use super::{
    VERBOSITY,
    decode_item::{self, Turns},
};
use crate::{
    fault::Fault,
    json::{self, Node, Object, Trail},
    wire::openai_chat,
};
use seaworthy_core::{
    call::{
        Block, Call, Function, Message, Native, OpenAiSetting, ResponseFormat, Role, Sampling,
        Tool, ToolChoice,
    },
    dialect::Dialect,
};

pub(super) fn decode(body: &[u8]) -> Result<Call, Fault> {
    let trail = Trail::default();
    let mut call = {
        let mut fields = trail.root(body)?.object()?;
        let call = read(&mut fields)?;
        fields.finish();
        call
    };
    call.unknown_fields = trail.into_unknown();
    Ok(call)
}

fn read(fields: &mut Object<'_>) -> Result<Call, Fault> {
    let instructions = fields.optional("instructions", instructions)?;
    let Turns {
        mut system,
        messages,
        origins,
        mut system_origins,
        ..
    } = fields.optional("input", input)?.unwrap_or_default();
    if let Some(mut instructions) = instructions {
        for origin in &mut system_origins {
            origin.first += instructions.len();
        }
        instructions.append(&mut system);
        system = instructions;
    }
    let text = fields.optional("text", text)?;
    let (response_format, verbosity) = text.unwrap_or_default();
    let mut openai = openai_chat::openai_settings(OPENAI_SETTINGS, fields)?;
    let (cache, prewarms) = fields
        .optional(CACHE_OPTIONS, cache_options)?
        .unwrap_or_default();
    for (name, json) in [(VERBOSITY, verbosity), (CACHE_OPTIONS, cache)] {
        openai.extend(json.map(|json| OpenAiSetting { name, json }));
    }
    let most = fields.optional("max_output_tokens", |node| node.u64())?;
    let effort = fields.optional("reasoning", |node| {
        let mut fields = node.object()?;
        let effort = fields.optional("effort", openai_chat::reasoning)?;
        fields.finish();
        Ok(effort.unwrap_or_default())
    })?;
    usual(fields)?;
    let metadata = fields.optional("metadata", |node| {
        node.object()?.entries(|value| value.string())
    })?;
    Ok(Call {
        model: fields.text("model")?,
        system,
        messages,
        origins,
        system_origins,
        tools: fields
            .optional("tools", |node| node.each(tool))?
            .unwrap_or_default(),
        tool_choice: fields.optional("tool_choice", tool_choice)?,
        parallel_tool_calls: fields.optional("parallel_tool_calls", |node| node.bool())?,
        max_output_tokens: most.filter(|_| !prewarms).or(prewarms.then_some(0)),
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("top_p", |node| node.f64())?,
            ..Sampling::default()
        },
        response_format,
        reasoning: effort.unwrap_or_default(),
        user: fields.optional("user", |node| node.string())?,
        safety_identifier: fields.optional("safety_identifier", |node| node.string())?,
        metadata: metadata.unwrap_or_default(),
        service_tier: fields.optional("service_tier", |node| node.string())?,
        openai,
        stream: fields
            .optional("stream", |node| node.bool())?
            .unwrap_or(false),
        include_usage: true,
        previous_response_id: fields.optional("previous_response_id", |node| node.string())?,
        native_fields: native_fields(fields)?,
        ..Call::default()
    })
}

/// What every API does unless it is told otherwise.
fn usual(fields: &mut Object<'_>) -> Result<(), Fault> {
    fields.optional("stream_options", |node| {
        node.whole(openai_chat::no_obfuscation)
    })?;
    fields.optional("truncation", |node| {
        if node.string()? != "disabled" {
            node.note_unknown();
        }
        Ok(())
    })?;
    // Whoever serves the request keeps the answer; the head tells whether to.
    fields.skip(&["store"]);
    fields.optional("include", |node| {
        node.each(|item| {
            // Sealed reasoning is always told.
            if item.string()? != "reasoning.encrypted_content" {
                item.note_unknown();
            }
            Ok(())
        })
    })?;
    Ok(())
}

/// Settings that chat completions have under the same name and in the same form.
const OPENAI_SETTINGS: &[&str] = &["moderation", "prompt_cache_key", "prompt_cache_retention"];
const CACHE_OPTIONS: &str = "prompt_cache_options";

/// What chat completions have of it too, and whether the cache is to be filled and nothing else.
fn cache_options(node: Node<'_>) -> Result<(Option<String>, bool), Fault> {
    node.whole(|fields| {
        let prewarms = fields.optional("prewarm", |node| node.bool())?;
        let mut json = Vec::new();
        let mut shared = Vec::new();
        for name in ["mode", "ttl"] {
            let value = fields.optional(name, |node| Ok(node.json()))?;
            shared.extend(value.map(|value| (name, value)));
        }
        json::object(&mut json, |out| {
            for (name, value) in &shared {
                out.raw(name, value);
            }
        });
        let shared = (!shared.is_empty()).then(|| String::from_utf8_lossy(&json).into_owned());
        Ok((shared, prewarms == Some(true)))
    })
}

/// The form of the answer, and how much of it there should be.
fn text(node: Node<'_>) -> Result<(Option<ResponseFormat>, Option<String>), Fault> {
    node.whole(|fields| {
        let format = fields.optional("format", response_format)?;
        let verbosity = fields.optional(VERBOSITY, |node| Ok(node.json().to_owned()))?;
        Ok((format.flatten(), verbosity))
    })
}

/// What the model sees or does other things by, in words that only this API has.
fn native_fields(fields: &mut Object<'_>) -> Result<Vec<Native>, Fault> {
    let mut found = Vec::new();
    for name in ["background", "conversation", "prompt"] {
        let json = fields.optional(name, |node| Ok(node.json().to_owned()))?;
        let native = json.filter(|json| json != "false").map(|json| Native {
            dialect: Dialect::OpenAiResponses,
            kind: name.to_owned(),
            json,
        });
        found.extend(native);
    }
    Ok(found)
}

fn instructions(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    let text = Some(node.string()?).filter(|text| !text.is_empty());
    Ok(text.map(Block::Text).into_iter().collect())
}

fn input(node: Node<'_>) -> Result<Turns, Fault> {
    let mut turns = Turns::default();
    if node.is_string() {
        let blocks = instructions(node)?;
        turns.messages.push(Message {
            role: Role::User,
            name: None,
            blocks,
        });
        return Ok(turns);
    }
    if !node.is_array() {
        return Err(node.expected("a string or an array of items"));
    }
    node.each(|item| turns.item(item))?;
    Ok(turns)
}

fn tool(node: Node<'_>) -> Result<Tool, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    if kind != "function" {
        return Ok(Tool::Native(decode_item::native(kind, node)));
    }
    let function = Function {
        name: fields.text("name")?,
        description: fields.optional("description", |node| node.string())?,
        schema: fields.optional("parameters", |node| node.object_text())?,
        strict: fields.optional("strict", |node| node.bool())?,
        cache: None,
    };
    fields.finish();
    Ok(Tool::Function(function))
}

fn tool_choice(node: Node<'_>) -> Result<ToolChoice, Fault> {
    if node.is_string() {
        return openai_chat::tool_choice_word(node);
    }
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    if kind == "allowed_tools" {
        let allowed = openai_chat::allowed(&mut fields, |fields| fields.text("name"))?;
        fields.finish();
        return Ok(allowed.unwrap_or_else(|| ToolChoice::Native(decode_item::native(kind, node))));
    }
    if kind != "function" {
        return Ok(ToolChoice::Native(decode_item::native(kind, node)));
    }
    let name = fields.text("name")?;
    fields.finish();
    Ok(ToolChoice::Named(name))
}

/// `None`: free text.
fn response_format(node: Node<'_>) -> Result<Option<ResponseFormat>, Fault> {
    let mut fields = node.object()?;
    let kind = fields.required("type", "a string", |node| {
        node.one_of(&[("text", 0_u8), ("json_object", 1), ("json_schema", 2)])
    })?;
    let format = match kind {
        0 => None,
        1 => Some(ResponseFormat::JsonObject),
        _ => Some(ResponseFormat::JsonSchema {
            name: fields.optional("name", |node| node.string())?,
            description: fields.optional("description", |node| node.string())?,
            schema: fields.required("schema", "a JSON schema", |node| node.object_text())?,
            strict: fields.optional("strict", |node| node.bool())?,
        }),
    };
    fields.finish();
    Ok(format)
}
