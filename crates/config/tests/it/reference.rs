//! The schema and the reference that are made from the types.

use seaworthy_config::{Format, reference, schema, show, starting_config};
use serde_json::Value;

use crate::support::toml;

#[test]
fn the_committed_reference_is_what_the_types_say() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/config.md"
    );
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == reference(),
        "run the tests with SEAWORTHY_BLESS=1 to write {path}"
    );
}

#[test]
fn every_option_is_explained() {
    for line in reference().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        assert!(
            cells.len() == 4 && cells.iter().all(|cell| cell.trim().len() > 1),
            "{line}"
        );
    }
}

#[test]
fn the_schema_accepts_the_starting_configuration_with_all_its_defaults() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let shown = show(&toml(starting_config()).config, Format::Toml);
    for text in [starting_config(), shown.as_str()] {
        let value: toml::Value = toml::from_str(text).unwrap();
        let value = serde_json::to_value(value).unwrap();
        assert_eq!(faults(&schema, &schema, &value, ""), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_the_loader_refuses() {
    let schema = schema();
    for text in [
        "lisen = 1",
        "[server]\nworkers = 0",
        "[logging]\nlevel = \"loud\"",
        "[providers.a]\nbase_url = \"http://x\"",
        "[models.a]\ntargets = \"a/b\"",
        "[rate_limits]\nper_user = 5",
        "[rate_limits.per_user]\nrequests = 5",
        "[budgets.a]\nscope = \"planet\"\nwindow = \"day\"",
    ] {
        let value: toml::Value = toml::from_str(text).unwrap();
        let value = serde_json::to_value(value).unwrap();
        assert_ne!(
            faults(&schema, &schema, &value, ""),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

/// The part of JSON Schema that our schema uses; any other keyword is a fault of the test.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let valid = |schema: &Value| faults(root, schema, value, at).is_empty();
        let good = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "additionalProperties" => true,
            "$ref" => valid(root.pointer(&rule.as_str().unwrap()[1..]).unwrap()),
            "anyOf" => rule.as_array().unwrap().iter().any(valid),
            "oneOf" => {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .filter(|rule| valid(rule))
                    .count()
                    == 1
            }
            "const" => rule == value,
            "minimum" => value
                .as_u64()
                .is_none_or(|value| value >= rule.as_u64().unwrap()),
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| is(value, name)),
                name => is(value, name),
            },
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    found.extend(faults(root, rule, item, at));
                }
                true
            }
            "properties" => true,
            other => panic!("the keyword {other} is not known here"),
        };
        if !good {
            found.push(format!("{at}: {keyword}"));
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(key));
        match property.or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => found.push(format!("{at}.{key}: unknown")),
            Some(rule) if rule.is_object() => {
                found.extend(faults(root, rule, value, &format!("{at}.{key}")));
            }
            _ => {}
        }
    }
    found
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}
