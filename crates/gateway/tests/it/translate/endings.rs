//! Translated streams that do not end as they should, and callers who do not wait for the end.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use serde_json::{Value, json};

use super::{PAIRS, ask_across};
use crate::support::app::{TestApp, eventually};
use crate::support::client::{Answer, code_of};
use crate::support::upstream::Step;
use crate::support::wire::{
    chunk, events, http, json_response, last_chunk, path, stream, stream_head,
};

/// Sends a stream and expects it to end with an error of this code after some of the answer.
async fn ends_with(caller: Dialect, script: Vec<Step>, code: &str) -> (Answer, String) {
    let app = TestApp::start().await;
    app.upstream.will(script);
    let body = ask_across(caller, true, &json!({}));
    let answer = app.post(path(caller), body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("Aye, "), "{}", answer.text());
    assert_eq!(code_of(&answer.last_event(), caller.family()), code);
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    assert!(!answer.text().contains("message_stop"), "{}", answer.text());
    let settled = app.only_settlement().await;
    assert_eq!(settled.outcome, Outcome::Failure);
    assert!(settled.usage.output_tokens > 0, "{:?}", settled.usage);
    (answer, app.finish().await)
}

/// The events until some of the answer was said.
fn begun(provider: Dialect) -> String {
    let events = events(provider, false);
    let said = events.iter().position(|event| event.contains("Aye, "));
    events[..=said.unwrap()].concat()
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_breaks_off_ends_the_stream_with_the_callers_own_error() {
    for (caller, provider) in PAIRS {
        let head = [stream_head(), chunk(begun(provider))];
        for end in [Step::HangUp, last_chunk()] {
            let script = head.iter().cloned().chain([end]).collect();
            ends_with(caller, script, "upstream_unreachable").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_error_event_becomes_the_callers_own() {
    for (caller, provider) in PAIRS {
        let error = match provider.family() {
            Family::OpenAi => {
                "data: {\"error\":{\"message\":\"Too much.\",\"type\":\"server_error\"}}\n\n"
            }
            _ => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                 \"message\":\"Too much.\"}}\n\n"
            }
        };
        let script = stream(begun(provider) + error);
        let (answer, _log) = ends_with(caller, script, "upstream_error").await;
        let told = answer.last_event();
        assert_eq!(told["error"]["message"], "Too much.");
        let kind = match caller.family() {
            Family::OpenAi => "server_error",
            _ => "api_error",
        };
        assert_eq!(told["error"]["type"], kind);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_ends_the_stream_and_is_quoted_nowhere() {
    for (caller, provider) in PAIRS {
        for event in ["data: {\"secret-words\n\n", "data: [\"secret-words\"]\n\n"] {
            let script = stream(begun(provider) + event);
            let (answer, log) = ends_with(caller, script, "upstream_invalid_response").await;
            assert!(!answer.text().contains("secret-words"));
            assert!(!log.contains("secret-words"), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_ends_the_stream() {
    for (caller, provider) in PAIRS {
        let huge = format!("data: {}", "x".repeat(4_200_000));
        let script = vec![
            stream_head(),
            chunk(begun(provider)),
            chunk(huge),
            Step::Silence,
        ];
        ends_with(caller, script, "upstream_invalid_response").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_its_last_event_is_complete_once_the_model_has_stopped() {
    for (caller, provider) in PAIRS {
        let app = TestApp::start().await;
        let mut cut = events(provider, false);
        cut.pop();
        app.upstream.will(stream(cut.concat()));
        let body = ask_across(caller, true, &json!({}));
        let answer = app.post(path(caller), body).send().await;
        let end = match caller.family() {
            Family::OpenAi => "data: [DONE]\n\n",
            _ => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        };
        assert!(answer.text().ends_with(end), "{}", answer.text());
        assert_eq!(app.only_settlement().await.outcome, Outcome::Success);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_gets_the_end_without_waiting_for_the_connections_own() {
    for (caller, provider) in PAIRS {
        let app = TestApp::start().await;
        let events = events(provider, false).concat();
        app.upstream
            .will([stream_head(), chunk(events), Step::Silence]);
        let body = ask_across(caller, true, &json!({}));
        let answer = app.post(path(caller), body).send().await;
        assert!(
            answer.took < std::time::Duration::from_secs(1),
            "{:?}",
            answer.took
        );
        assert_eq!(app.only_settlement().await.outcome, Outcome::Success);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_cancels_the_provider_and_what_went_past_is_recorded() {
    for (caller, provider) in PAIRS {
        let app = TestApp::start().await;
        app.upstream
            .will([stream_head(), chunk(begun(provider)), Step::Silence]);
        let body = ask_across(caller, true, &json!({}));
        let mut answer = app.post(path(caller), body).open().await;
        assert!(answer.next().await.is_some());
        drop(answer);
        eventually("the provider's connection closes", || {
            app.upstream.left_early() == 1
        })
        .await;
        let settled = app.only_settlement().await;
        assert_eq!(settled.outcome, Outcome::Cancelled);
        assert!(settled.usage.estimated && settled.usage.output_tokens > 0);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_cannot_be_read_is_502_and_its_usage_is_recorded() {
    for (caller, provider) in PAIRS {
        let usage = crate::support::wire::usage_object(provider);
        let wrong = json!({"id": "x", "choices": "secret-words", "content": "secret-words",
            "model": "m", "usage": usage});
        let app = TestApp::start().await;
        app.upstream.will_send(json_response(200, &wrong));
        let body = ask_across(caller, false, &json!({}));
        let answer = app.post(path(caller), body).send().await;
        answer.assert_error(caller.family(), 502, "upstream_invalid_response");
        assert!(!answer.text().contains("secret-words"));
        let settled = app.only_settlement().await;
        assert_eq!(settled.usage, crate::support::wire::used(provider));
        assert_eq!(settled.outcome, Outcome::Failure);
        let log = app.finish().await;
        assert!(!log.contains("secret-words"), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_where_a_whole_answer_was_wanted_is_502_and_the_other_way_round() {
    for (caller, provider) in PAIRS {
        for is_stream in [false, true] {
            let app = TestApp::start().await;
            match is_stream {
                true => app.upstream.will_send(crate::support::wire::ok(provider)),
                false => app.upstream.will_send(http(
                    200,
                    &[("content-type", "text/event-stream")],
                    events(provider, false).concat(),
                )),
            }
            let body = ask_across(caller, is_stream, &json!({}));
            let answer = app.post(path(caller), body).send().await;
            answer.assert_error(caller.family(), 502, "upstream_invalid_response");
            assert_ne!(answer.json(), Value::Null);
            app.finish().await;
        }
    }
}
