//! Schemas of Gemini, a dialect of OpenAPI, as JSON Schema.

use serde_json::{Map, Value};

/// The same schema in the words of JSON Schema: types in lower case, `nullable` as a type, and
/// counts as numbers. What is no JSON object stays as it is.
pub(super) fn to_json_schema(openapi: &str) -> String {
    match serde_json::from_str(openapi) {
        Ok(Value::Object(schema)) => convert(schema).to_string(),
        _ => openapi.to_owned(),
    }
}

fn convert(schema: Map<String, Value>) -> Value {
    let is_nullable = schema.get("nullable") == Some(&Value::Bool(true));
    let members = schema.into_iter().filter_map(|(name, value)| {
        let value = match (&*name, value) {
            ("nullable" | "propertyOrdering" | "property_ordering", _) => return None,
            ("type", Value::String(kind)) => {
                let kind = Value::String(kind.to_ascii_lowercase());
                if is_nullable {
                    Value::Array(vec![kind, Value::String("null".to_owned())])
                } else {
                    kind
                }
            }
            ("properties" | "$defs" | "defs", Value::Object(properties)) => {
                let converted = properties
                    .into_iter()
                    .map(|(name, value)| (name, sub(value)));
                Value::Object(converted.collect())
            }
            ("items" | "additionalProperties", value) => sub(value),
            ("anyOf" | "any_of" | "prefixItems", Value::Array(options)) => {
                Value::Array(options.into_iter().map(sub).collect())
            }
            (_, Value::String(text)) if is_count(&name) => text
                .parse()
                .map_or(Value::String(text), |count: u64| Value::from(count)),
            (_, value) => value,
        };
        Some((
            if name == "any_of" {
                "anyOf".to_owned()
            } else {
                name
            },
            value,
        ))
    });
    Value::Object(members.collect())
}

fn sub(value: Value) -> Value {
    match value {
        Value::Object(schema) => convert(schema),
        other => other,
    }
}

/// Counts are written as strings, as always in JSON of 64-bit integers.
fn is_count(name: &str) -> bool {
    matches!(
        name,
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
    )
}

#[cfg(test)]
mod tests {
    use super::to_json_schema;

    #[test]
    fn words_and_types_become_those_of_json_schema() {
        let openapi = r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true,"minLength":"1"},
            "legs":{"type":"ARRAY","items":{"anyOf":[{"type":"INTEGER"}]}}},"required":["type"],"propertyOrdering":["type"]}"#;
        assert_eq!(
            to_json_schema(openapi),
            r#"{"type":"object","properties":{"type":{"type":["string","null"],"minLength":1},"legs":{"type":"array","items":{"anyOf":[{"type":"integer"}]}}},"required":["type"]}"#
        );
    }
}
