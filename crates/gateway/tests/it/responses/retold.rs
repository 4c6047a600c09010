//! Stored responses that are told again as a stream.

use std::sync::Arc;

use seaworthy_core::dialect::{Dialect, Family};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{PATH, create, get};
use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::upstream::Step;
use crate::support::wire::{json_response, ok};

/// The events of a stream: each with the name that it says itself, numbered from 0.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text();
    let mut events = Vec::new();
    for (number, event) in text.trim_end().split("\n\n").enumerate() {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
        assert_eq!(data["sequence_number"], number);
        events.push(data);
    }
    events
}

async fn streamed(app: &TestApp, response: &Value) -> Answer {
    let id = response["id"].as_str().unwrap();
    get(app, &format!("{id}?stream=true")).await
}

#[tokio::test(start_paused = true)]
async fn a_stored_response_is_told_as_the_stream_that_leads_to_it() {
    let app = TestApp::start().await;
    let made = create(&app, json!({"model": "echo", "input": "Aye?"})).await;
    let told = events(&streamed(&app, &made).await);
    let kinds: Vec<&str> = told
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(told[0]["response"]["status"], "in_progress");
    assert_eq!(told[0]["response"]["output"], json!([]));
    assert_eq!(told[2]["item"]["content"], json!([]));
    assert_eq!(told[3]["part"]["text"], "");
    assert_eq!(told[4]["delta"], made["output"][0]["content"][0]["text"]);
    assert_eq!(told[4]["item_id"], made["output"][0]["id"]);
    assert_eq!(
        told[8]["response"],
        get(&app, made["id"].as_str().unwrap()).await.json()
    );
    // Nobody else's, and nothing that there is not.
    let id = made["id"].as_str().unwrap();
    let other = app.get(&format!("{PATH}/{id}?stream=true"));
    let other = other.key(&app.admin_key).send().await;
    other.assert_error(Family::OpenAi, 404, "not_found");
    let later = get(&app, &format!("{id}?stream=true&starting_after=3")).await;
    later.assert_error(Family::OpenAi, 400, "invalid_request");
    assert_eq!(later.json()["error"]["param"], "starting_after");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_tools_and_thoughts_are_told_again_as_well() {
    let app = TestApp::start().await;
    let message = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1",
        "type": "function", "function": {"name": "depth", "arguments": "{\"at\":\"pier\"}"}}]});
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "g",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}});
    app.upstream.will_send(json_response(200, &answer));
    let tools = json!([{"type": "function", "name": "depth", "parameters": {"type": "object"}}]);
    let called = create(
        &app,
        json!({"model": "gpt", "input": "How deep?", "tools": tools}),
    )
    .await;
    let told = events(&streamed(&app, &called).await);
    assert_eq!(told[2]["item"]["arguments"], "");
    assert_eq!(told[3]["type"], "response.function_call_arguments.delta");
    assert_eq!(told[3]["delta"], "{\"at\":\"pier\"}");
    assert_eq!(told[4]["arguments"], "{\"at\":\"pier\"}");
    assert_eq!(told[4]["name"], "depth");

    let thinking = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "Ten"}],
        "stop_reason": "max_tokens", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 7}});
    app.upstream.will_send(json_response(200, &thinking));
    let thought = create(&app, json!({"model": "claude", "input": "How deep?"})).await;
    assert_eq!(thought["status"], "incomplete", "{thought}");
    let told = events(&streamed(&app, &thought).await);
    let delta = |kind: &str| {
        let event = told.iter().find(|event| event["type"] == kind);
        event.unwrap()["delta"].clone()
    };
    assert_eq!(delta("response.reasoning_summary_text.delta"), "Hm.");
    assert_eq!(delta("response.output_text.delta"), "Ten");
    let last = told.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["output"], thought["output"]);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_being_made_is_not_told_as_a_stream() {
    let app = TestApp::start().await;
    let go_on = Arc::new(Notify::new());
    app.upstream.will(vec![
        Step::Until(Arc::clone(&go_on)),
        Step::Send(ok(Dialect::OpenAiChat)),
    ]);
    let body = json!({"model": "gpt", "input": "Aye?", "background": true});
    let queued = create(&app, body).await;
    let refused = streamed(&app, &queued).await;
    refused.assert_error(Family::OpenAi, 400, "invalid_request");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("without `stream`"), "{message}");
    go_on.notify_one();
    app.finish().await;
}
