//! Callers of one dialect at providers of another: both see their own words only, the ledger has
//! the provider's figures, and what could not be carried over is named.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, code_of};
use crate::support::wire::{
    DIALECTS, events, http, json_response, model, path, reply, request, stream, usage_object, used,
};

mod endings;
mod errors;
mod other_operations;

/// A caller's dialect and a provider's, which differ.
pub(crate) const PAIRS: [(Dialect, Dialect); 2] = [
    (Dialect::OpenAiChat, Dialect::AnthropicMessages),
    (Dialect::AnthropicMessages, Dialect::OpenAiChat),
];

/// A request of a caller for a model at a provider of the other dialect.
pub(crate) fn ask_across(caller: Dialect, is_stream: bool, more: &Value) -> bytes::Bytes {
    let elsewhere = DIALECTS.into_iter().find(|dialect| *dialect != caller);
    let mut fields = json!({"model": model(elsewhere.unwrap())});
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    request(caller, is_stream, &fields)
}

/// What a whole answer says: its text, its tool calls, and the tokens that it reports.
fn said(caller: Dialect, answer: &Value) -> (String, Vec<(String, Value)>, (u64, u64)) {
    let mut text = String::new();
    let mut calls = Vec::new();
    match caller.family() {
        Family::OpenAi => {
            let message = &answer["choices"][0]["message"];
            text.push_str(message["content"].as_str().unwrap_or_default());
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let arguments = call["function"]["arguments"].as_str().unwrap();
                let name = call["function"]["name"].as_str().unwrap().to_owned();
                calls.push((name, serde_json::from_str(arguments).unwrap()));
            }
        }
        _ => {
            for block in answer["content"].as_array().unwrap() {
                match block["type"].as_str().unwrap() {
                    "text" => text.push_str(block["text"].as_str().unwrap()),
                    "tool_use" => {
                        let name = block["name"].as_str().unwrap().to_owned();
                        calls.push((name, block["input"].clone()));
                    }
                    other => panic!("{other}"),
                }
            }
        }
    }
    (text, calls, told(caller, &answer["usage"]))
}

/// All input tokens and all output tokens of a usage object.
fn told(caller: Dialect, usage: &Value) -> (u64, u64) {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    match caller.family() {
        Family::OpenAi => (count("prompt_tokens"), count("completion_tokens")),
        _ => {
            let cached = count("cache_read_input_tokens") + count("cache_creation_input_tokens");
            (count("input_tokens") + cached, count("output_tokens"))
        }
    }
}

