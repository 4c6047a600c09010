//! Which tools a request offers to the model, those that a provider runs itself among them.

use seaworthy_core::dialect::Dialect;
use serde_json::Value;

/// The names of all tools that a request of any dialect offers; `None` for one without a name.
pub(crate) fn offered(dialect: Dialect, body: &Value) -> Vec<Option<&str>> {
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

/// The names of the tools that a request of any dialect tells the model to call.
pub(crate) fn chosen(body: &Value) -> Vec<&str> {
    const CHOICES: [&str; 6] = [
        "/function_call/name",
        "/tool_choice/name",
        "/tool_choice/function/name",
        "/tool_choice/custom/name",
        "/tool_choice/server_label",
        "/toolConfig/toolChoice/tool/name",
    ];
    const LISTS: [&str; 3] = [
        "/tool_choice/tools",
        "/toolConfig/functionCallingConfig/allowedFunctionNames",
        "/tool_config/function_calling_config/allowed_function_names",
    ];
    /// Ways to choose, which are no tools.
    const WAYS: [&str; 9] = [
        "auto",
        "none",
        "any",
        "required",
        "tool",
        "function",
        "custom",
        "allowed_tools",
        "mcp",
    ];
    let named = CHOICES.iter().filter_map(|at| body.pointer(at));
    let kind = body.pointer("/tool_choice/type").and_then(Value::as_str);
    let listed = LISTS.iter().filter_map(|at| body.pointer(at)?.as_array());
    let listed = listed.flatten().map(|tool| match tool {
        Value::Object(_) => &tool["name"],
        name => name,
    });
    let named = named.chain(listed).filter_map(Value::as_str);
    named
        .chain(kind.filter(|kind| !WAYS.contains(kind)))
        .collect()
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
            ("functionDeclarations" | "function_declarations", Value::Object(function)) => {
                named.push(function.get("name").and_then(Value::as_str));
            }
            _ => named.push(Some(key.as_str())),
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
