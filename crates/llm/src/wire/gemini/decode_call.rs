//! A generateContent request as a canonical call. The model and whether to stream are not in it.
//! Google takes one element for a list of one, as its own examples write it, and words in any case.

use super::{
    decode_part::{self, Calls},
    schema::to_json_schema,
};
use crate::{
    fault::Fault,
    json::{Node, Object, Trail},
};
use seaworthy_core::{
    call::{
        Call, Effort, Function, Message, Native, Reasoning, ReasoningMode, ResponseFormat, Role,
        Sampling, Tool, ToolChoice,
    },
    dialect::Dialect,
};

pub(super) fn decode(body: &[u8]) -> Result<Call, Fault> {
    let trail = Trail::default();
    let mut call = {
        let mut fields = trail.root(body)?.object()?.in_camel_case();
        let call = read(&mut fields)?;
        fields.finish();
        call
    };
    call.unknown_fields = trail.into_unknown();
    Ok(call)
}

fn read(fields: &mut Object<'_>) -> Result<Call, Fault> {
    let mut calls = Calls::default();
    let system = fields.optional("systemInstruction", |node| {
        let mut fields = node.object()?.in_camel_case();
        fields.skip(&["role"]);
        let parts = |node: Node<'_>| decode_part::parts(node, &mut Calls::default());
        let blocks = fields.optional("parts", parts)?;
        fields.finish();
        Ok(blocks.unwrap_or_default())
    })?;
    let messages = fields.required("contents", "an array of contents", |node| {
        node.each_or_one(|content| message(content, &mut calls))
    })?;
    let tools = fields.optional("tools", |node| node.each_or_one(tool))?;
    let tools: Vec<Tool> = tools.unwrap_or_default().into_iter().flatten().collect();
    let tool_choice = fields.optional("toolConfig", |node| {
        let mut fields = node.object()?.in_camel_case();
        let choice = fields.optional("functionCallingConfig", tool_choice)?;
        fields.finish();
        Ok(choice.flatten())
    })?;
    let cached = fields.optional("cachedContent", |node| {
        Ok(decode_part::native("cachedContent", node))
    })?;
    let labels = fields.optional("labels", |node| {
        node.object()?.entries(|value| value.string())
    })?;
    let settings = fields.optional("generationConfig", settings)?;
    Ok(Call {
        metadata: labels.unwrap_or_default(),
        service_tier: fields.optional("serviceTier", service_tier)?,
        store: fields.optional("store", |node| node.bool())?,
        system: system.unwrap_or_default(),
        messages,
        tools,
        tool_choice: tool_choice.flatten(),
        include_usage: true,
        native_fields: cached.into_iter().collect(),
        ..settings.unwrap_or_default()
    })
}

/// In the words of OpenAI.
fn service_tier(node: Node<'_>) -> Result<String, Fault> {
    let tier = node.string()?.to_ascii_lowercase();
    let word = tier.strip_prefix("service_tier_").unwrap_or(&tier);
    Ok(match word {
        "unspecified" => "auto".to_owned(),
        "standard" => "default".to_owned(),
        other => other.to_owned(),
    })
}

fn message(node: Node<'_>, calls: &mut Calls) -> Result<Message, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let role = fields.optional("role", |node| {
        node.one_of(&[
            ("user", Role::User),
            ("model", Role::Assistant),
            ("function", Role::User),
        ])
    })?;
    let blocks = fields.required("parts", "an array of parts", |node| {
        decode_part::parts(node, calls)
    })?;
    fields.finish();
    Ok(Message {
        role: role.unwrap_or(Role::User),
        name: None,
        blocks,
    })
}

/// One entry may hold many functions, and other tools beside them.
fn tool(node: Node<'_>) -> Result<Vec<Tool>, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let functions = fields.optional("functionDeclarations", |node| node.each_or_one(function))?;
    let functions = functions
        .unwrap_or_default()
        .into_iter()
        .map(Tool::Function);
    let others = fields.entries(|node| Ok(node.json().to_owned()))?;
    let others = others.into_iter().map(|(kind, json)| {
        Tool::Native(Native {
            dialect: Dialect::Gemini,
            json: format!("{{\"{kind}\":{json}}}"),
            kind,
        })
    });
    Ok(functions.chain(others).collect())
}

fn function(node: Node<'_>) -> Result<Function, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let json_schema = fields.optional("parametersJsonSchema", |node| node.object_text())?;
    let openapi = fields.optional("parameters", |node| node.object_text())?;
    let function = Function {
        name: fields.text("name")?,
        description: fields.optional("description", |node| node.string())?,
        schema: json_schema.or_else(|| openapi.as_deref().map(to_json_schema)),
        strict: None,
        cache: None,
    };
    fields.finish();
    Ok(function)
}

