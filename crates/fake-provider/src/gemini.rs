//! Answers in Gemini's dialect: whole ones, and chunks as server-sent events or as a JSON array.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Finish, Usage};
use crate::directive::{Directives, UsageMode};
use crate::error;
use crate::request::Dialect;
use crate::script::{Breakage, Event, Role};
use crate::writer::{arguments, event, sse};

/// The bytes after which the text of an answer begins.
pub(crate) const TEXT_STARTS: &[u8] = b"\"text\":\"";

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        // Calls of tools end an answer as words do.
        Finish::Stop | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Other(reason) => reason,
    }
}

/// Thoughts are not part of the candidates; cached tokens are part of the prompt.
fn usage(usage: Usage, mode: UsageMode) -> Value {
    let usage = match mode {
        UsageMode::Zero => Usage::default(),
        _ => usage,
    };
    let prompt = usage.input + usage.cached + usage.cache_write;
    json!({
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": prompt + usage.output + usage.reasoning,
    })
}

fn chunk(id: &str, model: &str, parts: &Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "modelVersion": model, "responseId": id})
}

fn calls(answer: &Answer) -> Vec<Value> {
    let call = |tool: &crate::answer::ToolCall| json!({"functionCall": {"name": tool.name, "args": arguments(&tool.arguments)}});
    answer.tools.iter().map(call).collect()
}

/// A whole answer.
pub(crate) fn content(id: &str, model: &str, answer: &Answer, directives: &Directives) -> Value {
    let thinking = answer.thinking.iter();
    let mut parts: Vec<Value> = thinking
        .map(|thought| json!({"text": thought, "thought": true}))
        .collect();
    if answer.tools.is_empty() {
        parts.push(json!({"text": answer.text()}));
    }
    parts.extend(calls(answer));
    let mut body = chunk(
        id,
        model,
        &parts.into(),
        Some(finish_reason(&answer.finish)),
    );
    if directives.usage != UsageMode::Missing {
        body["usageMetadata"] = usage(answer.usage, directives.usage);
    }
    body
}

/// The chunks of a streamed answer; every one tells the usage so far.
pub(crate) fn events(
    (id, model): (&str, &str),
    answer: &Answer,
    directives: &Directives,
    as_array: bool,
) -> Vec<Event> {
    let mut so_far = Usage {
        output: 0,
        reasoning: 0,
        ..answer.usage
    };
    let mut chunks: Vec<(Role, u64, Value)> = Vec::new();
    if let Some(thought) = &answer.thinking {
        for word in thought.split_inclusive(' ') {
            so_far.reasoning += 1;
            let parts = json!([{"text": word, "thought": true}]);
            let mut data = chunk(id, model, &parts, None);
            data["usageMetadata"] = usage(so_far, directives.usage);
            chunks.push((Role::Delta, 1, data));
        }
    }
    for piece in &answer.pieces {
        so_far.output += piece.tokens;
        let mut data = chunk(id, model, &json!([{"text": piece.text}]), None);
        data["usageMetadata"] = usage(so_far, directives.usage);
        chunks.push((Role::Delta, piece.tokens, data));
    }
    for (tool, call) in answer.tools.iter().zip(calls(answer)) {
        so_far.output += tool.tokens();
        let mut data = chunk(id, model, &json!([call]), None);
        data["usageMetadata"] = usage(so_far, directives.usage);
        chunks.push((Role::Delta, tool.tokens(), data));
    }
    let reason = finish_reason(&answer.finish);
    let mut last = chunk(id, model, &json!([{"text": ""}]), Some(reason));
    last["usageMetadata"] = usage(answer.usage, directives.usage);
    chunks.push((Role::Closing, 0, last));
    let mut events = Vec::with_capacity(chunks.len() + 1);
    for (at, (role, tokens, mut data)) in chunks.into_iter().enumerate() {
        if directives.usage == UsageMode::Missing
            && let Some(members) = data.as_object_mut()
        {
            members.remove("usageMetadata");
        }
        let bytes = match (as_array, at) {
            (false, _) => sse("", &data),
            (true, 0) => Bytes::from(format!("[{data}")),
            (true, _) => Bytes::from(format!(",\r\n{data}")),
        };
        events.push(event(role, tokens, bytes));
    }
    if as_array {
        events.push(event(Role::End, 0, Bytes::from_static(b"]")));
    }
    events
}

/// What breaks a stream of this dialect.
pub(crate) fn breakage(directives: &Directives, as_array: bool) -> Breakage {
    let kind = directives.error.as_deref();
    let status = directives.status.unwrap_or(503);
    let message = error::message(status);
    let body = error::body(Dialect::Gemini, status, kind, message, None, "");
    Breakage {
        error: match as_array {
            true => format!(",\r\n{body}]").into(),
            false => sse("", &body),
        },
        bad_json: match as_array {
            true => ",\r\n{\"candidates\": nonsense}".into(),
            false => "data: {\"candidates\":[{\"cont\n\n".into(),
        },
        text_starts: TEXT_STARTS,
    }
}

/// The list of models.
pub(crate) fn models(ids: &[String]) -> Value {
    let model = |id: &String| json!({"name": format!("models/{id}"), "displayName": id});
    let models: Vec<Value> = ids.iter().map(model).collect();
    json!({"models": models})
}
