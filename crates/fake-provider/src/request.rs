//! Reading a request: who speaks which dialect, and what is asked of the model.

use serde_json::Value;

pub(crate) mod embed;
pub(crate) mod foreign;
mod schema;

/// The APIs that the fake provider plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    Cohere,
    Bedrock,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// What the request says about calling tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    Never,
    Any,
    Named(String),
}

/// A chat request of either dialect, reduced to what the answer depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) thinking: bool,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    /// What the answer's text has to satisfy.
    pub(crate) schema: Option<Value>,
    /// Bytes of all message text.
    pub(crate) text_bytes: u64,
    /// The texts in which directives are obeyed: all but the model's own.
    pub(crate) directive_texts: Vec<String>,
    pub(crate) last_user_text: String,
    /// The conversation waits for an answer to a tool's result.
    pub(crate) ends_with_tool_result: bool,
}

/// Why a request is refused: the parameter at fault, if it is one, and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
}

impl Malformed {
    pub(crate) fn at(param: &'static str, message: &str) -> Self {
        Self {
            param: Some(param),
            message: message.to_owned(),
        }
    }
}

/// Parses a JSON object.
pub(crate) fn json_object(body: &[u8]) -> Result<Value, Malformed> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(Malformed {
            param: None,
            message: "the body must be a JSON object".into(),
        }),
        Err(error) => Err(Malformed {
            param: None,
            message: format!("could not parse the JSON body of your request: {error}"),
        }),
    }
}

/// The model that a body names.
pub(crate) fn model(body: &Value) -> Result<String, Malformed> {
    match body["model"].as_str() {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(Malformed::at("model", "you must provide a model parameter")),
    }
}

/// Reads a chat request.
pub(crate) fn ask(dialect: Dialect, body: &Value) -> Result<Ask, Malformed> {
    let Some(messages) = body["messages"].as_array().filter(|list| !list.is_empty()) else {
        return Err(Malformed::at(
            "messages",
            "messages: expected a list of at least one message",
        ));
    };
    let max_tokens = match dialect {
        Dialect::OpenAi => body["max_completion_tokens"]
            .as_u64()
            .or(body["max_tokens"].as_u64()),
        _ => body["max_tokens"].as_u64(),
    };
    let mut ask = Ask {
        model: model(body)?,
        stream: body["stream"].as_bool().unwrap_or(false),
        include_usage: body["stream_options"]["include_usage"]
            .as_bool()
            .unwrap_or(false),
        max_tokens,
        thinking: matches!(
            body["thinking"]["type"].as_str(),
            Some("enabled" | "adaptive")
        ),
        tools: tools(dialect, body),
        tool_choice: tool_choice(&body["tool_choice"]),
        schema: schema::wanted(dialect, body),
        text_bytes: 0,
        directive_texts: Vec::new(),
        last_user_text: String::new(),
        ends_with_tool_result: false,
    };
    let mut system = Vec::new();
    collect_text(&body["system"], &mut system);
    ask.hear(system);
    for message in messages {
        ask.read_message(message)?;
    }
    Ok(ask)
}

impl Ask {
    fn read_message(&mut self, message: &Value) -> Result<(), Malformed> {
        let Some(role) = message["role"].as_str() else {
            return Err(Malformed::at(
                "messages",
                "messages: each message must have a role",
            ));
        };
        let mut texts = Vec::new();
        collect_text(&message["content"], &mut texts);
        let is_result = |block: &Value| block["type"] == "tool_result";
        self.ends_with_tool_result = role == "tool"
            || message["content"]
                .as_array()
                .is_some_and(|blocks| blocks.iter().any(is_result));
        match role {
            "assistant" => {
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                texts.extend(
                    calls.filter_map(|call| {
                        call["function"]["arguments"].as_str().map(str::to_owned)
                    }),
                );
                self.text_bytes += bytes(&texts);
            }
            "user" if !self.ends_with_tool_result => {
                self.last_user_text = texts.join("\n");
                self.hear(texts);
            }
            "user" | "system" | "developer" | "tool" | "function" => self.hear(texts),
            _ => return Err(Malformed::at("messages", "messages: unknown role")),
        }
        Ok(())
    }

    /// Counts texts that are not the model's own, and keeps those with directives.
    fn hear(&mut self, texts: Vec<String>) {
        self.text_bytes += bytes(&texts);
        self.directive_texts
            .extend(texts.into_iter().filter(|text| text.contains("[[fake:")));
    }
}

