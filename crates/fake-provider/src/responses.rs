//! Answers of OpenAI's Responses API: whole ones and events.

use serde_json::{Value, json};

use crate::answer::{Answer, Finish, ToolCall, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::openai::Identity;
use crate::request::Dialect;
use crate::script::{Breakage, Event, Role};
use crate::writer::{event, sse};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"text\":\"";

/// Cached and reasoning tokens are part of the totals.
fn usage(usage: Usage, mode: UsageMode) -> Value {
    let usage = match mode {
        UsageMode::Zero => Usage::default(),
        _ => usage,
    };
    let input = usage.input + usage.cached + usage.cache_write;
    let output = usage.output + usage.reasoning;
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": input + output,
    })
}

fn envelope(of: &Identity<'_>, status: &str) -> Value {
    json!({
        "id": of.id, "object": "response", "created_at": of.created, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "model": of.model, "output": [], "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
        "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}},
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
        "usage": null, "user": null, "metadata": {},
    })
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn message(of: &Identity<'_>, status: &str, content: &Value) -> Value {
    json!({"id": format!("msg_{}", of.id), "type": "message", "status": status,
        "role": "assistant", "content": content})
}

fn call((at, tool): (usize, &ToolCall), of: &Identity<'_>, status: &str, text: &str) -> Value {
    json!({"id": format!("fc_{at}_{}", of.id), "type": "function_call", "status": status,
        "call_id": format!("call_{at}_{}", of.id), "name": tool.name, "arguments": text})
}

fn reasoning(of: &Identity<'_>) -> Value {
    json!({"id": format!("rs_{}", of.id), "type": "reasoning", "summary": []})
}

/// How an item stands: the last one is incomplete where the answer is.
fn status(answer: &Answer, is_last: bool) -> &'static str {
    match &answer.finish {
        Finish::Length | Finish::Other(_) if is_last => "incomplete",
        _ => "completed",
    }
}

/// A whole answer.
pub(crate) fn response(of: &Identity<'_>, answer: &Answer, directives: &Directives) -> Value {
    let mut body = envelope(of, "completed");
    let mut output = Vec::new();
    if answer.thinking.is_some() {
        output.push(reasoning(of));
    }
    if answer.tools.is_empty() {
        output.push(message(
            of,
            status(answer, true),
            &json!([text_part(&answer.text())]),
        ));
    }
    let calls = answer.tools.iter().enumerate();
    output.extend(calls.map(|(at, tool)| {
        let status = status(answer, at + 1 == answer.tools.len());
        call((at, tool), of, status, &tool.arguments)
    }));
    body["output"] = output.into();
    match &answer.finish {
        Finish::Length => {
            body["status"] = json!("incomplete");
            body["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        Finish::Other(reason) => {
            body["status"] = json!("incomplete");
            body["incomplete_details"] = json!({"reason": reason});
        }
        Finish::Stop | Finish::Tools => {}
    }
    if directives.usage != UsageMode::Missing {
        body["usage"] = usage(answer.usage, directives.usage);
    }
    body
}

struct Writer {
    events: Vec<Event>,
    number: u64,
    item: usize,
}

impl Writer {
    fn push(&mut self, role: Role, tokens: u64, name: &str, fields: Value) {
        let mut data = json!({"type": name, "sequence_number": self.number});
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        self.number += 1;
        self.events.push(event(role, tokens, sse(name, &data)));
    }

    fn item(&mut self, role: Role, done: bool, item: &Value) {
        let name = match done {
            true => "response.output_item.done",
            false => "response.output_item.added",
        };
        self.push(
            role,
            0,
            name,
            json!({"output_index": self.item, "item": item}),
        );
        self.item += usize::from(done);
    }
}

/// The events of a streamed answer.
pub(crate) fn events(of: &Identity<'_>, answer: &Answer, directives: &Directives) -> Vec<Event> {
    let mut out = Writer {
        events: Vec::new(),
        number: 0,
        item: 0,
    };
    let begun = json!({"response": envelope(of, "in_progress")});
    out.push(Role::Opening, 0, "response.created", begun.clone());
    out.push(
        Role::Opening,
        answer.usage.reasoning,
        "response.in_progress",
        begun,
    );
    if answer.thinking.is_some() {
        out.item(Role::Opening, false, &reasoning(of));
        out.item(Role::Closing, true, &reasoning(of));
    }
    if answer.tools.is_empty() {
        text(&mut out, of, answer);
    }
    for (at, tool) in answer.tools.iter().enumerate() {
        let id = json!(format!("fc_{at}_{}", of.id));
        out.item(
            Role::Opening,
            false,
            &call((at, tool), of, "in_progress", ""),
        );
        let mut tokens = tool.tokens();
        for piece in tool.pieces() {
            let fields = json!({"item_id": id, "output_index": out.item, "delta": piece});
            let issued = std::mem::take(&mut tokens);
            out.push(
                Role::Delta,
                issued,
                "response.function_call_arguments.delta",
                fields,
            );
        }
        let fields = json!({"item_id": id, "output_index": out.item, "name": tool.name,
            "arguments": tool.arguments});
        out.push(
            Role::Closing,
            0,
            "response.function_call_arguments.done",
            fields,
        );
        out.item(
            Role::Closing,
            true,
            &call(
                (at, tool),
                of,
                status(answer, at + 1 == answer.tools.len()),
                &tool.arguments,
            ),
        );
    }
    let whole = response(of, answer, directives);
    let name = match whole["status"].as_str() {
        Some("incomplete") => "response.incomplete",
        _ => "response.completed",
    };
    out.push(Role::End, 0, name, json!({"response": whole}));
    out.events
}

fn text(out: &mut Writer, of: &Identity<'_>, answer: &Answer) {
    let id = json!(format!("msg_{}", of.id));
    out.item(
        Role::Opening,
        false,
        &message(of, "in_progress", &json!([])),
    );
    let place = |out: &Writer, more: Value| {
        let mut fields = json!({"item_id": id, "output_index": out.item, "content_index": 0});
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        fields
    };
    let fields = place(out, json!({"part": text_part("")}));
    out.push(Role::Opening, 0, "response.content_part.added", fields);
    for piece in &answer.pieces {
        let fields = place(out, json!({"delta": piece.text, "logprobs": []}));
        out.push(
            Role::Delta,
            piece.tokens,
            "response.output_text.delta",
            fields,
        );
    }
    let whole = answer.text();
    let fields = place(out, json!({"text": whole, "logprobs": []}));
    out.push(Role::Closing, 0, "response.output_text.done", fields);
    let fields = place(out, json!({"part": text_part(&whole)}));
    out.push(Role::Closing, 0, "response.content_part.done", fields);
    out.item(
        Role::Closing,
        true,
        &message(of, status(answer, true), &json!([text_part(&whole)])),
    );
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives) -> Breakage {
    let kind = directives.error.as_deref();
    let status = directives.status.unwrap_or(500);
    let message = error::message(status);
    let mut error =
        error::body(Dialect::Responses, status, kind, message, None, "")["error"].take();
    error["type"] = json!("error");
    error["sequence_number"] = json!(99);
    Breakage {
        error: sse("error", &error),
        bad_json: "event: response.output_text.delta\ndata: {\"type\":\"resp\n\n".into(),
        text_starts: b"\"delta\":\"",
    }
}
