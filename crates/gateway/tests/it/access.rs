//! Who may do what, and that nobody is blamed for what cannot be verified.

mod keys;
mod matrix;
mod scopes;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use seaworthy_core::clock::Clock as _;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::key::ApiKey;
use seaworthy_core::principal::Role;
use seaworthy_gateway::Plane;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::{TestApp, eventually};
use crate::support::client::Answer;
use crate::support::wire::{ask, request};

/// Every route that is not for everyone.
const GUARDED: [(&str, &str, Family); 7] = [
    ("POST", "/v1/chat/completions", Family::OpenAi),
    ("POST", "/v1/messages", Family::Anthropic),
    ("POST", "/v1/messages/count_tokens", Family::Anthropic),
    ("GET", "/v1/models", Family::OpenAi),
    ("GET", "/v1/models/gpt", Family::OpenAi),
    ("GET", "/admin/v1/status", Family::OpenAi),
    ("GET", "/admin/v1/config", Family::OpenAi),
];
const PUBLIC: [&str; 5] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/ready",
    "/metrics",
];

async fn list_models(app: &TestApp, key: &str) -> Answer {
    app.get("/v1/models").key(key).send().await
}

#[tokio::test(start_paused = true)]
async fn no_guarded_route_opens_without_a_live_key() {
    let app = TestApp::start().await;
    let never_issued = ApiKey::generate();
    let almost = format!("{}x", app.user_key);
    for (method, route, family) in GUARDED {
        let method: Method = method.parse().unwrap();
        let call = || app.call(method.clone(), route);
        let missing = [
            call(),
            call().header("x-api-key", ""),
            call().header("authorization", "Basic dXNlcjpwdw=="),
            call().header("cookie", &format!("key={}", app.user_key)),
        ];
        for call in missing {
            let answer = call.send().await;
            answer.assert_error(family, 401, "missing_api_key");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        let invalid = [
            call().key(never_issued.expose()),
            call().key("sk-of-another-service"),
            call().key(&almost),
        ];
        for call in invalid {
            call.send()
                .await
                .assert_error(family, 401, "invalid_api_key");
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_header_is_no_key_and_hides_none() {
    let app = TestApp::start().await;
    for (empty, place) in [
        ("x-api-key", "authorization"),
        ("api-key", "authorization"),
        ("x-api-key", "x-goog-api-key"),
    ] {
        let value = match place {
            "authorization" => format!("Bearer {}", app.user_key),
            _ => app.user_key.clone(),
        };
        let call = app.get("/v1/models").header(empty, "");
        let answer = call.header(place, &value).send().await;
        assert_eq!(answer.status, 200, "{empty} {place}: {}", answer.text());
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn probes_and_metrics_need_no_key() {
    let app = TestApp::start().await;
    for route in PUBLIC {
        assert_eq!(app.get(route).send().await.status, 200, "{route}");
        let head = app.call(Method::HEAD, route).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{route}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_users_key_does_not_open_the_control_plane_and_an_admins_does() {
    let app = TestApp::start().await;
    for route in ["/admin/v1/status", "/admin/v1/config"] {
        let refused = app.get(route).key(&app.user_key).send().await;
        refused.assert_error(Family::OpenAi, 403, "permission_denied");
        let opened = app.get(route).key(&app.admin_key).send().await;
        assert_eq!(opened.status, 200);
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_of_its_own_keeps_the_planes_apart() {
    for (plane, closed, open) in [
        (Plane::Data, "/admin/v1/status", "/v1/models"),
        (Plane::Control, "/v1/models", "/admin/v1/status"),
    ] {
        let app = TestApp::builder().plane(plane).start().await;
        let key = app.admin_key.clone();
        let answer = app.get(closed).key(&key).send().await;
        answer.assert_error(Family::OpenAi, 404, "not_found");
        assert_eq!(app.get(open).key(&key).send().await.status, 200);
        assert_eq!(app.get("/health/ready").send().await.status, 200);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_leaves_known_keys_working_and_blames_no_unknown_one() {
    let app = TestApp::start().await;
    let (fresh, _) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    assert_eq!(list_models(&app, &app.user_key).await.status, 200);
    app.keys_outage.set(true);
    app.keys_noticed().await;
    for (method, route, family) in GUARDED {
        let call = app.call(method.parse().unwrap(), route).key(&fresh);
        let answer = call.send().await;
        answer.assert_error(family, 503, "store_unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(list_models(&app, &app.user_key).await.status, 200);
    assert_eq!(
        app.get("/health/ready").send().await.status,
        503,
        "a store of this process alone"
    );
    assert_eq!(app.get("/health/live").send().await.status, 200);
    app.keys_outage.set(false);
    app.keys_noticed().await;
    assert_eq!(list_models(&app, &fresh).await.status, 200);
    assert_eq!(app.get("/health/ready").send().await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_store_that_all_replicas_share_is_no_reason_to_leave_service() {
    let app = TestApp::builder().shared_store().start().await;
    app.keys_outage.set(true);
    app.keys_noticed().await;
    let ready = app.get("/health/ready").send().await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("degraded"), "{}", ready.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_working_at_the_next_look_at_the_store() {
    let app = TestApp::start().await;
    let (key, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    assert_eq!(list_models(&app, &key).await.status, 200);
    app.stores.keys.revoke(&id, app.clock.now()).await.unwrap();
    app.keys_noticed().await;
    let answer = list_models(&app, &key).await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    assert_eq!(list_models(&app, &app.user_key).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered_as_live() {
    let app = TestApp::start().await;
    let (key, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let go_on = Arc::new(Notify::new());
    *app.lookups_held_up.lock() = Some(Arc::clone(&go_on));
    let lookups = app.lookups.load(Ordering::SeqCst);
    let early = tokio::spawn(app.get("/v1/models").key(&key).send());
    eventually("the key is looked up", || {
        app.lookups.load(Ordering::SeqCst) > lookups
    })
    .await;
    let now = app.clock.now();
    app.stores.keys.revoke(&id, now).await.unwrap();
    app.keys_noticed().await;
    *app.lookups_held_up.lock() = None;
    go_on.notify_one();
    assert_eq!(early.await.unwrap().status, 200, "it came before");
    assert_eq!(list_models(&app, &key).await.status, 401);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_refused_works_once_it_exists() {
    let app = TestApp::start().await;
    let key = ApiKey::generate();
    assert_eq!(list_models(&app, key.expose()).await.status, 401);
    let mut record = app.stores.keys.list().await.unwrap().remove(0);
    record.id = "key_late".to_owned();
    record.digest = seaworthy_core::key::KeyDigest::of(key.expose());
    app.stores.keys.insert(record).await.unwrap();
    app.keys_noticed().await;
    assert_eq!(list_models(&app, key.expose()).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_on_the_clock_without_a_look_at_the_store() {
    let app = TestApp::start().await;
    let lives = Duration::from_secs(3600);
    let (key, _) = app.create_key(Role::User, Some(lives)).await;
    app.keys_noticed().await;
    app.clock.advance(lives - Duration::from_millis(1));
    assert_eq!(list_models(&app, &key).await.status, 200);
    app.clock.advance(Duration::from_millis(1));
    let answer = list_models(&app, &key).await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_works_until_the_overlap_ends() {
    let app = TestApp::start().await;
    let (old, id) = app.create_key(Role::User, None).await;
    let new = ApiKey::generate();
    let mut replacement = app.stores.keys.list().await.unwrap().remove(0);
    replacement.id = "key_new".to_owned();
    replacement.digest = seaworthy_core::key::KeyDigest::of(new.expose());
    let now = app.clock.now();
    let overlap = Duration::from_secs(60);
    app.stores
        .keys
        .rotate(&id, replacement, now.plus(overlap), now)
        .await
        .unwrap();
    app.keys_noticed().await;
    for key in [&old, new.expose()] {
        assert_eq!(list_models(&app, key).await.status, 200);
    }
    app.clock.advance(overlap);
    assert_eq!(list_models(&app, &old).await.status, 401);
    assert_eq!(list_models(&app, new.expose()).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_the_same_keys_does_not_reach_the_store() {
    let app = TestApp::start().await;
    let unknown = ApiKey::generate();
    let before = app.lookups.load(Ordering::SeqCst);
    for _ in 0..50 {
        assert_eq!(list_models(&app, unknown.expose()).await.status, 401);
        assert_eq!(
            list_models(&app, "swk_not-even-well-formed").await.status,
            401
        );
        assert_eq!(list_models(&app, &app.user_key).await.status, 200);
    }
    assert_eq!(app.lookups.load(Ordering::SeqCst) - before, 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn refused_callers_hold_no_permit_and_call_no_provider() {
    let app = TestApp::builder()
        .server("max_concurrent_requests = 1")
        .start()
        .await;
    for _ in 0..5 {
        let call = app.call(Method::POST, "/v1/chat/completions");
        let answer = call.body(ask(Dialect::OpenAiChat, true)).send().await;
        assert_eq!(answer.status, 401);
    }
    let body = request(Dialect::OpenAiChat, false, &json!({"model": "echo"}));
    let answer = app.post("/v1/chat/completions", body).send().await;
    assert_eq!(answer.status, 200);
    app.finish().await;
}
