//! Answers in Anthropic's dialect: whole messages and events.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Finish, ToolCall, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::request::Dialect;
use crate::script::{Breakage, Event, Role};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"text\":\"";

/// A signature in the place where Anthropic signs its thinking.
const SIGNATURE: &str = "ZmFrZS1wcm92aWRlci1zaWduYXR1cmU=";

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Other(reason) => reason,
    }
}

/// The `usage` object; total input is the sum of its three input fields.
fn usage(usage: Usage, output: u64, mode: UsageMode) -> Value {
    let (usage, output) = if mode == UsageMode::Zero {
        (Usage::default(), 0)
    } else {
        (usage, output)
    };
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn total_output(usage: Usage) -> u64 {
    usage.output + usage.reasoning
}

fn tool_id(at: usize, id: &str) -> String {
    format!("toolu_{at}_{id}")
}

/// The message without content: what a stream begins with and a whole message fills in.
fn envelope(id: &str, model: &str) -> Map<String, Value> {
    let message = json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
    });
    message.as_object().cloned().unwrap_or_default()
}

/// A whole message.
pub(crate) fn message(id: &str, model: &str, answer: &Answer, directives: &Directives) -> Value {
    let thinking = answer
        .thinking
        .iter()
        .map(|thought| json!({"type": "thinking", "thinking": thought, "signature": SIGNATURE}));
    let text = (answer.tools.is_empty()).then(|| json!({"type": "text", "text": answer.text()}));
    let tool = |(at, tool): (usize, &ToolCall)| {
        let input: Value = serde_json::from_str(&tool.arguments).unwrap_or_default();
        json!({"type": "tool_use", "id": tool_id(at, id), "name": tool.name, "input": input})
    };
    let tools = answer.tools.iter().enumerate().map(tool);
    let mut body = envelope(id, model);
    body["content"] = thinking.chain(text).chain(tools).collect();
    body["stop_reason"] = json!(stop_reason(&answer.finish));
    if directives.usage != UsageMode::Missing {
        let counted = usage(answer.usage, total_output(answer.usage), directives.usage);
        body.insert("usage".into(), counted);
    }
    Value::Object(body)
}

#[derive(Serialize)]
struct TextDelta<'a> {
    r#type: &'static str,
    index: usize,
    delta: Text<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn frame<T: Serialize>(name: &str, data: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(192);
    bytes.extend_from_slice(b"event: ");
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b"\ndata: ");
    // Writing to a Vec cannot fail, nor can these types: an error would leave an empty event.
    let _written = serde_json::to_writer(&mut bytes, data);
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// Collects events; every event repeats its name as `type`.
struct Writer {
    events: Vec<Event>,
    block: usize,
}

impl Writer {
    fn push(&mut self, role: Role, tokens: u64, name: &'static str, fields: Value) {
        let mut data = Map::from_iter([("type".to_owned(), json!(name))]);
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        self.events.push(Event {
            role,
            bytes: frame(name, &data),
            tokens,
        });
    }

    fn delta(&mut self, tokens: u64, delta: Value) {
        let fields = json!({"index": self.block, "delta": delta});
        self.push(Role::Delta, tokens, "content_block_delta", fields);
    }

    fn text(&mut self, tokens: u64, text: &str) {
        let data = TextDelta {
            r#type: "content_block_delta",
            index: self.block,
            delta: Text {
                r#type: "text_delta",
                text,
            },
        };
        self.events.push(Event {
            role: Role::Delta,
            bytes: frame(data.r#type, &data),
            tokens,
        });
    }

    fn start(&mut self, block: Value) {
        let fields = json!({"index": self.block, "content_block": block});
        self.push(Role::Opening, 0, "content_block_start", fields);
        if self.block == 0 {
            self.push(Role::Opening, 0, "ping", Value::Null);
        }
    }

    fn stop(&mut self) {
        self.push(
            Role::Closing,
            0,
            "content_block_stop",
            json!({"index": self.block}),
        );
        self.block += 1;
    }
}

/// The events of a streamed message.
pub(crate) fn events(
    id: &str,
    model: &str,
    answer: &Answer,
    directives: &Directives,
) -> Vec<Event> {
    let mut out = Writer {
        events: Vec::with_capacity(answer.pieces.len() + 12),
        block: 0,
    };
    let mut opening = envelope(id, model);
    if directives.usage != UsageMode::Missing {
        opening.insert("usage".into(), usage(answer.usage, 1, directives.usage));
    }
    out.push(
        Role::Opening,
        0,
        "message_start",
        json!({"message": opening}),
    );
    if let Some(thought) = &answer.thinking {
        out.start(json!({"type": "thinking", "thinking": "", "signature": ""}));
        for word in thought.split_inclusive(' ') {
            out.delta(1, json!({"type": "thinking_delta", "thinking": word}));
        }
        out.delta(
            0,
            json!({"type": "signature_delta", "signature": SIGNATURE}),
        );
        out.stop();
    }
    if answer.tools.is_empty() {
        out.start(json!({"type": "text", "text": ""}));
        for piece in &answer.pieces {
            out.text(piece.tokens, &piece.text);
        }
        out.stop();
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let id = tool_id(at, id);
        out.start(json!({"type": "tool_use", "id": id, "name": tool.name, "input": {}}));
        out.delta(
            tool.tokens(),
            json!({"type": "input_json_delta", "partial_json": ""}),
        );
        for piece in tool.pieces() {
            out.delta(
                0,
                json!({"type": "input_json_delta", "partial_json": piece}),
            );
        }
        out.stop();
    }
    close(&mut out, answer, directives);
    out.events
}

fn close(out: &mut Writer, answer: &Answer, directives: &Directives) {
    let stop = json!({"stop_reason": stop_reason(&answer.finish), "stop_sequence": null});
    let mut counted = usage(answer.usage, total_output(answer.usage), directives.usage);
    if let Some(counted) = counted.as_object_mut() {
        counted.remove("cache_creation");
        counted.remove("service_tier");
    }
    let with_usage = json!({"delta": stop, "usage": counted});
    let without_usage = json!({"delta": stop});
    let end = |out: &mut Writer| out.push(Role::End, 0, "message_stop", Value::Null);
    match directives.usage {
        UsageMode::Exact | UsageMode::Zero => {
            out.push(Role::Closing, 0, "message_delta", with_usage);
            end(out);
        }
        UsageMode::Missing => {
            out.push(Role::Closing, 0, "message_delta", without_usage);
            end(out);
        }
        UsageMode::Late => {
            out.push(Role::Closing, 0, "message_delta", without_usage);
            out.push(Role::Late, 0, "message_delta", with_usage);
            end(out);
        }
        UsageMode::AfterEnd => {
            out.push(Role::Closing, 0, "message_delta", without_usage);
            end(out);
            out.push(Role::Closing, 0, "message_delta", with_usage);
        }
    }
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives) -> Breakage {
    let kind = directives.error.as_deref();
    let status = directives.status.unwrap_or(529);
    let body = error::body(
        Dialect::Anthropic,
        status,
        kind,
        error::message(status),
        None,
        "",
    );
    Breakage {
        error: frame("error", &body),
        bad_json: Bytes::from_static(
            b"event: content_block_delta\ndata: {\"type\":\"content_bl\n\n",
        ),
        text_starts: TEXT_STARTS,
    }
}

/// One model of the list.
pub(crate) fn model(id: &str, created_at: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": created_at})
}

/// The list of models.
pub(crate) fn models(ids: &[String], created_at: &str) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| model(id, created_at)).collect();
    json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
}
