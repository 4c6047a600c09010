//! A messages request as a canonical call.

use super::decode_content as content;
use crate::{
    fault::Fault,
    json::{Node, Object, Trail},
};
use seaworthy_core::call::{
    Block, Call, Effort, Function, Message, Reasoning, ReasoningMode, ResponseFormat, Role,
    Sampling, Tool, ToolChoice,
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
    let system = fields.optional("system", content::content)?;
    let mut messages = fields.required("messages", "an array of messages", |node| {
        node.each(message)
    })?;
    // A mark of the whole request stands behind its last block.
    if let Some(ttl) = content::cache_control(fields)?
        && let Some(last) = messages.last_mut()
        && !matches!(last.blocks.last(), Some(Block::CachePoint(_)))
    {
        last.blocks.push(Block::CachePoint(ttl));
    }
    let choice = fields.optional("tool_choice", tool_choice)?;
    let stop = fields.optional("stop_sequences", |node| node.each(|item| item.string()))?;
    let mode = fields.optional("thinking", thinking)?;
    let output = fields.optional("output_config", output_config)?;
    let (effort, response_format) = output.unwrap_or_default();
    // The name that it had while it was a beta, which is taken still.
    let response_format = fields
        .optional("output_format", output_format)?
        .or(response_format);
    let user = fields.optional("metadata", |node| {
        let mut fields = node.object()?;
        let user = fields.optional("user_id", |node| node.string())?;
        fields.finish();
        Ok(user)
    })?;
    Ok(Call {
        model: fields.text("model")?,
        system: system.unwrap_or_default(),
        messages,
        tools: fields
            .optional("tools", |node| node.each(tool))?
            .unwrap_or_default(),
        parallel_tool_calls: choice.as_ref().and_then(|choice| choice.parallel),
        tool_choice: choice.map(|choice| choice.rule),
        max_output_tokens: fields.optional("max_tokens", |node| node.u64())?,
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("top_p", |node| node.f64())?,
            top_k: fields.optional("top_k", |node| node.u64())?,
            ..Sampling::default()
        },
        stop: stop.unwrap_or_default(),
        response_format,
        reasoning: Reasoning { mode, effort },
        choices: None,
        user: user.flatten(),
        metadata: Vec::new(),
        service_tier: fields.optional("service_tier", service_tier)?,
        stream: fields
            .optional("stream", |node| node.bool())?
            .unwrap_or(false),
        include_usage: true,
        ..Call::default()
    })
}

fn message(node: Node<'_>) -> Result<Message, Fault> {
    let mut fields = node.object()?;
    let message = Message {
        role: fields.required("role", "a string", |node| {
            node.one_of(&[
                ("user", Role::User),
                ("assistant", Role::Assistant),
                ("system", Role::System),
            ])
        })?,
        name: None,
        blocks: fields.required(
            "content",
            "a string or an array of content blocks",
            content::content,
        )?,
    };
    fields.finish();
    Ok(message)
}

fn tool(node: Node<'_>) -> Result<Tool, Fault> {
    let mut fields = node.object()?;
    let kind = fields.optional("type", |node| node.string())?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        return Ok(Tool::Native(content::native(kind, node)));
    }
    let function = Function {
        name: fields.text("name")?,
        description: fields.optional("description", |node| node.string())?,
        schema: Some(fields.required("input_schema", "a JSON schema", |node| node.object_text())?),
        strict: fields.optional("strict", |node| node.bool())?,
        cache: content::cache_control(&mut fields)?,
    };
    fields.finish();
    Ok(Tool::Function(function))
}

struct Choice {
    rule: ToolChoice,
    parallel: Option<bool>,
}

fn tool_choice(node: Node<'_>) -> Result<Choice, Fault> {
    let mut fields = node.object()?;
    let kind = fields.required("type", "a string", |node| {
        node.one_of(&[("auto", 0_u8), ("none", 1), ("any", 2), ("tool", 3)])
    })?;
    let rule = match kind {
        0 => ToolChoice::Auto,
        1 => ToolChoice::None,
        2 => ToolChoice::Required,
        _ => ToolChoice::Named(fields.text("name")?),
    };
    let disabled = fields.optional("disable_parallel_tool_use", |node| node.bool())?;
    fields.finish();
    Ok(Choice {
        rule,
        parallel: disabled.map(|disabled| !disabled),
    })
}

/// Whether and how long to think.
pub(in crate::wire) fn thinking(node: Node<'_>) -> Result<ReasoningMode, Fault> {
    let mut fields = node.object()?;
    let kind = fields.required("type", "a string", |node| {
        // Between tools only, which no other API can be told.
        if node.json() == "\"between_tools\"" {
            node.note_unknown();
            return Ok(1);
        }
        node.one_of(&[("disabled", 0_u8), ("adaptive", 1), ("enabled", 2)])
    })?;
    let mode = match kind {
        0 => ReasoningMode::Off,
        1 => ReasoningMode::Adaptive,
        _ => {
            ReasoningMode::BudgetTokens(
                fields.required("budget_tokens", "an integer", |node| node.u64())?,
            )
        }
    };
    fields.finish();
    Ok(mode)
}

fn output_config(node: Node<'_>) -> Result<(Option<Effort>, Option<ResponseFormat>), Fault> {
    let mut fields = node.object()?;
    let effort = fields.optional("effort", |node| {
        node.one_of(&[
            ("low", Effort::Low),
            ("medium", Effort::Medium),
            ("high", Effort::High),
            ("xhigh", Effort::ExtraHigh),
            ("max", Effort::Max),
        ])
    })?;
    let format = fields.optional("format", output_format)?;
    fields.finish();
    Ok((effort, format))
}

fn output_format(node: Node<'_>) -> Result<ResponseFormat, Fault> {
    let mut fields = node.object()?;
    fields.required("type", "a string", |node| {
        node.one_of(&[("json_schema", ())])
    })?;
    let schema = fields.required("schema", "a JSON schema", |node| node.object_text())?;
    fields.finish();
    Ok(ResponseFormat::JsonSchema {
        name: None,
        description: None,
        schema,
        // This API enforces every schema it takes.
        strict: Some(true),
    })
}

/// In the words of OpenAI, where "not the priority tier" is called `default`.
fn service_tier(node: Node<'_>) -> Result<String, Fault> {
    let tier = node.string()?;
    Ok(match &*tier {
        "standard_only" => "default".to_owned(),
        _ => tier,
    })
}
