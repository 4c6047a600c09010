//! Answers of Bedrock's Converse: whole ones, and binary frames of an event stream.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Finish, ToolCall, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::script::{Breakage, Event, Role};
use crate::writer::{arguments, event};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"text\":\"";

const SIGNATURE: &str = "ZmFrZS1wcm92aWRlci1zaWduYXR1cmU=";

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Other(reason) => reason,
    }
}

/// Input that was read from or written to a cache is not part of `inputTokens`.
fn usage(usage: Usage, mode: UsageMode) -> Value {
    let usage = match mode {
        UsageMode::Zero => Usage::default(),
        _ => usage,
    };
    let output = usage.output + usage.reasoning;
    json!({
        "inputTokens": usage.input,
        "outputTokens": output,
        "totalTokens": usage.input + usage.cached + usage.cache_write + output,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_write,
    })
}

fn tool_use((at, tool): (usize, &ToolCall), id: &str) -> Value {
    json!({"toolUseId": format!("tooluse_{at}_{id}"), "name": tool.name})
}

/// A whole answer.
pub(crate) fn answer(id: &str, answer: &Answer, directives: &Directives) -> Value {
    let mut content: Vec<Value> = Vec::new();
    if let Some(thought) = &answer.thinking {
        content.push(json!({"reasoningContent":
            {"reasoningText": {"text": thought, "signature": SIGNATURE}}}));
    }
    if answer.tools.is_empty() {
        content.push(json!({"text": answer.text()}));
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let mut call = tool_use((at, tool), id);
        call["input"] = arguments(&tool.arguments);
        content.push(json!({"toolUse": call}));
    }
    let mut body = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(&answer.finish),
        "metrics": {"latencyMs": 1},
    });
    if directives.usage != UsageMode::Missing {
        body["usage"] = usage(answer.usage, directives.usage);
    }
    body
}

/// One frame: prelude, headers, payload, each followed by a checksum where it belongs.
fn frame(kind: &str, name: &str, payload: &Value) -> Bytes {
    let mut headers = Vec::new();
    let type_header = format!(":{kind}-type");
    for (header, value) in [
        (type_header.as_str(), name),
        (":content-type", "application/json"),
        (":message-type", kind),
    ] {
        headers.push(u8::try_from(header.len()).unwrap_or(0));
        headers.extend_from_slice(header.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(payload.len() + 128);
    out.extend_from_slice(&length(16 + headers.len() + payload.len()));
    out.extend_from_slice(&length(headers.len()));
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.into()
}

/// The checksum of zlib, bit by bit: events are short.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| match crc & 1 {
        1 => (crc >> 1) ^ 0xEDB8_8320,
        _ => crc >> 1,
    };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

struct Writer {
    events: Vec<Event>,
    block: usize,
}

impl Writer {
    fn push(&mut self, role: Role, tokens: u64, name: &str, payload: &Value) {
        self.events
            .push(event(role, tokens, frame("event", name, payload)));
    }

    fn delta(&mut self, tokens: u64, delta: Value) {
        let payload = json!({"contentBlockIndex": self.block, "delta": delta});
        self.push(Role::Delta, tokens, "contentBlockDelta", &payload);
    }

    fn stop(&mut self) {
        let payload = json!({"contentBlockIndex": self.block});
        self.push(Role::Closing, 0, "contentBlockStop", &payload);
        self.block += 1;
    }
}

/// The frames of a streamed answer. Blocks of text have no start of their own.
pub(crate) fn events(id: &str, answer: &Answer, directives: &Directives) -> Vec<Event> {
    let mut out = Writer {
        events: Vec::new(),
        block: 0,
    };
    out.push(
        Role::Opening,
        0,
        "messageStart",
        &json!({"role": "assistant"}),
    );
    if let Some(thought) = &answer.thinking {
        for word in thought.split_inclusive(' ') {
            out.delta(1, json!({"reasoningContent": {"text": word}}));
        }
        out.delta(0, json!({"reasoningContent": {"signature": SIGNATURE}}));
        out.stop();
    }
    if answer.tools.is_empty() {
        for piece in &answer.pieces {
            out.delta(piece.tokens, json!({"text": piece.text}));
        }
        out.stop();
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let start = json!({"toolUse": tool_use((at, tool), id)});
        let payload = json!({"contentBlockIndex": out.block, "start": start});
        out.push(Role::Opening, 0, "contentBlockStart", &payload);
        let mut tokens = tool.tokens();
        for piece in tool.pieces() {
            out.delta(
                std::mem::take(&mut tokens),
                json!({"toolUse": {"input": piece}}),
            );
        }
        out.stop();
    }
    let stop = json!({"stopReason": stop_reason(&answer.finish)});
    out.push(Role::Closing, 0, "messageStop", &stop);
    let mut metadata = json!({"metrics": {"latencyMs": 1}});
    if directives.usage != UsageMode::Missing {
        metadata["usage"] = usage(answer.usage, directives.usage);
    }
    out.push(Role::End, 0, "metadata", &metadata);
    out.events
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives) -> Breakage {
    let status = directives.status.unwrap_or(500);
    let kind = error::bedrock_kind(status);
    let name = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
    let body = json!({"message": error::message(status)});
    Breakage {
        error: frame("exception", &name, &body),
        bad_json: frame("event", "contentBlockDelta", &json!("nonsense")),
        text_starts: TEXT_STARTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
