//! Answers in Cohere's dialect, version 2: whole messages and events.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, ToolCall, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::script::{Breakage, Event, Role};
use crate::writer::{event, sse};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"text\":\"";

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "COMPLETE",
        Finish::Length => "MAX_TOKENS",
        Finish::Tools => "TOOL_CALL",
        Finish::Other(reason) => reason,
    }
}

/// Cached tokens are part of the input; what is written to a cache is not told apart.
fn usage(usage: Usage, mode: UsageMode) -> Value {
    let usage = match mode {
        UsageMode::Zero => Usage::default(),
        _ => usage,
    };
    let tokens = json!({
        "input_tokens": usage.input + usage.cached + usage.cache_write,
        "output_tokens": usage.output + usage.reasoning,
    });
    json!({"billed_units": tokens, "tokens": tokens, "cached_tokens": usage.cached})
}

fn call((at, tool): (usize, &ToolCall), id: &str, arguments: &str) -> Value {
    json!({
        "id": format!("{}_{at}_{id}", tool.name),
        "type": "function",
        "function": {"name": tool.name, "arguments": arguments},
    })
}

/// A whole answer.
pub(crate) fn message(id: &str, answer: &Answer, directives: &Directives) -> Value {
    let mut message = json!({"role": "assistant"});
    let thinking = answer
        .thinking
        .iter()
        .map(|thought| json!({"type": "thinking", "thinking": thought}));
    let text = (answer.tools.is_empty()).then(|| json!({"type": "text", "text": answer.text()}));
    let content: Vec<Value> = thinking.chain(text).collect();
    if !content.is_empty() {
        message["content"] = content.into();
    }
    if !answer.tools.is_empty() {
        message["tool_plan"] = json!("I will look.");
        let calls = answer.tools.iter().enumerate();
        message["tool_calls"] = calls
            .map(|(at, tool)| call((at, tool), id, &tool.arguments))
            .collect();
    }
    let mut body = json!({
        "id": id, "finish_reason": finish_reason(&answer.finish), "message": message,
    });
    if directives.usage != UsageMode::Missing {
        body["usage"] = usage(answer.usage, directives.usage);
    }
    body
}

struct Writer(Vec<Event>);

impl Writer {
    fn push(&mut self, role: Role, tokens: u64, name: &str, index: Option<usize>, message: Value) {
        let mut data = json!({"type": name});
        if let Some(index) = index {
            data["index"] = json!(index);
        }
        if !message.is_null() {
            data["delta"] = json!({"message": message});
        }
        self.0.push(event(role, tokens, sse(name, &data)));
    }
}

/// The events of a streamed answer.
pub(crate) fn events(id: &str, answer: &Answer, directives: &Directives) -> Vec<Event> {
    let mut out = Writer(Vec::new());
    let start = json!({"type": "message-start", "id": id, "delta": {"message":
        {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}});
    out.0
        .push(event(Role::Opening, 0, sse("message-start", &start)));
    let mut index = 0;
    if let Some(thought) = &answer.thinking {
        let opening = json!({"content": {"type": "thinking", "thinking": ""}});
        out.push(Role::Opening, 0, "content-start", Some(index), opening);
        for word in thought.split_inclusive(' ') {
            let delta = json!({"content": {"thinking": word}});
            out.push(Role::Delta, 1, "content-delta", Some(index), delta);
        }
        out.push(Role::Closing, 0, "content-end", Some(index), Value::Null);
        index += 1;
    }
    if answer.tools.is_empty() {
        let opening = json!({"content": {"type": "text", "text": ""}});
        out.push(Role::Opening, 0, "content-start", Some(index), opening);
        for piece in &answer.pieces {
            let delta = json!({"content": {"text": piece.text}});
            out.push(
                Role::Delta,
                piece.tokens,
                "content-delta",
                Some(index),
                delta,
            );
        }
        out.push(Role::Closing, 0, "content-end", Some(index), Value::Null);
    } else {
        let plan = json!({"tool_plan": "I will look."});
        out.push(Role::Opening, 0, "tool-plan-delta", None, plan);
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let opening = json!({"tool_calls": call((at, tool), id, "")});
        out.push(Role::Opening, 0, "tool-call-start", Some(at), opening);
        let mut tokens = tool.tokens();
        for piece in tool.pieces() {
            let delta = json!({"tool_calls": {"function": {"arguments": piece}}});
            let issued = std::mem::take(&mut tokens);
            out.push(Role::Delta, issued, "tool-call-delta", Some(at), delta);
        }
        out.push(Role::Closing, 0, "tool-call-end", Some(at), Value::Null);
    }
    let mut delta = json!({"finish_reason": finish_reason(&answer.finish)});
    if directives.usage != UsageMode::Missing {
        delta["usage"] = usage(answer.usage, directives.usage);
    }
    let end = json!({"type": "message-end", "delta": delta});
    out.0.push(event(Role::End, 0, sse("message-end", &end)));
    out.0
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives) -> Breakage {
    let status = directives.status.unwrap_or(500);
    let message = error::message(status);
    let delta = json!({"error": message, "finish_reason": "ERROR"});
    let end = json!({"type": "message-end", "delta": delta});
    Breakage {
        error: sse("message-end", &end),
        bad_json: "event: content-delta\ndata: {\"type\":\"content-del\n\n".into(),
        text_starts: TEXT_STARTS,
    }
}
