//! A stored response told as a stream: the events that lead to it, each text in one piece.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::rewrite::written;

/// The events; `None` if it has not ended in a way that a stream has an event for.
pub(super) fn events(response: &Value) -> Option<Vec<Bytes>> {
    let last = match response["status"].as_str()? {
        "completed" => "response.completed",
        "incomplete" => "response.incomplete",
        "failed" => "response.failed",
        _ => return None,
    };
    let mut telling = Telling::default();
    let begun = begun(response);
    telling.event("response.created", json!({"response": begun}));
    telling.event("response.in_progress", json!({"response": begun}));
    for (index, item) in list(&response["output"]).iter().enumerate() {
        telling.item(index, item);
    }
    telling.event(last, json!({"response": response}));
    Some(telling.events)
}

/// The response before anything of it was made.
fn begun(response: &Value) -> Value {
    let mut begun = response.clone();
    for name in ["completed_at", "error", "incomplete_details", "usage"] {
        if let Some(value) = begun.get_mut(name) {
            *value = Value::Null;
        }
    }
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Something of which a part is left out, because it comes piece by piece.
fn without(whole: &Value, emptied: &[(&str, Value)]) -> Value {
    let mut opened = whole.clone();
    for (name, empty) in emptied {
        if let Some(value) = opened.get_mut(*name) {
            *value = empty.clone();
        }
    }
    opened
}

#[derive(Default)]
struct Telling {
    events: Vec<Bytes>,
}

impl Telling {
    fn event(&mut self, kind: &str, about: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(kind));
        event.insert("sequence_number".to_owned(), json!(self.events.len()));
        if let Value::Object(about) = about {
            event.extend(about);
        }
        let event = written(kind, &Value::Object(event));
        self.events.push(event.into());
    }

    fn item(&mut self, index: usize, item: &Value) {
        let opened = without(
            item,
            &[
                ("status", json!("in_progress")),
                ("content", json!([])),
                ("summary", json!([])),
                ("arguments", json!("")),
                ("input", json!("")),
            ],
        );
        let place = json!({"output_index": index, "item_id": item["id"]});
        self.event(
            "response.output_item.added",
            json!({"output_index": index, "item": opened}),
        );
        match item["type"].as_str().unwrap_or_default() {
            "message" => self.parts(&place, &item["content"]),
            "reasoning" => {
                self.summary(&place, &item["summary"]);
                self.parts(&place, &item["content"]);
            }
            "function_call" => {
                let more = json!({"name": item["name"]});
                let text = (&item["arguments"], "arguments");
                self.text("response.function_call_arguments", &place, text, &more);
            }
            "custom_tool_call" => {
                let text = (&item["input"], "input");
                self.text("response.custom_tool_call_input", &place, text, &json!({}));
            }
            _ => {}
        }
        self.event(
            "response.output_item.done",
            json!({"output_index": index, "item": item}),
        );
    }

    /// The parts of a message or of reasoning.
    fn parts(&mut self, item: &Value, parts: &Value) {
        for (index, part) in list(parts).iter().enumerate() {
            let place = joined(item, &json!({"content_index": index}));
            let opened = without(
                part,
                &[
                    ("text", json!("")),
                    ("refusal", json!("")),
                    ("annotations", json!([])),
                    ("logprobs", json!([])),
                ],
            );
            self.event(
                "response.content_part.added",
                joined(&place, &json!({"part": opened})),
            );
            let none = json!({});
            match part["type"].as_str().unwrap_or_default() {
                "output_text" => {
                    let said = part.get("logprobs").cloned().unwrap_or(json!([]));
                    let more = json!({"logprobs": said});
                    self.text(
                        "response.output_text",
                        &place,
                        (&part["text"], "text"),
                        &more,
                    );
                    self.annotations(&place, &part["annotations"]);
                }
                "refusal" => {
                    let text = (&part["refusal"], "refusal");
                    self.text("response.refusal", &place, text, &none);
                }
                "reasoning_text" => {
                    let text = (&part["text"], "text");
                    self.text("response.reasoning_text", &place, text, &none);
                }
                _ => {}
            }
            self.event(
                "response.content_part.done",
                joined(&place, &json!({"part": part})),
            );
        }
    }

    fn annotations(&mut self, place: &Value, annotations: &Value) {
        for (index, annotation) in list(annotations).iter().enumerate() {
            let about = json!({"annotation_index": index, "annotation": annotation});
            self.event(
                "response.output_text.annotation.added",
                joined(place, &about),
            );
        }
    }

    fn summary(&mut self, item: &Value, summary: &Value) {
        for (index, part) in list(summary).iter().enumerate() {
            let place = joined(item, &json!({"summary_index": index}));
            let opened = without(part, &[("text", json!(""))]);
            self.event(
                "response.reasoning_summary_part.added",
                joined(&place, &json!({"part": opened})),
            );
            let text = (&part["text"], "text");
            self.text(
                "response.reasoning_summary_text",
                &place,
                text,
                &Value::Null,
            );
            self.event(
                "response.reasoning_summary_part.done",
                joined(&place, &json!({"part": part})),
            );
        }
    }

    /// A text in one piece, and its end, which repeats it under a name of its own.
    fn text(&mut self, kind: &str, place: &Value, (text, name): (&Value, &str), more: &Value) {
        let text = text.as_str().unwrap_or_default();
        let logprobs = more.get("logprobs");
        let logprobs = logprobs.map_or(json!({}), |all| json!({"logprobs": all}));
        if !text.is_empty() {
            let piece = joined(&joined(place, &json!({"delta": text})), &logprobs);
            self.event(&format!("{kind}.delta"), piece);
        }
        let end = joined(&joined(place, &json!({name: text})), more);
        self.event(&format!("{kind}.done"), end);
    }
}

/// The members of both.
fn joined(one: &Value, other: &Value) -> Value {
    let members = [one, other].into_iter().filter_map(Value::as_object);
    Value::Object(members.flat_map(Map::clone).collect())
}
