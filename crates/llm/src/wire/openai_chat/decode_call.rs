//! A chat completions request as a canonical call.

use super::decode_content as content;
use crate::{
    fault::Fault,
    json::{Node, Object, Trail},
};
use seaworthy_core::call::{
    Block, Call, Effort, Function, Message, OpenAiSetting, Origin, Reasoning, ReasoningMode,
    ResponseFormat, Role, Sampling, Tool, ToolChoice,
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
    let call = fields.required("messages", "an array of messages", messages)?;
    let stop = fields.optional("stop", |node| {
        if node.is_string() {
            return Ok(vec![node.string()?]);
        }
        node.each(|item| item.string())
    })?;
    let most = fields.optional("max_completion_tokens", |node| node.u64())?;
    let most_by_old_name = fields.optional("max_tokens", |node| node.u64())?;
    fields.optional("functions", retired("`tools`"))?;
    fields.optional("function_call", retired("`tool_choice`"))?;
    let include_usage = fields.optional("stream_options", |node| {
        let mut options = node.object()?;
        let asked = options.optional("include_usage", |node| node.bool())?;
        no_obfuscation(&mut options)?;
        options.finish();
        Ok(asked.unwrap_or(false))
    })?;
    let metadata = fields.optional("metadata", |node| {
        node.object()?.entries(|value| value.string())
    })?;
    Ok(Call {
        model: fields.text("model")?,
        tools: fields
            .optional("tools", |node| node.each(tool))?
            .unwrap_or_default(),
        tool_choice: fields.optional("tool_choice", tool_choice)?,
        parallel_tool_calls: fields.optional("parallel_tool_calls", |node| node.bool())?,
        max_output_tokens: most.or(most_by_old_name),
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("top_p", |node| node.f64())?,
            top_k: fields.optional("top_k", |node| node.u64())?,
            frequency_penalty: fields.optional("frequency_penalty", |node| node.f64())?,
            presence_penalty: fields.optional("presence_penalty", |node| node.f64())?,
            seed: fields.optional("seed", |node| node.i64())?,
        },
        stop: stop.unwrap_or_default(),
        response_format: fields
            .optional("response_format", response_format)?
            .flatten(),
        reasoning: fields
            .optional("reasoning_effort", reasoning)?
            .unwrap_or_default(),
        choices: fields.optional("n", |node| node.u64())?,
        user: fields.optional("user", |node| node.string())?,
        safety_identifier: fields.optional("safety_identifier", |node| node.string())?,
        metadata: metadata.unwrap_or_default(),
        service_tier: fields.optional("service_tier", |node| node.string())?,
        store: fields.optional("store", |node| node.bool())?,
        openai: openai_settings(OPENAI_SETTINGS, fields)?,
        stream: fields
            .optional("stream", |node| node.bool())?
            .unwrap_or(false),
        include_usage: include_usage.unwrap_or(false),
        ..call
    })
}

/// Translated streams have no padding: only who asks for it misses something.
pub(in crate::wire) fn no_obfuscation(options: &mut Object<'_>) -> Result<(), Fault> {
    options.optional("include_obfuscation", |node| {
        if node.bool()? {
            node.note_unknown();
        }
        Ok(())
    })?;
    Ok(())
}

/// The settings that both APIs of OpenAI have in the same form.
const OPENAI_SETTINGS: &[&str] = &[
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "verbosity",
];

/// Settings that the other API of OpenAI has in the same form.
pub(in crate::wire) fn openai_settings(
    names: &[&'static str],
    fields: &mut Object<'_>,
) -> Result<Vec<OpenAiSetting>, Fault> {
    let mut found = Vec::new();
    for name in names {
        let json = fields.optional(name, |node| Ok(node.json().to_owned()))?;
        found.extend(json.map(|json| OpenAiSetting { name, json }));
    }
    Ok(found)
}

/// A field of the time before tools, which would have to be translated twice.
fn retired(successor: &'static str) -> impl Fn(Node<'_>) -> Result<(), Fault> {
    move |node| Err(node.fault(format_args!("retired by OpenAI; use {successor} instead")))
}

/// The instructions at the start, and the conversation after them.
fn messages(node: Node<'_>) -> Result<Call, Fault> {
    let mut call = Call::default();
    let mut source = 0;
    // Results of parallel calls are separate messages here and one message everywhere else.
    let mut joins_results = false;
    node.each(|node| {
        let mut fields = node.object()?;
        let role = fields.required("role", "a string", |node| {
            let role = node.string()?;
            match &*role {
                "developer" | "system" | "user" | "assistant" | "tool" => Ok(role),
                "function" => retired("the role `tool`")(node).map(|()| role),
                _ => Err(node.expected("one of developer, system, user, assistant, tool")),
            }
        })?;
        let message = match &*role {
            "developer" | "system" if call.messages.is_empty() => {
                call.system_origins
                    .push(Origin::behind(source, &call.system));
                call.system
                    .append(&mut said_by_operator(&mut fields)?.blocks);
                fields.finish();
                source += 1;
                return Ok(());
            }
            "developer" | "system" => said_by_operator(&mut fields)?,
            "user" => said_by_user(&mut fields)?,
            "assistant" => said_by_assistant(&mut fields)?,
            _ => said_by_tool(&mut fields)?,
        };
        fields.finish();
        let joins = joins_results && role == "tool";
        say(&mut call, message, source, joins);
        joins_results = role == "tool";
        source += 1;
        Ok(())
    })?;
    Ok(call)
}

/// Adds a message, to the one before if it joins that one.
pub(in crate::wire) fn say(call: &mut Call, message: Message, source: usize, joins: bool) {
    match (call.messages.last_mut(), call.origins.last_mut()) {
        (Some(last), Some(origins)) if joins => {
            origins.push(Origin::behind(source, &last.blocks));
            last.blocks.extend(message.blocks);
        }
        _ => {
            call.messages.push(message);
            call.origins.push(vec![Origin { source, first: 0 }]);
        }
    }
}

fn said_by_operator(fields: &mut Object<'_>) -> Result<Message, Fault> {
    Ok(Message {
        role: Role::System,
        name: fields.optional("name", |node| node.string())?,
        blocks: fields.required("content", CONTENT, content::text_blocks)?,
    })
}

fn said_by_user(fields: &mut Object<'_>) -> Result<Message, Fault> {
    Ok(Message {
        role: Role::User,
        name: fields.optional("name", |node| node.string())?,
        blocks: fields.required("content", CONTENT, content::user_blocks)?,
    })
}

fn said_by_assistant(fields: &mut Object<'_>) -> Result<Message, Fault> {
    Ok(Message {
        role: Role::Assistant,
        name: fields.optional("name", |node| node.string())?,
        blocks: content::assistant_blocks(fields)?,
    })
}

fn said_by_tool(fields: &mut Object<'_>) -> Result<Message, Fault> {
    let result = Block::ToolResult {
        tool_use_id: fields.text("tool_call_id")?,
        blocks: fields.required("content", CONTENT, content::user_blocks)?,
        is_error: false,
    };
    Ok(Message {
        role: Role::User,
        name: None,
        blocks: vec![result],
    })
}

const CONTENT: &str = "a string or an array of content parts";

fn tool(node: Node<'_>) -> Result<Tool, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    if kind != "function" {
        return Ok(Tool::Native(content::native(kind, node)));
    }
    let function = fields.required("function", "an object", function)?;
    fields.finish();
    Ok(Tool::Function(function))
}

