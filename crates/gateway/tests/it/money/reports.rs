//! What operators are told of usage and budgets.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::Family;
use serde_json::{Value, json};

use super::{chat, used};
use crate::support::app::TestApp;
use crate::support::client::Answer;

/// What is told holds every call that has ended: nothing writes the ledger here before it is asked.
async fn asked(app: &TestApp, path: &str) -> Answer {
    app.idle().await;
    let call = app.call(Method::GET, path).key(&app.admin_key);
    call.send().await
}

async fn told(app: &TestApp, path: &str) -> Value {
    let answer = asked(app, path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(start_paused = true)]
async fn a_budget_shows_what_is_left_and_where_it_is_heading() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_user]\ndaily_token_limit = 1000\n")
        .start()
        .await;
    // R-B14: at exactly 800 of 1000 the first threshold is reached, and no other.
    chat(&app, &[], &json!({"max_tokens": 500}), &used(300, 500)).await;
    let body = told(&app, "/admin/v1/budgets").await;
    let budget = &body["data"][0];
    assert_eq!(budget["budget"], "per_user.daily_token_limit");
    assert_eq!(budget["spent"], 800);
    assert_eq!(budget["reserved"], 0);
    assert_eq!(budget["remaining"], 200);
    assert_eq!(budget["thresholds_reached"], json!([80]));
    assert_eq!(budget["window"]["kind"], "day");
    assert!(budget["projected"].as_u64().unwrap() >= 800);
    let none = told(&app, "/admin/v1/budgets?budget=nobody").await;
    assert_eq!(none["data"], json!([]));
    let gauge = "seaworthy_budget_spent_ratio{budget=\"per_user.daily_token_limit\"}";
    assert_eq!(app.metric(gauge).await, "0.8");
    app.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(
        app.metric(gauge).await,
        "0.0",
        "another day, another budget"
    );
    let log = app.finish().await;
    let warnings = log.matches("reached a threshold").count();
    assert!(warnings <= 1, "{log}");
}

#[tokio::test(start_paused = true)]
async fn usage_is_paged_and_comes_as_csv_too() {
    let app = TestApp::start().await;
    for agent in ["a", "b", "c"] {
        let headers = [("x-seaworthy-agent", agent)];
        chat(&app, &headers, &json!({}), &used(10, 5)).await;
    }
    let first = told(&app, "/admin/v1/usage?by=agent&limit=2").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    assert_eq!(first["next_offset"], 2);
    let rest = told(&app, "/admin/v1/usage?by=agent&limit=2&offset=2").await;
    assert_eq!(rest["data"][0]["group"], "c");
    assert_eq!(rest["data"][0]["total_tokens"], 15);
    assert_eq!(rest["next_offset"], Value::Null);
    let day = told(&app, "/admin/v1/usage?by=day&since=24h").await;
    assert_eq!(day["data"][0]["calls"], 3);
    let some = "/admin/v1/usage?by=agent&only=agent%3Db&only=user=the-user";
    let some = told(&app, some).await;
    assert_eq!(some["data"].as_array().unwrap().len(), 1, "{some}");
    assert_eq!(some["data"][0]["group"], "b");
    let before = told(&app, "/admin/v1/usage?until=2020-01-01T00%3A00%3A00Z").await;
    assert_eq!(before["data"], json!([]));
    let table = asked(&app, "/admin/v1/usage?by=agent&format=csv").await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(table.text().lines().count(), 4, "{}", table.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_understood_is_refused() {
    let app = TestApp::start().await;
    for query in [
        "by=colour",
        "limit=0",
        "limit=1001",
        "since=soon",
        "format=xml",
        "only=ada",
        "only=day%3D2026-11-28",
        "x=1",
    ] {
        let answer = asked(&app, &format!("/admin/v1/usage?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    let call = app.call(Method::GET, "/admin/v1/usage").key(&app.user_key);
    assert_eq!(call.send().await.status, 403);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn callers_see_what_they_used_and_nothing_of_anybody_else() {
    let app = TestApp::start().await;
    chat(&app, &[], &json!({}), &used(10, 5)).await;
    chat(&app, &[], &json!({}), &used(20, 5)).await;
    app.idle().await;
    let own = async |key: &str, query: &str| {
        let call = app.call(Method::GET, &format!("/v1/usage{query}"));
        call.key(key).send().await
    };
    for query in ["", "?since=24h", "?user=the-user"] {
        let seen = own(&app.user_key, query).await.json();
        let figures = [&seen["calls"], &seen["input_tokens"], &seen["total_tokens"]];
        assert_eq!(figures, [2, 30, 40], "{query}: {seen}");
        assert_eq!(seen["user"], "the-user");
        assert!(seen["cost_usd"].is_string(), "{seen}");
    }
    let before = own(&app.user_key, "?until=2020-01-01").await;
    assert_eq!(before.json()["calls"], 0, "{}", before.text());
    // Administrators have used nothing themselves, and have another route for what others did.
    assert_eq!(own(&app.admin_key, "").await.json()["calls"], 0);
    let others = own(&app.admin_key, "?user=the-user").await;
    others.assert_error(Family::OpenAi, 404, "not_found");
    let others = own(&app.user_key, "?user=the-admin").await;
    others.assert_error(Family::OpenAi, 404, "not_found");
    for query in ["?since=32d", "?since=soon", "?by=user"] {
        let wrong = own(&app.user_key, query).await;
        wrong.assert_error(Family::OpenAi, 400, "invalid_request");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_projection_shows_the_day_the_month_and_each_user() {
    let app = TestApp::start().await;
    chat(&app, &[], &json!({}), &used(10, 5)).await;
    let body = told(&app, "/admin/v1/usage/projection").await;
    assert_eq!(body["day"]["tokens"], 15);
    assert!(body["month"]["projected_tokens"].as_u64().unwrap() >= 15);
    assert_eq!(body["users"][0]["hour"], 15);
    assert_eq!(body["users"][0]["unusual"], false);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn built_in_prices_that_are_old_are_told_until_they_are_set() {
    let models = "[models.known]\ntargets = [\"openai/gpt-5.4\", \"openai/gpt-5.2\"]\n\
                  [prices.\"openai/gpt-5.2\"]\ninput = 1\noutput = 2\n\
                  [cost_controls]\nmax_price_age_days = 30\n";
    let app = TestApp::builder().sections(models).start().await;
    let stale = |status: &Value| status["limits"]["stale_prices"].clone();
    let status = told(&app, "/admin/v1/status").await;
    let expected = json!({"openai/gpt-5.4": "2026-11-18", "echo/echo": "2026-11-01"});
    assert_eq!(
        stale(&status),
        expected,
        "what is set or has no price is not old"
    );
    assert!(app.metrics().await.contains("seaworthy_stale_prices 2\n"));
    app.reload("max_price_age_days = 30", "max_price_age_days = 400")
        .await
        .unwrap();
    assert_eq!(stale(&told(&app, "/admin/v1/status").await), json!({}));
    app.finish().await;
}
