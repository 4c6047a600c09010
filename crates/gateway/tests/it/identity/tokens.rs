//! Short-lived tokens in the place of keys.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::{Role, Scopes};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;

async fn exchange(app: &TestApp, key: &str, body: impl Into<String>) -> Answer {
    let call = app.call(Method::POST, "/v1/auth/token").key(key);
    call.body(body.into()).send().await
}

async fn token(app: &TestApp, key: &str, body: &Value) -> String {
    let answer = exchange(app, key, body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.json();
    assert_eq!(made["token_type"], "Bearer");
    made["access_token"].as_str().unwrap().to_owned()
}

async fn models(app: &TestApp, token: &str) -> Answer {
    app.get("/v1/models").key(token).send().await
}

#[tokio::test(start_paused = true)]
async fn a_token_does_what_its_key_does_until_its_time_is_over() {
    let app = TestApp::start().await;
    let form = "grant_type=client_credentials&expires_in=1800";
    let made = exchange(&app, &app.user_key, form).await.json();
    assert_eq!(made["expires_in"], 1800);
    let token = made["access_token"].as_str().unwrap();
    assert!(token.starts_with("swt_"));
    app.clock.advance(Duration::from_secs(1799));
    assert_eq!(models(&app, token).await.status, 200);
    let with_header = app.get("/v1/models").header("x-api-key", token);
    assert_eq!(with_header.send().await.status, 200);
    let admin = app.get("/admin/v1/status").key(token).send().await;
    assert_eq!(admin.status, 403);
    app.clock.advance(Duration::from_secs(1));
    let answer = models(&app, token).await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    let log = app.finish().await;
    assert!(!log.contains(token), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_token_says_how_long_its_key_lives_where_that_is_less() {
    let app = TestApp::start().await;
    let twenty_minutes = Duration::from_secs(1200);
    let (key, _) = app.create_key(Role::User, Some(twenty_minutes)).await;
    app.keys_noticed().await;
    for (asked, told) in [(900, 900), (1200, 1200), (3600, 1200)] {
        let body = json!({"expires_in": asked}).to_string();
        let made = exchange(&app, &key, body).await.json();
        assert_eq!(made["expires_in"], told, "{asked}");
    }
    app.clock.advance(Duration::from_secs(600));
    let made = exchange(&app, &key, "{}").await.json();
    assert_eq!(made["expires_in"], 600);
    let token = made["access_token"].as_str().unwrap();
    app.clock.advance(Duration::from_secs(599));
    assert_eq!(models(&app, token).await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(models(&app, token).await.status, 401);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_process_that_shares_the_store_accepts_it_and_the_end_of_the_key_is_its_end() {
    let app = TestApp::start().await;
    let (key, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let token = token(&app, &key, &json!({})).await;
    let ring = || seaworthy_gateway::KeyRing::new(app.stores.keys.clone(), app.clock.clone());
    assert_eq!(models(&app, &token).await.status, 200);
    assert!(ring().accepts(&token).await, "another replica");
    app.stores
        .keys
        .revoke(&id, seaworthy_core::clock::Clock::now(&*app.clock))
        .await
        .unwrap();
    app.keys_noticed().await;
    let answer = models(&app, &token).await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    assert!(!ring().accepts(&token).await, "another replica");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_can_be_for_less_than_its_key_and_never_for_more() {
    let app = TestApp::start().await;
    let wanted = NewKey {
        scopes: Scopes {
            models: vec!["gpt".to_owned(), "echo".to_owned()],
            ..Scopes::default()
        },
        ..NewKey::of("k", "ada", Role::User)
    };
    let (key, _) = app.issue(wanted).await;
    app.keys_noticed().await;
    let body = json!({"scopes": {"models": ["echo"]}, "session_id": "s1"});
    let narrow = token(&app, &key, &body).await;
    let listed = models(&app, &narrow).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let other = app.get("/v1/models").key(&narrow);
    let other = other.header("x-seaworthy-session-id", "s2").send().await;
    assert_eq!(other.status, 403, "it is bound to a session");
    for wider in [
        json!({"scopes": {"models": ["claude"]}}),
        json!({"scopes": {}}),
    ] {
        let answer = exchange(&app, &key, wider.to_string()).await;
        assert_eq!(answer.status, 403, "{wider}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_right_makes_no_token() {
    let app = TestApp::start().await;
    for wrong in [
        json!({"expires_in": 899}).to_string(),
        json!({"expires_in": 3601}).to_string(),
        json!({"grant_type": "password"}).to_string(),
        json!({"session_id": "a b"}).to_string(),
        json!({"admin": true}).to_string(),
        "expires_in=soon".to_owned(),
        "x=y".to_owned(),
    ] {
        let answer = exchange(&app, &app.user_key, wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let first = token(&app, &app.user_key, &json!({})).await;
    let answer = exchange(&app, &first, "").await;
    answer.assert_error(Family::OpenAi, 400, "invalid_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_leaves_known_tokens_working_and_blames_no_other() {
    let app = TestApp::start().await;
    let known = token(&app, &app.user_key, &json!({})).await;
    let fresh = token(&app, &app.user_key, &json!({})).await;
    assert_eq!(models(&app, &known).await.status, 200);
    app.keys_outage.set(true);
    assert_eq!(models(&app, &known).await.status, 200);
    let answer = models(&app, &fresh).await;
    answer.assert_error(Family::OpenAi, 503, "store_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    app.keys_outage.set(false);
    app.finish().await;
}
