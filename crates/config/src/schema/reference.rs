//! The reference of all options as Markdown, made from the schema so that it cannot drift.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema;

const INTRODUCTION: &str = "\
# Configuration reference

<!-- Generated from the configuration types. `SEAWORTHY_BLESS=1 cargo test -p seaworthy-config` writes it anew. -->

One file, TOML (`.toml`) or YAML (`.yaml`, `.yml`), the same keys in both. `seaworthy init` writes
one to begin with, `seaworthy config validate` checks one, `seaworthy config show` prints it with
every default and without secrets, `seaworthy config schema` prints the JSON Schema for editors.

- An unknown key is an error. So is a key of a later version: nothing is accepted and not enforced.
- What comes later wins: defaults, the file, environment variables, flags. The variable
  `SEAWORTHY__SERVER__LISTEN` sets `server.listen`; `-` and `.` in a name become `_`. Lists are
  written `[a, b]`.
- A list of one-key sections reads like one section: `- listen: …` and `- workers: …` are fine.
- YAML is version 1.2: only `true` and `false` are booleans. Anchors, aliases, tags and several
  documents in one file are refused.

## Kinds of values

| kind | written |
|---|---|
| duration | number and unit: `500ms`, `5s`, `10 minutes`, `1h 30m`; units `ns`, `us`, `ms`, `s`, `m`, `h`, `d` and their English names |
| size | number and unit, or a number of bytes: `10MB`; `KB`, `MB` and `GB` are powers of 1000, `KiB`, `MiB` and `GiB` of 1024 |
| secret | `secret://env/NAME`, an environment variable; `secret://file/PATH`, a file, without its last line ending (`secret://file//run/secrets/key` for `/run/secrets/key`); or one that [a manager](secrets.md) has: `secret://aws/NAME`, `secret://vault/PATH#KEY`, `secret://azure/VAULT/NAME`, `secret://gcp/NAME`. A value written out works too, with a warning, and is never shown. |
| target | `provider/model`: the name of a provider in this file, and its own name of the model |
| whole number | `1000000` or `1_000_000` |
| dollars | an amount of money, exact to a millionth: `5000`, `0.25` |
| network | an address and how many of its bits count, `10.0.0.0/8`, or an address alone |
| share | a part of a whole: `0.8` or `80%` |
| factor | `1.5` |
| time zone | a name of the IANA database: `UTC`, `Europe/Berlin` |
| address | an IP address and a port: `127.0.0.1:8080`, `[::]:8080` |
";

/// The reference of all options as Markdown: key, type, default and meaning of each.
pub fn reference() -> String {
    let schema = schema();
    let mut text = INTRODUCTION.to_owned();
    for (name, property) in properties(&schema) {
        let _ = write!(text, "\n## `{name}`\n\n{}\n\n", description(property));
        text += "| key | type | default | meaning |\n|---|---|---|---|\n";
        let entries = resolve(&schema, property);
        match entries
            .get("additionalProperties")
            .filter(|value| value.is_object())
        {
            Some(entry) => rows(&schema, &format!("{name}.<name>"), entry, &mut text),
            None => rows(&schema, name, property, &mut text),
        }
    }
    text
}

fn rows(schema: &Value, path: &str, section: &Value, text: &mut String) {
    let section = resolve(schema, section);
    let required = section.get("required").and_then(Value::as_array);
    for (name, property) in properties(section) {
        let path = format!("{path}.{name}");
        let target = resolve(schema, property);
        if target.get("properties").is_some() {
            rows(schema, &path, property, text);
            continue;
        }
        let entry = target.get("additionalProperties");
        if let Some(entry) = entry.filter(|entry| entry.is_object() && !is_opaque(target)) {
            let (path, entry) = (format!("{path}.<name>"), resolve(schema, entry));
            if entry.get("properties").is_some() {
                rows(schema, &path, entry, text);
            } else {
                let (kind, meaning) = (kind(schema, entry), description(property));
                let _ = writeln!(text, "| `{path}` | {kind} | none | {meaning} |");
            }
            continue;
        }
        let required = required.is_some_and(|names| names.iter().any(|other| other == name));
        let default = match property.get("default") {
            _ if required => "required".to_owned(),
            None | Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) => format!("`\"{text}\"`"),
            Some(value) => format!("`{value}`"),
        };
        let kind = kind(schema, target);
        let _ = writeln!(
            text,
            "| `{path}` | {kind} | {default} | {} |",
            description(property)
        );
    }
}

/// The type of a value in a few words.
fn kind(schema: &Value, value: &Value) -> String {
    if let Some(choices) = value.get("oneOf").and_then(Value::as_array) {
        let words = choices
            .iter()
            .filter_map(|choice| choice.get("const")?.as_str());
        return words
            .map(|word| format!("`\"{word}\"`"))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    if let Some(title) = value.get("title").and_then(Value::as_str) {
        return title.to_owned();
    }
    let name = match value.get("type") {
        Some(Value::Array(names)) => names.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    match name {
        Some("array") => {
            let item = value
                .get("items")
                .map(|item| kind(schema, resolve(schema, item)));
            format!("list of {}s", item.unwrap_or_default())
        }
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

/// Whether a section is described by its title, such as headers.
fn is_opaque(section: &Value) -> bool {
    section.get("title").is_some()
}

/// Follows a reference, also one that may be absent and one that leads to another.
fn resolve<'a>(schema: &'a Value, value: &'a Value) -> &'a Value {
    let value = value
        .get("anyOf")
        .and_then(|choices| choices.get(0))
        .unwrap_or(value);
    let reference = value.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    match pointer.and_then(|pointer| schema.pointer(pointer)) {
        Some(target) => resolve(schema, target),
        None => value,
    }
}

fn properties(section: &Value) -> impl Iterator<Item = (&String, &Value)> {
    section
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn description(value: &Value) -> String {
    let text = value
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
