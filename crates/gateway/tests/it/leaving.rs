//! A client that leaves: the provider is cancelled at once, and what was used is recorded.

use std::time::Duration;

use seaworthy_core::ledger::Outcome;
use seaworthy_core::usage::Usage;
use tokio::time::Instant;

use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{DIALECTS, ask, chunk, events, ok, path, stream_head};

/// Waits until the provider has lost its connection, which has to be at once.
async fn assert_cancelled(app: &TestApp) {
    let left = Instant::now();
    eventually("the provider's connection closes", || {
        app.upstream.left_early() == 1
    })
    .await;
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    assert_eq!(app.upstream.open_connections(), 0);
}

async fn assert_settled_once_as_cancelled(app: &TestApp) -> Usage {
    app.idle().await;
    let settled = app.only_settlement().await;
    assert_eq!(settled.outcome, Outcome::Cancelled);
    settled.usage
}

#[tokio::test(start_paused = true)]
async fn leaving_before_the_head_cancels_the_provider_and_records_the_input() {
    for dialect in DIALECTS {
        for is_stream in [false, true] {
            let app = TestApp::start().await;
            app.upstream.will([Step::Silence]);
            let call = app.post(path(dialect), ask(dialect, is_stream));
            let client = tokio::spawn(call.send());
            eventually("the provider is asked", || app.upstream.requests() == 1).await;
            client.abort();
            assert_cancelled(&app).await;
            let usage = assert_settled_once_as_cancelled(&app).await;
            assert!(usage.estimated && usage.input_tokens > 10, "{usage:?}");
            let log = app.finish().await;
            assert!(log.contains("\"error_code\":\"client_closed\""), "{log}");
            assert!(log.contains("\"http_status\":499"), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_in_the_middle_of_a_stream_cancels_the_provider_and_records_what_went_past() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let events = events(dialect, false);
        let begun = events[..events.len() - 4].concat();
        app.upstream
            .will([stream_head(), chunk(&begun), Step::Silence]);
        let mut answer = app.post(path(dialect), ask(dialect, true)).open().await;
        assert_eq!(answer.next().await.unwrap(), begun.as_bytes());
        drop(answer);
        assert_cancelled(&app).await;
        let usage = assert_settled_once_as_cancelled(&app).await;
        assert!(usage.estimated && usage.output_tokens > 0, "{usage:?}");
        assert!(usage.total_input() > 10, "{usage:?}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_a_stream_that_nobody_reads_cancels_the_provider() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let text = events(dialect, false)[3].repeat(2_000);
        app.upstream
            .will([stream_head(), chunk(&text), Step::Silence]);
        let answer = app.post(path(dialect), ask(dialect, true)).open().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(answer);
        assert_cancelled(&app).await;
        assert_settled_once_as_cancelled(&app).await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_while_a_whole_answer_is_read_cancels_the_provider() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let whole = ok(dialect);
        app.upstream
            .will([Step::Send(whole.slice(..whole.len() - 10)), Step::Silence]);
        let client = tokio::spawn(app.post(path(dialect), ask(dialect, false)).send());
        eventually("the provider is asked", || app.upstream.requests() == 1).await;
        client.abort();
        assert_cancelled(&app).await;
        let usage = assert_settled_once_as_cancelled(&app).await;
        assert!(usage.total() > 0, "{usage:?}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_while_the_body_is_sent_leaves_nothing_and_calls_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let app = TestApp::start().await;
    let mut io = app.connect();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 500\r\n\r\n{{\"model\":",
        app.user_key
    );
    io.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(io);
    app.idle().await;
    assert!(app.settlements().await.is_empty());
    assert_eq!(app.upstream.requests(), 0);
    app.finish().await;
}
