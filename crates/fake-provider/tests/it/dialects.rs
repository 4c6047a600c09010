//! Both dialects, whole and streamed, in the shapes that their SDKs expect.

use seaworthy_fake_provider::{Options, serve};
use serde_json::{Value, json};

use crate::support::{
    ANTHROPIC, OPENAI, chat, chat_stream, complete, message_stream, messages, post, provider, send,
    stream,
};

#[tokio::test]
async fn a_chat_completion_has_the_full_shape_and_headers() {
    let fake = provider().await;
    let got = complete(
        &fake,
        "output_tokens=3,cached_tokens=5,cache_write_tokens=2,reasoning_tokens=4",
    )
    .await;
    let body = got.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "the ship holds");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    let input = ("hello [[fake:]]".len()
        + "output_tokens=3,cached_tokens=5,cache_write_tokens=2,reasoning_tokens=4".len())
    .div_ceil(4)
        + 7;
    assert_eq!(usage["prompt_tokens"], input);
    assert_eq!(usage["completion_tokens"], 7);
    assert_eq!(usage["total_tokens"], input + 7);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 5);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
    for name in [
        "x-request-id",
        "openai-processing-ms",
        "x-ratelimit-remaining-tokens",
    ] {
        assert!(got.header(name).is_some(), "{name}");
    }
    assert_eq!(fake.stats().tokens.output, 3);
    assert_eq!(fake.stats().tokens.reasoning, 4);
}

#[tokio::test]
async fn the_path_says_which_api_is_meant_whatever_headers_come_along() {
    let fake = provider().await;
    let headers = format!("{OPENAI}anthropic-version: 2023-06-01\r\n");
    let body = chat("hello").to_string();
    let got = send(
        &fake,
        "POST",
        "/v1/chat/completions",
        &headers,
        body.as_bytes(),
    );
    assert_eq!(got.await.json()["object"], "chat.completion");
    let models = send(&fake, "GET", "/v1/models", &headers, b"").await;
    assert!(models.json().get("first_id").is_some(), "{}", models.text());
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for() {
    let fake = provider().await;
    let asked = stream(&fake, "chunks=4").await;
    let events = asked.events();
    let (last, others) = events.split_last().unwrap();
    assert_eq!(
        (&last["choices"], &last["usage"]["completion_tokens"]),
        (&json!([]), &json!(16))
    );
    assert!(
        others
            .iter()
            .all(|event| event.get("usage") == Some(&Value::Null))
    );
    assert_eq!(others[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(
        others.last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );
    assert!(asked.text().ends_with("data: [DONE]\n\n"));

    let mut body = chat("hello");
    body["stream"] = json!(true);
    let unasked = post(&fake, "/v1/chat/completions", &body).await;
    assert!(
        unasked
            .events()
            .iter()
            .all(|event| event.get("usage").is_none())
    );
    assert_eq!(unasked.events().len(), 16 + 2);
}

#[tokio::test]
async fn a_message_and_its_stream_say_the_same() {
    let fake = provider().await;
    let directives = "cached_tokens=9,reasoning_tokens=2,output_tokens=4,input_tokens=6";
    let whole = post(
        &fake,
        "/v1/messages",
        &messages(&format!("[[fake:{directives}]]")),
    )
    .await
    .json();
    assert_eq!(whole["content"][0]["type"], "thinking");
    assert_eq!(whole["content"][1]["text"], "the ship holds her");
    assert_eq!(whole["stop_reason"], "end_turn");
    assert_eq!(whole["usage"]["output_tokens"], 6);
    let got = message_stream(&fake, directives).await;
    let events = got.events();
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    let text: String = events
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str())
        .collect();
    assert_eq!(text, "the ship holds her");
    let usage = &events[0]["message"]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["cache_read_input_tokens"]),
        (&json!(6), &json!(9))
    );
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 6);
    assert!(got.header("request-id").unwrap().starts_with("req_"));
}

