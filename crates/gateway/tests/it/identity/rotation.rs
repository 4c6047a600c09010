//! Keys are replaced while requests keep coming: none fails, and then the old key is of no use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::principal::Role;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::Call;
use crate::support::wire::{ask, ok, request};

/// Callers that go on until they are told to stop; returns every status they saw.
async fn while_called(
    app: &TestApp,
    call: impl Fn(&TestApp) -> Call,
    work: impl Future<Output = ()>,
) -> Vec<u16> {
    let is_over = AtomicBool::new(false);
    let seen = Mutex::new(Vec::new());
    let caller = async || {
        while !is_over.load(Ordering::SeqCst) {
            let status = call(app).send().await.status;
            seen.lock().push(status);
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    };
    let work = async {
        work.await;
        is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(caller(), caller(), caller(), work);
    seen.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_callers_key_is_replaced_without_a_failed_request_and_refused_after_the_overlap() {
    let app = TestApp::start().await;
    let (old, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let in_use = Arc::new(Mutex::new(old.clone()));
    let call = |app: &TestApp| {
        let body = request(Dialect::OpenAiChat, false, &json!({"model": "echo"}));
        let call = app.call(Method::POST, "/v1/chat/completions");
        call.key(&in_use.lock()).body(body)
    };
    let statuses = while_called(&app, call, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = format!("/admin/v1/keys/{id}/rotate");
        let rotate = app.call(Method::POST, &path).key(&app.admin_key);
        let rotated = rotate
            .body(json!({"overlap": "1h"}).to_string())
            .send()
            .await;
        assert_eq!(rotated.status, 201, "{}", rotated.text());
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The service changes over within the overlap, whenever it likes.
        app.clock.advance(Duration::from_secs(1_800));
        *in_use.lock() = rotated.json()["key"].as_str().unwrap().to_owned();
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.clock.advance(Duration::from_secs(1_800));
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    assert!(statuses.len() > 100, "{}", statuses.len());
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    for _ in 0..20 {
        assert_eq!(app.get("/v1/models").key(&old).send().await.status, 401);
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_providers_key_is_replaced_without_a_failed_request_and_not_used_any_more() {
    let app = TestApp::start().await;
    for _ in 0..400 {
        app.upstream.will_send(ok(Dialect::OpenAiChat));
    }
    let call = |app: &TestApp| {
        let call = app.call(Method::POST, "/v1/chat/completions");
        call.key(&app.user_key)
            .body(ask(Dialect::OpenAiChat, false))
    };
    let seen_before = Mutex::new(0);
    let statuses = while_called(&app, call, async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let new = "sk-the-new-one".to_owned();
        app.secrets.lock().insert("OPENAI_KEY".into(), new);
        app.reload("[providers.echo]", "[providers.echo]")
            .await
            .unwrap();
        *seen_before.lock() = app.upstream.requests();
        tokio::time::sleep(Duration::from_millis(200)).await;
    })
    .await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let received = app.upstream.received();
    let (before, after) = received.split_at(*seen_before.lock() + 3);
    let uses = |calls: &[crate::support::upstream::Received], key: &str| {
        calls
            .iter()
            .filter(|call| call.header("authorization").ends_with(key))
            .count()
    };
    assert!(
        before.len() > 10 && after.len() > 10,
        "{} {}",
        before.len(),
        after.len()
    );
    assert_eq!(uses(after, "sk-the-new-one"), after.len());
    assert!(uses(before, "sk-the-new-one") <= 3);
    for _ in received.len()..400 {
        app.upstream.forget_one();
    }
    app.finish().await;
}
