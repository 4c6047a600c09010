//! `Idempotency-Key` on requests that are no model calls.

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::Role;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::Call;

fn post(app: &TestApp, path: &str, body: &str, key: &str) -> Call {
    app.call(Method::POST, path)
        .key(&app.admin_key)
        .header("idempotency-key", key)
        .body(body.to_owned())
}

#[tokio::test(start_paused = true)]
async fn every_post_is_carried_out_once_under_a_key() {
    let app = TestApp::builder()
        .sections("[features.search]\n")
        .start()
        .await;
    for (path, body, other) in [
        ("/admin/v1/keys", "{\"name\":\"a\"}", "{\"name\":\"b\"}"),
        ("/admin/v1/tier", "{\"tier\":\"normal\"}", "{\"tier\":null}"),
        (
            "/admin/v1/features/search",
            "{\"enabled\":false}",
            "{\"enabled\":true}",
        ),
        ("/admin/v1/cache/purge", "", "{}"),
        ("/v1/auth/token", "{}", "{\"expires_in\":1000}"),
    ] {
        let first = post(&app, path, body, path).send().await;
        assert!(first.status < 300, "{path}: {}", first.text());
        let again = post(&app, path, body, path).send().await;
        assert_eq!(again.status, first.status);
        assert_eq!(again.body, first.body, "{path}");
        assert_eq!(again.header("idempotent-replayed"), "true");
        let reused = post(&app, path, other, path).send().await;
        reused.assert_error(Family::OpenAi, 409, "idempotency_key_reused");
    }
    // Two of the test, and the one.
    let keys = app.stores.keys.list().await.unwrap();
    assert_eq!(keys.len(), 3);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn many_at_once_make_one_key_and_all_of_them_see_it() {
    let app = TestApp::start().await;
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(post(&app, "/admin/v1/keys", "{\"name\":\"a\"}", "k").send()))
        .collect();
    let mut bodies = Vec::new();
    for call in calls {
        bodies.push(call.await.unwrap().body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(app.stores.keys.list().await.unwrap().len(), 3);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_shown_again_only_to_the_credential_that_asked() {
    let app = TestApp::start().await;
    let (other, _) = app
        .issue(NewKey::of("second", "the-admin", Role::Admin))
        .await;
    app.keys_noticed().await;
    let first = post(&app, "/admin/v1/keys", "{\"name\":\"a\"}", "k")
        .send()
        .await;
    let key = first.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("swk_"));
    // Of the same user, and with the same idempotency key.
    let theirs = app
        .call(Method::POST, "/admin/v1/keys")
        .key(&other)
        .header("idempotency-key", "k")
        .body("{\"name\":\"a\"}");
    let theirs = theirs.send().await;
    theirs.assert_error(Family::OpenAi, 409, "idempotency_key_reused");
    let kept = format!("{:?}", app.stores.idempotency);
    assert!(!kept.contains(&key), "the new key is kept in clear");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_frees_its_key() {
    let app = TestApp::start().await;
    let refused = post(&app, "/admin/v1/keys", "{\"name\":\"\"}", "k")
        .send()
        .await;
    refused.assert_error(Family::OpenAi, 400, "invalid_request");
    let made = post(&app, "/admin/v1/keys", "{\"name\":\"a\"}", "k")
        .send()
        .await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/keys/{id}/rotate");
    let rotated = post(&app, &path, "", "r").send().await;
    let again = post(&app, &path, "", "r").send().await;
    assert_eq!(rotated.json()["key"], again.json()["key"]);
    assert_ne!(rotated.json(), json!({}));
    app.finish().await;
}