#[tokio::test]
async fn tool_calls_stream_their_arguments_in_pieces_in_parallel() {
    let fake = provider().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}});
    let function =
        |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let mut body = chat_stream("[[fake:tool=weather+news]]");
    body["tools"] = json!([function("weather"), function("news")]);
    let events = post(&fake, "/v1/chat/completions", &body).await.events();
    let mut arguments = [String::new(), String::new()];
    for part in events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0))
    {
        let at = usize::try_from(part["index"].as_u64().unwrap()).unwrap();
        arguments[at].push_str(part["function"]["arguments"].as_str().unwrap());
    }
    assert_eq!(arguments, [r#"{"city":"sample","days":1}"#; 2]);
    assert!(
        events
            .iter()
            .any(|event| event["choices"][0]["finish_reason"] == "tool_calls")
    );

    let mut body = messages("[[fake:tool=weather]]");
    body["tools"] = json!([{"name": "weather", "input_schema": schema}]);
    let whole = post(&fake, "/v1/messages", &body).await.json();
    assert_eq!(
        whole["content"][0]["input"],
        json!({"city": "sample", "days": 1})
    );
    assert_eq!(whole["stop_reason"], "tool_use");
    body["stream"] = json!(true);
    let events = post(&fake, "/v1/messages", &body).await.events();
    let pieces: Vec<&str> = events
        .iter()
        .filter_map(|event| event["delta"]["partial_json"].as_str())
        .collect();
    assert!(pieces.len() > 2);
    assert_eq!(pieces.concat(), r#"{"city":"sample","days":1}"#);

    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({"role": "assistant", "content": whole["content"]}));
    turns.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": whole["content"][0]["id"], "content": "sunny"}]}));
    body["stream"] = json!(false);
    let reply = post(&fake, "/v1/messages", &body).await.json();
    assert_eq!(
        (&reply["content"][0]["type"], &reply["stop_reason"]),
        (&json!("text"), &json!("end_turn"))
    );
}

#[tokio::test]
async fn embeddings_moderations_counting_and_models_answer() {
    let fake = provider().await;
    let body = json!({"model": "fake-embedding", "input": ["one", "two!"], "dimensions": 3});
    let got = post(&fake, "/v1/embeddings", &body).await.json();
    assert_eq!(got["usage"]["prompt_tokens"], 2);
    let vector: Vec<f64> = serde_json::from_value(got["data"][1]["embedding"].clone()).unwrap();
    assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    assert_ne!(got["data"][0]["embedding"], got["data"][1]["embedding"]);
    let body = json!({"model": "fake-embedding", "input": "one", "encoding_format": "base64"});
    let got = post(&fake, "/v1/embeddings", &body).await.json();
    assert_eq!(
        got["data"][0]["embedding"].as_str().unwrap().len(),
        1536 * 4 * 4 / 3
    );

    let got = post(
        &fake,
        "/v1/moderations",
        &json!({"input": ["peace", "Violence!"]}),
    )
    .await
    .json();
    assert_eq!(
        (&got["results"][0]["flagged"], &got["results"][1]["flagged"]),
        (&json!(false), &json!(true))
    );

    let got = post(
        &fake,
        "/v1/messages/count_tokens",
        &messages("twelve bytes"),
    )
    .await
    .json();
    assert_eq!(got, json!({"input_tokens": 3}));

    let list = send(&fake, "GET", "/v1/models", OPENAI, b"").await.json();
    assert_eq!(
        (&list["object"], &list["data"][0]["id"]),
        (&json!("list"), &json!("fake-gpt"))
    );
    let list = send(&fake, "GET", "/v1/models", ANTHROPIC, b"")
        .await
        .json();
    assert_eq!(
        (&list["has_more"], &list["data"][0]["type"]),
        (&json!(false), &json!("model"))
    );
    assert_eq!(
        send(&fake, "GET", "/v1/models/fake-gpt", OPENAI, b"")
            .await
            .status,
        200
    );
    assert_eq!(
        send(&fake, "GET", "/v1/models/unknown", OPENAI, b"")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn what_a_provider_would_refuse_is_refused() {
    let fake = serve(Options {
        keys: vec!["sk-test".into()],
        ..Options::default()
    })
    .await
    .unwrap();
    let body = chat("hello").to_string();
    let path = "/v1/chat/completions";
    assert_eq!(
        send(&fake, "POST", path, "", body.as_bytes()).await.status,
        401
    );
    let wrong = "authorization: Bearer sk-wrong\r\n";
    assert_eq!(
        send(&fake, "POST", path, wrong, body.as_bytes())
            .await
            .status,
        401
    );
    assert_eq!(
        send(&fake, "POST", path, OPENAI, b"{\"model\":")
            .await
            .status,
        400
    );
    assert_eq!(
        post(&fake, path, &json!({"model": "m"})).await.json()["error"]["param"],
        "messages"
    );
    assert_eq!(send(&fake, "GET", path, OPENAI, b"").await.status, 404);
    let mut no_limit = messages("hello");
    no_limit.as_object_mut().unwrap().remove("max_tokens");
    let got = post(&fake, "/v1/messages", &no_limit).await;
    assert_eq!(
        (got.status, &got.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    let without_version = "x-api-key: sk-test\r\n";
    let got = send(
        &fake,
        "POST",
        "/v1/messages",
        without_version,
        messages("hello").to_string().as_bytes(),
    )
    .await;
    assert_eq!(got.status, 400);
}
