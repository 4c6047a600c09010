//! The published schema of the JSON report, held against a report with everything in it.

use std::path::Path;

use seaworthy_verify::Requirements;
use seaworthy_verify::checklist::{Basis, Document, Judge};
use seaworthy_verify::decisions::Decisions;
use seaworthy_verify::report::json;
use serde_json::Value;

use super::support::{check, options, start};

/// What of a value does not fit a schema of the few keywords that ours uses.
fn misfits(value: &Value, schema: &Value, root: &Value, at: &str, out: &mut Vec<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root
            .pointer(reference.trim_start_matches('#'))
            .expect("a definition");
        return misfits(value, target, root, at, out);
    }
    let allowed = schema.get("enum").and_then(Value::as_array);
    if allowed.is_some_and(|values| !values.contains(value)) {
        out.push(format!("{at}: {value} is not allowed"));
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        out.push(format!("{at}: {value} is another constant"));
    }
    let kinds = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        // A type that is not known here fits nothing, and the test says so.
        other => other == "null" && value.is_null(),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        out.push(format!("{at}: {value} is no {kinds:?}"));
    }
    for required in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = required.as_str().expect("a name");
        if value.get(name).is_none() {
            out.push(format!("{at}: lacks {name}"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match schema.pointer(&format!("/properties/{name}")) {
            Some(schema) => misfits(inner, schema, root, &at, out),
            None => match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => out.push(format!("{at}: is not in the schema")),
                Some(schema @ Value::Object(_)) => misfits(inner, schema, root, &at, out),
                _ => {}
            },
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            misfits(item, schema, root, &format!("{at}/{index}"), out);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_report_follows_the_published_schema() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.join("../../docs/reference/check.schema.json");
    let schema = std::fs::read_to_string(path).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let server = start(Some("metrics.exposed")).await;
    let mut options = options(server.address);
    options.repository = Some(here.join("tests/fixtures/good/repo"));
    options.manifests = Some(here.join("tests/fixtures/good/manifests"));
    let mut report = check(options).await;
    let requirements = Requirements::builtin().expect("the data parses");
    let decisions = Decisions::default();
    let basis = Basis {
        report: &report,
        decisions: &decisions,
        today: jiff::civil::date(2030, 1, 1),
    };
    let list =
        Document::read("- [ ] Circuit breakers on every dependency\n- [ ] the soup is hot\n");
    let judge = Judge::new(&requirements);
    let judged = judge.judge("list.md", judge.understand(list), basis);
    report.checklists.push(judged);
    let mut value: Value = serde_json::from_str(&json::render(&report)).expect("JSON");
    let mut out = Vec::new();
    misfits(&value, &schema, &schema, "", &mut out);
    assert!(out.is_empty(), "{}", out.join("\n"));
    // The schema says no as well.
    *value.pointer_mut("/results/0/status").expect("a status") = "fine".into();
    misfits(&value, &schema, &schema, "", &mut out);
    assert_eq!(out.len(), 1, "{}", out.join("\n"));
}
