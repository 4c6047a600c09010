//! Is the caller's credential for this? Keys and tokens can be restricted to models, operations and
//! tools; agents are looked at with the headers, in [`super::authenticate`].

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::principal::{Principal, scope};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::stage::decode::Request;

/// Refuses what the caller's scopes leave out. Before anything is remembered, planned or paid.
pub(crate) fn authorize(
    exchange: &Exchange,
    caller: &Principal,
    request: &Request,
) -> Result<(), Refusal> {
    let scopes = &caller.scopes;
    if scopes.is_unrestricted() {
        return Ok(());
    }
    let operation = request.operation.as_str();
    if !scope::allows(&scopes.operations, operation) {
        return Err(denied(format!(
            "The credential is not for the operation `{operation}`."
        )));
    }
    let model = exchange.snapshot.model(&request.head.model);
    if model.is_some_and(|model| !exchange.may_call(model)) {
        let shown: String = request.head.model.chars().take(100).collect();
        let message = format!(
            "The credential is not for the model `{shown}`. GET /v1/models lists those it is for."
        );
        return Err(denied(message).at("model".to_owned()));
    }
    if !scopes.tools.is_empty() {
        tools(&scopes.tools, request.operation.dialect(), &request.body)?;
    }
    Ok(())
}

/// Only requests of credentials that are restricted to tools are parsed for this.
fn tools(allowed: &[String], dialect: Dialect, body: &[u8]) -> Result<(), Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        Refusal::new(
            Code::InvalidRequest,
            "The body is not JSON, so that its tools cannot be told.",
        )
    })?;
    let named = offered(dialect, &body);
    let refused = named
        .iter()
        .find(|name| !name.is_some_and(|name| scope::allows(allowed, name)));
    match refused {
        None => Ok(()),
        Some(None) => Err(denied(
            "The credential is for certain tools, and one of these has no name.".to_owned(),
        )
        .at("tools".to_owned())),
        Some(Some(name)) => {
            let shown: String = name.chars().take(100).collect();
            let message = format!("The credential is not for the tool `{shown}`.");
            Err(denied(message).at("tools".to_owned()))
        }
    }
}

/// The names of all tools that a request of any dialect offers; `None` for one without a name.
fn offered(dialect: Dialect, body: &Value) -> Vec<Option<&str>> {
    /// Where dialects list tools, functions and servers of tools.
    const LISTS: [&str; 4] = ["/tools", "/functions", "/toolConfig/tools", "/mcp_servers"];
    let lists = LISTS.iter().filter_map(|at| body.pointer(at));
    let listed = lists.flat_map(|list| match list {
        Value::Array(tools) => tools.iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other],
    });
    let mut named: Vec<_> = listed.flat_map(|tool| names(dialect, tool)).collect();
    // OpenAI's chats have this one tool that is not in the list.
    let searches = body.get("web_search_options");
    if searches.is_some_and(|options| !options.is_null()) {
        named.push(Some("web_search"));
    }
    named
}

fn names(dialect: Dialect, tool: &Value) -> Vec<Option<&str>> {
    let text = |at: &&str| tool.pointer(at).and_then(Value::as_str);
    let places = [
        "/function/name",
        "/toolSpec/name",
        "/custom/name",
        "/name",
        "/server_label",
        "/type",
    ];
    let named = match (dialect, text(&"/type")) {
        (Dialect::Gemini, _) => return keys(tool),
        // What OpenAI runs itself has no name of the caller's choice.
        (Dialect::OpenAiChat | Dialect::OpenAiResponses, Some(kind)) if is_hosted(kind) => {
            Some(kind)
        }
        _ => places.iter().find_map(text),
    };
    let within = tool.get("tools").and_then(Value::as_array);
    let within = within.into_iter().flatten();
    let within = within.flat_map(|tool| names(dialect, tool));
    match named {
        Some(named) => std::iter::once(Some(named)).chain(within).collect(),
        None => keys(tool),
    }
}

fn is_hosted(kind: &str) -> bool {
    !matches!(kind, "function" | "custom" | "namespace" | "mcp")
}

/// Of a tool without a name: its functions, and the names of those that its provider runs.
fn keys(tool: &Value) -> Vec<Option<&str>> {
    let Some(fields) = tool.as_object().filter(|fields| !fields.is_empty()) else {
        return vec![None];
    };
    let mut named = Vec::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("functionDeclarations" | "function_declarations", Value::Array(functions)) => {
                named.extend(functions.iter().map(|function| function["name"].as_str()));
            }
            _ => named.push(Some(key.as_str())),
        }
    }
    named
}

fn denied(message: String) -> Refusal {
    Refusal::new(Code::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tools_of_every_dialect_are_told_by_their_names() {
        use Dialect::{AnthropicMessages, BedrockConverse, Gemini, OpenAiChat, OpenAiResponses};
        for (dialect, body, expected) in [
            (
                OpenAiChat,
                json!({"tools": [{"type": "function", "function": {"name": "a"}}], "functions": [{"name": "b"}], "web_search_options": {}}),
                vec![Some("a"), Some("b"), Some("web_search")],
            ),
            (
                OpenAiResponses,
                json!({"tools": [{"type": "function", "name": "a"}, {"type": "web_search", "name": "a"}, {"type": "mcp", "server_label": "s"},
                    {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "b"}]}]}),
                vec![
                    Some("a"),
                    Some("web_search"),
                    Some("s"),
                    Some("n"),
                    Some("b"),
                ],
            ),
            (
                AnthropicMessages,
                json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
                vec![Some("web_search")],
            ),
            (
                Gemini,
                json!({"tools": [{"functionDeclarations": [{"name": "a"}, {}], "codeExecution": {}}, {"googleSearch": {}, "name": "a"}, {}]}),
                vec![
                    Some("a"),
                    None,
                    Some("codeExecution"),
                    Some("googleSearch"),
                    Some("name"),
                    None,
                ],
            ),
            (
                BedrockConverse,
                json!({"toolConfig": {"tools": [{"toolSpec": {"name": "a"}}, {"systemTool": {"name": "a"}}]}, "mcp_servers": [{"name": "m", "type": "url"}]}),
                vec![Some("a"), Some("systemTool"), Some("m")],
            ),
            (OpenAiChat, json!({"tools": null}), vec![]),
            (OpenAiChat, json!({"tools": [7]}), vec![None]),
        ] {
            assert_eq!(offered(dialect, &body), expected, "{body}");
        }
    }

    #[test]
    fn a_tool_outside_of_the_scope_is_refused() {
        let allowed = ["search*".to_owned()];
        let tools = |body: &[u8]| tools(&allowed, Dialect::OpenAiChat, body);
        let body = |name: &str| json!({"tools": [{"name": name}]}).to_string();
        tools(body("search_web").as_bytes()).unwrap();
        tools(b"{}").unwrap();
        for refused in [body("shell"), "[".to_owned(), "{\"tools\":[1]}".to_owned()] {
            tools(refused.as_bytes()).unwrap_err();
        }
    }
}
