//! Nothing is dropped in silence: whatever a caller adds to any object of a request, the translation
//! carries it, names it or refuses it.

use super::cases::natives;
use crate::{
    golden,
    support::{DIALECTS, IN_PATH, decode_of, text},
};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Lost, encode_call};
use serde_json::{Value, json};

/// The name that nobody knows.
const ADDED: &str = "unheard";

/// Under these names stands what the caller, a tool or a model has made up: it is carried as it is.
const FREE: &[&str] = &[
    "parameters",
    "parametersJsonSchema",
    "responseJsonSchema",
    "responseSchema",
    "input_schema",
    "schema",
    "json_schema",
    "json",
    "args",
    "response",
    "metadata",
    "requestMetadata",
    "data",
];

/// The document with the name added to each of its objects in turn, and where.
fn additions(document: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    collect(document, "", &mut places);
    let add = |place: String| {
        let mut changed = document.clone();
        let object = changed.pointer_mut(&place).unwrap();
        object[ADDED] = json!(1);
        (place, changed)
    };
    places.into_iter().map(add).collect()
}

fn collect(value: &Value, place: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            places.push(place.to_owned());
            for (name, member) in members {
                // What a model has said to a tool is in `input`, and so is a whole conversation.
                let is_arguments = name == "input" && member.is_object();
                if !FREE.contains(&&**name) && !is_arguments {
                    collect(member, &format!("{place}/{name}"), places);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
}

/// How often nothing was said, and where.
fn silent(caller: Dialect, document: &Value, out: &mut Vec<String>) {
    for (place, changed) in additions(document) {
        // Refusing to read it is one way to say so.
        let Ok(call) = decode_of(caller, IN_PATH, changed.to_string().as_bytes()) else {
            continue;
        };
        for provider in DIALECTS.into_iter().filter(|provider| *provider != caller) {
            let is_said = match encode_call(provider, &call) {
                Err(Lost { .. }) => true,
                Ok(encoded) => {
                    text(&encoded.body).contains(ADDED)
                        || encoded.dropped.iter().any(|loss| loss.path.ends_with(ADDED))
                        // All of the piece is lost, and that is said.
                        || encoded.dropped.iter().any(|loss| is_around(&loss.path, &place))
                }
            };
            if !is_said {
                let (caller, provider) = (caller.as_str(), provider.as_str());
                out.push(format!("{caller} to {provider}: {place}"));
            }
        }
    }
}

/// Whether a loss is of the message or the tool in which the place is. Paths of losses count messages
/// of the canonical call, so only the last part can be compared.
fn is_around(path: &str, place: &str) -> bool {
    let mut names = path.split(['.', '[', ']']).filter(|name| !name.is_empty());
    let last = names.rfind(|name| name.parse::<usize>().is_err());
    last.is_some_and(|last| place.split('/').any(|name| name == last))
}

#[test]
fn whatever_is_added_to_a_request_is_carried_named_or_refused() {
    let mut out = Vec::new();
    for caller in DIALECTS {
        for file in golden::fixtures(caller.as_str(), "request") {
            let body = std::fs::read(&file).unwrap();
            // Some recorded requests hold what a tree cannot, such as a name twice.
            if let Ok(document) = serde_json::from_slice(&body) {
                silent(caller, &document, &mut out);
            }
        }
    }
    for native in natives::natives() {
        silent(native.caller, native.body(), &mut out);
    }
    assert!(
        out.is_empty(),
        "{} in silence:\n{}",
        out.len(),
        out.join("\n")
    );
}
