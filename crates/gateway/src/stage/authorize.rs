//! Is the caller's credential for this? Keys and tokens can be restricted to models, operations and
//! tools; agents are looked at with the headers, in [`super::authenticate`].

use seaworthy_core::code::Code;
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
        tools(&scopes.tools, &request.body)?;
    }
    Ok(())
}

/// Only requests of credentials that are restricted to tools are parsed for this.
fn tools(allowed: &[String], body: &[u8]) -> Result<(), Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        Refusal::new(
            Code::InvalidRequest,
            "The body is not JSON, so that its tools cannot be told.",
        )
    })?;
    let named = offered(&body);
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
fn offered(body: &Value) -> Vec<Option<&str>> {
    /// Where dialects list tools, functions and servers of tools.
    const LISTS: [&str; 4] = ["/tools", "/functions", "/toolConfig/tools", "/mcp_servers"];
    let lists = LISTS.iter().filter_map(|at| body.pointer(at));
    let listed = lists.flat_map(|list| match list {
        Value::Array(tools) => tools.iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other],
    });
    listed.flat_map(names).collect()
}

fn names(tool: &Value) -> Vec<Option<&str>> {
    let declared = ["functionDeclarations", "function_declarations"]
        .iter()
        .find_map(|key| tool.get(key)?.as_array());
    if let Some(declared) = declared {
        return declared
            .iter()
            .map(|function| function.get("name")?.as_str())
            .collect();
    }
    let places = [
        "/function/name",
        "/toolSpec/name",
        "/custom/name",
        "/name",
        "/server_label",
        "/type",
    ];
    let named = places
        .iter()
        .find_map(|at| tool.pointer(at).and_then(Value::as_str));
    // Gemini's own tools are named by their only key.
    let only_key = || match tool.as_object() {
        Some(fields) if fields.len() == 1 => fields.keys().next().map(String::as_str),
        _ => None,
    };
    vec![named.or_else(only_key)]
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
        for (body, expected) in [
            (
                json!({"tools": [{"type": "function", "function": {"name": "a"}}], "functions": [{"name": "b"}]}),
                vec![Some("a"), Some("b")],
            ),
            (
                json!({"tools": [{"type": "function", "name": "a"}, {"type": "web_search"}]}),
                vec![Some("a"), Some("web_search")],
            ),
            (
                json!({"tools": [{"functionDeclarations": [{"name": "a"}, {}]}, {"googleSearch": {}}]}),
                vec![Some("a"), None, Some("googleSearch")],
            ),
            (
                json!({"toolConfig": {"tools": [{"toolSpec": {"name": "a"}}]}, "mcp_servers": [{"name": "m", "type": "url"}]}),
                vec![Some("a"), Some("m")],
            ),
            (json!({"tools": null}), vec![]),
            (json!({"tools": [7]}), vec![None]),
        ] {
            assert_eq!(offered(&body), expected, "{body}");
        }
    }

    #[test]
    fn a_tool_outside_of_the_scope_is_refused() {
        let allowed = ["search*".to_owned()];
        let body = |name: &str| json!({"tools": [{"name": name}]}).to_string();
        tools(&allowed, body("search_web").as_bytes()).unwrap();
        tools(&allowed, b"{}").unwrap();
        for refused in [body("shell"), "[".to_owned(), "{\"tools\":[1]}".to_owned()] {
            tools(&allowed, refused.as_bytes()).unwrap_err();
        }
    }
}
