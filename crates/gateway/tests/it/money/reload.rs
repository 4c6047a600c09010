//! Budgets that a reload brings: what was spent before counts, from the first request on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{CHAT, chat, refused, used};
use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{json_response, path, reply, request};

const PRICE: &str = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 1000\n[models.last]\ntargets = [\"openai/gpt-real\"]\n";
/// For one call of ten tokens, and a little more.
const NEW: &str =
    "[budgets.new]\nscope = \"global\"\nwindow = \"total\"\nbudget_usd = 0.025\n[models.last]";

async fn spent(app: &TestApp) -> u64 {
    let asked = app
        .get("/admin/v1/budgets")
        .key(&app.admin_key)
        .send()
        .await;
    let budgets: Value = asked.json();
    budgets["data"][0]["spent"].as_u64().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_when_it_comes_lets_nothing_pass() {
    let app = TestApp::builder().sections(PRICE).start().await;
    for _ in 0..3 {
        chat(&app, &[], &json!({"max_tokens": 10}), &used(5, 5)).await;
    }
    app.settlements().await;
    app.reload("[models.last]", NEW).await.unwrap();
    let answer = refused(&app, &[], &json!({"max_tokens": 10})).await;
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    assert_eq!(spent(&app).await, 30_000);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_calls_from_before_spend_counts_once_they_have_ended() {
    let app = TestApp::builder().sections(PRICE).start().await;
    let go = Arc::new(Notify::new());
    let answer = json_response(200, &reply(CHAT, false, &used(5, 5)));
    app.upstream
        .will([Step::Until(Arc::clone(&go)), Step::Send(answer)]);
    let call = app.post(path(CHAT), request(CHAT, false, &json!({"max_tokens": 10})));
    let call = tokio::spawn(call.send());
    eventually("the provider is asked", || app.upstream.requests() == 1).await;
    app.reload("[models.last]", NEW).await.unwrap();
    assert_eq!(spent(&app).await, 0);
    go.notify_one();
    assert_eq!(call.await.unwrap().status, 200);
    app.settlements().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(spent(&app).await, 10_000);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_budget_waits_for_the_ledger_and_other_changes_do_not() {
    const KEPT: &str = "[cost_controls.per_user]\ndaily_token_limit = 100000\n";
    let app = TestApp::builder()
        .sections(&format!("{PRICE}{KEPT}"))
        .start()
        .await;
    app.ledger.outage.set(true);
    for (from, to, new) in [
        ("[models.last]", NEW, "budgets.new.budget_usd"),
        (
            "daily_token",
            "monthly_token",
            "per_user.monthly_token_limit",
        ),
        (
            "daily_token_limit = 100000\n",
            "daily_token_limit = 100000\n[cost_controls]\ntime_zone = \"Asia/Tokyo\"\n",
            "per_user.daily_token_limit",
        ),
    ] {
        let error = app.reload(from, to).await.unwrap_err();
        assert!(error.contains(&format!("new budget `{new}`")), "{error}");
    }
    // What is known of the others stays known, whatever they are from now on.
    for (from, to) in [
        ("output = 1000", "output = 1001"),
        ("daily_token_limit = 100000", "daily_token_limit = 90000"),
        (KEPT, ""),
    ] {
        app.reload(from, to).await.unwrap();
    }
    app.ledger.outage.set(false);
    app.reload("[models.last]", NEW).await.unwrap();
    app.finish().await;
}
