//! Chat completions in OpenAI's dialect: whole objects and events.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::request::Dialect;
use crate::script::{Breakage, Event, Role};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"content\":\"";

/// What identifies one answer.
pub(crate) struct Identity<'a> {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) model: &'a str,
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Other(reason) => reason,
    }
}

/// The `usage` object. Cached and reasoning tokens are part of the totals.
fn usage(usage: Usage, mode: UsageMode) -> Value {
    let usage = if mode == UsageMode::Zero {
        Usage::default()
    } else {
        usage
    };
    let prompt = usage.input + usage.cached + usage.cache_write;
    let completion = usage.output + usage.reasoning;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn call_id(at: usize, id: &str) -> String {
    format!("call_{at}_{id}")
}

/// A whole chat completion.
pub(crate) fn completion(of: &Identity<'_>, answer: &Answer, directives: &Directives) -> Value {
    let text = (answer.tools.is_empty()).then(|| answer.text());
    let mut message = json!({
        "role": "assistant", "content": text, "refusal": null, "annotations": [],
    });
    if !answer.tools.is_empty() {
        let call = |(at, tool): (usize, &crate::answer::ToolCall)| {
            json!({
                "id": call_id(at, &of.id),
                "type": "function",
                "function": {"name": tool.name, "arguments": tool.arguments},
            })
        };
        message["tool_calls"] = answer.tools.iter().enumerate().map(call).collect();
    }
    let mut body = json!({
        "id": of.id,
        "object": "chat.completion",
        "created": of.created,
        "model": of.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&answer.finish),
        }],
        "usage": usage(answer.usage, directives.usage),
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    });
    if directives.usage == UsageMode::Missing
        && let Some(body) = body.as_object_mut()
    {
        body.remove("usage");
    }
    body
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: &'a [Choice<'a>],
    /// With `include_usage` every chunk but the last says `"usage": null`; without, none has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    Text { content: &'a str },
    Other(Value),
}

/// `data: …` and the empty line that ends an event.
fn frame<T: Serialize>(data: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(320);
    bytes.extend_from_slice(b"data: ");
    // Writing to a Vec cannot fail, nor can these types: an error would leave an empty event.
    let _written = serde_json::to_writer(&mut bytes, data);
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// Collects the chunks of one stream.
struct Writer<'a> {
    of: &'a Identity<'a>,
    include_usage: bool,
    events: Vec<Event>,
}

impl Writer<'_> {
    fn chunk(&self, choices: &[Choice<'_>], usage: Option<Value>) -> Bytes {
        frame(&Chunk {
            id: &self.of.id,
            object: "chat.completion.chunk",
            created: self.of.created,
            model: self.of.model,
            service_tier: "default",
            system_fingerprint: "fp_fake",
            choices,
            usage,
        })
    }

    fn push(&mut self, role: Role, tokens: u64, delta: Delta<'_>, finish_reason: Option<&str>) {
        let choice = Choice {
            index: 0,
            delta,
            logprobs: None,
            finish_reason,
        };
        let bytes = self.chunk(&[choice], self.include_usage.then_some(Value::Null));
        self.events.push(Event {
            role,
            bytes,
            tokens,
        });
    }

    fn tool_call(&mut self, tokens: u64, part: &Value) {
        let delta = Delta::Other(json!({"tool_calls": [part]}));
        self.push(Role::Delta, tokens, delta, None);
    }
}

/// The events of a streamed chat completion.
pub(crate) fn events(
    of: &Identity<'_>,
    answer: &Answer,
    directives: &Directives,
    include_usage: bool,
) -> Vec<Event> {
    let events = Vec::with_capacity(answer.pieces.len() + 8);
    let mut out = Writer {
        of,
        include_usage,
        events,
    };
    let content = answer.tools.is_empty().then_some("");
    let opening = json!({"role": "assistant", "content": content, "refusal": null});
    // Thinking is not shown; its tokens are spent before anything is.
    out.push(
        Role::Opening,
        answer.usage.reasoning,
        Delta::Other(opening),
        None,
    );
    for piece in &answer.pieces {
        out.push(
            Role::Delta,
            piece.tokens,
            Delta::Text {
                content: &piece.text,
            },
            None,
        );
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let function = json!({"name": tool.name, "arguments": ""});
        let id = call_id(at, &of.id);
        let start = json!({"index": at, "id": id, "type": "function", "function": function});
        out.tool_call(tool.tokens(), &start);
        for piece in tool.pieces() {
            out.tool_call(0, &json!({"index": at, "function": {"arguments": piece}}));
        }
    }
    out.push(
        Role::Closing,
        0,
        Delta::Other(json!({})),
        Some(finish_reason(&answer.finish)),
    );
    let bytes = out.chunk(&[], Some(usage(answer.usage, directives.usage)));
    let counted = |role| Event {
        role,
        bytes: bytes.clone(),
        tokens: 0,
    };
    let end = Event {
        role: Role::End,
        bytes: Bytes::from_static(b"data: [DONE]\n\n"),
        tokens: 0,
    };
    match directives.usage {
        _ if !include_usage => out.events.push(end),
        UsageMode::Missing => out.events.push(end),
        UsageMode::Exact | UsageMode::Zero => out.events.extend([counted(Role::Closing), end]),
        UsageMode::Late => out.events.extend([counted(Role::Late), end]),
        UsageMode::AfterEnd => out.events.extend([end, counted(Role::Closing)]),
    }
    out.events
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives) -> Breakage {
    let kind = directives.error.as_deref();
    let status = directives.status.unwrap_or(500);
    Breakage {
        error: frame(&error::body(
            Dialect::OpenAi,
            status,
            kind,
            error::message(status),
            None,
            "",
        )),
        bad_json: Bytes::from_static(
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tru\n\n",
        ),
        text_starts: TEXT_STARTS,
    }
}
