//! Whole answers of which only a part arrives, or that nobody can read: the model has written them.

use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::ledger::Outcome;
use serde_json::{Value, json};

use super::CHAT;
use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{json_response, path, request};

/// The start of an answer of 400 bytes, or of one that does not say how long it is.
fn begun(says_its_length: bool) -> Vec<Step> {
    let length = match says_its_length {
        true => "content-length: 400\r\n\r\n{\"id\":\"1\",\"choices\":[".to_owned(),
        false => format!(
            "transfer-encoding: chunked\r\n\r\nc8\r\n{}\r\n",
            " ".repeat(200)
        ),
    };
    let text = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}");
    vec![Step::Send(Bytes::from(text))]
}

fn ask(most: u64) -> Bytes {
    request(CHAT, false, &json!({"max_tokens": most}))
}

/// What the ledger has of the only call: estimated output tokens.
async fn output(app: &TestApp, outcome: Outcome) -> u64 {
    let settled = app.only_settlement().await;
    assert_eq!(settled.outcome, outcome, "{settled:#?}");
    assert!(settled.usage.estimated && settled.usage.input_tokens > 10);
    settled.usage.output_tokens
}

#[tokio::test(start_paused = true)]
async fn what_was_written_of_a_whole_answer_is_charged_where_it_does_not_get_here() {
    // A token for four bytes, of those that came or were announced, and never more than was reserved.
    for (says_its_length, most, expected) in
        [(true, 1_000, 100), (true, 30, 30), (false, 1_000, 50)]
    {
        let app = TestApp::start().await;
        let mut steps = begun(says_its_length);
        steps.push(Step::HangUp);
        app.upstream.will(steps);
        assert_eq!(app.post(path(CHAT), ask(most)).send().await.status, 502);
        assert_eq!(output(&app, Outcome::Failure).await, expected);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_a_whole_answer_is_charged_what_was_written() {
    let app = TestApp::start().await;
    let mut steps = begun(true);
    steps.push(Step::Silence);
    app.upstream.will(steps);
    let call = tokio::spawn(app.post(path(CHAT), ask(1_000)).send());
    eventually("the provider is asked", || app.upstream.requests() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    call.abort();
    assert_eq!(output(&app, Outcome::Cancelled).await, 100);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_charged() {
    let app = TestApp::builder()
        .server("max_response_size = \"1KiB\"")
        .start()
        .await;
    let text = json!({"choices": [], "text": "x".repeat(4_000)});
    app.upstream.will_send(json_response(200, &text));
    assert_eq!(app.post(path(CHAT), ask(1_000)).send().await.status, 502);
    assert_eq!(output(&app, Outcome::Failure).await, 1_000);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_comes_as_an_answer_has_no_output() {
    let no: Value = json!({"error": {"message": "No.", "type": "server_error"}});
    let app = TestApp::start().await;
    app.upstream.will_send(json_response(200, &no));
    assert_eq!(app.post(path(CHAT), ask(1_000)).send().await.status, 502);
    assert_eq!(output(&app, Outcome::Failure).await, 0);
    app.finish().await;
}
