//! What calls are accounted to, reserved, charged and told.

use seaworthy_core::dialect::Dialect;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::wire::{json_response, path, reply, request};

mod fees;
mod pieces;
mod reload;
mod reports;
mod rotated;
mod routes;
mod rules;
mod scopes;
mod sizes;
mod tiers;
mod torn;

const CHAT: Dialect = Dialect::OpenAiChat;

/// A provider's report of so many tokens.
fn used(input: u64, output: u64) -> Value {
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
    })
}

/// One chat call with these headers, `extra` fields and the usage that its provider reports.
async fn chat(app: &TestApp, headers: &[(&str, &str)], extra: &Value, usage: &Value) -> Answer {
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, usage)));
    let call = app.post(path(CHAT), request(CHAT, false, extra));
    let call = headers
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    call.send().await
}

/// A chat call that must not reach a provider.
async fn refused(app: &TestApp, headers: &[(&str, &str)], extra: &Value) -> Answer {
    let call = app.post(path(CHAT), request(CHAT, false, extra));
    let call = headers
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    let answer = call.send().await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    answer
}
