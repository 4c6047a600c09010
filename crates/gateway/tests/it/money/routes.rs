//! R-B1c, R-B3, R-B5: nothing leads past a used-up budget, no route, no role and no ledger that fails.

use http::Method;
use serde_json::json;

use super::{CHAT, chat, refused, used};
use crate::support::app::TestApp;
use crate::support::wire::request;

/// A body that each model route accepts.
fn body(path: &str) -> String {
    let model = if path.contains("messages") {
        "claude"
    } else {
        "gpt"
    };
    let messages = json!([{"role": "user", "content": "Hello"}]);
    json!({
        "model": model,
        "max_tokens": 5,
        "messages": messages,
        "input": "Hello",
        "message": "Hello",
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "content": {"parts": [{"text": "Hello"}]},
        "requests": [{"content": {"parts": [{"text": "Hello"}]}}],
        "texts": ["Hello"],
    })
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn every_model_route_refuses_once_the_budget_is_empty() {
    let sections = "[cost_config]\ndaily_token_limit = 1000\n\
                    [prices.\"openai/gpt-real\"]\ninput = 0\noutput = 0\n";
    let app = TestApp::builder().sections(sections).start().await;
    let bounded = request(CHAT, false, &json!({"max_tokens": 100}));
    assert!(!bounded.is_empty());
    let spent = chat(&app, &[], &json!({"max_tokens": 100}), &used(900, 100)).await;
    assert_eq!(spent.status, 200, "{}", spent.text());
    let routes = seaworthy_gateway::model_route_names();
    assert!(routes.len() >= 6, "{routes:?}");
    for route in routes {
        let path = route.replace("{model}", "gpt");
        let call = app.call(Method::POST, &path).key(&app.user_key);
        let call = call.header("content-type", "application/json");
        let answer = call.body(body(&path)).send().await;
        // Clients of AWS and Cohere send 429 again, whatever its headers say.
        let (status, kind) = match &*path {
            path if path.starts_with("/model/") => (400, "ServiceQuotaExceededException"),
            path if path.starts_with("/v2/") => (402, ""),
            _ => (429, ""),
        };
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-amzn-errortype"), kind, "{path}");
        assert_eq!(answer.header("x-should-retry"), "false", "{path}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_is_left_in_the_unit_of_the_budget() {
    for (budget, price, left) in [
        ("daily_token_limit = 1001", 0, "1 tokens"),
        ("daily_budget_usd = 1.005", 1000, "0.005000 US dollars"),
    ] {
        let sections = format!(
            "[cost_config]\n{budget}\n\
             [prices.\"openai/gpt-real\"]\ninput = {price}\noutput = {price}\n"
        );
        let app = TestApp::builder().sections(&sections).start().await;
        chat(&app, &[], &json!({"max_tokens": 100}), &used(900, 100)).await;
        let answer = refused(&app, &[], &json!({"max_tokens": 300})).await;
        let said = answer.json()["error"]["message"].to_string();
        assert!(said.contains(&format!("has {left} left")), "{said}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_while_nothing_can_be_written_to_the_ledger() {
    let sections = "[cost_config]\ndaily_token_limit = 1000\n";
    let app = TestApp::builder().sections(sections).start().await;
    app.ledger.outage.set(true);
    for _ in 0..2 {
        let spent = chat(&app, &[], &json!({"max_tokens": 400}), &used(100, 400)).await;
        assert_eq!(spent.status, 200, "{}", spent.text());
    }
    let answer = refused(&app, &[], &json!({"max_tokens": 400})).await;
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    assert!(
        app.ledger.settlements.lock().is_empty(),
        "nothing is written yet"
    );
    app.ledger.outage.set(false);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(app.settlements().await.len(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_administrator_is_under_the_same_budget() {
    let sections = "[cost_config]\ndaily_token_limit = 1000\n";
    let app = TestApp::builder().sections(sections).start().await;
    let spent = chat(&app, &[], &json!({"max_tokens": 100}), &used(900, 100)).await;
    assert_eq!(spent.status, 200, "{}", spent.text());
    let call = app
        .call(Method::POST, "/v1/chat/completions")
        .key(&app.admin_key);
    let answer = call
        .body(request(CHAT, false, &json!({"max_tokens": 5})))
        .send()
        .await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    app.finish().await;
}
