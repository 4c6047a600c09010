//! Requests that are sent twice to routes that take each only once.

use std::time::Duration;

use http::Method;
use seaworthy_core::clock::{Clock as _, UnixMillis};
use seaworthy_core::dialect::Family;
use seaworthy_core::principal::Role;
use serde_json::json;

use crate::faces::signed::{SIGV4, signed_call};
use crate::support::app::TestApp;
use crate::support::client::Call;

const PROTECTED: &str = "
[replay_protection]
routes = [\"/v1/chat/completions\", \"/v1/messages\", \"/admin/v1/*\", \"/model/*\"]
max_nonces = 8
";

async fn app() -> TestApp {
    let sections = format!("{PROTECTED}{SIGV4}");
    TestApp::builder().sections(&sections).start().await
}

fn chat(app: &TestApp) -> Call {
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "Ahoy"}]});
    app.post("/v1/chat/completions", body.to_string())
}

fn seconds(app: &TestApp, later: i64) -> String {
    (app.clock.now().seconds() + later).to_string()
}

fn fresh(app: &TestApp, nonce: &str) -> Call {
    chat(app)
        .header("x-seaworthy-timestamp", &seconds(app, 0))
        .header("x-seaworthy-nonce", nonce)
}

#[tokio::test(start_paused = true)]
async fn a_nonce_passes_once_and_nothing_without_one_passes() {
    let app = app().await;
    assert_eq!(fresh(&app, "one").send().await.status, 200);
    let again = fresh(&app, "one").send().await;
    again.assert_error(Family::OpenAi, 409, "replayed_request");
    assert_eq!(again.header("x-should-retry"), "false");
    // Another time does not make the nonce another.
    app.clock.advance(Duration::from_secs(100));
    let again = fresh(&app, "one").send().await;
    again.assert_error(Family::OpenAi, 409, "replayed_request");
    let second = fresh(&app, "two").send().await;
    assert_eq!(second.status, 200, "{}", second.text());
    // Another caller's nonce of that name is another.
    let (other, _) = app.create_key(Role::Admin, None).await;
    app.keys_noticed().await;
    let status = app
        .get("/admin/v1/status")
        .key(&other)
        .header("x-seaworthy-timestamp", &seconds(&app, 0))
        .header("x-seaworthy-nonce", "one");
    assert_eq!(status.send().await.status, 200);

    let now = seconds(&app, 0);
    let long = "x".repeat(129);
    for (timestamp, nonces) in [
        ("", &[] as &[&str]),
        ("", &["a"]),
        (&now, &[]),
        (&now, &[""]),
        (&now, &["a b"]),
        (&now, &[&long]),
        (&now, &["a", "b"]),
        ("yesterday", &["a"]),
        ("-1", &["a"]),
    ] {
        let mut call = chat(&app);
        if !timestamp.is_empty() {
            call = call.header("x-seaworthy-timestamp", timestamp);
        }
        for nonce in nonces {
            call = call.header("x-seaworthy-nonce", nonce);
        }
        let answer = call.send().await;
        answer.assert_error(Family::OpenAi, 400, "freshness_required");
    }
    let metrics = app.metrics().await;
    for (reason, count) in [("repeated", 2), ("missing", 3), ("malformed", 6)] {
        let line = format!("seaworthy_replay_refusals_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    // The routes that are not named are as ever.
    assert_eq!(
        app.get("/v1/models").key(&app.user_key).send().await.status,
        200
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_window_is_kept_to_the_second() {
    let app = app().await;
    for (later, expected) in [
        (-300, 200),
        (-301, 400),
        (-90_000, 400),
        (0, 200),
        (30, 200),
        (31, 400),
        (90_000, 400),
    ] {
        let written = [
            seconds(&app, later),
            UnixMillis(app.clock.now().0 + later * 1000).to_string(),
        ];
        for (index, timestamp) in written.iter().enumerate() {
            let answer = chat(&app)
                .header("x-seaworthy-timestamp", timestamp)
                .header("x-seaworthy-nonce", &format!("{later}-{index}"))
                .send()
                .await;
            assert_eq!(answer.status, expected, "{later}: {}", answer.text());
            if expected == 400 {
                answer.assert_error(Family::OpenAi, 400, "stale_request");
            }
        }
    }
    app.finish().await;
}

/// A request that is dated ahead is not accepted once more when its nonce is old.
#[tokio::test(start_paused = true)]
async fn a_nonce_is_remembered_as_long_as_its_request_is_fresh() {
    let app = app().await;
    let timestamp = seconds(&app, 30);
    let send = || {
        chat(&app)
            .header("x-seaworthy-timestamp", &timestamp)
            .header("x-seaworthy-nonce", "ahead")
            .send()
    };
    assert_eq!(send().await.status, 200);
    app.clock.advance(Duration::from_secs(330));
    send()
        .await
        .assert_error(Family::OpenAi, 409, "replayed_request");
    app.clock.advance(Duration::from_secs(1));
    send()
        .await
        .assert_error(Family::OpenAi, 400, "stale_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_one_passes() {
    let app = app().await;
    let calls: Vec<_> = (0..40)
        .map(|_| tokio::spawn(fresh(&app, "same").send()))
        .collect();
    let mut passed = 0;
    for call in calls {
        let answer = call.await.unwrap();
        match answer.status {
            200 => passed += 1,
            _ => answer.assert_error(Family::OpenAi, 409, "replayed_request"),
        }
    }
    assert_eq!(passed, 1);
    assert_eq!(app.settlements().await.len(), 1);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_too_many_waits_and_forgets_nothing() {
    let app = app().await;
    for nonce in 0..8 {
        assert_eq!(fresh(&app, &nonce.to_string()).send().await.status, 200);
    }
    let answer = fresh(&app, "one more").send().await;
    answer.assert_error(Family::OpenAi, 400, "freshness_required");
    let answer = fresh(&app, "one-more").send().await;
    answer.assert_error(Family::OpenAi, 429, "rate_limited");
    assert_eq!(answer.header("retry-after"), "5");
    let answer = fresh(&app, "0").send().await;
    answer.assert_error(Family::OpenAi, 409, "replayed_request");
    app.clock.advance(Duration::from_secs(360));
    assert_eq!(fresh(&app, "one-more").send().await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_uses_up_nobodys_nonce_and_every_family_has_its_words() {
    let app = app().await;
    let body = json!({"model": "echo", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Ahoy"}]});
    let message = |key: &str| {
        app.call(Method::POST, "/v1/messages")
            .header("x-api-key", key)
            .header("anthropic-version", "2023-06-01")
            .header("x-seaworthy-timestamp", &seconds(&app, 0))
            .header("x-seaworthy-nonce", "n")
            .body(body.to_string())
            .send()
    };
    assert_eq!(message("swk_stranger").await.status, 401);
    assert_eq!(message(&app.user_key).await.status, 200);
    let again = message(&app.user_key).await;
    again.assert_error(Family::Anthropic, 409, "replayed_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_its_own_nonce() {
    let app = app().await;
    let (_, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let first = signed_call(&app, &id).send().await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = signed_call(&app, &id).send().await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert_eq!(again.header("x-amzn-errortype"), "ConflictException");
    assert!(again.text().contains("nonce"), "{}", again.text());
    // Signed in another second, it is another request.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(signed_call(&app, &id).send().await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nonces_can_be_left_out_and_routes_come_and_go_with_a_reload() {
    let app = app().await;
    app.reload("max_nonces = 8", "require_nonce = false")
        .await
        .unwrap();
    let dated = chat(&app).header("x-seaworthy-timestamp", &seconds(&app, 0));
    assert_eq!(dated.send().await.status, 200);
    assert_eq!(fresh(&app, "n").send().await.status, 200);
    assert_eq!(fresh(&app, "n").send().await.status, 409);
    assert_eq!(chat(&app).send().await.status, 400);
    let error = app
        .reload("\"/v1/messages\"", "\"/v1/mesages\"")
        .await
        .unwrap_err();
    assert!(error.contains("`/v1/mesages`"), "{error}");
    let error = app
        .reload("\"/v1/messages\"", "\"/health\"")
        .await
        .unwrap_err();
    assert!(error.contains("`/health`"), "{error}");
    app.reload("\"/v1/chat/completions\", ", "").await.unwrap();
    assert_eq!(chat(&app).send().await.status, 200);
    app.finish().await;
}

/// The headers are no part of what is asked: they neither reach the provider nor spoil the cache.
#[tokio::test(start_paused = true)]
async fn a_fresh_request_may_get_a_remembered_answer() {
    let sections = format!("{PROTECTED}[cache]\nenabled = true\n");
    let app = TestApp::builder().sections(&sections).start().await;
    assert_eq!(
        fresh(&app, "a").send().await.header("x-seaworthy-cache"),
        "miss"
    );
    assert_eq!(
        fresh(&app, "b").send().await.header("x-seaworthy-cache"),
        "hit"
    );
    app.finish().await;
}