/// The data of every event of a stream, which has to be whole.
fn data(answer: &Answer) -> Vec<Value> {
    assert!(answer.whole);
    let text = answer.text();
    assert!(text.ends_with("\n\n"), "{text}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = lines.filter(|data| *data != "[DONE]");
    events
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The text and the tool arguments of a stream, and the usage that it tells last.
fn streamed(caller: Dialect, answer: &Answer) -> (String, String, Value) {
    let (mut text, mut arguments, mut usage) = (String::new(), String::new(), Value::Null);
    for event in data(answer) {
        let (words, piece, new_usage) = match caller.family() {
            Family::OpenAi => {
                let delta = &event["choices"][0]["delta"];
                let call = &delta["tool_calls"][0]["function"]["arguments"];
                (
                    delta["content"].clone(),
                    call.clone(),
                    event["usage"].clone(),
                )
            }
            _ => {
                let delta = &event["delta"];
                let piece = delta["partial_json"].clone();
                (delta["text"].clone(), piece, event["usage"].clone())
            }
        };
        text.push_str(words.as_str().unwrap_or_default());
        arguments.push_str(piece.as_str().unwrap_or_default());
        if !new_usage.is_null() {
            usage = new_usage;
        }
    }
    (text, arguments, usage)
}

#[tokio::test(start_paused = true)]
async fn whole_answers_cross_with_text_tools_and_the_providers_figures() {
    for (caller, provider) in PAIRS {
        for tools in [false, true] {
            let app = TestApp::start().await;
            let answer = reply(provider, tools, &usage_object(provider));
            app.upstream.will_send(json_response(200, &answer));
            let body = ask_across(caller, false, &json!({}));
            let answer = app.post(path(caller), body).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type"), "application/json");
            let (text, calls, usage) = said(caller, &answer.json());
            if tools {
                assert_eq!(calls, [("sound".to_owned(), json!({"well": 1}))]);
            } else {
                assert_eq!(text, "Aye, tight as a drum.");
            }
            let expected = used(provider);
            assert_eq!(usage, (expected.total_input(), expected.output_tokens));
            let settled = app.only_settlement().await;
            assert_eq!(settled.usage, expected);
            assert_eq!((settled.outcome, settled.status), (Outcome::Success, 200));
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_cross_event_by_event_with_the_providers_figures() {
    for (caller, provider) in PAIRS {
        for tools in [false, true] {
            for asks_for_usage in [false, true] {
                let app = TestApp::start().await;
                app.upstream.will(stream(events(provider, tools).concat()));
                let more = match caller == Dialect::OpenAiChat && asks_for_usage {
                    true => json!({"stream_options": {"include_usage": true}}),
                    false => json!({}),
                };
                let body = ask_across(caller, true, &more);
                let answer = app.post(path(caller), body).send().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(
                    answer
                        .header("content-type")
                        .starts_with("text/event-stream")
                );
                assert_eq!(answer.header("cache-control"), "no-cache");
                let (text, arguments, usage) = streamed(caller, &answer);
                match tools {
                    true => assert_eq!(arguments, "{\"well\":1}"),
                    false => assert_eq!(text, "Aye, tight as a drum \u{2693}"),
                }
                let expected = used(provider);
                if caller == Dialect::OpenAiChat && !asks_for_usage {
                    assert!(!answer.text().contains("\"usage\""), "{}", answer.text());
                } else {
                    let told = told(caller, &usage);
                    assert_eq!(told, (expected.total_input(), expected.output_tokens));
                }
                let settled = app.only_settlement().await;
                assert_eq!(settled.usage, expected);
                assert_eq!(settled.outcome, Outcome::Success);
                app.finish().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_means_the_same_wherever_it_is_cut() {
    for (caller, provider) in PAIRS {
        let whole = events(provider, false).concat();
        let mut expected = None;
        for at in (1..whole.len()).step_by(7) {
            let app = TestApp::start().await;
            let bytes = whole.as_bytes();
            let pieces = [&bytes[..at], &bytes[at..]].map(crate::support::wire::chunk);
            let script = std::iter::once(crate::support::wire::stream_head()).chain(pieces);
            app.upstream
                .will(script.chain([crate::support::wire::last_chunk()]));
            let body = ask_across(caller, true, &json!({}));
            let answer = app.post(path(caller), body).send().await.text();
            let expected = expected.get_or_insert_with(|| answer.clone());
            assert_eq!(answer, *expected, "cut at {at}");
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_provider_sees_its_own_api_and_nothing_of_the_callers() {
    for (caller, provider) in PAIRS {
        let app = TestApp::start().await;
        let answer = reply(provider, false, &usage_object(provider));
        let headers = [
            ("content-type", "application/json"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("anthropic-ratelimit-tokens-remaining", "7"),
            ("request-id", "req_theirs"),
        ];
        app.upstream
            .will_send(http(200, &headers, answer.to_string()));
        let body = ask_across(caller, false, &json!({}));
        let call = app
            .post(&format!("{}?beta=true", path(caller)), body)
            .header("anthropic-beta", "future-1")
            .header("openai-beta", "future-2")
            .header("x-team", "blue");
        let answer = call.send().await;
        let seen = app.upstream.only_request();
        let body: Value = serde_json::from_str(&seen.text()).unwrap();
        assert_eq!(seen.header("x-team"), "blue");
        let dropped = answer.header("x-seaworthy-dropped");
        assert!(dropped.contains("query="), "{dropped}");
        match provider.family() {
            Family::OpenAi => {
                assert_eq!(seen.target, "/v1/chat/completions");
                assert_eq!(body["model"], "gpt-real");
                assert_eq!(body["max_completion_tokens"], 64);
                assert_eq!(seen.header("anthropic-version"), "");
                assert_eq!(seen.header("anthropic-beta"), "");
                assert!(dropped.contains("headers.anthropic-beta="), "{dropped}");
            }
            _ => {
                assert_eq!(seen.target, "/base/v1/messages");
                assert_eq!(body["model"], "claude-real");
                assert!(body["max_tokens"].as_u64().unwrap() > 1_000);
                assert_eq!(seen.header("anthropic-version"), "2023-06-01");
                assert_eq!(seen.header("openai-beta"), "");
                assert!(dropped.contains("headers.openai-beta="), "{dropped}");
            }
        }
        assert_eq!(answer.header("x-ratelimit-remaining-tokens"), "");
        assert_eq!(answer.header("anthropic-ratelimit-tokens-remaining"), "");
        assert_eq!(
            answer.header("x-seaworthy-upstream-request-id"),
            "req_theirs"
        );
        assert!(answer.header("x-seaworthy-target").ends_with("-real"));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_is_named_in_the_answer_and_in_the_log() {
    for (caller, provider) in PAIRS {
        for is_stream in [false, true] {
            let app = TestApp::start().await;
            match is_stream {
                true => app.upstream.will(stream(events(provider, false).concat())),
                false => app.upstream.will_send(crate::support::wire::ok(provider)),
            }
            let (field, name) = match caller.family() {
                Family::OpenAi => (json!({"seed": 7, "x\u{2693}": 1}), "seed"),
                _ => (json!({"top_k": 7, "x\u{2693}": 1}), "top_k"),
            };
            let body = ask_across(caller, is_stream, &field);
            let answer = app.post(path(caller), body).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let dropped = answer.header("x-seaworthy-dropped");
            let expected = format!("{name}=\"the provider has no `{name}`\"");
            assert!(dropped.contains(&expected), "{dropped}");
            assert!(dropped.contains("x%E2%9A%93=\""), "{dropped}");
            assert!(!app.upstream.only_request().text().contains("\"x"));
            let log = app.finish().await;
            let logged = format!("{name}=\\\"the provider has no `{name}`\\\"");
            assert!(
                log.contains("\"dropped\":\"") && log.contains(&logged),
                "{log}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_shows_in_a_stream_is_named_in_the_log() {
    let app = TestApp::start().await;
    let strange = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
                   \"content_block\":{\"type\":\"hologram\"}}\n\nevent: content_block_stop\n\
                   data: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let mut events = events(Dialect::AnthropicMessages, false);
    events.insert(1, strange.to_owned());
    app.upstream.will(stream(events.concat()));
    let body = ask_across(Dialect::OpenAiChat, true, &json!({}));
    let answer = app.post("/v1/chat/completions", body).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-seaworthy-dropped"), "");
    let log = app.finish().await;
    assert!(log.contains("response.hologram="), "{log}");
}

#[tokio::test(start_paused = true)]
async fn what_would_change_the_question_is_refused_with_the_field_and_nothing_leaves() {
    let native = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let cases = [
        (Dialect::OpenAiChat, json!({"n": 2}), "n"),
        (Dialect::AnthropicMessages, native, "tools[0]"),
        (
            Dialect::AnthropicMessages,
            json!({"temperature": "hot"}),
            "temperature",
        ),
    ];
    for (caller, more, field) in cases {
        let app = TestApp::start().await;
        let answer = app
            .post(path(caller), ask_across(caller, false, &more))
            .send()
            .await;
        answer.assert_error(caller.family(), 400, "invalid_request");
        let error = answer.json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{field}`")), "{message}");
        if caller.family() == Family::OpenAi {
            assert_eq!(error["error"]["param"], field);
        }
        assert_eq!(app.upstream.dialled(), 0);
        assert!(app.settlements().await.is_empty());
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_the_provider_leaves_out_is_estimated_and_told_as_it_is_recorded() {
    for (caller, provider) in PAIRS {
        for is_stream in [false, true] {
            let app = TestApp::start().await;
            if is_stream {
                let silent = events(provider, false)
                    .concat()
                    .replace("\"usage\":", "\"used\":");
                app.upstream.will(stream(silent));
            } else {
                let silent = reply(provider, false, &Value::Null);
                app.upstream.will_send(json_response(200, &silent));
            }
            let more = match (caller, is_stream) {
                (Dialect::OpenAiChat, true) => json!({"stream_options": {"include_usage": true}}),
                _ => json!({}),
            };
            let body = ask_across(caller, is_stream, &more);
            let answer = app.post(path(caller), body).send().await;
            let usage = match is_stream {
                true => told(caller, &streamed(caller, &answer).2),
                false => told(caller, &answer.json()["usage"]),
            };
            let settled = app.only_settlement().await.usage;
            assert!(settled.estimated, "{settled:?}");
            assert_eq!(usage, (settled.total_input(), settled.output_tokens));
            assert!(usage.0 > 10 && usage.1 > 1, "{usage:?}");
            if !is_stream {
                assert_eq!(answer.header("x-seaworthy-estimated"), "true");
            }
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_anthropics_clients_begins_with_an_estimate_of_the_input() {
    let app = TestApp::start().await;
    app.upstream
        .will(stream(events(Dialect::OpenAiChat, false).concat()));
    let body = ask_across(Dialect::AnthropicMessages, true, &json!({}));
    let answer = app.post("/v1/messages", body).send().await;
    let start = &data(&answer)[0];
    assert_eq!(start["type"], "message_start");
    assert!(start["message"]["usage"]["input_tokens"].as_u64().unwrap() > 10);
    app.finish().await;
}

/// The error in an answer, checked to be in the caller's words.
pub(crate) fn error_of(caller: Dialect, answer: &Answer) -> (String, String) {
    let error = answer.json();
    let kind = error["error"]["type"].as_str().unwrap().to_owned();
    (kind, code_of(&error, caller.family()))
}