fn bytes(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}

/// Every string that the model would read in a message's content.
fn collect_text(content: &Value, texts: &mut Vec<String>) {
    match content {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(blocks) => blocks.iter().for_each(|block| collect_text(block, texts)),
        Value::Object(block) => match block.get("type").and_then(Value::as_str) {
            Some("text" | "input_text" | "output_text") => texts.extend(string(block.get("text"))),
            // Cohere's, and Anthropic's where it is a text.
            Some("document") => {
                let source = block.get("source");
                let source = source.filter(|source| source["type"] == "text");
                let document = block.get("document").or(source);
                let data = document.and_then(|document| document.get("data"));
                texts.extend(data.map(plain));
            }
            Some("thinking") => texts.extend(string(block.get("thinking"))),
            Some("tool_use") => texts.extend(block.get("input").map(Value::to_string)),
            Some("tool_result") => {
                collect_text(block.get("content").unwrap_or(&Value::Null), texts);
            }
            _ => {}
        },
        _ => {}
    }
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn string(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn tools(dialect: Dialect, body: &Value) -> Vec<Tool> {
    let listed = body["tools"].as_array().into_iter().flatten();
    listed
        .filter_map(|tool| {
            let (named, schema) = match dialect {
                Dialect::Anthropic => (tool, &tool["input_schema"]),
                _ => (&tool["function"], &tool["function"]["parameters"]),
            };
            Some(Tool {
                name: string(named.get("name"))?,
                schema: schema.clone(),
            })
        })
        .collect()
}

/// All the dialects' spellings, in either case: `"none"`, `{"type":"tool","name":…}`, `{"function":{"name":…}}`, …
fn tool_choice(choice: &Value) -> ToolChoice {
    let kind = choice.as_str().or(choice["type"].as_str());
    let kind = kind.map(str::to_ascii_lowercase);
    let name = choice["name"]
        .as_str()
        .or(choice["function"]["name"].as_str());
    match (kind.as_deref(), name) {
        (_, Some(name)) => ToolChoice::Named(name.to_owned()),
        (Some("none"), _) => ToolChoice::Never,
        (Some("required" | "any"), _) => ToolChoice::Any,
        _ => ToolChoice::Auto,
    }
}

/// The texts of an embeddings or moderations request (`input` is a string or a list).
pub(crate) fn inputs(body: &Value) -> Result<Vec<String>, Malformed> {
    let one = |item: &Value| match item {
        Value::String(text) => text.clone(),
        other => {
            let mut texts = Vec::new();
            collect_text(other, &mut texts);
            if texts.is_empty() {
                other.to_string()
            } else {
                texts.join("\n")
            }
        }
    };
    match &body["input"] {
        Value::String(text) => Ok(vec![text.clone()]),
        // A list of numbers is one text, already cut into tokens.
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            Ok(vec![body["input"].to_string()])
        }
        Value::Array(items) if !items.is_empty() => Ok(items.iter().map(one).collect()),
        _ => Err(Malformed::at(
            "input",
            "input: expected a string or a list of strings",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_models_own_words_are_counted_but_not_obeyed() {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi [[fake:hang]]"}]},
            {"role": "assistant", "content": "[[fake:garbage]]"},
            {"role": "user", "content": "more"},
        ]});
        let ask = ask(Dialect::OpenAi, &body).unwrap();
        assert_eq!(ask.text_bytes, 8 + 16 + 16 + 4);
        assert_eq!(ask.directive_texts, ["hi [[fake:hang]]"]);
        assert_eq!(ask.last_user_text, "more");
    }

    #[test]
    fn a_tool_result_is_recognised_in_both_dialects() {
        let openai = json!({"model": "m", "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        ]});
        let anthropic = json!({"model": "m", "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]},
        ]});
        for (dialect, body) in [(Dialect::OpenAi, openai), (Dialect::Anthropic, anthropic)] {
            let ask = ask(dialect, &body).unwrap();
            assert!(ask.ends_with_tool_result);
            assert_eq!(ask.last_user_text, "weather?");
        }
    }

    #[test]
    fn a_request_without_messages_names_the_parameter() {
        let error = ask(Dialect::OpenAi, &json!({"model": "m"})).unwrap_err();
        assert_eq!(error.param, Some("messages"));
        let error = model(&json!({"model": 3})).unwrap_err();
        assert_eq!(error.param, Some("model"));
    }
}
