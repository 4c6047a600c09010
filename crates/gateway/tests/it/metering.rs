//! What is recorded is what the provider counted, and an estimate says that it is one.

use std::sync::atomic::Ordering;

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use seaworthy_core::usage::Usage;
use serde_json::{Value, json};

use crate::support::app::{TestApp, eventually};
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{
    DIALECTS, ask, events, json_response, path, reply, request, stream, usage_object, used,
};

#[tokio::test(start_paused = true)]
async fn recorded_usage_is_the_providers_in_every_dialect_whole_or_streamed_with_tools_or_without()
{
    for dialect in DIALECTS {
        for is_stream in [false, true] {
            for tools in [false, true] {
                for asks_for_usage in [false, true] {
                    let app = TestApp::start().await;
                    let mut more = json!({});
                    if asks_for_usage && is_stream && dialect == Dialect::OpenAiChat {
                        more["stream_options"] = json!({"include_usage": true});
                    }
                    if is_stream {
                        app.upstream.will(stream(events(dialect, tools).concat()));
                    } else {
                        let reply = reply(dialect, tools, &usage_object(dialect));
                        app.upstream.will_send(json_response(200, &reply));
                    }
                    let body = request(dialect, is_stream, &more);
                    let answer = app.post(path(dialect), body).send().await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let case = format!("{dialect:?} stream={is_stream} tools={tools}");
                    let settled = app.only_settlement().await;
                    assert_eq!(settled.usage, used(dialect), "{case}");
                    assert_eq!(settled.outcome, Outcome::Success, "{case}");
                    assert_eq!((settled.stream, settled.status), (is_stream, 200), "{case}");
                    assert_eq!(&*settled.user_id, "the-user", "{case}");
                    assert_eq!(settled.request_id, answer.header("x-request-id"), "{case}");
                    app.finish().await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_explicit_zero_stays_zero_and_is_no_estimate() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let zero = match dialect.family() {
            Family::OpenAi => json!({"prompt_tokens": 0, "completion_tokens": 0}),
            _ => json!({"input_tokens": 0, "output_tokens": 0}),
        };
        app.upstream
            .will_send(json_response(200, &reply(dialect, false, &zero)));
        app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!(app.only_settlement().await.usage, Usage::default());
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_a_whole_answer_leaves_out_is_estimated_and_flagged() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        app.upstream
            .will_send(json_response(200, &reply(dialect, false, &Value::Null)));
        app.post(path(dialect), ask(dialect, false)).send().await;
        let usage = app.only_settlement().await.usage;
        assert!(usage.estimated, "{usage:?}");
        assert!(
            usage.input_tokens > 10 && usage.output_tokens > 1,
            "{usage:?}"
        );
        let metrics = app.metrics().await;
        let line = metrics.lines().find(|line| {
            line.starts_with("seaworthy_usage_estimated_total") && line.ends_with(" 1")
        });
        assert!(line.is_some(), "{metrics}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_a_stream_leaves_out_is_estimated_from_what_went_past() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let without: String = events(dialect, false)
            .into_iter()
            .filter(|event| !event.contains("\"choices\":[]"))
            .map(|event| event.replace("\"usage\":", "\"used\":"))
            .collect();
        app.upstream.will(stream(&without));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!(answer.text(), without);
        let usage = app.only_settlement().await.usage;
        assert!(usage.estimated, "{usage:?}");
        assert!(usage.input_tokens > 10, "{usage:?}");
        assert!((2..30).contains(&usage.output_tokens), "{usage:?}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn counting_tokens_costs_none() {
    let app = TestApp::start().await;
    app.upstream
        .will_send(json_response(200, &json!({"input_tokens": 12})));
    let body = ask(Dialect::AnthropicMessages, false);
    app.post("/v1/messages/count_tokens", body).send().await;
    let settled = app.only_settlement().await;
    assert_eq!(settled.usage, Usage::default());
    assert_eq!(settled.operation, "count_tokens");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_built_in_model_reports_what_it_records() {
    for dialect in DIALECTS {
        for is_stream in [false, true] {
            let app = TestApp::start().await;
            let mut more = json!({"model": "echo"});
            if dialect == Dialect::OpenAiChat && is_stream {
                more["stream_options"] = json!({"include_usage": true});
            }
            let body = request(dialect, is_stream, &more);
            let answer = app.post(path(dialect), body).send().await;
            assert!(answer.text().contains("hull "), "{}", answer.text());
            let usage = app.only_settlement().await.usage;
            let reported = match dialect.family() {
                Family::OpenAi => format!("\"completion_tokens\":{}", usage.output_tokens),
                _ => format!("\"output_tokens\":{}", usage.output_tokens),
            };
            assert!(answer.text().contains(&reported), "{}", answer.text());
            assert!(usage.output_tokens > 0 && !usage.estimated);
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn settlements_wait_out_a_ledger_that_fails_and_none_is_lost_or_written_twice() {
    let app = TestApp::start().await;
    app.ledger.outage.set(true);
    for _ in 0..5 {
        let body = request(Dialect::OpenAiChat, false, &json!({"model": "echo"}));
        let answer = app.post("/v1/chat/completions", body).send().await;
        assert_eq!(answer.status, 200);
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(app.ledger.settlements.lock().is_empty());
    app.ledger.outage.set(false);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut ids: Vec<String> = app
        .ledger
        .settlements
        .lock()
        .iter()
        .map(|settlement| settlement.call_id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), app.settlements().await.len()), (5, 5));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn no_call_leaves_before_its_intent_is_recorded() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        app.journal.outage.set(true);
        let refused = app.post(path(dialect), ask(dialect, true)).send().await;
        refused.assert_error(dialect.family(), 503, "store_unavailable");
        assert_eq!(
            (app.upstream.dialled(), app.settlements().await.len()),
            (0, 0)
        );
        app.journal.outage.set(false);
        app.upstream.will([Step::Silence]);
        let client = tokio::spawn(app.post(path(dialect), ask(dialect, false)).send());
        eventually("the provider is asked", || app.upstream.requests() == 1).await;
        assert_eq!(app.journal.recorded.load(Ordering::SeqCst), 1);
        client.abort();
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_ending_is_in_the_journal_before_the_caller_sees_the_end() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        app.ledger.outage.set(true);
        app.upstream.will(stream(events(dialect, false).concat()));
        let mut open = app.post(path(dialect), ask(dialect, true)).open().await;
        open.next().await.unwrap();
        let endings = app.journal.endings.lock().clone();
        assert_eq!(endings.len(), 1, "{endings:?}");
        assert_eq!(endings[0].usage, used(dialect));
        assert_eq!(endings[0].outcome, Outcome::Success);
        drop(open);
        app.ledger.outage.set(false);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_left_is_not_recorded() {
    let app = TestApp::start().await;
    app.upstream.dial_will(DialFault::Refuse);
    let body = ask(Dialect::OpenAiChat, false);
    let answer = app.post("/v1/chat/completions", body).send().await;
    assert_eq!(answer.status, 502);
    assert!(app.settlements().await.is_empty());
    app.finish().await;
}
