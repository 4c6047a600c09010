//! What callers read of streams, by hand.

use serde_json::{Value, json};

use super::items::{Told, told_in_pieces};

/// Puts the calls together from their pieces.
pub(super) fn read_chunks(events: &[Value]) -> Told {
    let choices = || events.iter().filter_map(|event| event["choices"].get(0));
    let mut item = Value::Null;
    for choice in choices() {
        let (name, texts, delta) = match &choice["delta"]["function_call"] {
            Value::Null => ("custom", "input", &choice["delta"]["tool_calls"][0]),
            legacy => ("", "arguments", legacy),
        };
        let piece = if name.is_empty() { delta } else { &delta[name] };
        let Some(text) = piece[texts].as_str() else {
            continue;
        };
        if item.is_null() {
            item = delta.clone();
            item.as_object_mut().unwrap().shift_remove("index");
        } else {
            let whole = if name.is_empty() {
                &mut item
            } else {
                &mut item[name]
            };
            whole[texts] = json!(format!("{}{text}", whole[texts].as_str().unwrap()));
        }
    }
    let items = if item.is_null() { vec![] } else { vec![item] };
    Told {
        items: written(&json!(items)),
        stop: last(choices().map(|choice| &choice["finish_reason"])),
    }
}

/// Holds the events of an item against each other, and against what the last event repeats.
pub(super) fn read_response(events: &[Value]) -> Told {
    let of = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|e| e["sequence_number"].as_u64())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
    let done: Vec<&Value> = of("response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    assert_eq!(of("response.output_item.added").count(), done.len());
    for item in &done {
        let Some((name, kind)) = told_in_pieces(item) else {
            continue;
        };
        let kind = format!("response.{kind}.delta");
        let is_piece = |event: &&Value| event["type"] == kind && event["item_id"] == item["id"];
        let pieces = events.iter().filter(is_piece);
        let joined: String = pieces.filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(item[name], joined, "{item}");
    }
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"], json!(done));
    Told {
        items: written(&json!(done)),
        stop: last["status"].as_str().unwrap().to_owned(),
    }
}

pub(super) fn read_message(events: &[Value]) -> Told {
    let mut items: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => items.push(event["content_block"].clone()),
            "content_block_delta" => {
                input.push_str(event["delta"]["partial_json"].as_str().unwrap());
            }
            "content_block_stop" if !input.is_empty() => {
                let whole = serde_json::from_str(&std::mem::take(&mut input)).unwrap();
                items.last_mut().unwrap()["input"] = whole;
            }
            _ => {}
        }
    }
    Told {
        items: written(&json!(items)),
        stop: last(events.iter().map(|event| &event["delta"]["stop_reason"])),
    }
}

pub(super) fn written(items: &Value) -> Vec<String> {
    let items = items.as_array().into_iter().flatten();
    items.map(Value::to_string).collect()
}

pub(super) fn last<'v>(words: impl Iterator<Item = &'v Value>) -> String {
    words
        .filter_map(Value::as_str)
        .last()
        .unwrap_or_default()
        .to_owned()
}
