//! Requests of the dialects whose conversations are no list of OpenAI's messages.

use serde_json::Value;

use super::{Ask, Dialect, Malformed, Tool, ToolChoice, collect_text};

/// A turn, reduced to what counts.
struct Turn {
    is_models: bool,
    is_result: bool,
    texts: Vec<String>,
}

/// What the dialects say in places of their own.
#[derive(Default)]
pub(super) struct Settings<'a> {
    pub(super) system: Option<&'a Value>,
    pub(super) max_tokens: Option<u64>,
    pub(super) thinking: bool,
    pub(super) tools: Vec<Tool>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) schema: Option<Value>,
}

fn assemble(settings: Settings<'_>, (model, stream): (String, bool), turns: Vec<Turn>) -> Ask {
    let mut ask = Ask {
        model,
        stream,
        include_usage: true,
        max_tokens: settings.max_tokens,
        thinking: settings.thinking,
        tools: settings.tools,
        tool_choice: settings.tool_choice.unwrap_or(ToolChoice::Auto),
        schema: settings.schema,
        text_bytes: 0,
        directive_texts: Vec::new(),
        last_user_text: String::new(),
        ends_with_tool_result: false,
    };
    let mut system = Vec::new();
    if let Some(content) = settings.system {
        texts_of(content, &mut system);
    }
    ask.hear(system);
    for turn in turns {
        ask.ends_with_tool_result = turn.is_result;
        if turn.is_models {
            ask.text_bytes += super::bytes(&turn.texts);
        } else {
            if !turn.is_result {
                ask.last_user_text = turn.texts.join("\n");
            }
            ask.hear(turn.texts);
        }
    }
    ask
}

/// Every text within a value of Bedrock or Gemini, whose parts have no `type`.
fn texts_of(content: &Value, texts: &mut Vec<String>) {
    match content {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(parts) => parts.iter().for_each(|part| texts_of(part, texts)),
        Value::Object(part) => {
            if let Some(Value::String(text)) = part.get("text") {
                texts.push(text.clone());
            }
            for name in ["parts", "content", "toolResult"] {
                texts_of(part.get(name).unwrap_or(&Value::Null), texts);
            }
            let inputs = [
                part.get("toolUse").and_then(|call| call.get("input")),
                part.get("functionCall").and_then(|call| call.get("args")),
                part.get("functionResponse")
                    .and_then(|result| result.get("response")),
                part.get("json"),
            ];
            texts.extend(inputs.into_iter().flatten().map(Value::to_string));
        }
        _ => {}
    }
}

fn turns(
    body: &Value,
    list: &'static str,
    content: &str,
    models_role: &str,
    result: &str,
) -> Result<Vec<Turn>, Malformed> {
    let Some(listed) = body[list].as_array().filter(|list| !list.is_empty()) else {
        return Err(Malformed::at(
            list,
            "expected a list of at least one message",
        ));
    };
    let turn = |message: &Value| {
        let parts = message[content].as_array().into_iter().flatten();
        let mut texts = Vec::new();
        texts_of(&message[content], &mut texts);
        Turn {
            is_models: message["role"] == models_role,
            is_result: parts.into_iter().any(|part| part.get(result).is_some()),
            texts,
        }
    };
    Ok(listed.iter().map(turn).collect())
}

pub(crate) fn bedrock(body: &Value, model: &str, stream: bool) -> Result<Ask, Malformed> {
    let config = &body["toolConfig"];
    let tools = config["tools"].as_array().into_iter().flatten();
    let tools = tools.filter_map(|tool| {
        Some(Tool {
            name: tool["toolSpec"]["name"].as_str()?.to_owned(),
            schema: tool["toolSpec"]["inputSchema"]["json"].clone(),
        })
    });
    let choice = &config["toolChoice"];
    let tool_choice = match choice["tool"]["name"].as_str() {
        Some(name) => Some(ToolChoice::Named(name.to_owned())),
        None => choice.get("any").map(|_| ToolChoice::Any),
    };
    let thinking = &body["additionalModelRequestFields"]["thinking"]["type"];
    let settings = Settings {
        system: body.get("system"),
        max_tokens: body["inferenceConfig"]["maxTokens"].as_u64(),
        thinking: matches!(thinking.as_str(), Some("enabled" | "adaptive")),
        tools: tools.collect(),
        tool_choice,
        schema: super::schema::wanted(Dialect::Bedrock, body),
    };
    let turns = turns(body, "messages", "content", "assistant", "toolResult")?;
    Ok(assemble(settings, (model.to_owned(), stream), turns))
}

