//! Calls that are tried again: elsewhere or after a pause, each attempt accounted for by itself.

use std::time::Duration;

use seaworthy_core::dialect::Dialect;
use seaworthy_core::ledger::Outcome;
use serde_json::{Value, json};

use crate::support::app::{Builder, TestApp, eventually};
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{
    DIALECTS, ask, chunk, events, http, json_response, ok, path, request, stream, stream_head,
};

const OPENAI: Dialect = Dialect::OpenAiChat;
const ANTHROPIC: Dialect = Dialect::AnthropicMessages;

/// A model with a target at each provider.
const BOTH: &str = r#"
    [models.both]
    targets = ["openai/gpt-real", "anthropic/claude-real"]
"#;

fn with_both() -> Builder {
    TestApp::builder().attempts(3).sections(BOTH)
}

fn ask_both(stream: bool) -> bytes::Bytes {
    request(OPENAI, stream, &json!({"model": "both", "max_tokens": 64}))
}

fn failing(status: u16) -> bytes::Bytes {
    json_response(
        status,
        &json!({"error": {"message": "No.", "type": "x", "code": "x"}}),
    )
}

#[tokio::test(start_paused = true)]
async fn another_target_is_asked_for_every_failure_that_is_not_the_callers() {
    for is_stream in [false, true] {
        for status in [401, 403, 404, 408, 429, 500, 502, 503, 504, 529] {
            let app = with_both().start().await;
            app.upstream.will_send(failing(status));
            match is_stream {
                true => app.upstream.will(stream(events(ANTHROPIC, false).concat())),
                false => app.upstream.will_send(ok(ANTHROPIC)),
            }
            let answer = app.post(path(OPENAI), ask_both(is_stream)).send().await;
            assert_eq!(answer.status, 200, "{status}: {}", answer.text());
            assert!(answer.text().contains("Aye"), "{}", answer.text());
            assert_eq!(answer.header("x-seaworthy-target"), "anthropic/claude-real");
            assert_eq!(answer.header("x-seaworthy-attempts"), "2");
            let settled = app.settlements().await;
            let calls: Vec<(&str, Outcome, u64)> = settled
                .iter()
                .map(|call| (&*call.target, call.outcome, call.usage.total()))
                .collect();
            assert_eq!(calls[0], ("openai/gpt-real", Outcome::Failure, 0));
            assert_eq!(
                (calls[1].0, calls[1].1),
                ("anthropic/claude-real", Outcome::Success)
            );
            assert!(calls[1].2 > 0);
            assert_eq!(settled[0].request_id, settled[1].request_id);
            assert_ne!(settled[0].call_id, settled[1].call_id);
            let log = app.finish().await;
            assert!(log.contains("\"attempts\":2"), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_has_wrong_is_asked_nobody_else() {
    for status in [400, 409, 413, 422] {
        let app = with_both().start().await;
        app.upstream.will_send(failing(status));
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!((answer.status, app.upstream.requests()), (status, 1));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn broken_connections_and_answers_are_tried_elsewhere_before_the_first_byte() {
    let scripts = || {
        [
            vec![Step::HangUp],
            vec![Step::Silence],
            vec![Step::Send(http(
                200,
                &[("content-type", "application/json")],
                "{\"cut",
            ))],
            vec![stream_head(), Step::HangUp],
            vec![stream_head(), Step::Silence],
            vec![stream_head(), chunk("data: {\"torn"), Step::HangUp],
            stream(
                "event: error\ndata: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n",
            ),
        ]
    };
    for script in scripts() {
        let app = with_both().start().await;
        app.upstream.will(script);
        app.upstream.will(stream(events(ANTHROPIC, false).concat()));
        let answer = app.post(path(OPENAI), ask_both(true)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(
            text.ends_with("data: [DONE]\n\n") && !text.contains("error"),
            "{text}"
        );
        app.finish().await;
    }
    let app = with_both().start().await;
    app.upstream.dial_will(DialFault::Refuse);
    app.upstream.will_send(ok(ANTHROPIC));
    let answer = app.post(path(OPENAI), ask_both(false)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(app.settlements().await.len(), 1, "the first never left");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_after_the_first_byte() {
    for dialect in DIALECTS {
        let app = with_both().start().await;
        let begun = events(dialect, false)[..3].concat();
        app.upstream
            .will([stream_head(), chunk(&begun), Step::HangUp]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        let text = answer.text();
        let error = text.strip_prefix(&begun).unwrap();
        assert_eq!(error.matches("data: ").count(), 1, "{error}");
        assert_eq!(app.upstream.requests(), 1);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_target_is_asked_again_after_a_pause_at_most_so_often() {
    for dialect in DIALECTS {
        let app = TestApp::builder().attempts(3).start().await;
        app.upstream.will_send(failing(500));
        app.upstream.will([Step::HangUp]);
        app.upstream.will_send(ok(dialect));
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-seaworthy-attempts"), "3");
        assert_eq!(app.settlements().await.len(), 3);
        let metrics = app.metrics().await;
        assert!(
            metrics.contains("seaworthy_retries_total{target="),
            "{metrics}"
        );

        for _ in 0..3 {
            app.upstream.will_send(failing(503));
        }
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!((answer.status, app.upstream.requests()), (503, 6));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_money_is_no_rate_limit_and_not_asked_again() {
    for dialect in DIALECTS {
        let app = TestApp::builder().attempts(3).start().await;
        let body = json!({"error": {"message": "Pay.", "type": "insufficient_quota",
            "code": "insufficient_quota"}});
        app.upstream.will_send(json_response(429, &body));
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!((answer.status, app.upstream.requests()), (429, 1));
        assert!(answer.took < Duration::from_millis(50));
        // Official clients try 429 again unless they are told not to.
        assert_eq!(answer.header("x-should-retry"), "false");
        assert_eq!(answer.text(), body.to_string(), "what the provider said");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_money_has_no_time_after_which_it_is_to_be_asked_again() {
    let app = TestApp::start().await;
    let body = json!({"error": {"message": "Pay.", "type": "insufficient_quota",
        "code": "insufficient_quota"}});
    // Another limit is used up as well.
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1s"),
    ];
    app.upstream
        .will_send(http(429, &headers, body.to_string()));
    let dialect = Dialect::AnthropicMessages;
    let question = json!({"model": "gpt", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Aye?"}]});
    let call = app.post(path(dialect), question.to_string());
    let answer = call.send().await;
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(answer.header("retry-after"), "");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_out_as_long_as_the_caller_waits() {
    for (limit, header, value, took) in [
        (None, "retry-after", "7", Some(7)),
        (Some("9000"), "retry-after-ms", "7000", Some(7)),
        (Some("5000"), "retry-after", "7", None),
        (None, "retry-after", "90", None),
    ] {
        let app = TestApp::builder().attempts(3).start().await;
        let headers = [("content-type", "application/json"), (header, value)];
        app.upstream
            .will_send(http(429, &headers, "{\"error\":{\"message\":\"slow\"}}"));
        let mut call = app.post(path(OPENAI), ask(OPENAI, false));
        if let Some(limit) = limit {
            call = call.header("x-seaworthy-timeout-ms", limit);
        }
        match took {
            Some(seconds) => {
                app.upstream.will_send(ok(OPENAI));
                let answer = call.send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.took.as_secs(), seconds);
            }
            None => {
                let answer = call.send().await;
                assert_eq!((answer.status, answer.header(header)), (429, value));
                assert!(answer.took < Duration::from_millis(50));
            }
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_one_call_met_holds_back_the_others_and_one_of_them_tries_first() {
    let app = TestApp::builder().attempts(3).start().await;
    let headers = [("content-type", "application/json"), ("retry-after", "5")];
    app.upstream
        .will_send(http(429, &headers, "{\"error\":{\"message\":\"slow\"}}"));
    for _ in 0..4 {
        app.upstream.will_send(ok(OPENAI));
    }
    let calls: Vec<_> = (0..4)
        .map(|_| app.post(path(OPENAI), ask(OPENAI, false)))
        .collect();
    let mut calls = calls.into_iter();
    let first = tokio::spawn(calls.next().unwrap().send());
    eventually("the first is told to wait", || app.upstream.requests() == 1).await;
    let rest: Vec<_> = calls.map(|call| tokio::spawn(call.send())).collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(app.upstream.requests(), 1, "nobody runs into the limit");
    for call in std::iter::once(first).chain(rest) {
        assert_eq!(call.await.unwrap().status, 200);
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_its_own_limit_for_a_target_that_says_nothing() {
    for is_stream in [false, true] {
        let app = with_both().start().await;
        app.upstream.will([Step::Silence]);
        let call = app.post(path(OPENAI), ask_both(is_stream));
        let answer = call.header("x-seaworthy-timeout-ms", "700").send().await;
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(answer.text().contains("deadline_exceeded"));
        assert!(answer.took >= Duration::from_millis(700));
        assert!(
            answer.took < Duration::from_millis(750),
            "{:?}",
            answer.took
        );
        let duration_ms = app.only_settlement().await.duration_ms;
        assert!((700..750).contains(&duration_ms), "{duration_ms}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_keeps_failing_is_left_alone_and_tried_again_by_one_call() {
    let app = with_both().start().await;
    for _ in 0..5 {
        app.upstream.will_send(failing(500));
        app.upstream.will_send(ok(ANTHROPIC));
        assert_eq!(
            app.post(path(OPENAI), ask_both(false)).send().await.status,
            200
        );
    }
    for _ in 0..3 {
        app.upstream.will_send(ok(ANTHROPIC));
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!(
            answer.header("x-seaworthy-attempts"),
            "",
            "the first is not asked"
        );
    }
    let metrics = app.metrics().await;
    let open = "seaworthy_circuit_breaker_state{target=\"openai/gpt-real\"} 2";
    assert!(metrics.contains(open), "{metrics}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _ in 0..3 {
        app.upstream.will_send(ok(OPENAI));
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!(answer.header("x-seaworthy-target"), "openai/gpt-real");
    }
    let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
    let target = &status.json()["targets"]["openai/gpt-real"];
    assert_eq!(target["circuit_breaker"], "closed", "{target}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn without_another_target_an_open_breaker_answers_at_once() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        for _ in 0..5 {
            app.upstream.dial_will(DialFault::Hang);
            app.post(path(dialect), ask(dialect, false)).send().await;
        }
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 503, "upstream_unavailable");
        assert!(!answer.header("retry-after").is_empty());
        assert!(answer.took < Duration::from_millis(5));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_target_that_says_what_is_wrong_is_asked_again_and_again() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        app.upstream.will([Step::HangUp]);
        let answer = app.post(path(OPENAI), ask(OPENAI, false)).send().await;
        answer.assert_error(OPENAI.family(), 502, "upstream_unreachable");
    }
    assert_eq!(app.upstream.requests(), 20);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_one_call_is_enough_for_a_call_that_is_tried_again_for_free() {
    let budget = r#"
        [budgets.small]
        scope = "global"
        window = "day"
        token_limit = 700
    "#;
    let app = TestApp::builder()
        .attempts(3)
        .sections(budget)
        .start()
        .await;
    app.upstream.will_send(failing(500));
    app.upstream.will_send(ok(OPENAI));
    let body = request(OPENAI, false, &json!({"max_tokens": 500}));
    let answer = app.post(path(OPENAI), body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn leaving_during_a_pause_or_in_the_line_leaves_nothing_behind() {
    let app = TestApp::builder().attempts(3).start().await;
    let headers = [("content-type", "application/json"), ("retry-after", "20")];
    app.upstream
        .will_send(http(429, &headers, "{\"error\":{\"message\":\"slow\"}}"));
    let first = tokio::spawn(app.post(path(OPENAI), ask(OPENAI, false)).send());
    eventually("the first is told to wait", || app.upstream.requests() == 1).await;
    let second = tokio::spawn(app.post(path(OPENAI), ask(OPENAI, false)).send());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.gateway.running_calls(), 2);
    first.abort();
    second.abort();
    eventually("both have ended", || app.gateway.running_calls() == 0).await;
    let settled: Vec<Value> = app
        .settlements()
        .await
        .iter()
        .map(|call| json!([call.outcome.as_str(), call.usage.total()]))
        .collect();
    assert_eq!(settled.len(), 1, "{settled:?}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn targets_are_chosen_as_the_model_says() {
    for (strategy, options, target) in [
        ("ordered", "", "openai/gpt-real"),
        (
            "weighted",
            "[models.both.target_options.\"openai/gpt-real\"]\nweight = 0",
            "anthropic/claude-real",
        ),
        (
            "least_cost",
            "[prices.\"openai/gpt-real\"]\ninput = 9\noutput = 9\n\
             [prices.\"anthropic/claude-real\"]\ninput = 1\noutput = 1",
            "anthropic/claude-real",
        ),
    ] {
        let sections = format!("{BOTH}\nstrategy = \"{strategy}\"\n{options}\n");
        let app = TestApp::builder().sections(&sections).start().await;
        app.upstream.will_send(match target {
            "openai/gpt-real" => ok(OPENAI),
            _ => ok(ANTHROPIC),
        });
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!(answer.header("x-seaworthy-target"), target, "{strategy}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_of_official_clients_is_kept() {
    let app = TestApp::start().await;
    app.upstream.will([Step::Silence]);
    let call = app.post(path(OPENAI), ask(OPENAI, false));
    let answer = call.header("x-stainless-timeout", "1.5").send().await;
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(
        answer.took < Duration::from_millis(1_550),
        "{:?}",
        answer.took
    );
    app.finish().await;
}

/// A provider that fails half of its calls beside a healthy one.
#[tokio::test(start_paused = true)]
async fn a_target_that_fails_half_of_its_calls_costs_nobody_an_answer() {
    const CALLS: usize = 1_000;
    let app = with_both().start().await;
    let mut seed = 7_u32;
    for _ in 0..CALLS {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let fails = seed >> 31 == 0;
        let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
        let is_asked = status.json()["targets"]["openai/gpt-real"]["circuit_breaker"] != "open";
        if is_asked && fails {
            app.upstream.will_send(failing(500));
        }
        app.upstream.will_send(match is_asked && !fails {
            true => ok(OPENAI),
            false => ok(ANTHROPIC),
        });
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sent = app.upstream.requests();
    assert!(sent <= CALLS * 12 / 10, "{sent} calls for {CALLS} requests");
    app.finish().await;
}
