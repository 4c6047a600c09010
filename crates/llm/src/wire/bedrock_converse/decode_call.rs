//! A Converse request as a canonical call. The model and whether to stream are not in it.

use super::decode_content::{self, native};
use crate::{
    fault::Fault,
    json::{Node, Object, Trail},
    wire::anthropic_messages,
};
use seaworthy_core::call::{
    CacheTtl, Call, Effort, Function, Message, Reasoning, ReasoningMode, ResponseFormat, Role,
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
    let system = fields.optional("system", decode_content::blocks)?;
    let messages = fields.required("messages", "an array of messages", |node| {
        node.each(message)
    })?;
    let tools = fields.optional("toolConfig", tool_config)?;
    let (tools, tool_choice) = tools.unwrap_or_default();
    let inference = fields.optional("inferenceConfig", inference)?;
    let model_fields = fields.optional("additionalModelRequestFields", model_fields)?;
    let (top_k, mode, effort_by_model) = model_fields.unwrap_or_default();
    let output = fields.optional("outputConfig", output_config)?;
    let (effort, response_format) = output.unwrap_or_default();
    let metadata = fields.optional("requestMetadata", |node| {
        node.object()?.entries(|value| value.string())
    })?;
    let service_tier = fields.optional("serviceTier", |node| {
        let mut fields = node.object()?;
        let tier = fields.text("type")?;
        fields.finish();
        Ok(tier)
    })?;
    let mut native_fields = Vec::new();
    for name in ["guardrailConfig", "promptVariables"] {
        native_fields.extend(fields.optional(name, |node| Ok(native(name, node)))?);
    }
    let settings = inference.unwrap_or_default();
    Ok(Call {
        system: system.unwrap_or_default(),
        messages,
        tools,
        tool_choice,
        sampling: Sampling {
            top_k,
            ..settings.sampling
        },
        response_format,
        reasoning: Reasoning {
            mode,
            effort: effort.or(effort_by_model),
        },
        metadata: metadata.unwrap_or_default(),
        service_tier,
        include_usage: true,
        native_fields,
        ..settings
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
        blocks: fields.required("content", "an array of blocks", decode_content::blocks)?,
    };
    fields.finish();
    Ok(message)
}

/// What stands in `inferenceConfig`.
fn inference(node: Node<'_>) -> Result<Call, Fault> {
    let mut fields = node.object()?;
    let stop = fields.optional("stopSequences", |node| node.each(|item| item.string()))?;
    let call = Call {
        max_output_tokens: fields.optional("maxTokens", |node| node.u64())?,
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("topP", |node| node.f64())?,
            ..Sampling::default()
        },
        stop: stop.unwrap_or_default(),
        ..Call::default()
    };
    fields.finish();
    Ok(call)
}

/// A mark of the cache stands behind the tools that it is about.
fn tool_config(node: Node<'_>) -> Result<(Vec<Tool>, Option<ToolChoice>), Fault> {
    let mut fields = node.object()?;
    let mut tools = Vec::new();
    fields.required("tools", "an array of tools", |node| {
        node.each(|node| match tool(node)? {
            ToolEntry::Tool(tool) => {
                tools.push(tool);
                Ok(())
            }
            ToolEntry::CachePoint(ttl) => {
                if let Some(Tool::Function(function)) = tools.last_mut() {
                    function.cache = Some(ttl);
                }
                Ok(())
            }
        })
    })?;
    let choice = fields.optional("toolChoice", tool_choice)?;
    fields.finish();
    Ok((tools, choice))
}

enum ToolEntry {
    Tool(Tool),
    CachePoint(CacheTtl),
}

fn tool(node: Node<'_>) -> Result<ToolEntry, Fault> {
    let mut fields = node.object()?;
    if let Some(ttl) = fields.optional("cachePoint", decode_content::cache_point)? {
        fields.finish();
        return Ok(ToolEntry::CachePoint(ttl));
    }
    let function = fields.optional("toolSpec", |node| {
        let mut fields = node.object()?;
        let function = Function {
            name: fields.text("name")?,
            description: fields.optional("description", |node| node.string())?,
            schema: fields.required("inputSchema", "an object", |node| {
                node.whole(|fields| fields.optional("json", |node| node.object_text()))
            })?,
            strict: fields.optional("strict", |node| node.bool())?,
            cache: None,
        };
        fields.finish();
        Ok(function)
    })?;
    let Some(function) = function else {
        return Ok(ToolEntry::Tool(Tool::Native(native("tool", node))));
    };
    fields.finish();
    Ok(ToolEntry::Tool(Tool::Function(function)))
}

fn tool_choice(node: Node<'_>) -> Result<ToolChoice, Fault> {
    let mut fields = node.object()?;
    let auto = fields.optional("auto", |node| node.whole(|_| Ok(ToolChoice::Auto)))?;
    let any = fields.optional("any", |node| node.whole(|_| Ok(ToolChoice::Required)))?;
    let named = fields.optional("tool", |node| {
        node.whole(|fields| Ok(ToolChoice::Named(fields.text("name")?)))
    })?;
    fields.finish();
    let choice = auto.or(any).or(named);
    choice.ok_or_else(|| node.fault("expected one of auto, any, tool"))
}

/// What is handed to the model as it is, as far as it has a canonical form.
type ModelFields = (Option<u64>, Option<ReasoningMode>, Option<Effort>);

fn model_fields(node: Node<'_>) -> Result<ModelFields, Fault> {
    let mut fields = node.object()?;
    let top_k = fields.optional("top_k", |node| node.u64())?;
    let mode = fields.optional("thinking", anthropic_messages::thinking)?;
    let effort = fields.optional("output_config", |node| {
        node.whole(|fields| fields.optional("effort", effort))
    })?;
    fields.finish();
    Ok((top_k, mode, effort.flatten()))
}

fn effort(node: Node<'_>) -> Result<Effort, Fault> {
    node.one_of(&[
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("high", Effort::High),
        ("xhigh", Effort::ExtraHigh),
        ("max", Effort::Max),
    ])
}

fn output_config(node: Node<'_>) -> Result<(Option<Effort>, Option<ResponseFormat>), Fault> {
    let mut fields = node.object()?;
    let effort = fields.optional("effort", effort)?;
    let format = fields.optional("textFormat", |node| {
        let mut fields = node.object()?;
        fields.required("type", "a string", |node| {
            node.one_of(&[("json_schema", ())])
        })?;
        let format = fields.required("structure", "an object", |node| {
            node.whole(|fields| fields.required("jsonSchema", "an object", json_schema))
        })?;
        fields.finish();
        Ok(format)
    })?;
    fields.finish();
    Ok((effort, format))
}

/// The schema is a string here, with JSON in it.
fn json_schema(node: Node<'_>) -> Result<ResponseFormat, Fault> {
    let mut fields = node.object()?;
    let format = ResponseFormat::JsonSchema {
        name: fields.optional("name", |node| node.string())?,
        description: fields.optional("description", |node| node.string())?,
        schema: fields.required("schema", "a JSON schema as text", |node| {
            let schema = node.string()?;
            if crate::json::is_object(&schema) {
                return Ok(schema);
            }
            Err(node.expected("a JSON object as text"))
        })?,
        // This API enforces every schema it takes.
        strict: Some(true),
    };
    fields.finish();
    Ok(format)
}
