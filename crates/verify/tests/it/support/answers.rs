//! The scripted server's answers, in both dialects.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::handler::status;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

/// One request in flight, for as long as its answer lives.
pub(crate) struct InFlight(Arc<AtomicI64>);

impl InFlight {
    pub(crate) fn enter(gauge: &Arc<AtomicI64>) -> Self {
        gauge.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(gauge))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

fn typed(code: u16, kind: &str, body: Body) -> Response<Body> {
    let response = Response::builder()
        .status(status(code))
        .header("content-type", kind);
    response.body(body).expect("a response")
}

pub(crate) fn json(code: u16, value: &Value) -> Response<Body> {
    typed(code, "application/json", full(value.to_string()))
}

pub(crate) fn page(code: u16, html: &'static str) -> Response<Body> {
    typed(code, "text/html", full(html))
}

pub(crate) fn error(dialect: Dialect, code: u16, kind: &str, message: &str) -> Response<Body> {
    match dialect {
        Dialect::OpenAi => json(
            code,
            &json!({"error": {"message": message, "type": kind, "param": null, "code": kind}}),
        ),
        Dialect::Anthropic => json(
            code,
            &json!({"type": "error", "error": {"type": kind, "message": message}}),
        ),
    }
}

pub(crate) fn wrong_method(allow: &str) -> Response<Body> {
    let mut response = error(
        Dialect::OpenAi,
        405,
        "method",
        "This method is not known here.",
    );
    response
        .headers_mut()
        .insert("allow", allow.parse().expect("valid"));
    response
}

/// The answer of a container to AgentCore: idle for a minute, or from a minute ahead.
pub(crate) fn ping(ahead: bool) -> Response<Body> {
    let away = if ahead { 60 } else { -60 };
    let since = jiff::Timestamp::now().as_second() + away;
    json(
        200,
        &json!({"status": "Healthy", "time_of_last_update": since}),
    )
}

pub(crate) fn chat(words: &[String], with_usage: bool, id: u64) -> Response<Body> {
    let tokens = words.len();
    let usage = json!({
        "prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens,
    });
    let message = json!({"role": "assistant", "content": words.join(" ")});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let mut answer =
        json!({"id": format!("c{id}"), "object": "chat.completion", "choices": [choice]});
    if with_usage {
        answer["usage"] = usage;
    }
    json(200, &answer)
}

pub(crate) fn message(words: &[String], with_stop_reason: bool) -> Response<Body> {
    let mut answer = json!({
        "id": "m1", "type": "message", "role": "assistant", "model": "echo",
        "content": [{"type": "text", "text": words.join(" ")}],
        "usage": {"input_tokens": words.len(), "output_tokens": words.len()},
    });
    if with_stop_reason {
        answer["stop_reason"] = json!("end_turn");
    }
    json(200, &answer)
}

pub(crate) fn chat_stream(
    words: Vec<String>,
    usage: bool,
    done: bool,
    in_flight: InFlight,
) -> Response<Body> {
    let tokens = words.len();
    let first = chat_chunk(&json!({"role": "assistant", "content": ""}), &Value::Null);
    let mut last = vec![chat_chunk(&json!({}), &json!("stop"))];
    if usage {
        let usage = json!({"prompt_tokens": tokens, "completion_tokens": tokens});
        last.push(format!(
            "data: {}\n\n",
            json!({"choices": [], "usage": usage})
        ));
    }
    if done {
        last.push("data: [DONE]\n\n".to_owned());
    }
    let words = words
        .into_iter()
        .map(|w| chat_chunk(&json!({"content": w}), &Value::Null));
    sse(std::iter::once(first).chain(words).chain(last), in_flight)
}

fn chat_chunk(delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let chunk = json!({"object": "chat.completion.chunk", "model": "echo", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

pub(crate) fn message_stream(
    words: Vec<String>,
    ordered: bool,
    in_flight: InFlight,
) -> Response<Body> {
    let event = |kind: &str| format!("event: {kind}\ndata: {}\n\n", json!({"type": kind}));
    let mut events = vec![
        event("message_start"),
        event("ping"),
        event("content_block_start"),
    ];
    events.extend(words.iter().map(|_| event("content_block_delta")));
    if ordered {
        events.push(event("content_block_stop"));
    }
    events.extend([event("message_delta"), event("message_stop")]);
    sse(events.into_iter(), in_flight)
}

/// Events one by one, so that a client that does not read holds the stream up.
fn sse(
    events: impl Iterator<Item = String> + Send + 'static,
    in_flight: InFlight,
) -> Response<Body> {
    let frames = stream::unfold((events, in_flight), |(mut events, guard)| async {
        let event = events.next()?;
        Some((Ok(Frame::data(Bytes::from(event))), (events, guard)))
    });
    typed(
        200,
        "text/event-stream",
        StreamBody::new(frames).boxed_unsync(),
    )
}
