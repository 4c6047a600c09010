//! What callers expect around an answer that is stored: its name, and the settings of the request.

use serde_json::{Map, Value, json};

/// Settings that a response repeats.
const SETTINGS: [&str; 16] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// The settings of a request that its response repeats.
pub(crate) fn settings(request: &Value) -> Map<String, Value> {
    let said = |name: &&str| {
        let value = request.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    };
    SETTINGS.iter().filter_map(said).collect()
}

/// Writes the settings of the request into a response. What the provider says of tools, formats and
/// tiers itself is more exact than what was asked for.
pub(crate) fn repeat(settings: &Map<String, Value>, response: &mut Map<String, Value>) {
    for (name, value) in settings {
        let said = response.get(name);
        let is_told = match name.as_str() {
            "tools" => said
                .and_then(Value::as_array)
                .is_some_and(|tools| !tools.is_empty()),
            "service_tier" => said.is_some_and(Value::is_string),
            _ => false,
        };
        if !is_told {
            response.insert(name.clone(), value.clone());
        }
    }
}

/// A response of which nothing is known yet but what was asked for.
pub(crate) fn blank(model: &str, created_unix_s: i64) -> Map<String, Value> {
    let blank = json!({
        "id": "",
        "object": "response",
        "created_at": created_unix_s,
        "status": "queued",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": true,
        "temperature": 1,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1,
        "truncation": "disabled",
        "usage": null,
    });
    match blank {
        Value::Object(blank) => blank,
        _ => Map::new(),
    }
}

/// Ends a response with an error.
pub(crate) fn fail(response: &mut Value, code: &str, message: &str) {
    response["status"] = json!("failed");
    response["error"] = json!({"code": code, "message": message});
}

/// Ends a response whose call was answered with an error: what the error said, under the code that
/// responses have for it.
pub(crate) fn fail_like(response: &mut Value, status: u16, answer: &[u8]) {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let message = answer["error"]["message"].as_str();
    let code = match status {
        429 => "rate_limit_exceeded",
        _ => "server_error",
    };
    fail(
        response,
        code,
        message.unwrap_or("The model's answer failed."),
    );
}

/// Ends a response whose gateway is gone.
pub(crate) fn lose(response: &mut Value) {
    fail(
        response,
        "server_error",
        "The gateway stopped while it worked on this response: the provider may have answered it, \
         and nobody knows.",
    );
}

/// An item of a conversation as clients expect it in a list: with a name, messages as parts.
pub(crate) fn input_item(item: Value, response_id: &str, index: usize) -> Value {
    let Value::Object(mut item) = item else {
        return item;
    };
    let kind = item.get("type").and_then(Value::as_str);
    let kind = kind.unwrap_or("message").to_owned();
    if !item.get("id").is_some_and(Value::is_string) {
        let prefix = match kind.as_str() {
            "message" => "msg",
            "function_call" => "fc",
            "function_call_output" => "fco",
            "reasoning" => "rs",
            _ => "item",
        };
        let bare = response_id.strip_prefix("resp_").unwrap_or(response_id);
        item.insert(
            "id".to_owned(),
            json!(format!("{prefix}_{bare}_in_{index}")),
        );
    }
    item.insert("type".to_owned(), json!(kind));
    if kind == "message" {
        item.entry("status").or_insert(json!("completed"));
        let part = match item.get("role").and_then(Value::as_str) {
            Some("assistant") => "output_text",
            _ => "input_text",
        };
        if let Some(text) = item.get("content").and_then(Value::as_str) {
            let mut parts = json!([{"type": part, "text": text}]);
            if part == "output_text" {
                parts[0]["annotations"] = json!([]);
            }
            item.insert("content".to_owned(), parts);
        }
    }
    Value::Object(item)
}

/// What a response said, as items of the next turn. Names are left out, so that nobody looks for
/// them in a store of its own, and so is reasoning that only its own store could tell.
pub(crate) fn as_input(output: &Value) -> Vec<Value> {
    let items = output.as_array().map(Vec::as_slice).unwrap_or_default();
    let said = |item: &Value| {
        let mut item = item.as_object()?.clone();
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_sealed = item.get("encrypted_content").is_some_and(Value::is_string);
        if kind == "reasoning" && !is_sealed {
            return None;
        }
        if matches!(kind, "message" | "function_call" | "reasoning") {
            item.shift_remove("id");
            item.shift_remove("status");
        }
        Some(Value::Object(item))
    };
    items.iter().filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_repeated_and_what_the_provider_knows_better_is_not() {
        let request = json!({"temperature": 0.5, "tools": [{"name": "a"}], "top_p": null, "x": 1});
        let settings = settings(&request);
        let mut response = blank("m", 7);
        repeat(&settings, &mut response);
        assert_eq!(response["temperature"], 0.5);
        assert_eq!(response["top_p"], 1);
        assert_eq!(response["tools"], json!([{"name": "a"}]));
        response.insert("tools".to_owned(), json!([{"name": "a", "strict": true}]));
        repeat(&settings, &mut response);
        assert_eq!(response["tools"][0]["strict"], true);
        assert!(response.get("x").is_none());
    }

    #[test]
    fn what_was_said_goes_into_the_next_turn_without_names() {
        let output = json!([
            {"id": "rs_1", "type": "reasoning", "summary": []},
            {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "a"}]},
            {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
            {"id": "ws_1", "type": "web_search_call"},
        ]);
        let items = as_input(&output);
        assert_eq!(items.len(), 4);
        assert!(items[..3].iter().all(|item| item.get("id").is_none()));
        assert_eq!(items[3]["id"], "ws_1");
    }

    #[test]
    fn input_items_have_names_and_parts() {
        let item = input_item(json!({"role": "user", "content": "hi"}), "resp_7", 0);
        assert_eq!(item["id"], "msg_7_in_0");
        assert_eq!(
            item["content"][0],
            json!({"type": "input_text", "text": "hi"})
        );
        let output = json!({"type": "function_call_output", "id": "mine", "output": "x"});
        assert_eq!(input_item(output.clone(), "resp_7", 1), output);
    }
}
