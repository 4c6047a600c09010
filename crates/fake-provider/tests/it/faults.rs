//! Each fault, as a client sees it.

use std::time::Duration;

use seaworthy_fake_provider::ledger::Outcome;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    ANTHROPIC, OPENAI, chat_stream, complete, message_stream, messages, post, provider,
    provider_with, request_bytes, send, stream, until,
};

#[tokio::test]
async fn an_error_status_comes_with_the_dialects_own_body() {
    let fake = provider().await;
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "invalid_request_error", "authentication_error"),
        (403, "invalid_request_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (429, "requests", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        let got = complete(&fake, &format!("status={status}")).await;
        assert_eq!(got.status, status);
        assert_eq!(got.json()["error"]["type"], openai);
        for key in ["message", "param", "code"] {
            assert!(got.json()["error"].get(key).is_some(), "{key} is missing");
        }
        let body = messages(&format!("[[fake:status={status}]]"));
        let got = post(&fake, "/v1/messages", &body).await;
        assert_eq!(
            (got.status, &got.json()["error"]["type"]),
            (status, &json!(anthropic))
        );
        assert_eq!(got.json()["request_id"].as_str(), got.header("request-id"));
    }
}

#[tokio::test]
async fn a_429_says_when_to_come_back_only_if_told() {
    let fake = provider().await;
    let bare = complete(&fake, "status=429").await;
    assert_eq!(
        (bare.header("retry-after"), bare.header("retry-after-ms")),
        (None, None)
    );
    assert_eq!(bare.header("x-ratelimit-remaining-requests"), Some("0"));
    let told = complete(
        &fake,
        "status=429,retry_after=7,retry_after_ms=6500,should_retry=false",
    )
    .await;
    assert_eq!(told.header("retry-after"), Some("7"));
    assert_eq!(told.header("retry-after-ms"), Some("6500"));
    assert_eq!(told.header("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn an_exhausted_quota_is_no_rate_limit() {
    let fake = provider().await;
    let got = complete(&fake, "error=insufficient_quota").await;
    assert_eq!(
        (got.status, &got.json()["error"]["code"]),
        (429, &json!("insufficient_quota"))
    );
    let got = post(
        &fake,
        "/v1/messages",
        &messages("[[fake:error=insufficient_quota]]"),
    )
    .await;
    assert_eq!(
        (got.status, &got.json()["error"]["type"]),
        (402, &json!("billing_error"))
    );
}

#[tokio::test]
async fn a_hang_is_noticed_when_the_client_leaves() {
    let fake = provider().await;
    let mut client = TcpStream::connect(fake.addr()).await.unwrap();
    let body = chat_stream("[[fake:hang]]").to_string();
    client
        .write_all(&request_bytes(
            "POST",
            "/v1/chat/completions",
            OPENAI,
            body.as_bytes(),
        ))
        .await
        .unwrap();
    until("the call has arrived", || fake.stats().in_flight == 1).await;
    drop(client);
    until("the abort is noticed", || {
        fake.stats().outcomes.aborted_by_client == 1
    })
    .await;
    let call = &fake.calls(0)[0];
    assert_eq!(
        (call.outcome, call.status, call.issued.input),
        (Outcome::AbortedByClient, None, 0)
    );
}

#[tokio::test]
async fn a_stall_sends_its_tokens_and_records_where_the_client_left() {
    let fake = provider().await;
    for (path, headers, body) in [
        (
            "/v1/chat/completions",
            OPENAI,
            chat_stream("[[fake:stall_after_tokens=3]]"),
        ),
        ("/v1/messages", ANTHROPIC, {
            let mut body = messages("[[fake:stall_after_tokens=3]]");
            body["stream"] = json!(true);
            body
        }),
    ] {
        fake.reset();
        let mut client = TcpStream::connect(fake.addr()).await.unwrap();
        let request = request_bytes("POST", path, headers, body.to_string().as_bytes());
        client.write_all(&request).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("holds ") {
            assert_ne!(client.read_buf(&mut seen).await.unwrap(), 0);
        }
        drop(client);
        until("the abort is noticed", || {
            fake.stats().streams.aborted_by_client == 1
        })
        .await;
        let call = &fake.calls(0)[0];
        assert_eq!(
            (call.issued.output, call.outcome),
            (3, Outcome::AbortedByClient)
        );
        assert_eq!(call.report()["aborted_at_token"], 3);
        assert_eq!(fake.stats().in_flight, 0);
    }
}

#[tokio::test]
async fn a_cut_breaks_the_connection_after_exactly_n_bytes() {
    let fake = provider().await;
    for limit in [0, 1, 333] {
        let got = complete(&fake, &format!("cut_after_bytes={limit}")).await;
        assert_eq!((got.body.len(), got.whole, got.reset), (limit, false, true));
        let got = stream(&fake, &format!("cut_after_bytes={limit}")).await;
        assert_eq!((got.body.len(), got.whole, got.reset), (limit, false, true));
        let got = stream(&fake, &format!("cut_after_bytes={limit},cut=close")).await;
        assert_eq!(
            (got.body.len(), got.whole, got.reset),
            (limit, false, false)
        );
    }
    assert_eq!(fake.stats().outcomes.broken, 9);
}

#[tokio::test]
async fn a_disconnect_sends_nothing_at_all() {
    let fake = provider().await;
    let got = complete(&fake, "disconnect").await;
    assert_eq!((got.head.as_str(), got.reset), ("", true));
    let got = complete(&fake, "disconnect,cut=close").await;
    assert_eq!((got.head.as_str(), got.reset), ("", false));
}

#[tokio::test]
async fn garbage_and_broken_json_are_served_with_a_straight_face() {
    let fake = provider().await;
    let got = complete(&fake, "garbage").await;
    assert_eq!((got.status, got.whole, got.body.len()), (200, true, 512));
    assert!(std::str::from_utf8(&got.body).is_err());
    let got = complete(&fake, "bad_json").await;
    assert!(got.whole && serde_json::from_slice::<serde_json::Value>(&got.body).is_err());
    let got = stream(&fake, "bad_json").await;
    let data = got
        .text()
        .lines()
        .filter(|line| line.starts_with("data: {"))
        .count();
    assert_eq!(data, got.events().len() + 1, "exactly one event is broken");
    let got = message_stream(&fake, "bad_json").await;
    let data = got
        .text()
        .lines()
        .filter(|line| line.starts_with("data: {"))
        .count();
    assert_eq!(data, got.events().len() + 1, "exactly one event is broken");
}

#[tokio::test]
async fn bad_utf8_sits_in_the_text_and_nowhere_else() {
    let fake = provider().await;
    for got in [
        complete(&fake, "bad_utf8").await,
        stream(&fake, "bad_utf8").await,
        message_stream(&fake, "bad_utf8").await,
        post(&fake, "/v1/messages", &messages("[[fake:bad_utf8]]")).await,
    ] {
        assert!(got.whole);
        assert_eq!(got.body.iter().filter(|byte| **byte == 0xff).count(), 1);
        assert!(got.text().contains("\u{fffd}the"), "{}", got.text());
    }
}

#[tokio::test]
async fn the_content_type_can_be_wrong() {
    let fake = provider().await;
    let got = complete(&fake, "content_type=text/html").await;
    assert_eq!(got.header("content-type"), Some("text/html"));
    assert_eq!(got.json()["object"], "chat.completion");
}

#[tokio::test]
async fn usage_can_be_missing_zero_late_or_after_the_end() {
    let fake = provider().await;
    assert!(
        complete(&fake, "usage=missing")
            .await
            .json()
            .get("usage")
            .is_none()
    );
    assert_eq!(
        complete(&fake, "usage=zero").await.json()["usage"]["total_tokens"],
        0
    );
    let missing = stream(&fake, "usage=missing").await;
    assert!(
        missing.whole
            && missing
                .events()
                .iter()
                .all(|event| event["usage"].is_null())
    );
    let late = stream(&fake, "usage=late").await;
    assert_eq!(
        late.events().last().unwrap()["usage"]["completion_tokens"],
        16
    );
    assert!(late.took > Duration::from_millis(95), "{:?}", late.took);
    let after = stream(&fake, "usage=after_end").await.text();
    assert!(after.find("[DONE]").unwrap() < after.find("completion_tokens").unwrap());

    let output = |got: &crate::support::Got| {
        let deltas = got
            .events()
            .into_iter()
            .filter(|event| event["type"] == "message_delta");
        deltas
            .map(|event| event["usage"]["output_tokens"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        output(&message_stream(&fake, "usage=exact").await),
        [Some(16)]
    );
    assert_eq!(
        output(&message_stream(&fake, "usage=missing").await),
        [None]
    );
    assert_eq!(
        output(&message_stream(&fake, "usage=zero").await),
        [Some(0)]
    );
    assert_eq!(
        output(&message_stream(&fake, "usage=late").await),
        [None, Some(16)]
    );
    let after = message_stream(&fake, "usage=after_end").await.text();
    assert!(after.find("message_stop").unwrap() < after.rfind("output_tokens").unwrap());
}

#[tokio::test]
async fn a_twenty_megabyte_answer_arrives_whole() {
    let fake = provider().await;
    let got = complete(&fake, "answer_bytes=20000000").await;
    assert!(got.whole);
    assert_eq!(
        got.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .len(),
        20_000_000
    );
    let got = stream(&fake, "answer_bytes=20000000").await;
    let texts = got.events().into_iter().filter_map(|event| {
        event["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::len)
    });
    assert_eq!(texts.sum::<usize>(), 20_000_000);
}

#[tokio::test]
async fn a_secret_is_whole_in_no_chunk() {
    let fake = provider().await;
    let secret = "sk-live-abcdefghij";
    let got = stream(&fake, &format!("secret_split={secret},secret_pieces=6")).await;
    let pieces: Vec<String> = got
        .events()
        .iter()
        .filter_map(|event| {
            event["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert!(pieces.concat().contains(secret));
    assert!(!got.text().contains(secret));
    let made_up = complete(&fake, "secret_split=auto").await.json();
    let text = made_up["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.split(' ')
            .any(|word| word.starts_with("sk-") && word.len() == 51),
        "{text}"
    );
}

#[tokio::test]
async fn delays_hold_back_the_headers_the_chunks_and_the_drips() {
    let fake = provider().await;
    let got = complete(&fake, "latency_ms=80").await;
    assert!(
        got.first_byte >= Duration::from_millis(80),
        "{:?}",
        got.first_byte
    );
    let got = stream(&fake, "chunks=5,chunk_delay_ms=20").await;
    assert!(got.took >= Duration::from_millis(100), "{:?}", got.took);
    let got = complete(&fake, "drip_bytes=200,chunk_delay_ms=20,output_tokens=1").await;
    assert!(
        got.whole && got.took >= Duration::from_millis(60),
        "{:?}",
        got.took
    );
}

#[tokio::test]
async fn events_can_be_doubled_unfinished_or_an_error() {
    let fake = provider().await;
    let (once, twice) = (
        stream(&fake, "").await.events(),
        stream(&fake, "duplicate_events").await.events(),
    );
    assert_eq!(once.len() * 2, twice.len());
    assert!(
        !stream(&fake, "missing_terminator")
            .await
            .text()
            .contains("[DONE]")
    );
    assert!(
        !message_stream(&fake, "missing_terminator")
            .await
            .text()
            .contains("message_stop")
    );
    let got = stream(&fake, "error_after_tokens=2,status=503").await;
    assert_eq!(got.events().last().unwrap()["error"]["code"], "overloaded");
    assert!(got.whole && !got.text().contains("[DONE]"));
    let got = message_stream(&fake, "error_after_tokens=2").await;
    assert_eq!(
        got.events().last().unwrap()["error"]["type"],
        "overloaded_error"
    );
    assert!(got.text().contains("event: error\n"));
    let call = fake.calls(0).pop().unwrap();
    assert_eq!((call.issued.output, call.status), (2, Some(200)));
    // A whole answer cannot fail half-way: it is the error.
    assert_eq!(complete(&fake, "error_after_tokens=2").await.status, 500);
}

#[tokio::test]
async fn the_request_is_echoed_byte_for_byte() {
    let fake = provider().await;
    let body = r#"{"model":"m",  "x_unknown":[1.0, 1e3], "messages":[{"role":"user","content":"a [[fake:echo=request]]"}]}"#;
    let got = send(
        &fake,
        "POST",
        "/v1/chat/completions",
        OPENAI,
        body.as_bytes(),
    )
    .await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], body);
    let got = complete(&fake, "echo=text").await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], "hello");
}

#[tokio::test]
async fn directives_rank_defaults_then_headers_then_text_then_queue() {
    let fake = provider_with("status=500").await;
    let plain = crate::support::chat("hello");
    assert_eq!(
        post(&fake, "/v1/chat/completions", &plain).await.status,
        500
    );
    let headers = format!("{OPENAI}x-fake-status: 429\r\n");
    let by_header = send(
        &fake,
        "POST",
        "/v1/chat/completions",
        &headers,
        plain.to_string().as_bytes(),
    )
    .await;
    assert_eq!(by_header.status, 429);
    let text = crate::support::chat("[[fake:status=403]]").to_string();
    let by_text = send(
        &fake,
        "POST",
        "/v1/chat/completions",
        &headers,
        text.as_bytes(),
    )
    .await;
    assert_eq!(by_text.status, 403);
    fake.queue(serde_json::from_value(json!({"fault": "status=529"})).unwrap())
        .unwrap();
    let by_queue = send(
        &fake,
        "POST",
        "/v1/chat/completions",
        &headers,
        text.as_bytes(),
    )
    .await;
    assert_eq!(by_queue.status, 529);
}

#[tokio::test]
async fn a_mistyped_directive_is_refused_and_not_ignored() {
    let fake = provider().await;
    let got = complete(&fake, "stall=1").await;
    assert_eq!(got.status, 400);
    assert!(got.text().contains("stall_after_tokens"), "{}", got.text());
}
