//! The model APIs at work: answers, streams and usage as the SDKs expect them.

use serde_json::{Value, json};

use super::dialect::{self, Dialect, ensure_admitted, ensure_status};
use super::{Area, Check, Kind, Need, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::session::Session;
use crate::sse::{Event, events};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "models.api-served",
        title: "A model API is served",
        why: "This verifier judges LLM gateways; without such an API most of it does not apply.",
        severity: Severity::Critical,
        areas: &[Area::Compatibility],
        needs: &[],
        verified_by: "POST /v1/chat/completions and POST /v1/messages.",
        remedy: "Check the URL and its path prefix, and route these paths to the gateway.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(api_served(s)),
    },
    Check {
        id: "models.listed",
        title: "The model list names the models",
        why: "Tools fill their menus from it.",
        severity: Severity::High,
        areas: &[Area::Compatibility],
        needs: &[Need::Key],
        verified_by: "GET /v1/models with the key.",
        remedy: "Serve the names that this key may use, in the OpenAI list shape.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(listed(s)),
    },
    Check {
        id: "models.chat-answers",
        title: "A chat completion answers and reports usage",
        why: "This is what everything else is for; without usage nothing can be budgeted.",
        severity: Severity::Critical,
        areas: &[Area::Compatibility],
        needs: &[Need::Key, Need::Model],
        verified_by: "POST /v1/chat/completions; choices and usage that adds up.",
        remedy: "See the error; make sure that the model's provider answers and usage is passed on.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(chat_answers(s)),
    },
    Check {
        id: "models.chat-stream-ends-with-done",
        title: "A chat stream ends with [DONE]",
        why: "Clients take a stream without it for a broken connection, or wait for ever.",
        severity: Severity::High,
        areas: &[Area::Compatibility],
        needs: &[Need::Key, Need::Model],
        verified_by: "A streamed chat completion, read to its end.",
        remedy: "Pass streams on to their last event.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(stream_ends(s)),
    },
    Check {
        id: "models.chat-stream-usage-on-request",
        title: "A chat stream reports usage exactly when asked",
        why: "Clients that bill by it need it, and others stumble over a chunk without choices.",
        severity: Severity::Medium,
        areas: &[Area::Compatibility],
        needs: &[Need::Key, Need::Model],
        verified_by: "Two streams, with and without stream_options.include_usage.",
        remedy: "Send the usage chunk only when include_usage is set.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(stream_usage(s)),
    },
    Check {
        id: "models.messages-answers",
        title: "The messages API answers and reports usage",
        why: "Clients of the Anthropic dialect depend on it.",
        severity: Severity::High,
        areas: &[Area::Compatibility],
        needs: &[Need::Key, Need::Model],
        verified_by: "POST /v1/messages; content, stop reason and usage.",
        remedy: "See the error; make sure that the model answers in this dialect too.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(messages_answers(s)),
    },
    Check {
        id: "models.messages-stream-in-order",
        title: "A messages stream has its events in order",
        why: "The SDK builds the message from this order and fails on any other.",
        severity: Severity::High,
        areas: &[Area::Compatibility],
        needs: &[Need::Key, Need::Model],
        verified_by: "A streamed message, read to its end and checked event by event.",
        remedy: "Send message_start, the content blocks, message_delta and message_stop.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(messages_stream(s)),
    },
];

async fn api_served(s: &Session<'_>) -> Probed {
    let mut seen = Vec::new();
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = s.send(s.with_key(dialect.request("{}"))).await?;
        seen.push(format!("{} from POST {}", answer.status(), dialect.path()));
    }
    let found = seen.join(", ");
    let refused = |text: &String| text.starts_with("401") || text.starts_with("403");
    if s.facts()
        .nowhere
        .post
        .is_some_and(|status| matches!(status, 401 | 403))
        && seen.iter().all(refused)
    {
        return not_verified(
            "a key that the server accepts: it refuses paths that were made up as well",
        );
    }
    ensure(
        dialect::served(s).is_ok(),
        "POST /v1/chat/completions or POST /v1/messages to be known",
        &found,
    )?;
    Ok(found)
}

