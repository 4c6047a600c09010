//! R-B5: no route leads past a used-up budget.

use http::Method;
use serde_json::json;

use super::{CHAT, chat, used};
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
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false", "{path}");
    }
    app.finish().await;
}
