//! What Bedrock answers with tools that it runs itself, whole and in binary frames, by hand.

use seaworthy_llm::{Framer, Framing};
use serde_json::{Value, json};

use super::items::{Told, pieces};
use super::read::{last, written};
use crate::support::client::Answer;

/// A provider of Bedrock's kind and a model of it.
pub(super) const SECTIONS: &str = "
[providers.amazon]
kind = \"bedrock\"
region = \"eu-central-1\"
base_url = \"http://bedrock.test\"
access_key_id = \"AKID\"
secret_access_key = \"k\"
[models.bedrock]
targets = [\"amazon/real\"]
";

/// An item of this kind of a tool of this name, with this text.
pub(super) fn item(kind: &str, tool: &str, text: &str) -> Value {
    match kind {
        "toolUse" => json!({"toolUse": {"toolUseId": "s1", "name": tool,
            "type": "server_tool_use", "input": {"command": text}}}),
        _ => json!({"toolResult": {"toolUseId": "s1", "status": "success",
            "content": [{"text": text}]}}),
    }
}

/// A whole answer that is this item.
pub(super) fn whole(item: &Value) -> Value {
    json!({"output": {"message": {"role": "assistant", "content": [item]}},
        "stopReason": "end_turn", "metrics": {"latencyMs": 5},
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}})
}

/// The same as a stream, the input of a call in pieces of so many characters.
pub(super) fn frames(item: &Value, size: usize) -> Vec<u8> {
    let mut out = frame("messageStart", &json!({"role": "assistant"}));
    let (kind, block) = item.as_object().unwrap().iter().next().unwrap();
    let mut start = block.clone();
    let told = match kind.as_str() {
        "toolUse" => start.as_object_mut().unwrap().shift_remove("input"),
        _ => start.as_object_mut().unwrap().shift_remove("content"),
    };
    let told = told.unwrap();
    let at = |name: &str, value: Value| json!({"contentBlockIndex": 0, name: value});
    out.extend(frame(
        "contentBlockStart",
        &at("start", json!({kind: start})),
    ));
    let deltas: Vec<Value> = match kind.as_str() {
        "toolUse" => pieces(&told.to_string(), size)
            .iter()
            .map(|piece| json!({"input": piece}))
            .collect(),
        _ => vec![told],
    };
    for delta in deltas {
        let delta = at("delta", json!({kind: delta}));
        out.extend(frame("contentBlockDelta", &delta));
    }
    out.extend(frame("contentBlockStop", &json!({"contentBlockIndex": 0})));
    out.extend(frame("messageStop", &json!({"stopReason": "end_turn"})));
    let usage = json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}});
    out.extend(frame("metadata", &usage));
    out
}

pub(super) fn read_whole(answer: &Answer) -> Told {
    let value = answer.json();
    Told {
        items: written(&value["output"]["message"]["content"]),
        stop: last([&value["stopReason"]].into_iter()),
    }
}

pub(super) fn read_frames(answer: &Answer) -> Told {
    let mut framer = Framer::new(Framing::EventStream, 1 << 20);
    framer.push(answer.body.clone());
    let mut events: Vec<Value> = Vec::new();
    while let Some(event) = framer.next_event().unwrap() {
        events.push(serde_json::from_slice(event.data().unwrap()).unwrap());
    }
    let (mut items, mut input) = (Vec::new(), String::new());
    for event in &events {
        if let Some(start) = event.get("start") {
            items.push(start.clone());
        }
        if let Some(piece) = event["delta"]["toolUse"]["input"].as_str() {
            input.push_str(piece);
            let whole = serde_json::from_str::<Value>(&input).unwrap_or_default();
            items.last_mut().unwrap()["toolUse"]["input"] = whole;
        }
        if let Some(content) = event["delta"].get("toolResult") {
            items.last_mut().unwrap()["toolResult"]["content"] = content.clone();
        }
    }
    Told {
        items: written(&Value::Array(items)),
        stop: last(events.iter().map(|event| &event["stopReason"])),
    }
}

/// One event in the form `application/vnd.amazon.eventstream`.
fn frame(kind: &str, payload: &Value) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        // A string, with its length.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&checksum(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&checksum(&out).to_be_bytes());
    out
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}
