//! Every setting that the official SDKs know, at every provider: carried over, named or refused, and
//! never left out in silence. `fixtures/cross/fields.json` lists them with a value each that is not the
//! usual one; `tests/sdk/test_fields.py` holds the list against the SDKs.

use crate::support::{DIALECTS, decode_of};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Encoded, Fault, InPath, Loss, Lost, encode_call_of};
use serde_json::{Value, json};

const FIELDS: &str = include_str!("../../../../fixtures/cross/fields.json");

/// The model of all requests; nobody knows more of it than its API says.
const MODEL: &str = "m";

/// What makes no difference at other providers, and why that is no loss.
const NO_DIFFERENCE: &[(Dialect, &str)] = &[
    // In place of the model there stands the one of the target.
    (Dialect::OpenAiChat, "model"),
    (Dialect::OpenAiResponses, "model"),
    (Dialect::AnthropicMessages, "model"),
    (Dialect::CohereChat, "model"),
    // Some providers are told by the path.
    (Dialect::OpenAiChat, "stream"),
    (Dialect::OpenAiResponses, "stream"),
    (Dialect::AnthropicMessages, "stream"),
    (Dialect::CohereChat, "stream"),
    // It is about the stream that the caller gets.
    (Dialect::OpenAiChat, "stream_options.include_usage"),
    // The gateway keeps the response itself.
    (Dialect::OpenAiResponses, "store"),
];

/// A request with one tool, so that rules about tools have something to be about.
fn plain(caller: Dialect) -> Value {
    let said = json!([{"role": "user", "content": "Hi"}]);
    let schema = json!({"type": "object"});
    let function = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
    match caller {
        Dialect::OpenAiChat | Dialect::CohereChat => {
            json!({"model": MODEL, "messages": said, "tools": function})
        }
        Dialect::OpenAiResponses => {
            let tools = json!([{"type": "function", "name": "f", "parameters": schema}]);
            json!({"model": MODEL, "input": "Hi", "tools": tools})
        }
        Dialect::AnthropicMessages => {
            let tools = json!([{"name": "f", "input_schema": schema}]);
            json!({"model": MODEL, "max_tokens": 9000, "messages": said, "tools": tools})
        }
        Dialect::Gemini => json!({
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }),
        Dialect::BedrockConverse => json!({
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}]},
        }),
    }
}

/// The request with a field, whose path has dots.
fn with(mut request: Value, path: &str, value: &Value) -> Value {
    let mut place = &mut request;
    for name in path.split('.') {
        place = &mut place[name];
    }
    *place = value.clone();
    request
}

/// What a provider gets of a request.
fn sent(
    caller: Dialect,
    request: &Value,
    provider: Dialect,
) -> Result<Result<Encoded, Lost>, Fault> {
    let path = InPath {
        model: MODEL,
        stream: false,
    };
    let call = decode_of(caller, path, request.to_string().as_bytes())?;
    Ok(encode_call_of(caller, provider, &call))
}

/// What becomes of a field, in the words of the page; `None` if nothing does.
fn outcome(caller: Dialect, path: &str, value: &Value, provider: Dialect) -> Option<String> {
    let before = sent(caller, &plain(caller), provider).unwrap().unwrap();
    let named = |losses: &[Loss]| {
        let new = losses.iter().filter(|loss| !before.dropped.contains(loss));
        let mut paths: Vec<String> = new.map(|loss| format!("`{}`", loss.path)).collect();
        paths.dedup();
        paths.join(", ")
    };
    let request = with(plain(caller), path, value);
    let encoded = match sent(caller, &request, provider) {
        Err(fault) => return Some(format!("**400** `{}`", fault.param.unwrap_or_default())),
        Ok(Err(lost)) => return Some(format!("**400** {}", named(&lost.refused))),
        Ok(Ok(encoded)) => encoded,
    };
    let lost = named(&encoded.dropped);
    match (encoded.body == before.body, &*lost) {
        (true, "") => None,
        (false, "") => Some("✓".to_owned()),
        (_, lost) => Some(format!("− {lost}")),
    }
}

/// Every setting of every dialect, and what becomes of it at every provider.
pub(crate) fn table() -> Vec<(Dialect, String, Vec<String>)> {
    let listed: Value = serde_json::from_str(FIELDS).unwrap();
    let mut rows = Vec::new();
    let mut silent = Vec::new();
    for caller in DIALECTS {
        for (path, value) in listed[caller.as_str()].as_object().unwrap() {
            let makes_none = NO_DIFFERENCE.contains(&(caller, path));
            let cells = DIALECTS.map(|provider| {
                if provider == caller {
                    return "=".to_owned();
                }
                let outcome = outcome(caller, path, value, provider);
                if outcome.is_none() && !makes_none {
                    silent.push(format!("{caller:?} {path} to {provider:?}"));
                }
                outcome.unwrap_or_else(|| "∅".to_owned())
            });
            rows.push((caller, path.clone(), cells.into()));
        }
    }
    assert!(silent.is_empty(), "in silence: {silent:#?}");
    rows
}
