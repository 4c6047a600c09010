//! A reservation is a true worst case, and small enough for a budget to be spent to its end.

use serde_json::{Value, json};

use super::{CHAT, chat, refused, used};
use crate::support::app::TestApp;
use crate::support::wire::{json_response, path, reply, request};

fn prose(sentences: usize) -> Value {
    let text = "The harbour pilot boards two miles out and brings the ship in. ".repeat(sentences);
    json!([{"role": "user", "content": text}])
}

async fn spent(app: &TestApp) -> u64 {
    let settled = app.settlements().await;
    settled.iter().map(|call| call.usage.total()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_counted_where_its_bytes_would_not_fit() {
    // 6,300 bytes, about 1,500 tokens, counted as 3,000 because nobody knows the vocabulary.
    let app = TestApp::builder()
        .sections("[cost_controls.per_user]\ndaily_token_limit = 4000\n")
        .start()
        .await;
    let extra = json!({"messages": prose(100), "max_tokens": 50});
    let answer = chat(&app, &[], &extra, &used(1_310, 50)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let settled = app.only_settlement().await;
    assert!(!settled.flags.over_reserved);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_the_input_counts_tokens_and_not_bytes() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_request]\nmax_input_tokens = 4000\n")
        .start()
        .await;
    let fits = json!({"messages": prose(100), "max_tokens": 50});
    let answer = chat(&app, &[], &fits, &used(1_310, 50)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let too_long = json!({"messages": prose(1_000), "max_tokens": 50});
    let answer = refused(&app, &[], &too_long).await;
    assert_eq!(answer.json()["error"]["code"], "request_over_cap");
    app.finish().await;
}

/// Twenty calls of the same request: what their budget leaves at the end is less than one call.
#[tokio::test(start_paused = true)]
async fn a_budget_for_twenty_calls_is_spent_by_twenty_of_two_hundred() {
    for in_parallel in [true, false] {
        let app = TestApp::builder()
            .sections("[cost_config]\ndaily_token_limit = 2400\n")
            .start()
            .await;
        let extra = json!({"max_tokens": 100});
        // The provider counts 20 tokens of input where we would reserve 60 and more.
        for _ in 0..20 {
            app.upstream
                .will_send(json_response(200, &reply(CHAT, false, &used(20, 100))));
        }
        let ask = || app.post(path(CHAT), request(CHAT, false, &extra)).send();
        let answers = if in_parallel {
            futures_util::future::join_all((0..200).map(|_| ask())).await
        } else {
            let mut answers = Vec::new();
            for _ in 0..200 {
                answers.push(ask().await);
            }
            answers
        };
        let passed = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 429).count();
        assert_eq!((passed, refused), (20, 180));
        assert_eq!(spent(&app).await, 2_400);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_shortened_to_what_is_left_and_says_so() {
    let app = TestApp::builder()
        .sections("[cost_config]\ndaily_token_limit = 1000\n")
        .start()
        .await;
    let extra = json!({"max_tokens": 600});
    assert_eq!(chat(&app, &[], &extra, &used(20, 600)).await.status, 200);
    let answer = chat(&app, &[], &extra, &used(20, 360)).await;
    assert_eq!(answer.header("x-seaworthy-max-output-tokens"), "360");
    let sent = app.upstream.received().pop().unwrap().text();
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["max_tokens"], 360);
    assert_eq!(spent(&app).await, 1_000);
    refused(&app, &[], &extra).await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_shortened_where_the_operator_or_the_request_forbids_it() {
    for (option, extra) in [
        (
            "[cost_controls]\nlast_answers = \"refuse\"\n",
            json!({"max_tokens": 600}),
        ),
        (
            "",
            json!({"max_tokens": 600, "thinking": {"budget_tokens": 500}}),
        ),
        // Less than a quarter would be left.
        ("", json!({"max_tokens": 6_000})),
    ] {
        let app = TestApp::builder()
            .sections(option)
            .sections("[cost_config]\ndaily_token_limit = 650\n")
            .start()
            .await;
        let answer = refused(&app, &[], &extra).await;
        assert_eq!(answer.json()["error"]["code"], "budget_exceeded", "{extra}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_reports_above_the_reservation_is_charged_and_flagged() {
    let app = TestApp::builder()
        .sections("[cost_config]\ndaily_token_limit = 100000\n")
        .start()
        .await;
    let answer = chat(&app, &[], &json!({"max_tokens": 10}), &used(9_000, 10)).await;
    assert_eq!(answer.status, 200);
    let settled = app.only_settlement().await;
    assert!(settled.flags.over_reserved);
    assert_eq!(settled.usage.input_tokens, 9_000);
    let metrics = app.metrics().await;
    let counted = "seaworthy_reservations_exceeded_total{target=\"openai/gpt-real\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    app.finish().await;
}