/// `None`: nothing was said.
fn tool_choice(node: Node<'_>) -> Result<Option<ToolChoice>, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let names = fields.optional("allowedFunctionNames", |node| {
        node.each_or_one(|n| n.string())
    })?;
    let mode = fields.optional("mode", |node| {
        node.one_of_in_any_case(&[
            ("MODE_UNSPECIFIED", None),
            ("AUTO", Some(ToolMode::Auto)),
            ("VALIDATED", Some(ToolMode::Auto)),
            ("ANY", Some(ToolMode::Any)),
            ("NONE", Some(ToolMode::None)),
        ])
    })?;
    fields.finish();
    Ok(match (mode.flatten(), names.as_deref()) {
        (None, _) => None,
        (Some(ToolMode::None), _) => Some(ToolChoice::None),
        (Some(ToolMode::Auto), None | Some([])) => Some(ToolChoice::Auto),
        (Some(ToolMode::Any), None | Some([])) => Some(ToolChoice::Required),
        (Some(ToolMode::Any), Some([name])) => Some(ToolChoice::Named(name.clone())),
        (Some(mode), Some(names)) => Some(ToolChoice::Allowed {
            required: matches!(mode, ToolMode::Any),
            names: names.to_vec(),
        }),
    })
}

#[derive(Clone, Copy)]
enum ToolMode {
    Auto,
    Any,
    None,
}

/// What stands in `generationConfig`.
fn settings(node: Node<'_>) -> Result<Call, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let stop = fields.optional("stopSequences", |node| {
        node.each_or_one(|item| item.string())
    })?;
    let settings = Call {
        max_output_tokens: fields.optional("maxOutputTokens", |node| node.u64())?,
        sampling: Sampling {
            temperature: fields.optional("temperature", |node| node.f64())?,
            top_p: fields.optional("topP", |node| node.f64())?,
            // Clients write it as `40.0` too.
            top_k: fields
                .optional("topK", |node| node.f64())?
                .map(|top_k| top_k as u64),
            frequency_penalty: fields.optional("frequencyPenalty", |node| node.f64())?,
            presence_penalty: fields.optional("presencePenalty", |node| node.f64())?,
            seed: fields.optional("seed", |node| node.i64())?,
        },
        stop: stop.unwrap_or_default(),
        response_format: response_format(&mut fields)?,
        reasoning: fields
            .optional("thinkingConfig", reasoning)?
            .unwrap_or_default(),
        choices: fields.optional("candidateCount", |node| node.u64())?,
        ..Call::default()
    };
    fields.finish();
    Ok(settings)
}

fn response_format(fields: &mut Object<'_>) -> Result<Option<ResponseFormat>, Fault> {
    let is_json = fields.optional("responseMimeType", |node| match &*node.string()? {
        "application/json" => Ok(true),
        "text/plain" => Ok(false),
        _ => {
            node.note_unknown();
            Ok(false)
        }
    })?;
    let json_schema = fields.optional("responseJsonSchema", |node| node.object_text())?;
    let openapi = fields.optional("responseSchema", |node| node.object_text())?;
    let schema = json_schema.or_else(|| openapi.as_deref().map(to_json_schema));
    Ok(match schema {
        Some(schema) => Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema,
            // This API enforces every schema it takes.
            strict: Some(true),
        }),
        None => (is_json == Some(true)).then_some(ResponseFormat::JsonObject),
    })
}

fn reasoning(node: Node<'_>) -> Result<Reasoning, Fault> {
    let mut fields = node.object()?.in_camel_case();
    let budget = fields.optional("thinkingBudget", |node| node.i64())?;
    let effort = fields.optional("thinkingLevel", |node| {
        node.one_of_in_any_case(&[
            ("MINIMAL", Effort::Minimal),
            ("LOW", Effort::Low),
            ("MEDIUM", Effort::Medium),
            ("HIGH", Effort::High),
        ])
    })?;
    let is_shown = fields.optional("includeThoughts", |node| node.bool())?;
    fields.finish();
    let mode = match budget {
        Some(0) => Some(ReasoningMode::Off),
        Some(budget) => match u64::try_from(budget) {
            Ok(budget) => Some(ReasoningMode::BudgetTokens(budget)),
            Err(_) => Some(ReasoningMode::Adaptive),
        },
        None => (is_shown == Some(true)).then_some(ReasoningMode::Adaptive),
    };
    Ok(Reasoning { mode, effort })
}
