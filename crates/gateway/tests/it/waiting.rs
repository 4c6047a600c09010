//! Callers of streams that have to wait are told so, and get the answer, or the error, after that.

use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use serde_json::json;

use crate::support::app::{Builder, TestApp, eventually};
use crate::support::client::code_of;
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, http, json_response, ok, path, reply, stream, stream_head,
    usage_object,
};

const OPENAI: Dialect = Dialect::OpenAiChat;

/// What says to wait, in the two dialects.
fn sign(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AnthropicMessages => {
            ": waiting: your request is in the queue\nevent: ping\ndata: {\"type\": \"ping\"}\n\n"
        }
        _ => ": waiting: your request is in the queue\n\n",
    }
}

fn limited(retry_after: &str) -> Bytes {
    let headers = [
        ("content-type", "application/json"),
        ("retry-after", retry_after),
    ];
    let error = json!({"error": {"message": "Slow down.", "type": "rate_limit_error"}});
    http(429, &headers, error.to_string())
}

fn patient() -> Builder {
    TestApp::builder().attempts(3)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_providers_limit_holds_back_begins_with_signs_and_goes_on_as_usual() {
    for dialect in DIALECTS {
        let app = patient().start().await;
        app.upstream.will_send(limited("9"));
        let whole = events(dialect, false).concat();
        app.upstream.will(stream(&whole));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!((answer.status, answer.whole), (200, true));
        assert_eq!(answer.header("content-type"), "text/event-stream");
        assert_eq!(answer.header("x-seaworthy-waiting"), "true");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(!answer.header("x-request-id").is_empty());
        // At 2 and 7 seconds of 9.
        let signs = sign(dialect).repeat(2);
        let text = answer.text();
        let rest = text
            .strip_prefix(&signs)
            .unwrap_or_else(|| panic!("{text}"));
        assert!(rest.starts_with(&events(dialect, false)[0]), "{rest}");
        assert!(!rest.contains("waiting"), "{rest}");
        let settled = app.settlements().await;
        assert_eq!(settled.len(), 2);
        assert_eq!(settled[1].outcome, Outcome::Success);
        assert!(settled[1].usage.total() > 0 && !settled[1].usage.estimated);
        let metrics = app.metrics().await;
        assert!(
            metrics.contains("seaworthy_told_to_wait_total 1\n"),
            "{metrics}"
        );
        let log = app.finish().await;
        assert!(log.contains("\"told_to_wait\":true"), "{log}");
        assert!(log.contains("\"waited_ms\":9000."), "{log}");
        assert!(log.contains("\"duration_ms\":9000."), "{log}");
        assert!(log.contains("\"http_status\":200"), "{log}");
    }
}

/// Of real time, in which nothing takes none at all.
#[tokio::test]
async fn the_log_says_nothing_of_a_wait_where_there_was_none() {
    let app = TestApp::start().await;
    // So that it comes through a door, which stands open.
    let through_doors = ("overload_control = false", "overload_control = true");
    app.reload(through_doors.0, through_doors.1).await.unwrap();
    app.upstream.will_send(ok(OPENAI));
    let answer = app.post(path(OPENAI), ask(OPENAI, false)).send().await;
    assert_eq!(answer.status, 200);
    let log = app.finish().await;
    assert!(log.contains("\"duration_ms\":"), "{log}");
    assert!(!log.contains("waited_ms"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn short_waits_whole_answers_and_dialects_without_room_are_not_told() {
    let gemini = "/v1beta/models/gpt:streamGenerateContent";
    let gemini_body = json!({"contents": [{"parts": [{"text": "Is the hull tight?"}]}]});
    let gemini_body = Bytes::from(gemini_body.to_string());
    let bodies = [
        ("1", path(OPENAI).to_owned(), ask(OPENAI, true)),
        ("9", path(OPENAI).to_owned(), ask(OPENAI, false)),
        ("9", gemini.to_owned(), gemini_body.clone()),
        ("9", format!("{gemini}?alt=sse"), gemini_body),
    ];
    for (number, (retry_after, path, body)) in bodies.into_iter().enumerate() {
        let app = patient().start().await;
        app.upstream.will_send(limited(retry_after));
        match number {
            1 => app.upstream.will_send(ok(OPENAI)),
            _ => app.upstream.will(stream(events(OPENAI, false).concat())),
        }
        let answer = app.post(&path, body).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-seaworthy-waiting"), "");
        assert_eq!(answer.header("x-seaworthy-target"), "openai/gpt-real");
        assert!(!answer.text().contains("waiting"), "{}", answer.text());
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_the_wait_ends_the_stream_with_the_dialects_own_error() {
    for dialect in DIALECTS {
        let refused =
            json!({"type": "error", "error": {"message": "No.", "type": "invalid_request_error"}});
        let unasked = reply(dialect, false, &usage_object(dialect));
        let ends = [
            (vec![Step::HangUp], "upstream_unreachable"),
            (vec![Step::Send(json_response(400, &refused))], ""),
            // Something else than the stream that was begun.
            (
                vec![Step::Send(json_response(200, &unasked))],
                "upstream_invalid_response",
            ),
        ];
        for (end, code) in ends {
            let app = TestApp::builder().attempts(2).start().await;
            app.upstream.will_send(limited("5"));
            app.upstream.will(end);
            let answer = app.post(path(dialect), ask(dialect, true)).send().await;
            assert_eq!((answer.status, answer.whole), (200, true));
            let text = answer.text();
            assert!(text.starts_with(sign(dialect)), "{text}");
            let error = answer.last_event();
            if !code.is_empty() {
                assert_eq!(code_of(&error, dialect.family()), code, "{text}");
            }
            assert!(text.contains("error"), "{text}");
            let settled = app.settlements().await;
            assert_eq!(settled.len(), 2, "{settled:#?}");
            assert_eq!(settled[1].outcome, Outcome::Failure);
            let log = app.finish().await;
            assert!(
                log.contains("\"status\":\"failure\",\"http_status\":200"),
                "{log}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_failure_after_the_wait_is_another_targets_turn() {
    let both = "[models.both]\ntargets = [\"openai/gpt-real\", \"openai/gpt-other\"]\n";
    let app = patient().sections(both).start().await;
    app.upstream.will_send(limited("6"));
    app.upstream.will_send(limited("6"));
    // The first of them again, whose stream fails before it has said anything.
    app.upstream.will([stream_head(), Step::HangUp]);
    let body =
        json!({"model": "both", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let answer = app.post(path(OPENAI), body.to_string()).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        code_of(&answer.last_event(), Family::OpenAi),
        "upstream_unreachable"
    );
    assert_eq!(app.upstream.requests(), 3);
    app.finish().await;
    let app = TestApp::builder().attempts(4).sections(both).start().await;
    app.upstream.will_send(limited("6"));
    app.upstream.will_send(limited("6"));
    app.upstream.will([stream_head(), Step::HangUp]);
    app.upstream.will(stream(events(OPENAI, false).concat()));
    let answer = app.post(path(OPENAI), body.to_string()).send().await;
    let text = answer.text();
    assert!(
        text.starts_with(sign(OPENAI)) && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    assert!(!text.contains("error"), "{text}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_ends_a_wait_that_it_was_told_of() {
    let full = "[resilience.concurrency]\nadaptive = false\nmax = 1\ninitial = 1\nmin = 1\n\
                [resilience.priorities]\ndefault = \"critical\"\n";
    let app = TestApp::builder().sections(full).start().await;
    app.upstream.will([Step::Silence]);
    let first = tokio::spawn(app.post(path(OPENAI), ask(OPENAI, true)).send());
    eventually("the first is asked", || app.upstream.requests() == 1).await;
    let waits = app.post(path(OPENAI), ask(OPENAI, true));
    let answer = waits.header("x-seaworthy-timeout-ms", "4000").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.took, Duration::from_secs(4));
    assert!(answer.text().starts_with(sign(OPENAI)));
    assert_eq!(code_of(&answer.last_event(), Family::OpenAi), "overloaded");
    first.abort();
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_gives_its_place_back_and_is_settled_once() {
    for dialect in DIALECTS {
        let app = patient().start().await;
        app.upstream.will_send(limited("20"));
        let mut answer = app.post(path(dialect), ask(dialect, true)).open().await;
        assert_eq!(answer.next().await.unwrap(), sign(dialect));
        assert_eq!(app.gateway.running_calls(), 1);
        drop(answer);
        app.idle().await;
        assert_eq!(app.settlements().await.len(), 1);
        let metrics = app.metrics().await;
        assert!(metrics.contains("seaworthy_queue_depth"), "{metrics}");
        assert!(!metrics.contains("seaworthy_queue_depth{target=\"openai/gpt-real\"} 1"));
        let log = app.finish().await;
        assert!(log.contains("\"http_status\":499"), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_slow_by_itself_is_no_wait_and_keeps_its_status() {
    let app = TestApp::start().await;
    app.upstream.will([
        Step::Pause(Duration::from_secs(20)),
        Step::Send(json_response(
            500,
            &json!({"error": {"message": "No.", "type": "x"}}),
        )),
    ]);
    let answer = app.post(path(OPENAI), ask(OPENAI, true)).send().await;
    assert_eq!(answer.status, 500);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn everyone_who_reads_one_answer_is_told_and_nobody_finds_signs_in_the_cache() {
    let cache = "[cache]\nenabled = true\n";
    let app = patient().sections(cache).start().await;
    app.upstream.will_send(limited("9"));
    app.upstream.will([
        stream_head(),
        Step::Pause(Duration::from_millis(10)),
        chunk(events(OPENAI, false).concat()),
        crate::support::wire::last_chunk(),
    ]);
    let one = tokio::spawn(app.post(path(OPENAI), ask(OPENAI, true)).send());
    eventually("the first is asked", || app.upstream.requests() == 1).await;
    let other = app.post(path(OPENAI), ask(OPENAI, true)).send().await;
    let one = one.await.unwrap();
    for answer in [&one, &other] {
        assert!(answer.text().starts_with(sign(OPENAI)), "{}", answer.text());
        assert!(
            answer.text().ends_with("data: [DONE]\n\n"),
            "{}",
            answer.text()
        );
    }
    let later = app.post(path(OPENAI), ask(OPENAI, true)).send().await;
    assert_eq!(later.header("x-seaworthy-cache"), "hit");
    assert!(!later.text().contains("waiting"), "{}", later.text());
    assert_eq!(app.upstream.requests(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_says_of_when_and_how_often_holds() {
    let told =
        "[resilience.queue]\nmax_wait = \"20s\"\ntell_after = \"500ms\"\ntell_every = \"1s\"\n";
    let never = "[resilience.queue]\nmax_wait = \"20s\"\ntell_after = \"20s\"\n";
    for (section, signs) in [(told, 5), (never, 0)] {
        let app = patient().sections(section).start().await;
        app.upstream.will_send(limited("5"));
        app.upstream.will(stream(events(OPENAI, false).concat()));
        let answer = app.post(path(OPENAI), ask(OPENAI, true)).send().await;
        assert_eq!(
            answer.text().matches("waiting").count(),
            signs,
            "{}",
            answer.text()
        );
        app.finish().await;
    }
}
