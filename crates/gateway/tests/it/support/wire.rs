//! What callers ask and providers answer, in both dialects, with figures that differ from each other.

use bytes::Bytes;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::usage::Usage;
use serde_json::{Value, json};

use super::upstream::Step;

pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::OpenAiChat, Dialect::AnthropicMessages];
pub(crate) const FAMILIES: [Family; 2] = [Family::OpenAi, Family::Anthropic];

pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect.family() {
        Family::OpenAi => "/v1/chat/completions",
        _ => "/v1/messages",
    }
}

pub(crate) fn model(dialect: Dialect) -> &'static str {
    match dialect.family() {
        Family::OpenAi => "gpt",
        _ => "claude",
    }
}

/// The smallest request.
pub(crate) fn ask(dialect: Dialect, stream: bool) -> Bytes {
    request(dialect, stream, &json!({}))
}

/// A request with further fields.
pub(crate) fn request(dialect: Dialect, stream: bool, more: &Value) -> Bytes {
    let mut body = json!({
        "model": model(dialect),
        "messages": [{"role": "user", "content": "Is the hull tight?"}],
    });
    let fields = body.as_object_mut().unwrap();
    if dialect == Dialect::AnthropicMessages {
        fields.insert("max_tokens".to_owned(), json!(64));
    }
    if stream {
        fields.insert("stream".to_owned(), json!(true));
    }
    fields.extend(more.as_object().unwrap().clone());
    body.to_string().into()
}

/// An HTTP response with a body of known length.
pub(crate) fn http(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Bytes {
    let body = body.as_ref();
    let mut out = head(status, headers);
    out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out.into()
}

pub(crate) fn json_response(status: u16, body: &Value) -> Bytes {
    http(
        status,
        &[("content-type", "application/json")],
        body.to_string(),
    )
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} Whatever\r\n").into_bytes();
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out
}

/// The head of a chunked event stream.
pub(crate) fn stream_head() -> Step {
    stream_head_of("text/event-stream")
}

/// The head of a chunked body of this type.
pub(crate) fn stream_head_of(content_type: &str) -> Step {
    let headers = [
        ("content-type", content_type),
        ("transfer-encoding", "chunked"),
    ];
    let mut out = head(200, &headers);
    out.extend_from_slice(b"\r\n");
    Step::Send(out.into())
}

/// One chunk of a chunked body.
pub(crate) fn chunk(data: impl AsRef<[u8]>) -> Step {
    let data = data.as_ref();
    let mut out = format!("{:x}\r\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    Step::Send(out.into())
}

/// The end of a chunked body.
pub(crate) fn last_chunk() -> Step {
    Step::Send(Bytes::from_static(b"0\r\n\r\n"))
}

/// A whole stream in one chunk.
pub(crate) fn stream(body: impl AsRef<[u8]>) -> Vec<Step> {
    vec![stream_head(), chunk(body), last_chunk()]
}

/// What the answers below use.
pub(crate) fn used(dialect: Dialect) -> Usage {
    match dialect.family() {
        Family::OpenAi => Usage {
            input_tokens: 16,
            cached_read_tokens: 5,
            output_tokens: 9,
            reasoning_tokens: 3,
            ..Usage::default()
        },
        _ => Usage {
            input_tokens: 16,
            cached_read_tokens: 5,
            cache_write_5m_tokens: 4,
            cache_write_1h_tokens: 3,
            output_tokens: 9,
            ..Usage::default()
        },
    }
}

/// The `usage` object that says [`used`].
pub(crate) fn usage_object(dialect: Dialect) -> Value {
    match dialect.family() {
        Family::OpenAi => json!({
            "prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }),
        _ => json!({
            "input_tokens": 16, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 9,
        }),
    }
}

/// A whole answer with this usage.
pub(crate) fn reply(dialect: Dialect, tools: bool, usage: &Value) -> Value {
    let mut reply = match (dialect.family(), tools) {
        (Family::OpenAi, false) => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-real",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Aye, tight as a drum."}}],
        }),
        (Family::OpenAi, true) => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-real",
            "choices": [{"index": 0, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": null, "tool_calls": [{
                    "id": "call_1", "type": "function",
                    "function": {"name": "sound", "arguments": "{\"well\":1}"}}]}}],
        }),
        (_, false) => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-real",
            "content": [{"type": "text", "text": "Aye, tight as a drum."}],
            "stop_reason": "end_turn", "stop_sequence": null,
        }),
        (_, true) => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-real",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "sound",
                "input": {"well": 1}}],
            "stop_reason": "tool_use", "stop_sequence": null,
        }),
    };
    if !usage.is_null() {
        reply["usage"] = usage.clone();
    }
    reply
}

/// The whole answer with its usual usage, as a response.
pub(crate) fn ok(dialect: Dialect) -> Bytes {
    json_response(200, &reply(dialect, false, &usage_object(dialect)))
}

/// The events of a streamed answer, one string each.
pub(crate) fn events(dialect: Dialect, tools: bool) -> Vec<String> {
    match dialect.family() {
        Family::OpenAi => openai_events(tools),
        _ => anthropic_events(tools),
    }
}

/// The event of an OpenAI stream that says nothing but the usage.
pub(crate) fn openai_usage_event() -> String {
    let usage = usage_object(Dialect::OpenAiChat);
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "gpt-real", "choices": [], "usage": usage});
    format!("data: {chunk}\n\n")
}

fn openai_events(tools: bool) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": "gpt-real",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let mut events = vec![chunk(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    if tools {
        let mut opening = call(json!({"name": "sound", "arguments": ""}));
        opening["tool_calls"][0]["id"] = json!("call_1");
        opening["tool_calls"][0]["type"] = json!("function");
        events.push(chunk(opening, Value::Null));
        events.push(chunk(call(json!({"arguments": "{\"well\""})), Value::Null));
        events.push(chunk(call(json!({"arguments": ":1}"})), Value::Null));
        events.push(chunk(json!({}), json!("tool_calls")));
    } else {
        events.push(chunk(json!({"content": "Aye, "}), Value::Null));
        events.push(chunk(
            json!({"content": "tight as a drum \u{2693}"}),
            Value::Null,
        ));
        events.push(chunk(json!({}), json!("stop")));
    }
    events.push(openai_usage_event());
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn anthropic_events(tools: bool) -> Vec<String> {
    let event = |data: Value| {
        let kind = data["type"].as_str().unwrap();
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let mut start = usage_object(Dialect::AnthropicMessages);
    start["output_tokens"] = json!(1);
    let (block, deltas, stop) = if tools {
        (
            json!({"type": "tool_use", "id": "toolu_1", "name": "sound", "input": {}}),
            ["{\"well\"", ":1}"]
                .map(|part| json!({"type": "input_json_delta", "partial_json": part})),
            "tool_use",
        )
    } else {
        (
            json!({"type": "text", "text": ""}),
            ["Aye, ", "tight as a drum \u{2693}"]
                .map(|part| json!({"type": "text_delta", "text": part})),
            "end_turn",
        )
    };
    let mut events = vec![
        event(
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
            "role": "assistant", "model": "claude-real", "content": [], "stop_reason": null,
            "usage": start}}),
        ),
        event(json!({"type": "content_block_start", "index": 0, "content_block": block})),
        event(json!({"type": "ping"})),
    ];
    for delta in deltas {
        events.push(event(
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        ));
    }
    events.push(event(json!({"type": "content_block_stop", "index": 0})));
    events.push(event(json!({"type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 9}})));
    events.push(event(json!({"type": "message_stop"})));
    events
}
