//! Providers that are too slow: 504 before the answer begins, the dialect's error event after it.

use std::time::Duration;

use seaworthy_core::ledger::Outcome;

use crate::support::app::TestApp;
use crate::support::client::code_of;
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{DIALECTS, ask, chunk, events, last_chunk, ok, path, stream_head};

const LIMITS: &str =
    "connect = \"2s\", first_byte = \"10s\", between_chunks = \"20s\", total = \"60s\"";

async fn app() -> TestApp {
    TestApp::builder().timeouts(LIMITS).start().await
}

#[track_caller]
fn assert_about(took: Duration, seconds: u64) {
    let late = took.saturating_sub(Duration::from_secs(seconds));
    assert!(took >= Duration::from_secs(seconds), "{took:?}");
    assert!(late < Duration::from_millis(100), "{took:?}");
}

/// The limit of the only target was reached once, and no other one.
async fn assert_counted(app: &TestApp, limit: &str) {
    let metrics = app.metrics().await;
    let counted = metrics
        .lines()
        .filter(|line| line.starts_with("seaworthy_provider_timeouts_total{"));
    let counted: Vec<&str> = counted.collect();
    let [only] = counted[..] else {
        panic!("{counted:?}")
    };
    assert!(
        only.ends_with(&format!(",timeout=\"{limit}\"}} 1")),
        "{only}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_open_is_504_and_was_never_used() {
    for dialect in DIALECTS {
        let app = app().await;
        app.upstream.dial_will(DialFault::Hang);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 504, "upstream_timeout");
        assert_about(answer.took, 2);
        assert!(app.settlements().await.is_empty());
        assert_counted(&app, "connect").await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_504_and_the_provider_is_cancelled() {
    for dialect in DIALECTS {
        for is_stream in [false, true] {
            let app = app().await;
            app.upstream.will([Step::Silence]);
            let answer = app
                .post(path(dialect), ask(dialect, is_stream))
                .send()
                .await;
            answer.assert_error(dialect.family(), 504, "upstream_timeout");
            assert_about(answer.took, 10);
            let settled = app.only_settlement().await;
            assert!(settled.usage.estimated && settled.usage.input_tokens > 0);
            assert_eq!((settled.outcome, settled.status), (Outcome::Failure, 504));
            assert_eq!(app.upstream.open_connections(), 0);
            assert_counted(&app, "first_byte").await;
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_stalls_is_504() {
    for dialect in DIALECTS {
        let app = app().await;
        let whole = ok(dialect);
        app.upstream
            .will([Step::Send(whole.slice(..whole.len() - 5)), Step::Silence]);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 504, "upstream_timeout");
        assert_about(answer.took, 20);
        assert_counted(&app, "between_chunks").await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_ends_with_one_error_event_and_nothing_after_it() {
    for dialect in DIALECTS {
        let app = app().await;
        let events = events(dialect, false);
        let begun = events[..4].concat();
        // The start of an event that never ends must not be passed on.
        app.upstream.will([
            stream_head(),
            chunk(format!("{begun}{}", &events[4][..20])),
            Step::Silence,
        ]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!(answer.status, 200);
        assert!(answer.whole, "the framing ends properly");
        assert_about(answer.took, 20);
        let error = answer.text().strip_prefix(&begun).unwrap().to_owned();
        assert_eq!(error.matches("data: ").count(), 1, "{error:?}");
        assert!(error.ends_with("\n\n"), "{error:?}");
        let code = code_of(&answer.last_event(), dialect.family());
        assert_eq!(code, "upstream_timeout");
        let settled = app.only_settlement().await;
        assert_eq!((settled.outcome, settled.status), (Outcome::Failure, 200));
        assert!(settled.usage.output_tokens > 0);
        assert_eq!(app.upstream.open_connections(), 0);
        assert_counted(&app, "between_chunks").await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_trickles_for_ever_ends_with_the_total_timeout() {
    for dialect in DIALECTS {
        let app = app().await;
        let event = events(dialect, false)[3].clone();
        let mut script = vec![stream_head()];
        for _ in 0..20 {
            script.extend([chunk(&event), Step::Pause(Duration::from_secs(15))]);
        }
        app.upstream.will(script);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_about(answer.took, 60);
        let code = code_of(&answer.last_event(), dialect.family());
        assert_eq!(code, "upstream_timeout");
        assert!(answer.text().contains("total"), "{}", answer.text());
        assert_counted(&app, "total").await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_below_the_limit_are_no_error() {
    for dialect in DIALECTS {
        let app = app().await;
        let mut script = vec![Step::Pause(Duration::from_secs(9)), stream_head()];
        let events = events(dialect, false);
        for event in &events {
            script.extend([Step::Pause(Duration::from_secs(5)), chunk(event)]);
        }
        script.push(last_chunk());
        app.upstream.will(script);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert!(answer.text().ends_with(events.last().unwrap()));
        assert_eq!(app.only_settlement().await.outcome, Outcome::Success);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_the_first_token_ends_with_it_and_whole_answers_have_none() {
    let limits = "first_token = \"5s\", between_chunks = \"20s\"";
    for dialect in DIALECTS {
        let app = TestApp::builder().timeouts(limits).start().await;
        let events = events(dialect, false);
        let pause = || Step::Pause(Duration::from_secs(9));
        // Its first token comes at once, the rest much later.
        let (begun, rest) = (events[..4].concat(), events[4..].concat());
        app.upstream.will([
            stream_head(),
            chunk(&begun),
            pause(),
            chunk(&rest),
            last_chunk(),
        ]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!(answer.status, 200);
        let error = answer.text().contains("timeout");
        assert!(answer.whole && !error, "{}", answer.text());
        // Only the head comes in time.
        let whole = ok(dialect);
        let half = whole.len() - 5;
        app.upstream.will([
            Step::Send(whole.slice(..half)),
            pause(),
            Step::Send(whole.slice(half..)),
        ]);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!(answer.status, 200);
        // No token at all.
        app.upstream
            .will([stream_head(), chunk(&events[0]), Step::Silence]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_about(answer.took, 5);
        assert!(
            answer.text().contains("first token timeout"),
            "{}",
            answer.text()
        );
        // Not even a head, for which there is more time: an error with a status.
        app.upstream.will([Step::Silence]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_about(answer.took, 5);
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(
            answer.text().contains("first token timeout"),
            "{}",
            answer.text()
        );
        app.finish().await;
    }
}
