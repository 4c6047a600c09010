//! Two tenants that ask for the same: neither gets anything of the other's, whichever cache might know it.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use seaworthy_core::dialect::Dialect;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::{TestApp, eventually};
use crate::support::client::Call;
use crate::support::upstream::Step;
use crate::support::wire::{ask, json_response, ok, reply, usage_object};

const OPENAI: Dialect = Dialect::OpenAiChat;

async fn app(more: &str) -> TestApp {
    let sections = format!("[cache]\nenabled = true\n{more}");
    TestApp::builder().sections(&sections).start().await
}

fn call(app: &TestApp, key: &str, body: impl Into<Bytes>) -> Call {
    app.call(Method::POST, "/v1/chat/completions")
        .key(key)
        .body(body)
}

fn answer_for(whom: &str) -> Bytes {
    let mut body = reply(OPENAI, false, &usage_object(OPENAI));
    body["choices"][0]["message"]["content"] = json!(format!("for {whom} only"));
    json_response(200, &body)
}

#[tokio::test(start_paused = true)]
async fn one_answer_under_way_is_not_shared() {
    let app = app("").await;
    let go_on = Arc::new(Notify::new());
    for _ in 0..2 {
        app.upstream
            .will([Step::Until(Arc::clone(&go_on)), Step::Send(ok(OPENAI))]);
    }
    let ask_as = |key: &str| tokio::spawn(call(&app, key, ask(OPENAI, false)).send());
    let asked = [ask_as(&app.user_key), ask_as(&app.admin_key)];
    eventually("both are asked for", || app.upstream.requests() == 2).await;
    go_on.notify_waiters();
    for answer in asked {
        let answer = answer.await.unwrap();
        assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_of_one_means_nothing_to_the_other() {
    let app = TestApp::builder().start().await;
    for (key, whom) in [(&app.user_key, "the user"), (&app.admin_key, "the admin")] {
        app.upstream.will_send(answer_for(whom));
        for _ in 0..2 {
            let asked = call(&app, key, ask(OPENAI, false)).header("idempotency-key", "same");
            let answer = asked.send().await;
            assert!(answer.text().contains(whom), "{whom}: {}", answer.text());
        }
    }
    assert_eq!(app.upstream.requests(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_meaning_finds_only_ones_own_answer() {
    let semantic = "[cache.semantic]\nmodel = \"gpt-alias\"\nthreshold = 0.9\n";
    let app = app(semantic).await;
    let vector = || {
        json_response(
            200,
            &json!({"object": "list", "model": "gpt-real",
                "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3}}),
        )
    };
    let said = |words: &str| {
        json!({"model": "gpt", "messages": [{"role": "user", "content": words}]}).to_string()
    };
    for (key, whom) in [(&app.user_key, "the user"), (&app.admin_key, "the admin")] {
        app.upstream.will_send(vector());
        app.upstream.will_send(answer_for(whom));
        let first = call(&app, key, said("Is the hull tight?")).send().await;
        assert_eq!(first.header("x-seaworthy-cache"), "miss", "{whom}");
        app.upstream.will_send(vector());
        let again = call(&app, key, said("Does she leak?")).send().await;
        assert_eq!(again.header("x-seaworthy-cache"), "semantic", "{whom}");
        assert!(again.text().contains(whom), "{whom}: {}", again.text());
    }
    app.finish().await;
}
