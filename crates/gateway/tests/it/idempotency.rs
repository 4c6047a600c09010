//! Requests that are carried out once, however often they are sent.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::clock::{Clock as _, UnixMillis};
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::fingerprint::Fingerprinter;
use seaworthy_core::idempotency::Marker;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::{TestApp, eventually};
use crate::support::client::{Answer, Call};
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, json_response, last_chunk, ok, path, request, stream, stream_head,
};

const OPENAI: Dialect = Dialect::OpenAiChat;

fn keyed(app: &TestApp, dialect: Dialect, streams: bool, key: &str) -> Call {
    let call = app.post(path(dialect), ask(dialect, streams));
    call.header("idempotency-key", key)
}

async fn send(app: &TestApp, key: &str) -> Answer {
    keyed(app, OPENAI, false, key).send().await
}

#[tokio::test(start_paused = true)]
async fn the_same_key_gets_the_same_answer_and_one_call_is_made() {
    for dialect in DIALECTS {
        for streams in [false, true] {
            let app = TestApp::start().await;
            match streams {
                true => app.upstream.will(stream(events(dialect, false).concat())),
                false => app.upstream.will_send(ok(dialect)),
            }
            let first = keyed(&app, dialect, streams, "k").send().await;
            assert_eq!(first.status, 200, "{}", first.text());
            assert_eq!(first.header("idempotent-replayed"), "");
            for _ in 0..3 {
                let again = keyed(&app, dialect, streams, "k").send().await;
                assert_eq!(again.status, 200);
                assert_eq!(again.body, first.body);
                assert_eq!(again.header("content-type"), first.header("content-type"));
                assert_eq!(again.header("idempotent-replayed"), "true");
                assert_eq!(again.header("x-seaworthy-cost-usd"), "0.000000");
            }
            assert_eq!(app.upstream.requests(), 1);
            app.only_settlement().await;
            let metrics = app.metrics().await;
            assert!(metrics.contains("seaworthy_idempotent_replays_total 3\n"));
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_request_under_the_same_key_is_refused() {
    for (dialect, family) in DIALECTS
        .into_iter()
        .zip([Family::OpenAi, Family::Anthropic])
    {
        let app = TestApp::start().await;
        app.upstream.will_send(ok(dialect));
        keyed(&app, dialect, false, "k").send().await;
        let other = request(dialect, false, &json!({"temperature": 0.5}));
        let call = app
            .post(path(dialect), other)
            .header("idempotency-key", "k");
        call.send()
            .await
            .assert_error(family, 409, "idempotency_key_reused");
        let elsewhere = app.post("/v1/messages/count_tokens", ask(dialect, false));
        let elsewhere = elsewhere.header("idempotency-key", "k").send().await;
        elsewhere.assert_error(Family::Anthropic, 409, "idempotency_key_reused");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_that_differ_are_refused_and_the_same_one_twice_is_one() {
    for (dialect, family) in DIALECTS
        .into_iter()
        .zip([Family::OpenAi, Family::Anthropic])
    {
        let app = TestApp::start().await;
        let call = keyed(&app, dialect, false, "a").header("idempotency-key", "b");
        let refused = call.send().await;
        refused.assert_error(family, 400, "invalid_request");
        app.upstream.will_send(ok(dialect));
        let call = keyed(&app, dialect, false, "a").header("idempotency-key", "a");
        assert_eq!(call.send().await.status, 200);
        let again = keyed(&app, dialect, false, "a").send().await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(app.upstream.requests(), 1);
        app.finish().await;
    }
    let app = TestApp::start().await;
    let call = app.post("/v1/auth/token", "{}");
    let call = call.header("idempotency-key", "a");
    let refused = call.header("idempotency-key", "b").send().await;
    refused.assert_error(Family::OpenAi, 400, "invalid_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_duplicates_at_once_are_one_call_and_a_hundred_equal_answers() {
    for streams in [false, true] {
        let app = TestApp::start().await;
        let go_on = Arc::new(Notify::new());
        let mut script = match streams {
            true => stream(events(OPENAI, false).concat()),
            false => vec![Step::Send(ok(OPENAI))],
        };
        script.insert(0, Step::Until(Arc::clone(&go_on)));
        app.upstream.will(script);
        let calls: Vec<_> = (0..100)
            .map(|_| tokio::spawn(keyed(&app, OPENAI, streams, "k").send()))
            .collect();
        eventually("the call is made", || app.upstream.requests() == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        go_on.notify_one();
        let mut bodies = Vec::new();
        let mut replayed = 0;
        for call in calls {
            let answer = call.await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.whole);
            replayed += usize::from(answer.header("idempotent-replayed") == "true");
            bodies.push(answer.body);
        }
        bodies.dedup();
        assert_eq!((bodies.len(), replayed), (1, 99));
        assert_eq!(app.upstream.requests(), 1);
        app.only_settlement().await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_and_comes_back_gets_the_answer() {
    let app = TestApp::start().await;
    let go_on = Arc::new(Notify::new());
    let all = events(OPENAI, false);
    app.upstream.will([
        stream_head(),
        chunk(all[..2].concat()),
        Step::Until(Arc::clone(&go_on)),
        chunk(all[2..].concat()),
        last_chunk(),
    ]);
    drop(keyed(&app, OPENAI, true, "k").open().await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    go_on.notify_one();
    app.idle().await;
    let answer = keyed(&app, OPENAI, true, "k").send().await;
    assert_eq!(answer.header("idempotent-replayed"), "true");
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    assert_eq!(app.upstream.left_early(), 0);
    app.only_settlement().await;
    app.finish().await;
}

/// The marker of another process.
fn marker_of_another(app: &TestApp, key: &str, lease_ms: i64) -> Marker {
    let mut print = Fingerprinter::default();
    for part in ["idempotency", "the-user", key] {
        print.part(part.as_bytes());
    }
    let mut request = Fingerprinter::default();
    request.part(b"chat openai_chat whole text/event-stream gpt");
    request.part(b"");
    request.part(&ask(OPENAI, false));
    let now = app.clock.now();
    Marker {
        key: print.finish(),
        request: request.finish(),
        owner: "another process".to_owned(),
        lease_until: UnixMillis(now.0 + lease_ms),
        expires_at: now.plus(Duration::from_secs(3600)),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_worked_on_is_unknown_and_never_sent_again() {
    let app = TestApp::start().await;
    let marker = marker_of_another(&app, "k", 15_000);
    let store = Arc::clone(&app.stores.idempotency);
    store.begin(marker, app.clock.now()).await.unwrap();
    app.clock.advance(Duration::from_secs(16));
    for _ in 0..2 {
        let answer = send(&app, "k").await;
        answer.assert_error(Family::OpenAi, 409, "idempotency_unknown");
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    assert_eq!(app.upstream.requests(), 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_waits_for_another_process_as_long_as_it_may() {
    let app = TestApp::builder()
        .sections("[idempotency]\nwait = \"3s\"\nlease = \"1h\"\n")
        .start()
        .await;
    let marker = marker_of_another(&app, "k", 3_600_000);
    let store = Arc::clone(&app.stores.idempotency);
    store.begin(marker.clone(), app.clock.now()).await.unwrap();
    let answer = send(&app, "k").await;
    answer.assert_error(Family::OpenAi, 409, "idempotency_in_progress");
    assert!(!answer.header("retry-after").is_empty());
    assert!(answer.took >= Duration::from_secs(3) && answer.took < Duration::from_secs(4));
    let waiting = tokio::spawn(keyed(&app, OPENAI, false, "k").send());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = seaworthy_core::idempotency::KeptAnswer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: "{\"from\":\"afar\"}".into(),
    };
    assert!(
        store
            .finish(&marker.key, &marker.owner, answer)
            .await
            .unwrap()
    );
    let answer = waiting.await.unwrap();
    assert_eq!(answer.json(), json!({"from": "afar"}));
    assert_eq!(answer.header("idempotent-replayed"), "true");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_call_keeps_its_lease() {
    let app = TestApp::builder()
        .sections("[idempotency]\nlease = \"3s\"\n")
        .start()
        .await;
    let go_on = Arc::new(Notify::new());
    app.upstream
        .will([Step::Until(Arc::clone(&go_on)), Step::Send(ok(OPENAI))]);
    let first = tokio::spawn(send_owned(keyed(&app, OPENAI, false, "k")));
    eventually("the call is made", || app.upstream.requests() == 1).await;
    app.clock.advance(Duration::from_secs(10));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Another process asks.
    let marker = marker_of_another(&app, "k", 0);
    let known = app
        .stores
        .idempotency
        .begin(marker, app.clock.now())
        .await
        .unwrap();
    let seaworthy_core::idempotency::Known::Running { lease_until, .. } = known else {
        panic!("{known:?}");
    };
    assert!(lease_until > app.clock.now());
    go_on.notify_one();
    assert_eq!(first.await.unwrap().status, 200);
    app.finish().await;
}

async fn send_owned(call: Call) -> Answer {
    call.send().await
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_frees_the_key_and_what_was_done_keeps_it() {
    let error = |status| json_response(status, &json!({"error": {"message": "no", "type": "x"}}));
    for (status, is_kept) in [(400, true), (500, true), (429, false), (503, false)] {
        let app = TestApp::start().await;
        app.upstream.will_send(error(status));
        let first = send(&app, "k").await;
        assert_eq!(first.status, status);
        if !is_kept {
            app.upstream.will_send(ok(OPENAI));
        }
        let second = send(&app, "k").await;
        assert_eq!(second.status, if is_kept { status } else { 200 });
        if is_kept {
            assert_eq!(second.body, first.body);
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_ours_that_was_not_taken_frees_the_callers() {
    for status in [401, 403] {
        let app = TestApp::start().await;
        app.upstream.will_send(json_response(status, &json!({})));
        assert_eq!(send(&app, "k").await.status, 502);
        app.upstream.will_send(ok(OPENAI));
        assert_eq!(send(&app, "k").await.status, 200);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_keeps_the_key_in_whatever_words_it_is_told() {
    let chat = json!({"model": "gpt", "messages": [{"role": "user", "content": "Ahoy"}]});
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "Ahoy"}]}]});
    for (path, body) in [("/v2/chat", chat), ("/model/gpt/converse", converse)] {
        let app = TestApp::start().await;
        let ask = || {
            let call = app.post(path, body.to_string());
            call.header("idempotency-key", "k").send()
        };
        app.upstream.will(vec![Step::HangUp]);
        let first = ask().await;
        assert_eq!(first.status, 503, "{path}: these have no 502");
        let second = ask().await;
        assert_eq!((second.status, second.body), (503, first.body));
        assert_eq!(app.upstream.requests(), 1, "{path}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_left_frees_its_key() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_user]\nrequests_per_minute = 1\n")
        .start()
        .await;
    app.upstream.will_send(ok(OPENAI));
    assert_eq!(send(&app, "first").await.status, 200);
    send(&app, "k")
        .await
        .assert_error(Family::OpenAi, 429, "rate_limited");
    app.clock.advance(Duration::from_secs(61));
    app.upstream.will_send(ok(OPENAI));
    assert_eq!(send(&app, "k").await.status, 200);
    // A replay is a request, too.
    send(&app, "k")
        .await
        .assert_error(Family::OpenAi, 429, "rate_limited");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_different_users_are_different_keys_and_expire() {
    let app = TestApp::start().await;
    for key in [&app.user_key, &app.admin_key] {
        app.upstream.will_send(ok(OPENAI));
        let call = app.call(http::Method::POST, path(OPENAI)).key(key);
        let call = call.header("idempotency-key", "k").body(ask(OPENAI, false));
        assert_eq!(call.send().await.header("idempotent-replayed"), "");
    }
    app.clock.advance(Duration::from_secs(86_401));
    app.upstream.will_send(ok(OPENAI));
    assert_eq!(send(&app, "k").await.header("idempotent-replayed"), "");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_character_or_with_too_many_is_refused() {
    let app = TestApp::start().await;
    for key in ["", &"k".repeat(256)] {
        send(&app, key)
            .await
            .assert_error(Family::OpenAi, 400, "invalid_request");
    }
    app.upstream.will_send(ok(OPENAI));
    assert_eq!(send(&app, &"k".repeat(255)).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn with_a_cache_the_hit_is_kept_under_the_key() {
    let app = TestApp::builder()
        .sections("[cache]\nenabled = true\n")
        .start()
        .await;
    app.upstream.will_send(ok(OPENAI));
    let first = app.post(path(OPENAI), ask(OPENAI, false)).send().await;
    let hit = send(&app, "k").await;
    assert_eq!(hit.header("x-seaworthy-cache"), "hit");
    app.clock.advance(Duration::from_secs(7200));
    let replay = send(&app, "k").await;
    assert_eq!(replay.header("idempotent-replayed"), "true");
    assert_eq!(replay.body, first.body);
    app.finish().await;
}
