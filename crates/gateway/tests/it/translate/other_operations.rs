//! What not every provider offers: counting tokens, embeddings, moderation.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::usage::Usage;
use serde_json::{Value, json};

use super::ask_across;
use crate::support::app::TestApp;
use crate::support::wire::{http, json_response};

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated_where_the_provider_does_not_count_and_nobody_is_asked() {
    let app = TestApp::start().await;
    let body = ask_across(Dialect::AnthropicMessages, false, &json!({}));
    let answer = app.post("/v1/messages/count_tokens", body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tokens = answer.json()["input_tokens"].as_u64().unwrap();
    assert!((5..20).contains(&tokens), "{tokens}");
    assert_eq!(answer.header("x-seaworthy-estimated"), "true");
    assert_eq!(app.upstream.dialled(), 0);
    assert!(app.settlements().await.is_empty(), "nothing left");
    app.finish().await;
}

fn embeddings(usage: &Value) -> Value {
    let mut answer = json!({"object": "list", "model": "gpt-real",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]});
    if !usage.is_null() {
        answer["usage"] = usage.clone();
    }
    answer
}

#[tokio::test(start_paused = true)]
async fn embeddings_pass_byte_for_byte_and_their_tokens_are_recorded() {
    let app = TestApp::start().await;
    let answer = embeddings(&json!({"prompt_tokens": 8, "total_tokens": 8})).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-tokens", "7"),
    ];
    app.upstream.will_send(http(200, &headers, &answer));
    let asked = r#"{ "input": ["one", "two"], "model":"gpt" , "dimensions":2}"#;
    let answered = app.post("/v1/embeddings", asked).send().await;
    assert_eq!((answered.status, answered.text()), (200, answer));
    assert_eq!(answered.header("x-ratelimit-remaining-tokens"), "7");
    let seen = app.upstream.only_request();
    assert_eq!(seen.target, "/v1/embeddings");
    assert_eq!(seen.text(), asked.replace("\"gpt\"", "\"gpt-real\""));
    let settled = app.only_settlement().await;
    let expected = Usage {
        input_tokens: 8,
        ..Usage::default()
    };
    assert_eq!(
        (settled.usage, &*settled.operation),
        (expected, "embeddings")
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_embeddings_are_estimated_from_the_input_alone() {
    let app = TestApp::start().await;
    app.upstream
        .will_send(json_response(200, &embeddings(&Value::Null)));
    let asked = json!({"model": "gpt", "input": "x".repeat(400)}).to_string();
    app.post("/v1/embeddings", asked).send().await;
    let usage = app.only_settlement().await.usage;
    assert!(
        usage.estimated && (100..150).contains(&usage.input_tokens),
        "{usage:?}"
    );
    assert_eq!(usage.output_tokens, 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn moderation_passes_and_is_free_of_charge() {
    let app = TestApp::start().await;
    let answer = json!({"id": "modr-1", "model": "gpt-real", "results": [{"flagged": false}]});
    app.upstream.will_send(json_response(200, &answer));
    let asked = r#"{"input":"peace","model":"gpt"}"#;
    let answered = app.post("/v1/moderations", asked).send().await;
    assert_eq!((answered.status, answered.json()), (200, answer));
    let seen = app.upstream.only_request();
    assert_eq!(seen.target, "/v1/moderations");
    assert_eq!(seen.text(), asked.replace("\"gpt\"", "\"gpt-real\""));
    let settled = app.only_settlement().await;
    assert_eq!(
        (settled.usage, &*settled.operation),
        (Usage::default(), "moderations")
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_no_target_offers_is_refused_with_the_reason() {
    // The built-in model judges harmful content, and makes no vectors.
    for (model, path) in [
        ("claude", "/v1/embeddings"),
        ("claude", "/v1/moderations"),
        ("echo", "/v1/embeddings"),
    ] {
        let app = TestApp::start().await;
        let asked = json!({"model": model, "input": "one"}).to_string();
        let answer = app.post(path, asked).send().await;
        answer.assert_error(Family::OpenAi, 400, "unsupported_operation");
        assert_eq!(answer.json()["error"]["param"], "model");
        assert_eq!(app.upstream.dialled(), 0);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_its_input_or_its_model_is_refused() {
    let app = TestApp::start().await;
    for (path, body, field) in [
        ("/v1/embeddings", r#"{"model":"gpt"}"#, Some("input")),
        ("/v1/embeddings", r#"{"input":"one"}"#, Some("model")),
        (
            "/v1/embeddings",
            r#"{"model":7,"input":"one"}"#,
            Some("model"),
        ),
        ("/v1/moderations", r#"{"model":"gpt"}"#, Some("input")),
        ("/v1/moderations", "[]", None),
        ("/v1/moderations", r#"{"input":"#, None),
    ] {
        let answer = app.post(path, body).send().await;
        answer.assert_error(Family::OpenAi, 400, "invalid_request");
        assert_eq!(answer.json()["error"]["param"].as_str(), field, "{body}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_response_are_counted_with_its_earlier_turns() {
    let app = TestApp::start().await;
    let first = json!({"model": "echo", "input": "a tale of a hundred harbours ".repeat(40)});
    let first = app.post("/v1/responses", first.to_string()).send().await;
    let first = first.json();
    let count = async |body: Value| {
        let paths = ["/v1", "/openai/v1", "/openai"].map(|base| format!("{base}/responses"));
        let mut counted = Vec::new();
        for path in paths {
            let path = format!("{path}/input_tokens");
            let answer = app.post(&path, body.to_string()).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let answer = answer.json();
            assert_eq!(answer["object"], "response.input_tokens");
            counted.push(answer["input_tokens"].as_u64().unwrap());
        }
        assert!(
            counted.iter().all(|count| *count == counted[0]),
            "{counted:?}"
        );
        counted[0]
    };
    let alone = count(json!({"model": "echo", "input": "and?"})).await;
    let behind = json!({"model": "echo", "input": "and?", "previous_response_id": first["id"]});
    assert!(count(behind).await > alone + 100, "{alone}");
    // Nothing was answered, so there is nothing to be charged.
    for settlement in app.settlements().await {
        let is_count = &*settlement.operation == "count_tokens";
        assert_eq!(is_count, settlement.usage == Usage::default());
    }
    // A provider of another API is not asked.
    let foreign = json!({"model": "claude", "input": "and?"}).to_string();
    let answer = app.post("/v1/responses/input_tokens", foreign).send().await;
    assert_eq!(answer.header("x-seaworthy-estimated"), "true");
    assert_eq!(app.upstream.dialled(), 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_may_be_percent_encoded_wherever_a_path_names_it() {
    let app = TestApp::start().await;
    for path in [
        "/v1/models/ech%6F",
        "/openai/v1/models/ech%6f",
        "/v1beta/models/ech%6F",
        "/v1beta/models/models%2Fecho",
    ] {
        let answer = app.get(path).key(&app.user_key).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let answer = app.get("/v1/models/nobody%2Fknows");
    let answer = answer.key(&app.user_key).send().await;
    answer.assert_error(Family::OpenAi, 404, "model_not_found");
    assert!(answer.text().contains("`nobody/knows`"));
    app.finish().await;
}
