//! R-B7: tools and images have prices and draw on the same budgets as tokens.

use serde_json::json;

use super::{CHAT, chat, refused, used};
use crate::support::app::TestApp;
use crate::support::wire::{json_response, path, request};

const PRICES: &str = "[prices.\"openai/gpt-real\"]\ninput = 0\noutput = 0\n\
                      [tool_prices]\nlookup = 0.25\n";

fn offering() -> serde_json::Value {
    json!({
        "max_tokens": 10,
        "tools": [{"type": "function", "function": {"name": "lookup", "parameters": {}}}],
    })
}

fn calling(times: usize) -> serde_json::Value {
    let call = json!({
        "id": "c", "type": "function", "function": {"name": "lookup", "arguments": "{}"},
    });
    json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "gpt-real",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null, "tool_calls": vec![call; times],
        }}],
        "usage": used(5, 5),
    })
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_the_answer_calls_is_charged_by_its_name() {
    let app = TestApp::builder().sections(PRICES).start().await;
    app.upstream.will_send(json_response(200, &calling(2)));
    let answer = app
        .post(path(CHAT), request(CHAT, false, &offering()))
        .send()
        .await;
    assert_eq!(
        answer.header("x-seaworthy-cost-usd"),
        "0.500000",
        "{}",
        answer.text()
    );
    let settled = app.only_settlement().await;
    assert_eq!((settled.cost.0, settled.extras.tool_calls), (500_000, 2));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn tools_are_reserved_and_draw_on_the_same_budget() {
    let budget = "[cost_config]\ndaily_budget_usd = 1.6\n";
    let app = TestApp::builder()
        .sections(PRICES)
        .sections(budget)
        .start()
        .await;
    // Four calls are reserved: 1.00 of 1.60, of which 0.75 is spent.
    app.upstream.will_send(json_response(200, &calling(3)));
    let ask = || {
        app.post(path(CHAT), request(CHAT, false, &offering()))
            .send()
    };
    assert_eq!(ask().await.status, 200);
    app.settlements().await;
    let answer = refused(&app, &[], &offering()).await;
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    // A request without tools costs nothing here and passes.
    let without = chat(&app, &[], &json!({"max_tokens": 10}), &used(5, 5)).await;
    assert_eq!(without.status, 200, "{}", without.text());
    app.finish().await;
}

/// The price is that of the moment at which the call was reserved.
#[tokio::test(start_paused = true)]
async fn a_changed_price_counts_from_the_next_call_on() {
    let old = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 1000\n";
    let app = TestApp::builder().sections(old).start().await;
    chat(&app, &[], &json!({"max_tokens": 10}), &used(5, 5)).await;
    app.reload("input = 1000", "input = 3000").await.unwrap();
    chat(&app, &[], &json!({"max_tokens": 10}), &used(5, 5)).await;
    let costs: Vec<u64> = app
        .settlements()
        .await
        .iter()
        .map(|call| call.cost.0)
        .collect();
    assert_eq!(costs, [10_000, 20_000]);
    app.finish().await;
}