pub(crate) fn gemini(body: &Value, model: &str, stream: bool) -> Result<Ask, Malformed> {
    let listed = body["tools"].as_array().into_iter().flatten();
    let declared = listed.flat_map(|tool| tool["functionDeclarations"].as_array());
    let tools = declared.flatten().filter_map(|tool| {
        // Clients may spell fields either way.
        let names = [
            "parametersJsonSchema",
            "parameters_json_schema",
            "parameters",
        ];
        let schema = names.iter().find_map(|name| tool.get(*name));
        Some(Tool {
            name: tool["name"].as_str()?.to_owned(),
            schema: lowered(schema.unwrap_or(&Value::Null)),
        })
    });
    let calling = &body["toolConfig"]["functionCallingConfig"];
    let tool_choice = match (
        calling["mode"].as_str(),
        calling["allowedFunctionNames"][0].as_str(),
    ) {
        (Some("NONE"), _) => Some(ToolChoice::Never),
        (Some("ANY"), Some(name)) => Some(ToolChoice::Named(name.to_owned())),
        (Some("ANY"), None) => Some(ToolChoice::Any),
        _ => None,
    };
    let config = &body["generationConfig"];
    let thinking = &config["thinkingConfig"];
    let settings = Settings {
        system: body
            .get("systemInstruction")
            .or(body.get("system_instruction")),
        max_tokens: config["maxOutputTokens"].as_u64(),
        thinking: thinking["includeThoughts"].as_bool().unwrap_or(false),
        tools: tools.collect(),
        tool_choice,
        schema: super::schema::wanted(Dialect::Gemini, body),
    };
    let turns = turns(body, "contents", "parts", "model", "functionResponse")?;
    Ok(assemble(settings, (model.to_owned(), stream), turns))
}

/// A schema whose types are in lower case: Gemini has capitals, too.
pub(super) fn lowered(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let lower = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("type", Value::String(kind)) => Value::String(kind.to_lowercase()),
                    _ => lowered(value),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(lower).collect())
        }
        other => other.clone(),
    }
}

pub(crate) fn responses(body: &Value) -> Result<Ask, Malformed> {
    let turn = |item: &Value| {
        let mut texts = Vec::new();
        let is_result = item["type"] == "function_call_output";
        let is_call = item["type"] == "function_call";
        match (is_result, is_call) {
            (true, _) => collect_text(&item["output"], &mut texts),
            (_, true) => texts.extend(super::string(item.get("arguments"))),
            _ => collect_text(&item["content"], &mut texts),
        }
        Turn {
            is_models: is_call || item["role"] == "assistant",
            is_result,
            texts,
        }
    };
    let turns = match &body["input"] {
        Value::String(text) => vec![Turn {
            is_models: false,
            is_result: false,
            texts: vec![text.clone()],
        }],
        Value::Array(items) if !items.is_empty() => items.iter().map(turn).collect(),
        _ => {
            return Err(Malformed::at(
                "input",
                "input: expected text or a list of items",
            ));
        }
    };
    let listed = body["tools"].as_array().into_iter().flatten();
    let tools = listed.filter_map(|tool| {
        Some(Tool {
            name: tool["name"].as_str()?.to_owned(),
            schema: tool["parameters"].clone(),
        })
    });
    let settings = Settings {
        system: body.get("instructions"),
        max_tokens: body["max_output_tokens"].as_u64(),
        thinking: false,
        tools: tools.collect(),
        tool_choice: Some(super::tool_choice(&body["tool_choice"])),
        schema: super::schema::wanted(Dialect::Responses, body),
    };
    let stream = body["stream"].as_bool().unwrap_or(false);
    Ok(assemble(settings, (super::model(body)?, stream), turns))
}
