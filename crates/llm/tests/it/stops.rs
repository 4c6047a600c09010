//! Why the model stopped: every word of every provider, and what callers of every dialect read.
//! The table is part of `docs/reference/dialects.md`; `tests/sdk/test_fields.py` holds its words
//! against those of the official SDKs.

use crate::support::{DIALECTS, cut};
use seaworthy_core::{
    call::{Block, BlockOpening, Delta, Reply, StopReason},
    dialect::Dialect,
};
use seaworthy_llm::{
    Framing, StreamDecoder, StreamEncoder, StreamSettings, decode_reply, encode_reply,
};
use serde_json::{Value, json};

/// The words that a provider's API, or a well-known imitator of it, has for the end of an answer.
fn words(provider: Dialect) -> &'static [&'static str] {
    match provider {
        Dialect::OpenAiChat => &[
            "stop",
            "length",
            "tool_calls",
            "content_filter",
            "function_call",
            "model_length",
            "error",
            "abort",
            "insufficient_system_resource",
        ],
        // The reason for which a response is incomplete, or how it stands.
        Dialect::OpenAiResponses => &[
            "completed",
            "max_output_tokens",
            "content_filter",
            "max_messages",
            "steered",
            "incomplete",
            "failed",
            "cancelled",
        ],
        Dialect::AnthropicMessages => &[
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
        ],
        Dialect::Gemini => &[
            "FINISH_REASON_UNSPECIFIED",
            "STOP",
            "MAX_TOKENS",
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "OTHER",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MALFORMED_FUNCTION_CALL",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_OTHER",
            "NO_IMAGE",
            "IMAGE_RECITATION",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
            "CONTINUATION",
            "MODEL_ARMOR",
        ],
        Dialect::CohereChat => &[
            "COMPLETE",
            "STOP_SEQUENCE",
            "MAX_TOKENS",
            "TOOL_CALL",
            "ERROR",
            "TIMEOUT",
            "ERROR_TOXIC",
            "ERROR_LIMIT",
            "USER_CANCEL",
        ],
        Dialect::BedrockConverse => &[
            "end_turn",
            "tool_use",
            "max_tokens",
            "stop_sequence",
            "guardrail_intervened",
            "content_filtered",
            "malformed_model_output",
            "malformed_tool_use",
            "model_context_window_exceeded",
        ],
    }
}

/// An answer that ends with the word.
fn whole(provider: Dialect, word: &str) -> Value {
    let text = json!([{"type": "text", "text": "Hm"}]);
    match provider {
        Dialect::OpenAiChat => json!({"id": "1", "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hm"}, "finish_reason": word},
        ]}),
        Dialect::OpenAiResponses => response(word),
        Dialect::AnthropicMessages => {
            json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "content": text,
                "stop_reason": word})
        }
        Dialect::Gemini => json!({"responseId": "1", "modelVersion": "m", "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hm"}]}, "finishReason": word},
        ]}),
        Dialect::CohereChat => {
            json!({"id": "1", "finish_reason": word, "message": {"role": "assistant", "content": text}})
        }
        Dialect::BedrockConverse => {
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "Hm"}]}},
                "stopReason": word})
        }
    }
}

fn response(word: &str) -> Value {
    let status = match word {
        "max_output_tokens" | "content_filter" | "max_messages" | "steered" => "incomplete",
        status => status,
    };
    let details = json!({"reason": word});
    let part = json!({"type": "output_text", "text": "Hm", "annotations": []});
    let message = json!({"type": "message", "role": "assistant", "content": [part]});
    json!({"id": "1", "model": "m", "status": status, "output": [message],
        "incomplete_details": details.as_object().filter(|_| status != word)})
}

/// The events that say the same in a stream. Bedrock's are binary: they are recorded.
fn streamed(provider: Dialect, word: &str) -> Option<Vec<Value>> {
    let events = match provider {
        Dialect::OpenAiChat => json!([{"id": "1", "model": "m", "choices": [
            {"index": 0, "delta": {"content": "Hm"}, "finish_reason": word},
        ]}]),
        Dialect::OpenAiResponses => {
            let end = match word {
                "completed" | "failed" => word,
                // There is no event for it: only what runs in the background is cancelled.
                "cancelled" => return None,
                _ => "incomplete",
            };
            json!([
                {"type": "response.created", "response": {"id": "1", "model": "m"}},
                {"type": "response.output_text.delta", "delta": "Hm"},
                {"type": format!("response.{end}"), "response": response(word)},
            ])
        }
        Dialect::AnthropicMessages => json!([
            {"type": "message_start", "message": {"id": "1", "model": "m"}},
            {"type": "message_delta", "delta": {"stop_reason": word}},
            {"type": "message_stop"},
        ]),
        Dialect::Gemini => json!([whole(provider, word)]),
        Dialect::CohereChat => json!([
            {"type": "message-start", "id": "1"},
            {"type": "message-end", "delta": {"finish_reason": word}},
        ]),
        Dialect::BedrockConverse => return None,
    };
    events.as_array().cloned()
}

/// How a streamed answer ends; `None` if it broke off.
fn end_of(provider: Dialect, events: &[Value]) -> Option<StopReason> {
    let stream: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let mut decoder = StreamDecoder::new(provider);
    let mut deltas = Vec::new();
    for event in cut(Framing::ServerSentEvents, [stream.as_bytes()], 1 << 16).unwrap() {
        decoder.push(&event, &mut deltas).unwrap();
    }
    deltas.iter().find_map(|delta| match delta {
        Delta::Finish { stop_reason, .. } => Some(*stop_reason),
        Delta::Error { message, .. } => {
            assert!(!message.is_empty() || provider == Dialect::OpenAiResponses);
            None
        }
        _ => None,
    })
}

