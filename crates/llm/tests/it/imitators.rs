//! What servers that imitate OpenAI's chat completions write otherwise than OpenAI does.

use crate::support::events;
use seaworthy_core::call::{Block, Delta, Reply};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{StreamDecoder, decode_reply, usage::UsageMeter};
use serde_json::{Value, json};

fn whole(message: &Value) -> Reply {
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let body = json!({"id": "c", "model": "m", "choices": [choice]});
    decode_reply(Dialect::OpenAiChat, body.to_string().as_bytes()).unwrap()
}

/// The reply that chunks with these deltas tell, the last of which says why the model stopped.
fn streamed(pieces: &[Value]) -> Reply {
    let mut stream = String::new();
    for (number, delta) in pieces.iter().enumerate() {
        let is_last = number + 1 == pieces.len();
        let reason = is_last.then_some("stop");
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let chunk = json!({"id": "c", "model": "m", "choices": [choice]});
        stream += &format!("data: {chunk}\n\n");
    }
    let mut meter = UsageMeter::new(Dialect::OpenAiChat);
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
    let mut deltas: Vec<Delta> = Vec::new();
    for event in events([stream.as_bytes()], 10_000).unwrap() {
        meter.observe(&event);
        decoder.push(&event, &mut deltas).unwrap();
    }
    assert!(meter.is_complete(), "although nothing says [DONE]");
    Reply::gathered(deltas).unwrap()
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolUse {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
    }
}

#[test]
fn calls_may_have_no_id_and_their_arguments_as_they_are() {
    let calls = json!({"tool_calls": [
        {"index": 0, "function": {"name": "f", "arguments": {"x": 1.50}}},
        {"index": 1, "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]});
    let expected = [call("call_c_0", r#"{"x":1.5}"#), call("call_c_1", "{}")];
    assert_eq!(whole(&calls).blocks, expected);
    assert_eq!(streamed(&[calls]).blocks, expected);
}

#[test]
fn thoughts_may_stand_among_the_parts_of_the_content() {
    let thought = json!({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]});
    let text = json!({"type": "text", "text": "so"});
    let expected = [
        Block::Thinking {
            text: "hm".to_owned(),
            signature: None,
        },
        Block::Text("so".to_owned()),
    ];
    assert_eq!(whole(&json!({"content": [thought, text]})).blocks, expected);
    let pieces = [json!({"content": [thought]}), json!({"content": "so"})];
    assert_eq!(streamed(&pieces).blocks, expected);
}

#[test]
fn pieces_of_several_calls_may_come_at_a_time() {
    let piece = |index: u64, id: Option<&str>, arguments: &str| {
        let name = id.map(|_| "f");
        json!({"tool_calls": [{
            "index": index, "id": id, "function": {"name": name, "arguments": arguments},
        }]})
    };
    let reply = streamed(&[
        piece(0, Some("a"), ""),
        piece(1, Some("b"), ""),
        piece(0, None, "{\"x\":"),
        piece(1, None, "{}"),
        piece(0, None, "1}"),
    ]);
    assert_eq!(reply.blocks, [call("a", "{\"x\":1}"), call("b", "{}")]);
}

#[test]
fn events_without_a_word_are_signs_of_life() {
    let chunk = json!({"id": "c", "model": "m", "choices": [
        {"index": 0, "delta": {"content": "so"}, "finish_reason": "stop"}]});
    let read = |stream: &str| {
        let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
        let mut deltas: Vec<Delta> = Vec::new();
        for event in events([stream.as_bytes()], 10_000).unwrap() {
            decoder.push(&event, &mut deltas)?;
        }
        Ok::<_, seaworthy_llm::Fault>(Reply::gathered(deltas).unwrap().blocks)
    };
    let alive = format!("data:\n\nevent: ping\ndata: \n\ndata: {chunk}\n\ndata:\n\n");
    assert_eq!(read(&alive).unwrap(), [Block::Text("so".to_owned())]);
    let failed = format!("event: error\ndata:\n\ndata: {chunk}\n\n");
    assert!(read(&failed).is_err(), "an error is one, whatever it says");
}