pub(in crate::wire) fn function(node: Node<'_>) -> Result<Function, Fault> {
    let mut fields = node.object()?;
    let function = Function {
        name: fields.text("name")?,
        description: fields.optional("description", |node| node.string())?,
        schema: fields.optional("parameters", |node| node.object_text())?,
        strict: fields.optional("strict", |node| node.bool())?,
        cache: None,
    };
    fields.finish();
    Ok(function)
}

fn tool_choice(node: Node<'_>) -> Result<ToolChoice, Fault> {
    if node.is_string() {
        return tool_choice_word(node);
    }
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    if kind == "allowed_tools" {
        let allowed = fields.required("allowed_tools", "an object", |node| {
            node.whole(|fields| {
                allowed(fields, |fields| {
                    fields.required("function", "an object", |node| {
                        node.whole(|fields| fields.text("name"))
                    })
                })
            })
        })?;
        fields.finish();
        return Ok(allowed.unwrap_or_else(|| ToolChoice::Native(content::native(kind, node))));
    }
    if kind != "function" {
        return Ok(ToolChoice::Native(content::native(kind, node)));
    }
    let name = fields.required("function", "an object", |node| {
        node.whole(|fields| fields.text("name"))
    })?;
    fields.finish();
    Ok(ToolChoice::Named(name))
}

/// A mode and the functions that may be called; `None` if there are other tools among them.
pub(in crate::wire) fn allowed(
    fields: &mut Object<'_>,
    name: impl Fn(&mut Object<'_>) -> Result<String, Fault>,
) -> Result<Option<ToolChoice>, Fault> {
    let required = fields.required("mode", "a string", |node| {
        node.one_of(&[("auto", false), ("required", true)])
    })?;
    let names = fields.required("tools", "an array of tools", |node| {
        node.each(|tool| {
            let mut fields = tool.object()?;
            if fields.text("type")? != "function" {
                return Ok(None);
            }
            let name = name(&mut fields)?;
            fields.finish();
            Ok(Some(name))
        })
    })?;
    let names: Option<Vec<String>> = names.into_iter().collect();
    Ok(names.map(|names| ToolChoice::Allowed { required, names }))
}

pub(in crate::wire) fn tool_choice_word(node: Node<'_>) -> Result<ToolChoice, Fault> {
    match &*node.string()? {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(node.expected("one of auto, none, required, or an object")),
    }
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
        _ => Some(fields.required("json_schema", "an object", json_schema)?),
    };
    fields.finish();
    Ok(format)
}

fn json_schema(node: Node<'_>) -> Result<ResponseFormat, Fault> {
    node.whole(|fields| {
        let schema = fields.optional("schema", |node| node.object_text())?;
        Ok(ResponseFormat::JsonSchema {
            name: fields.optional("name", |node| node.string())?,
            description: fields.optional("description", |node| node.string())?,
            schema: schema.unwrap_or_else(|| "{}".to_owned()),
            strict: fields.optional("strict", |node| node.bool())?,
        })
    })
}

pub(in crate::wire) fn reasoning(node: Node<'_>) -> Result<Reasoning, Fault> {
    let effort = node.one_of(&[
        ("none", None),
        ("minimal", Some(Effort::Minimal)),
        ("low", Some(Effort::Low)),
        ("medium", Some(Effort::Medium)),
        ("high", Some(Effort::High)),
        ("xhigh", Some(Effort::ExtraHigh)),
        ("max", Some(Effort::Max)),
    ])?;
    Ok(Reasoning {
        mode: effort.is_none().then_some(ReasoningMode::Off),
        effort,
    })
}
