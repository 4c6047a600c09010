//! Remembered answers: what is the same, for whom, for how long, and what it is never.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::dialect::{Dialect, Family};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::{TestApp, eventually};
use crate::support::client::Answer;
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, json_response, last_chunk, ok, path, reply, request, stream,
    stream_head, usage_object,
};

const ON: &str = "[cache]\nenabled = true\n";
const OPENAI: Dialect = Dialect::OpenAiChat;

async fn with_cache(more: &str) -> TestApp {
    TestApp::builder()
        .sections(&format!("{ON}{more}\n"))
        .start()
        .await
}

async fn chat(app: &TestApp, body: impl Into<Bytes>) -> Answer {
    app.post("/v1/chat/completions", body).send().await
}

fn answer_that_says(text: &str) -> Bytes {
    let mut body = reply(OPENAI, false, &usage_object(OPENAI));
    body["choices"][0]["message"]["content"] = json!(text);
    json_response(200, &body)
}

/// What two readers of a body may read differently is nobody's answer but the one that was asked for.
#[tokio::test(start_paused = true)]
async fn numbers_beyond_our_precision_and_members_that_stand_twice_are_not_remembered() {
    let app = with_cache("").await;
    let body = |more: &str| {
        let content = format!(r#"[{{"role": "user", "content": "hi", "x": {more}}}]"#);
        format!(r#"{{"model": "gpt", "messages": {content}}}"#)
    };
    for (more, remembered) in [
        ("12345678901234567890123", "bypass"),
        ("0.12345678901234567891", "bypass"),
        (r#"{"a": 1, "a": 2}"#, "bypass"),
        ("12345678901234567890", "hit"),
        ("-0.1234567890123456", "hit"),
        (
            r#""12345678901234567890123 \" 0.12345678901234567891""#,
            "hit",
        ),
        ("[1.5e300, 7]", "hit"),
    ] {
        for expected in [
            if remembered == "hit" {
                "miss"
            } else {
                "bypass"
            },
            remembered,
        ] {
            app.upstream.will_send(ok(OPENAI));
            let answer = chat(&app, body(more)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-seaworthy-cache"), expected, "{more}");
            if expected == "hit" {
                app.upstream.forget_one();
            }
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_equal_requests_gets_the_answer_of_the_first() {
    for dialect in DIALECTS {
        for streams in [false, true] {
            let app = with_cache("").await;
            match streams {
                true => app.upstream.will(stream(events(dialect, false).concat())),
                false => app.upstream.will_send(ok(dialect)),
            }
            let post = || app.post(path(dialect), ask(dialect, streams));
            let first = post().send().await;
            app.clock.advance(Duration::from_secs(7));
            let second = post().send().await;
            assert_eq!(first.status, 200, "{}", first.text());
            assert_eq!(second.status, 200);
            assert_eq!(first.body, second.body);
            assert!(second.whole);
            if streams {
                // A stream again, of events that come one by one, for clients that unpack others too.
                let mut third = post().header("accept-encoding", "gzip").open().await;
                let head = &third.response.headers().clone();
                assert!(
                    !head.contains_key("content-length") && !head.contains_key("content-encoding")
                );
                assert_eq!(head["transfer-encoding"], "chunked");
                let mut pieces = 0;
                while third.next().await.is_some() {
                    pieces += 1;
                }
                assert_eq!(pieces, first.text().matches("\n\n").count());
            }
            assert_eq!(first.header("content-type"), second.header("content-type"));
            assert_eq!(first.header("x-seaworthy-cache"), "miss");
            assert_eq!(second.header("x-seaworthy-cache"), "hit");
            assert_eq!(second.header("age"), "7");
            assert_eq!(
                second.header("x-seaworthy-target"),
                first.header("x-seaworthy-target")
            );
            assert_eq!(second.header("x-seaworthy-cost-usd"), "0.000000");
            assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
            assert_eq!(app.upstream.requests(), 1);
            app.only_settlement().await;
            let metrics = app.metrics().await;
            assert!(
                metrics.contains(&format!(
                    "seaworthy_cache_hits_total{{kind=\"exact\"}} {}\n",
                    1 + usize::from(streams)
                )),
                "{metrics}"
            );
            assert!(metrics.contains("seaworthy_cache_misses_total 1\n"));
            assert!(metrics.contains("seaworthy_cache_entries 1\n"));
            let log = app.finish().await;
            assert!(log.contains("\"cache\":\"hit\""), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_can_change_an_answer_is_part_of_what_is_asked() {
    let app = with_cache("").await;
    let bodies = [
        json!({}),
        json!({"temperature": 0}),
        json!({"temperature": 1}),
        json!({"seed": 1}),
        json!({"user": "someone"}),
        json!({"max_tokens": 5}),
        json!({"tools": [{"type": "function", "function": {"name": "a"}}]}),
        json!({"tools": [{"type": "function", "function": {"name": "b"}}]}),
        json!({"messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Is the hull tight?"}]}),
        json!({"messages": [{"role": "system", "content": "Be long."},
            {"role": "user", "content": "Is the hull tight?"}]}),
    ];
    for (number, body) in bodies.iter().enumerate() {
        app.upstream
            .will_send(answer_that_says(&number.to_string()));
        let answer = chat(&app, request(OPENAI, false, body)).await;
        assert_eq!(answer.header("x-seaworthy-cache"), "miss", "{body}");
    }
    for (number, body) in bodies.iter().enumerate() {
        let answer = chat(&app, request(OPENAI, false, body)).await;
        assert_eq!(answer.header("x-seaworthy-cache"), "hit", "{body}");
        let said = &answer.json()["choices"][0]["message"]["content"];
        assert_eq!(*said, json!(number.to_string()));
    }
    for (name, value) in [("openai-beta", "x"), ("anthropic-beta", "y")] {
        app.upstream.will_send(ok(OPENAI));
        let call = app.post("/v1/chat/completions", ask(OPENAI, false));
        let answer = call.header(name, value).send().await;
        assert_eq!(answer.header("x-seaworthy-cache"), "miss", "{name}");
    }
    app.upstream.will_send(ok(OPENAI));
    let answer = app
        .post("/v1/chat/completions?a=b", ask(OPENAI, false))
        .send()
        .await;
    assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn how_it_is_written_does_not_matter_and_an_alias_is_the_same_model() {
    let app = with_cache("").await;
    app.upstream.will_send(ok(OPENAI));
    chat(&app, ask(OPENAI, false)).await;
    let same =
        "{ \"messages\" : [ {\"content\": \"Is the hull\\u0020tight?\", \"role\":\"user\"} ],\n
        \"model\": \"gpt-alias\" }";
    let answer = chat(&app, same).await;
    assert_eq!(answer.header("x-seaworthy-cache"), "hit");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_the_answer_of_another_tenant_unless_it_is_shared_with_everyone() {
    for (scope, is_shared) in [
        ("key", false),
        ("user", false),
        ("team", false),
        ("global", true),
    ] {
        let app = with_cache(&format!("scope = \"{scope}\"")).await;
        let ask_as = |key: &str| {
            let call = app.call(http::Method::POST, "/v1/chat/completions");
            call.key(key).body(ask(OPENAI, false)).send()
        };
        app.upstream.will_send(answer_that_says("for the user"));
        ask_as(&app.user_key).await;
        if !is_shared {
            app.upstream.will_send(answer_that_says("for the admin"));
        }
        let other = ask_as(&app.admin_key).await;
        assert_eq!(other.text().contains("for the user"), is_shared, "{scope}");
        let again = ask_as(&app.user_key).await;
        assert!(again.text().contains("for the user"), "{scope}");
        assert_eq!(again.header("x-seaworthy-cache"), "hit");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_a_user_share_answers_unless_the_scope_is_the_key() {
    for (scope, is_shared) in [("user", true), ("key", false)] {
        let app = with_cache(&format!("scope = \"{scope}\"")).await;
        let (second, _) = app
            .create_key(seaworthy_core::principal::Role::User, None)
            .await;
        app.keys_noticed().await;
        app.upstream.will_send(ok(OPENAI));
        chat(&app, ask(OPENAI, false)).await;
        if !is_shared {
            app.upstream.will_send(ok(OPENAI));
        }
        let call = app
            .call(http::Method::POST, "/v1/chat/completions")
            .key(&second);
        let answer = call.body(ask(OPENAI, false)).send().await;
        assert_eq!(
            answer.header("x-seaworthy-cache") == "hit",
            is_shared,
            "{scope}"
        );
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_decides_with_cache_control() {
    let app = with_cache("ttl = \"100s\"").await;
    let with = |control: &'static str| {
        let call = app.post("/v1/chat/completions", ask(OPENAI, false));
        call.header("cache-control", control).send()
    };
    with("only-if-cached")
        .await
        .assert_error(Family::OpenAi, 504, "not_cached");
    for (control, age_s, expected) in [
        ("no-store", 0, "bypass"),
        ("max-age=60", 0, "miss"),
        ("max-age=60", 60, "hit"),
        ("max-age=50", 0, "miss"),
        ("only-if-cached", 0, "hit"),
        ("no-cache", 0, "refresh"),
        ("min-fresh=40", 60, "hit"),
        ("min-fresh=41", 0, "miss"),
        ("no-store", 0, "bypass"),
        ("", 99, "hit"),
        ("", 1, "miss"),
    ] {
        app.clock.advance(Duration::from_secs(age_s));
        if expected != "hit" {
            app.upstream.will_send(ok(OPENAI));
        }
        let answer = with(control).await;
        assert_eq!(
            answer.header("x-seaworthy-cache"),
            expected,
            "{control} {age_s}"
        );
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn errors_and_cut_streams_are_never_remembered() {
    let app = with_cache("").await;
    let refused = json!({"error": {"message": "no", "type": "server_error", "code": null}});
    for _ in 0..2 {
        app.upstream.will_send(json_response(500, &refused));
        let answer = chat(&app, ask(OPENAI, false)).await;
        assert_eq!(answer.status, 500);
    }
    let cut = events(OPENAI, false)[..3].concat();
    for _ in 0..2 {
        app.upstream
            .will([stream_head(), chunk(&cut), Step::HangUp]);
        let answer = chat(&app, ask(OPENAI, true)).await;
        assert!(
            answer.last_event()["error"].is_object(),
            "{}",
            answer.text()
        );
    }
    assert_eq!(app.upstream.requests(), 4);
    assert!(app.metrics().await.contains("seaworthy_cache_entries 0\n"));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_outlive_the_guards_it_passed() {
    let app = with_cache("\n[output_handling]\nredact_pii = false\n").await;
    let secret = "Write to ada.lovelace@example.com for the charts.";
    app.upstream.will_send(answer_that_says(secret));
    assert!(
        chat(&app, ask(OPENAI, false))
            .await
            .text()
            .contains("ada.lovelace")
    );
    app.reload("redact_pii = false", "redact_pii = true")
        .await
        .unwrap();
    app.upstream.will_send(answer_that_says(secret));
    for expected in ["miss", "hit"] {
        let answer = chat(&app, ask(OPENAI, false)).await;
        assert_eq!(answer.header("x-seaworthy-cache"), expected);
        assert!(!answer.text().contains("ada.lovelace"), "{}", answer.text());
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_remembered() {
    let app = with_cache("max_entry_size = \"2KB\"").await;
    for _ in 0..2 {
        app.upstream.will_send(answer_that_says(&"x".repeat(2_000)));
        chat(&app, ask(OPENAI, false)).await;
    }
    assert_eq!(app.upstream.requests(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_hit_counts_as_a_request_and_draws_on_no_budget() {
    let app = with_cache(
        "[rate_limits.per_user]\nrequests_per_minute = 2\n\
         [budgets.all]\nscope = \"global\"\ntoken_limit = 10000\nwindow = \"day\"\n",
    )
    .await;
    app.upstream.will_send(ok(OPENAI));
    chat(&app, ask(OPENAI, false)).await;
    let hit = chat(&app, ask(OPENAI, false)).await;
    assert_eq!(hit.header("x-seaworthy-cache"), "hit", "{}", hit.text());
    assert_eq!(hit.header("x-ratelimit-remaining-requests"), "0");
    let third = chat(&app, ask(OPENAI, false)).await;
    third.assert_error(Family::OpenAi, 429, "rate_limited");
    app.only_settlement().await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_remembered_and_nothing_is_while_it_is_off() {
    let vector = json!({"object": "list", "model": "gpt-real",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let ask = json!({"model": "gpt", "input": "hull"}).to_string();
    let app = with_cache("").await;
    app.upstream.will_send(json_response(200, &vector));
    for expected in ["miss", "hit"] {
        let answer = app.post("/v1/embeddings", ask.clone()).send().await;
        assert_eq!(
            answer.header("x-seaworthy-cache"),
            expected,
            "{}",
            answer.text()
        );
    }
    app.finish().await;
    let app = TestApp::start().await;
    for _ in 0..2 {
        app.upstream.will_send(json_response(200, &vector));
        let answer = app.post("/v1/embeddings", ask.clone()).send().await;
        assert_eq!(answer.header("x-seaworthy-cache"), "");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn equal_requests_at_the_same_time_share_one_call() {
    for streams in [false, true] {
        let app = with_cache("").await;
        let go_on = Arc::new(Notify::new());
        let mut script = match streams {
            true => stream(events(OPENAI, false).concat()),
            false => vec![Step::Send(ok(OPENAI))],
        };
        script.insert(0, Step::Until(Arc::clone(&go_on)));
        app.upstream.will(script);
        let calls: Vec<_> = (0..9)
            .map(|_| {
                app.post("/v1/chat/completions", ask(OPENAI, streams))
                    .send()
            })
            .map(tokio::spawn)
            .collect();
        eventually("the call is made", || app.upstream.requests() == 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        go_on.notify_one();
        let mut bodies = Vec::new();
        let mut kinds = Vec::new();
        for call in calls {
            let answer = call.await.unwrap();
            assert_eq!(answer.status, 200);
            kinds.push(answer.header("x-seaworthy-cache").to_owned());
            bodies.push(answer.body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1);
        kinds.sort();
        assert_eq!(kinds[0..8], ["coalesced"; 8].map(str::to_owned));
        assert_eq!(kinds[8], "miss");
        app.only_settlement().await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_call_goes_on_while_anyone_waits_and_is_cancelled_when_nobody_does() {
    let app = with_cache("").await;
    let go_on = Arc::new(Notify::new());
    let all = events(OPENAI, false);
    app.upstream.will([
        stream_head(),
        chunk(all[..2].concat()),
        Step::Until(Arc::clone(&go_on)),
        chunk(all[2..].concat()),
        last_chunk(),
    ]);
    let post = || app.post("/v1/chat/completions", ask(OPENAI, true));
    let leader = post().open().await;
    let follower = post().open().await;
    assert_eq!(
        follower.response.headers()["x-seaworthy-cache"],
        "coalesced"
    );
    drop(leader);
    tokio::time::sleep(Duration::from_millis(50)).await;
    go_on.notify_one();
    let answer = follower.rest().await;
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    app.only_settlement().await;

    app.clock.advance(Duration::from_secs(7200));
    app.upstream
        .will([stream_head(), chunk(all[..2].concat()), Step::Silence]);
    let (leader, follower) = (post().open().await, post().open().await);
    drop(follower);
    drop(leader);
    eventually("the call is cancelled", || app.upstream.left_early() == 1).await;
    assert_eq!(app.settlements().await.len(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_one_is_not_the_failure_of_those_who_waited() {
    let app = with_cache("").await;
    let go_on = Arc::new(Notify::new());
    let refused = json!({"error": {"message": "no", "type": "server_error", "code": null}});
    let failing = json_response(500, &refused);
    app.upstream
        .will([Step::Until(Arc::clone(&go_on)), Step::Send(failing)]);
    let post = || app.post("/v1/chat/completions", ask(OPENAI, false)).send();
    let leader = tokio::spawn(post());
    eventually("the call is made", || app.upstream.requests() == 1).await;
    let follower = tokio::spawn(post());
    tokio::time::sleep(Duration::from_millis(20)).await;
    app.upstream.will_send(ok(OPENAI));
    go_on.notify_one();
    assert_eq!(leader.await.unwrap().status, 500);
    assert_eq!(follower.await.unwrap().status, 200);
    app.finish().await;
}
