//! What the caller and the provider say to each other arrives as it was said.

use std::time::Duration;

use seaworthy_core::dialect::{Dialect, Family};
use serde_json::json;

use crate::support::app::{ANTHROPIC_SECRET, OPENAI_SECRET, TestApp};
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, http, last_chunk, ok, openai_usage_event, path, reply, request,
    stream, stream_head, usage_object,
};

/// Odd on purpose: spaces, order, escapes, exact numbers and fields that no gateway knows.
const ODD_OPENAI: &str = "{ \"messages\" :[{\"role\":\"user\",\"content\":\"a\\u00e9\\/\\n\\ud83d\\ude00\"}],\n\t\"x_unknown\": [1.0, 1e-7, 12345678901234567890, null, {\"model\":\"decoy\"}],\"model\":\"gpt\" , \"temperature\":0.10 }\n";
const ODD_ANTHROPIC: &str = "{ \"max_tokens\":64, \"messages\" :[{\"role\":\"user\",\"content\":\"a\\u00e9\\/\\n\\ud83d\\ude00\"}],\n\t\"x_unknown\": [1.0, 1e-7, 12345678901234567890, null, {\"model\":\"decoy\"}],\"model\":\"claude\" , \"temperature\":0.10 }\n";

#[tokio::test(start_paused = true)]
async fn a_body_reaches_the_provider_byte_for_byte_except_for_the_models_name() {
    let cases = [
        (
            Dialect::OpenAiChat,
            ODD_OPENAI,
            "\"model\":\"gpt\"",
            "\"model\":\"gpt-real\"",
        ),
        (
            Dialect::AnthropicMessages,
            ODD_ANTHROPIC,
            "\"model\":\"claude\"",
            "\"model\":\"claude-real\"",
        ),
    ];
    for (dialect, odd, before, after) in cases {
        let app = TestApp::start().await;
        app.upstream.will_send(ok(dialect));
        let answer = app.post(path(dialect), odd).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            app.upstream.only_request().text(),
            odd.replace(before, after)
        );
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_reaches_the_caller_byte_for_byte() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let odd = reply(dialect, true, &usage_object(dialect))
            .to_string()
            .replace(',', " ,\n");
        app.upstream
            .will_send(http(200, &[("content-type", "application/json")], &odd));
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        assert_eq!((answer.status, answer.text()), (200, odd));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_go_to_the_providers_own_path_with_the_callers_query() {
    let app = TestApp::start().await;
    let claude = ask(Dialect::AnthropicMessages, false);
    app.upstream.will_send(ok(Dialect::OpenAiChat));
    app.upstream.will_send(ok(Dialect::AnthropicMessages));
    app.upstream.will_send(http(
        200,
        &[("content-type", "application/json")],
        "{\"input_tokens\":7}",
    ));
    let gpt = ask(Dialect::OpenAiChat, false);
    app.post("/v1/chat/completions?a=b%20c", gpt).send().await;
    app.post("/v1/messages?beta=true", claude.clone())
        .send()
        .await;
    let counted = app.post("/v1/messages/count_tokens", claude).send().await;
    assert_eq!(counted.json()["input_tokens"], 7);
    let seen: Vec<(String, String)> = app
        .upstream
        .received()
        .into_iter()
        .map(|request| (request.host, request.target))
        .collect();
    let expected = [
        ("openai.test", "/v1/chat/completions?a=b%20c"),
        ("anthropic.test:8443", "/base/v1/messages?beta=true"),
        ("anthropic.test:8443", "/base/v1/messages/count_tokens"),
    ];
    assert_eq!(
        seen,
        expected.map(|(host, target)| (host.to_owned(), target.to_owned()))
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn headers_of_betas_and_unknown_headers_pass_in_both_directions() {
    let app = TestApp::start().await;
    let dialect = Dialect::AnthropicMessages;
    let body = reply(dialect, false, &usage_object(dialect)).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-ratelimit-requests-remaining", "41"),
        ("x-anything", "else"),
        ("request-id", "req_of_the_provider"),
    ];
    app.upstream.will_send(http(200, &headers, body));
    let answer = app
        .post(path(dialect), ask(dialect, false))
        .header("anthropic-beta", "context-1m,interleaved-thinking")
        .header("x-stainless-lang", "python")
        .header("x-some-future-header", "kept")
        .send()
        .await;
    let seen = app.upstream.only_request();
    assert_eq!(
        seen.header("anthropic-beta"),
        "context-1m,interleaved-thinking"
    );
    assert_eq!(seen.header("anthropic-version"), "2023-06-01");
    assert_eq!(seen.header("x-stainless-lang"), "python");
    assert_eq!(seen.header("x-some-future-header"), "kept");
    assert_eq!(
        answer.header("anthropic-ratelimit-requests-remaining"),
        "41"
    );
    assert_eq!(answer.header("x-anything"), "else");
    assert_eq!(
        answer.header("x-seaworthy-upstream-request-id"),
        "req_of_the_provider"
    );
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    assert_eq!(answer.header("x-seaworthy-target"), "anthropic/claude-real");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_callers_credentials_end_here_and_the_providers_are_put_in_their_place() {
    for (dialect, secret) in [
        (Dialect::OpenAiChat, OPENAI_SECRET),
        (Dialect::AnthropicMessages, ANTHROPIC_SECRET),
    ] {
        for with_anthropics_header in [false, true] {
            let app = TestApp::start().await;
            let headers = [
                ("content-type", "application/json"),
                ("set-cookie", "session=of-the-provider"),
                ("openai-organization", "org-of-the-operator"),
                ("anthropic-organization-id", "org-of-the-operator"),
            ];
            let body = reply(dialect, false, &usage_object(dialect)).to_string();
            app.upstream.will_send(http(200, &headers, body));
            let call = app.call(http::Method::POST, path(dialect));
            let call = match with_anthropics_header {
                true => call.header("x-api-key", &app.user_key),
                false => call.key(&app.user_key),
            };
            let answer = call
                .header("cookie", "session=of-the-caller")
                .body(ask(dialect, false))
                .send()
                .await;
            let seen = app.upstream.only_request();
            let text = format!("{seen:?}");
            assert!(!text.contains(&app.user_key), "{text}");
            assert!(!text.contains("of-the-caller"), "{text}");
            match dialect.family() {
                Family::OpenAi => {
                    assert_eq!(seen.header("authorization"), format!("Bearer {secret}"));
                    assert_eq!(seen.header("x-api-key"), "");
                }
                _ => {
                    assert_eq!(seen.header("x-api-key"), secret);
                    assert_eq!(seen.header("authorization"), "");
                }
            }
            let text = format!("{answer:?}");
            assert!(!text.contains(secret), "{text}");
            assert!(!text.contains("of-the-"), "{text}");
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_was_forced_into_a_stream_is_not_shown_to_a_caller_who_did_not_ask() {
    let app = TestApp::start().await;
    let events = events(Dialect::OpenAiChat, false);
    let asked = String::from_utf8(ask(Dialect::OpenAiChat, true).to_vec()).unwrap();
    app.upstream.will(stream(events.concat()));
    let answer = app.post("/v1/chat/completions", asked).send().await;
    let seen: serde_json::Value =
        serde_json::from_str(&app.upstream.only_request().text()).unwrap();
    assert_eq!(seen["stream_options"], json!({"include_usage": true}));
    assert_eq!(
        answer.text(),
        events.concat().replace(&openai_usage_event(), "")
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn usage_in_a_stream_is_kept_for_a_caller_who_asked() {
    let app = TestApp::start().await;
    let events = events(Dialect::OpenAiChat, false).concat();
    let more = json!({"stream_options": {"include_usage": true}});
    let asked = request(Dialect::OpenAiChat, true, &more);
    app.upstream.will(stream(&events));
    let answer = app.post("/v1/chat/completions", asked.clone()).send().await;
    assert_eq!(answer.text(), events);
    let asked = String::from_utf8(asked.to_vec()).unwrap();
    assert_eq!(
        app.upstream.only_request().text(),
        asked.replace("\"gpt\"", "\"gpt-real\"")
    );
    app.finish().await;
}

/// Frames that meet at `cut`, with time between them.
fn cut_at(body: &[u8], cut: usize) -> Vec<Step> {
    vec![
        stream_head(),
        chunk(&body[..cut]),
        Step::Pause(Duration::from_millis(1)),
        chunk(&body[cut..]),
        last_chunk(),
    ]
}

#[tokio::test(start_paused = true)]
async fn streams_cut_at_every_byte_arrive_with_the_same_bytes_and_the_same_usage() {
    let app = TestApp::start().await;
    for dialect in DIALECTS {
        let body = events(dialect, true).concat();
        let shown = body.replace(&openai_usage_event(), "");
        for cut in 1..body.len() {
            app.upstream.will(cut_at(body.as_bytes(), cut));
            let answer = app.post(path(dialect), ask(dialect, true)).send().await;
            assert!(answer.whole);
            assert_eq!(answer.text(), shown, "{dialect:?} cut at {cut}");
        }
        let mut drip = vec![stream_head()];
        for byte in body.as_bytes() {
            drip.extend([chunk([*byte]), Step::Pause(Duration::from_millis(1))]);
        }
        drip.push(last_chunk());
        app.upstream.will(drip);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!(answer.text(), shown, "{dialect:?} byte by byte");
    }
    let settlements = app.settlements().await;
    assert_eq!(settlements.len(), app.upstream.requests());
    assert!(
        settlements.iter().all(|settlement| {
            settlement.usage.output_tokens == 9 && !settlement.usage.estimated
        })
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_is_passed_on_as_soon_as_it_is_complete() {
    let app = TestApp::start().await;
    let events = events(Dialect::AnthropicMessages, false);
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let half = events[1].len() / 2;
    app.upstream.will([
        stream_head(),
        chunk(format!("{}{}", events[0], &events[1][..half])),
        Step::Until(std::sync::Arc::clone(&go_on)),
        chunk(format!("{}{}", &events[1][half..], events[2..].concat())),
        last_chunk(),
    ]);
    let body = ask(Dialect::AnthropicMessages, true);
    let mut answer = app.post("/v1/messages", body).open().await;
    assert_eq!(answer.next().await.unwrap(), events[0].as_bytes());
    go_on.notify_one();
    assert_eq!(answer.rest().await.text(), events[1..].concat());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_does_not_wait_for_the_end_of_the_framing() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let body = events(dialect, false).concat();
        app.upstream
            .will([stream_head(), chunk(&body), Step::Silence]);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert!(answer.took < Duration::from_millis(10), "{:?}", answer.took);
        assert_eq!(answer.text(), body.replace(&openai_usage_event(), ""));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_provider_continues_the_callers_trace_under_the_callers_request_id() {
    let app = TestApp::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    app.upstream.will_send(ok(Dialect::OpenAiChat));
    let answer = app
        .post("/v1/chat/completions", ask(Dialect::OpenAiChat, false))
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("x-request-id", "ship-42")
        .send()
        .await;
    let seen = app.upstream.only_request();
    assert_eq!(seen.header("x-request-id"), "ship-42");
    assert_eq!(answer.header("x-request-id"), "ship-42");
    assert!(seen.header("traceparent").contains(trace));
    assert!(answer.header("traceparent").contains(trace));
    assert_ne!(seen.header("traceparent"), answer.header("traceparent"));
    let log = app.finish().await;
    assert!(log.contains("\"request_id\":\"ship-42\""), "{log}");
    assert!(log.contains(&format!("\"trace_id\":\"{trace}\"")), "{log}");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_trace_is_passed_on_with_that_trace_only() {
    let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (parent, kept) in [(right, "a=b"), ("00-x-y-01", ""), ("", "")] {
        let app = TestApp::start().await;
        app.upstream.will_send(ok(Dialect::OpenAiChat));
        let asked = app.post("/v1/chat/completions", ask(Dialect::OpenAiChat, false));
        let asked = match parent {
            "" => asked,
            parent => asked.header("traceparent", parent),
        };
        asked.header("tracestate", "a=b").send().await;
        let seen = app.upstream.only_request();
        assert_eq!(seen.header("tracestate"), kept, "{parent}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn connections_to_the_provider_are_used_again() {
    let app = TestApp::start().await;
    for dialect in [Dialect::OpenAiChat; 5] {
        app.upstream.will_send(ok(dialect));
        app.post(path(dialect), ask(dialect, false)).send().await;
        let body = events(dialect, false).concat();
        app.upstream.will(stream(body));
        app.post(path(dialect), ask(dialect, true)).send().await;
    }
    assert_eq!((app.upstream.requests(), app.upstream.dialled()), (10, 1));
    app.finish().await;
}
