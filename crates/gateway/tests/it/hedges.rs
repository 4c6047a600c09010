//! Calls for which a second target is asked because the first one takes long.

use std::time::Duration;

use seaworthy_core::dialect::Dialect;
use seaworthy_core::ledger::Outcome;
use serde_json::json;

use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{json_response, ok, path, request};

const OPENAI: Dialect = Dialect::OpenAiChat;
const ANTHROPIC: Dialect = Dialect::AnthropicMessages;

/// A model with a target at each provider.
const BOTH: &str = r#"
    [models.both]
    targets = ["openai/gpt-real", "anthropic/claude-real"]
"#;

fn ask_both(stream: bool) -> bytes::Bytes {
    request(OPENAI, stream, &json!({"model": "both", "max_tokens": 64}))
}

fn failing(status: u16) -> bytes::Bytes {
    json_response(status, &json!({"error": {"message": "No."}}))
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_hedged_and_the_loser_is_cancelled_and_settled() {
    let sections = format!("{BOTH}\nhedge_after = \"2s\"\n");
    // What the first and the second target do, and who answers.
    let slow = || vec![Step::Pause(Duration::from_secs(9)), Step::Send(ok(OPENAI))];
    for (first, second, winner, rows) in [
        (
            slow(),
            Some(vec![Step::Send(ok(ANTHROPIC))]),
            "anthropic/claude-real",
            2,
        ),
        (
            slow(),
            Some(vec![Step::Send(failing(500))]),
            "openai/gpt-real",
            2,
        ),
        (slow(), Some(vec![Step::Silence]), "openai/gpt-real", 2),
        (vec![Step::Send(ok(OPENAI))], None, "openai/gpt-real", 1),
    ] {
        let app = TestApp::builder()
            .attempts(3)
            .sections(&sections)
            .start()
            .await;
        app.upstream.will(first);
        let is_hedged = second.is_some();
        if let Some(second) = second {
            app.upstream.will(second);
        }
        let answer = app.post(path(OPENAI), ask_both(false)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-seaworthy-target"), winner);
        let settled = app.settlements().await;
        assert_eq!(settled.len(), rows, "{settled:#?}");
        let won: Vec<&str> = settled
            .iter()
            .filter(|call| call.outcome == Outcome::Success)
            .map(|call| &*call.target)
            .collect();
        assert_eq!(won, [winner]);
        for lost in settled
            .iter()
            .filter(|call| call.outcome == Outcome::Cancelled)
        {
            assert!(
                lost.usage.estimated && lost.usage.input_tokens > 0,
                "{lost:?}"
            );
        }
        if is_hedged {
            eventually("nobody answers for nothing", || {
                app.upstream.open_connections() <= 1
            })
            .await;
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_during_a_race_cancels_and_settles_both_calls() {
    let sections = format!("{BOTH}\nhedge_after = \"2s\"\n");
    let app = TestApp::builder()
        .attempts(3)
        .sections(&sections)
        .start()
        .await;
    app.upstream.will([Step::Silence]);
    app.upstream.will([Step::Silence]);
    let call = tokio::spawn(app.post(path(OPENAI), ask_both(true)).send());
    eventually("both are asked", || app.upstream.requests() == 2).await;
    call.abort();
    eventually("both are cancelled", || app.upstream.left_early() == 2).await;
    let settled = app.settlements().await;
    assert_eq!(settled.len(), 2);
    assert!(
        settled
            .iter()
            .all(|call| call.outcome == Outcome::Cancelled)
    );
    app.finish().await;
}
