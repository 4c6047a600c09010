//! Which tools the built-in model calls, and with which arguments.

use seaworthy_core::call::{Block, Call, Function, Role, Tool, ToolChoice};
use serde_json::{Map, Value, json};

/// How deep into a schema arguments are made up.
const MAX_DEPTH: usize = 8;

/// The calls that the model makes, or `None` when it answers in words.
pub(super) fn calls(call: &Call, request_id: &str) -> Option<Vec<Block>> {
    let last = call.messages.last()?;
    let is_result = last
        .blocks
        .iter()
        .any(|block| matches!(block, Block::ToolResult { .. }));
    if last.role != Role::User || is_result {
        return None;
    }
    let words = super::text_of(&last.blocks);
    let functions = || {
        call.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(function),
            Tool::Native { .. } => None,
        })
    };
    let chosen: Vec<&Function> = match &call.tool_choice {
        Some(ToolChoice::None) => return None,
        Some(ToolChoice::Named(name)) => functions()
            .filter(|function| function.name == *name)
            .collect(),
        Some(
            ToolChoice::Auto
            | ToolChoice::Required
            | ToolChoice::Allowed { .. }
            | ToolChoice::Native(_),
        )
        | None => {
            let named: Vec<&Function> = functions()
                .filter(|function| words.contains(&function.name))
                .collect();
            if named.is_empty() {
                functions().take(1).collect()
            } else {
                named
            }
        }
    };
    let most = if call.parallel_tool_calls == Some(false) {
        1
    } else {
        usize::MAX
    };
    let calls: Vec<Block> = chosen
        .into_iter()
        .take(most)
        .enumerate()
        .map(|(number, function)| Block::ToolUse {
            id: format!("call_{number}_{request_id}"),
            name: function.name.clone(),
            arguments: arguments(function, &words).to_string(),
        })
        .collect();
    (!calls.is_empty()).then_some(calls)
}

fn arguments(function: &Function, words: &str) -> Value {
    let schema = function
        .schema
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    let made_up = schema.map_or(Value::Null, |schema: Value| example(&schema, words, 0));
    if made_up.is_object() {
        made_up
    } else {
        json!({})
    }
}

/// A value that fits the common part of JSON Schema, the caller's words where a text is wanted.
fn example(schema: &Value, words: &str, depth: usize) -> Value {
    if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")) {
        return fixed.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None => None,
    };
    match kind {
        Some("object") if depth < MAX_DEPTH => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            Value::Object(
                members
                    .map(|(name, schema)| (name.clone(), example(schema, words, depth + 1)))
                    .collect(),
            )
        }
        Some("object") => Value::Object(Map::new()),
        Some("array") => {
            let least = schema
                .get("minItems")
                .and_then(Value::as_u64)
                .unwrap_or(0)
                .min(4);
            let item = schema.get("items").unwrap_or(&Value::Null);
            (0..least)
                .map(|_| example(item, words, depth + 1))
                .collect()
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_fit_the_schema() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]},
            "days": {"type": "integer", "minimum": 2}, "tags": {"type": "array"},
            "where": {"type": "object", "properties": {"x": {"type": "number"}}},
            "now": {"type": ["boolean", "null"]}}});
        let expected = json!({"city": "Oslo", "unit": "celsius", "days": 2, "tags": [],
            "where": {"x": 1}, "now": true});
        assert_eq!(example(&schema, "Oslo", 0), expected);
    }
}