/// What a caller reads of why the model stopped.
fn told(caller: Dialect, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    let word = match caller {
        Dialect::OpenAiChat => &body["choices"][0]["finish_reason"],
        Dialect::OpenAiResponses => match &body["incomplete_details"]["reason"] {
            Value::Null => &body["status"],
            reason => reason,
        },
        Dialect::AnthropicMessages => &body["stop_reason"],
        Dialect::Gemini => &body["candidates"][0]["finishReason"],
        Dialect::CohereChat => &body["finish_reason"],
        Dialect::BedrockConverse => &body["stopReason"],
    };
    word.as_str().unwrap().to_owned()
}

/// Every word, and what callers of every dialect read; whole and streamed alike.
pub(crate) fn table() -> Vec<(Dialect, &'static str, Vec<String>)> {
    let words_of = |provider| words(provider).iter().map(move |word| (provider, *word));
    let row = |(provider, word): (Dialect, &'static str)| {
        let body = whole(provider, word).to_string();
        let read = decode_reply(provider, body.as_bytes());
        if let Some(events) = streamed(provider, word) {
            let whole = read.as_ref().ok().map(|reply| reply.stop_reason);
            assert_eq!(end_of(provider, &events), whole, "{provider:?} {word}");
        }
        let told = match read {
            Err(fault) => {
                assert_eq!(fault.broke_off, Some(word));
                DIALECTS.map(|_| "an error".to_owned())
            }
            Ok(reply) => DIALECTS.map(|caller| {
                let body = encode_reply(caller, &reply, 0).body;
                format!("`{}`", told(caller, &body))
            }),
        };
        (provider, word, told.into())
    };
    DIALECTS.into_iter().flat_map(words_of).map(row).collect()
}

/// What every item of a response says of how it stands, whole or as a stream's last event has it.
fn statuses(response: &Value) -> Vec<Option<&str>> {
    let items = response["output"].as_array().unwrap();
    items.iter().map(|item| item["status"].as_str()).collect()
}

/// An answer of text and two calls that ended for the reason, as a whole response and as events.
fn cut_within_a_call(stop_reason: StopReason) -> (Value, Vec<Value>) {
    let call = |id: &str| (id.to_owned(), "get_weather".to_owned());
    let blocks = vec![
        Block::Text("I will look.".to_owned()),
        Block::ToolUse {
            id: "c1".to_owned(),
            name: "get_weather".to_owned(),
            arguments: String::new(),
        },
        Block::ToolUse {
            id: "c2".to_owned(),
            name: "get_weather".to_owned(),
            arguments: String::new(),
        },
    ];
    let mut deltas = vec![
        Delta::Start {
            id: "1".to_owned(),
            model: "m".to_owned(),
        },
        Delta::Open(BlockOpening::Text),
        Delta::Text("I will look.".to_owned()),
        Delta::Close,
    ];
    for (id, name) in [call("c1"), call("c2")] {
        deltas.push(Delta::Open(BlockOpening::ToolUse { id, name }));
        deltas.push(Delta::Close);
    }
    deltas.push(Delta::Finish {
        stop_reason,
        stop_sequence: None,
    });
    let reply = Reply {
        id: "1".to_owned(),
        model: "m".to_owned(),
        blocks,
        stop_reason,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    };
    let whole = encode_reply(Dialect::OpenAiResponses, &reply, 0).body;
    let settings = StreamSettings {
        include_usage: true,
        created_unix_s: 0,
    };
    let mut encoder = StreamEncoder::new(Dialect::OpenAiResponses, settings);
    let mut stream = Vec::new();
    for delta in &deltas {
        encoder.push(delta, &mut stream);
    }
    encoder.finish(&mut stream);
    let events = cut(Framing::ServerSentEvents, [&*stream], 1 << 16).unwrap();
    let events = events.iter().filter_map(|event| event.data());
    let events = events.map(|data| serde_json::from_slice(data).unwrap());
    (serde_json::from_slice(&whole).unwrap(), events.collect())
}

#[test]
fn the_last_item_of_an_incomplete_response_is_incomplete_and_no_other() {
    let complete = Some("completed");
    for (stop_reason, last, arguments) in [
        (StopReason::MaxTokens, Some("incomplete"), ""),
        (StopReason::ContentFilter, Some("incomplete"), ""),
        (StopReason::ToolUse, complete, "{}"),
    ] {
        let (whole, events) = cut_within_a_call(stop_reason);
        let end = &events.last().unwrap()["response"];
        for response in [&whole, end] {
            assert_eq!(statuses(response), [complete, complete, last]);
            let arguments_of = |item: usize| response["output"][item]["arguments"].as_str();
            assert_eq!(arguments_of(1), Some("{}"));
            assert_eq!(arguments_of(2), Some(arguments));
        }
        let done = |event: &&Value| event["type"] == "response.output_item.done";
        let done: Vec<_> = events.iter().filter(done).collect();
        let done: Vec<_> = done.iter().map(|e| e["item"]["status"].as_str()).collect();
        assert_eq!(done, [complete, complete, last]);
    }
}
