//! Limits and budgets of agents and sessions, from a subject's first request on.

use serde_json::json;

use super::{chat, refused, used};
use crate::support::app::TestApp;

#[tokio::test(start_paused = true)]
async fn agents_are_limited_apart_by_their_header() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_agent]\nrequests_per_minute = 1\n")
        .start()
        .await;
    let bound = json!({"max_tokens": 10});
    for agent in ["planner", "writer"] {
        let headers = [("x-seaworthy-agent", agent)];
        assert_eq!(chat(&app, &headers, &bound, &used(5, 5)).await.status, 200);
        let answer = refused(&app, &headers, &bound).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["error"]["code"], "rate_limited");
    }
    // A request that names no agent is nobody's.
    assert_eq!(chat(&app, &[], &bound, &used(5, 5)).await.status, 200);
    app.finish().await;
}

/// R-B2: a subject that nobody has seen is held to its budget all the same.
#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_session_is_no_exception() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_session]\ntotal_token_limit = 2000\n")
        .start()
        .await;
    let headers = [("x-seaworthy-session-id", "s-1")];
    let answer = refused(&app, &headers, &json!({"max_tokens": 50_000})).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    let fits = json!({"max_tokens": 900});
    assert_eq!(
        chat(&app, &headers, &fits, &used(800, 900)).await.status,
        200
    );
    assert_eq!(refused(&app, &headers, &fits).await.status, 429);
    let other = [("x-seaworthy-session-id", "s-2")];
    assert_eq!(chat(&app, &other, &fits, &used(800, 900)).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_ledger_says_who_called() {
    let app = TestApp::start().await;
    let headers = [
        ("x-seaworthy-agent", "planner"),
        ("x-seaworthy-session-id", "s-1"),
    ];
    chat(&app, &headers, &json!({}), &used(1, 1)).await;
    let said = app.only_settlement().await.attribution;
    assert_eq!(said.agent.as_deref(), Some("planner"));
    assert_eq!(said.session.as_deref(), Some("s-1"));
    assert_eq!(app.upstream.only_request().header("x-seaworthy-agent"), "");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_name_is_refused() {
    let app = TestApp::start().await;
    let long = "a".repeat(129);
    for name in ["", "two words", "a\u{e9}", long.as_str()] {
        let answer = refused(&app, &[("x-seaworthy-agent", name)], &json!({})).await;
        assert_eq!(answer.status, 400, "{name:?}");
    }
    app.finish().await;
}