async fn listed(s: &Session<'_>) -> Probed {
    let answer = s.send(Request::get("/v1/models").bearer(s.key()?)).await?;
    if answer.status() == 404 {
        dialect::served(s)?;
    }
    ensure_admitted(&answer)?;
    ensure_status(&answer, &[200], "GET /v1/models with the key")?;
    let json = answer.json().unwrap_or_default();
    let ids: Vec<&str> = json["data"]
        .as_array()
        .map(|list| {
            list.iter()
                .filter_map(|model| model["id"].as_str())
                .collect()
        })
        .unwrap_or_default();
    ensure(
        !ids.is_empty(),
        "data with at least one model that has an id",
        "no model",
    )?;
    Ok(ids.join(", "))
}

/// Sends one request of a dialect and returns its 200.
async fn call(s: &Session<'_>, dialect: Dialect, body: &Value) -> Result<Answer, Stop> {
    let answer = s
        .send(dialect.with_key(dialect.request(body.to_string()), s.key()?))
        .await?;
    ensure_admitted(&answer)?;
    ensure_status(&answer, &[200], &format!("a {} request", dialect.name()))?;
    Ok(answer)
}

async fn chat_answers(s: &Session<'_>) -> Probed {
    s.facts().chat.required()?;
    let body = dialect::body(s.model()?, "Say hello.", 16, false);
    let json = call(s, Dialect::OpenAi, &body)
        .await?
        .json()
        .unwrap_or_default();
    let message = &json["choices"][0]["message"];
    ensure(
        message["role"] == "assistant",
        "an assistant's message in choices",
        json.to_string(),
    )?;
    let usage = &json["usage"];
    let [prompt, completion, total] =
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(|key| usage[key].as_u64());
    match (prompt, completion, total) {
        (Some(p), Some(c), Some(t)) if p + c == t && p > 0 => {
            Ok(format!("{p} prompt and {c} completion tokens"))
        }
        _ => fail("usage whose parts add up", usage.to_string()),
    }
}

/// A chat stream's chunks, and whether `[DONE]` came last.
async fn chat_stream(s: &Session<'_>, include_usage: bool) -> Result<(Vec<Value>, bool), Stop> {
    s.facts().chat.required()?;
    let mut body = dialect::body(s.model()?, "Say hello.", 16, true);
    if include_usage {
        body["stream_options"] = json!({"include_usage": true});
    }
    let answer = call(s, Dialect::OpenAi, &body).await?;
    let kind = answer.header("content-type").unwrap_or_default();
    ensure(
        kind.starts_with("text/event-stream"),
        "content-type text/event-stream",
        kind,
    )?;
    let events = events(&answer.text());
    let done = events.last().is_some_and(|event| event.data == "[DONE]");
    let chunks = events
        .iter()
        .filter_map(|event| serde_json::from_str(&event.data).ok());
    Ok((chunks.collect(), done))
}

async fn stream_ends(s: &Session<'_>) -> Probed {
    let (chunks, done) = chat_stream(s, false).await?;
    ensure(!chunks.is_empty(), "chunks", "none")?;
    let role = chunks[0]["choices"][0]["delta"]["role"].as_str();
    ensure(
        role == Some("assistant"),
        "a first delta with the role",
        chunks[0].to_string(),
    )?;
    let finished = chunks
        .iter()
        .any(|chunk| chunk["choices"][0]["finish_reason"].is_string());
    ensure(
        finished,
        "a chunk with a finish_reason",
        format!("{} chunks without", chunks.len()),
    )?;
    ensure(
        done,
        "data: [DONE] as the last event",
        format!("{} chunks and no [DONE]", chunks.len()),
    )?;
    Ok(format!("{} chunks and [DONE]", chunks.len()))
}

