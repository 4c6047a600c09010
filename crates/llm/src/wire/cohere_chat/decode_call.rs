//! A chat request as a canonical call.

use super::decode_message;
use crate::{
    fault::Fault,
    json::{Node, Object, Trail},
    wire::openai_chat,
};
use seaworthy_core::call::{
    Call, Function, Native, Origin, Reasoning, ReasoningMode, ResponseFormat, Role, Sampling, Tool,
    ToolChoice,
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
    let is_strict = fields.optional("strict_tools", |node| node.bool())?;
    let tools = fields.optional("tools", |node| node.each(|tool| function(tool, is_strict)))?;
    let stop = fields.optional("stop_sequences", |node| node.each(|item| item.string()))?;
    let documents = fields.optional("documents", |node| {
        Ok(decode_message::native("documents", node))
    })?;
    let documents: Option<Native> = documents.filter(|native| native.json != "[]");
    Ok(Call {
        model: fields.text("model")?,
        tools: tools
            .unwrap_or_default()
            .into_iter()
            .map(Tool::Function)
            .collect(),
        tool_choice: fields.optional("tool_choice", |node| {
            node.one_of(&[("REQUIRED", true), ("NONE", false)])
                .map(|is_required| match is_required {
                    true => ToolChoice::Required,
                    false => ToolChoice::None,
                })
        })?,
        max_output_tokens: fields.optional("max_tokens", |node| node.u64())?,
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("p", |node| node.f64())?,
            top_k: fields.optional("k", |node| node.u64())?,
            frequency_penalty: fields.optional("frequency_penalty", |node| node.f64())?,
            presence_penalty: fields.optional("presence_penalty", |node| node.f64())?,
            seed: fields.optional("seed", |node| node.i64())?,
        },
        stop: stop.unwrap_or_default(),
        response_format: fields
            .optional("response_format", response_format)?
            .flatten(),
        reasoning: Reasoning {
            mode: fields.optional("thinking", thinking)?,
            effort: None,
        },
        stream: fields
            .optional("stream", |node| node.bool())?
            .unwrap_or(false),
        include_usage: true,
        native_fields: documents.into_iter().collect(),
        ..call
    })
}

/// The instructions at the start, and the conversation after them.
fn messages(node: Node<'_>) -> Result<Call, Fault> {
    let mut call = Call::default();
    let mut source = 0;
    // Results of parallel calls are separate messages here and one message everywhere else.
    let mut joins_results = false;
    node.each(|node| {
        let (is_result, message) = decode_message::message(node)?;
        if call.messages.is_empty() && message.role == Role::System {
            call.system_origins
                .push(Origin::behind(source, &call.system));
            call.system.extend(message.blocks);
        } else {
            openai_chat::say(&mut call, message, source, joins_results && is_result);
        }
        joins_results = is_result;
        source += 1;
        Ok(())
    })?;
    Ok(call)
}

fn function(node: Node<'_>, is_strict: Option<bool>) -> Result<Function, Fault> {
    let mut fields = node.object()?;
    fields.required("type", "a string", |node| node.one_of(&[("function", ())]))?;
    let function = fields.required("function", "an object", openai_chat::function)?;
    fields.finish();
    Ok(Function {
        strict: is_strict,
        ..function
    })
}

/// `None`: free text.
fn response_format(node: Node<'_>) -> Result<Option<ResponseFormat>, Fault> {
    let mut fields = node.object()?;
    let is_json = fields.required("type", "a string", |node| {
        node.one_of(&[("text", false), ("json_object", true)])
    })?;
    let schema = fields.optional("json_schema", |node| node.object_text())?;
    let schema_by_old_name = fields.optional("schema", |node| node.object_text())?;
    fields.finish();
    Ok(match schema.or(schema_by_old_name) {
        Some(schema) => Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema,
            // This API enforces every schema it takes.
            strict: Some(true),
        }),
        None => is_json.then_some(ResponseFormat::JsonObject),
    })
}

fn thinking(node: Node<'_>) -> Result<ReasoningMode, Fault> {
    let mut fields = node.object()?;
    let is_on = fields.required("type", "a string", |node| {
        node.one_of(&[("enabled", true), ("disabled", false)])
    })?;
    let budget = fields.optional("token_budget", |node| node.u64())?;
    fields.finish();
    Ok(match (is_on, budget) {
        (false, _) => ReasoningMode::Off,
        (true, Some(budget)) => ReasoningMode::BudgetTokens(budget),
        (true, None) => ReasoningMode::Adaptive,
    })
}