async fn stream_usage(s: &Session<'_>) -> Probed {
    let reports = |chunks: &[Value]| chunks.iter().any(|chunk| chunk["usage"].is_object());
    let (asked, _) = chat_stream(s, true).await?;
    ensure(reports(&asked), "a chunk with usage when asked", "none")?;
    let last = asked.last().is_some_and(|chunk| {
        chunk["usage"].is_object() && chunk["choices"].as_array().is_some_and(Vec::is_empty)
    });
    ensure(
        last,
        "usage in a last chunk without choices",
        "usage elsewhere",
    )?;
    let (unasked, _) = chat_stream(s, false).await?;
    ensure(
        !reports(&unasked),
        "no usage when not asked",
        "a chunk with usage",
    )?;
    Ok("usage when asked, and only then".to_owned())
}

async fn messages_answers(s: &Session<'_>) -> Probed {
    s.facts().messages.required()?;
    let body = dialect::body(s.model()?, "Say hello.", 16, false);
    let json = call(s, Dialect::Anthropic, &body)
        .await?
        .json()
        .unwrap_or_default();
    ensure(
        json["type"] == "message",
        "an object of type message",
        json.to_string(),
    )?;
    ensure(
        json["content"].is_array(),
        "content blocks",
        json.to_string(),
    )?;
    ensure(
        json["stop_reason"].is_string(),
        "a stop_reason",
        json.to_string(),
    )?;
    let usage = &json["usage"];
    match (
        usage["input_tokens"].as_u64(),
        usage["output_tokens"].as_u64(),
    ) {
        (Some(input), Some(output)) if input > 0 => {
            Ok(format!("{input} input and {output} output tokens"))
        }
        _ => fail(
            "usage with input_tokens and output_tokens",
            usage.to_string(),
        ),
    }
}

async fn messages_stream(s: &Session<'_>) -> Probed {
    s.facts().messages.required()?;
    let body = dialect::body(s.model()?, "Say hello.", 16, true);
    let answer = call(s, Dialect::Anthropic, &body).await?;
    let events = events(&answer.text());
    let order: Vec<&str> = events
        .iter()
        .map(name_of)
        .filter(|name| *name != "ping")
        .collect();
    match misplaced(&order) {
        Some(fault) => fail("events in the order of the dialect", fault),
        None => Ok(format!("{} events in order", order.len())),
    }
}

fn name_of(event: &Event) -> &str {
    event.name.as_deref().unwrap_or_default()
}

/// The first event that breaks the grammar of a messages stream.
fn misplaced(order: &[&str]) -> Option<String> {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Start,
        Between,
        InBlock,
        Closing,
        End,
    }
    let mut at = At::Start;
    for (index, name) in order.iter().enumerate() {
        at = match (at, *name) {
            (At::Start, "message_start") => At::Between,
            (At::Between, "content_block_start") => At::InBlock,
            (At::InBlock, "content_block_delta") => At::InBlock,
            (At::InBlock, "content_block_stop") => At::Between,
            (At::Between | At::Closing, "message_delta") => At::Closing,
            (At::Closing, "message_stop") => At::End,
            _ => return Some(format!("event {} is {name:?}", index + 1)),
        };
    }
    (at != At::End).then(|| format!("it ends with {:?}", order.last().unwrap_or(&"nothing")))
}

#[cfg(test)]
mod tests {
    use super::misplaced;

    #[test]
    fn accepts_the_order_of_the_dialect() {
        let order = "message_start content_block_start content_block_delta content_block_delta \
                     content_block_stop content_block_start content_block_stop message_delta \
                     message_stop";
        assert_eq!(
            misplaced(&order.split_whitespace().collect::<Vec<_>>()),
            None
        );
    }

    #[test]
    fn names_the_event_out_of_place() {
        for (order, complaint) in [
            ("", "ends with \"nothing\""),
            ("content_block_start", "event 1"),
            ("message_start message_stop", "event 2"),
            ("message_start content_block_start message_delta", "event 3"),
            ("message_start message_delta", "ends with \"message_delta\""),
            ("message_start message_delta message_stop ping2", "event 4"),
        ] {
            let fault = misplaced(&order.split_whitespace().collect::<Vec<_>>());
            assert!(
                fault.as_deref().is_some_and(|f| f.contains(complaint)),
                "{order}: {fault:?}"
            );
        }
    }
}
