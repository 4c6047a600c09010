//! The control API: counts, the log of calls, the queue of faults.

use std::num::NonZeroUsize;

use seaworthy_fake_provider::ledger::Retention;
use seaworthy_fake_provider::{Options, serve};
use serde_json::{Value, json};

use crate::support::{Got, OPENAI, chat, complete, messages, post, provider, send, stream, until};

async fn control(
    to: &seaworthy_fake_provider::Running,
    method: &str,
    what: &str,
    body: &Value,
) -> Got {
    send(
        to,
        method,
        &format!("/__control/{what}"),
        "",
        body.to_string().as_bytes(),
    )
    .await
}

#[tokio::test]
async fn stats_count_what_reached_the_provider() {
    let fake = provider().await;
    complete(&fake, "output_tokens=2").await;
    complete(&fake, "status=429").await;
    stream(&fake, "chunks=3").await;
    post(&fake, "/v1/messages", &messages("hello")).await;
    until("all are counted", || fake.stats().outcomes.completed == 4).await;
    let stats = control(&fake, "GET", "stats", &Value::Null).await.json();
    assert_eq!(stats["calls"], 4);
    assert_eq!(
        stats["by_path"],
        json!({"/v1/chat/completions": 3, "/v1/messages": 1})
    );
    assert_eq!(stats["by_status"], json!({"200": 3, "429": 1}));
    assert_eq!(stats["by_model"], json!({"fake-claude": 1, "fake-gpt": 3}));
    assert_eq!(stats["by_key"].as_object().unwrap().len(), 1);
    assert_eq!(stats["tokens"]["output"], 2 + 16 + 16);
    assert_eq!(
        stats["streams"],
        json!({"started": 1, "completed": 1, "aborted_by_client": 0, "broken": 0})
    );
    assert_eq!(
        (&stats["in_flight"], &stats["max_in_flight"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(
        control(&fake, "POST", "reset", &Value::Null).await.status,
        200
    );
    let stats = control(&fake, "GET", "stats", &Value::Null).await.json();
    assert_eq!(
        (&stats["calls"], &stats["tokens"]["output"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn the_log_hashes_secrets_and_keeps_the_body_byte_for_byte() {
    let fake = provider().await;
    let body = b"{\"model\":\"m\", \"odd\" : 1.50,\"messages\":[{\"role\":\"user\",\"content\":\"\\u0061\"}]}";
    let headers = format!("{OPENAI}x-custom: kept\r\n");
    send(
        &fake,
        "POST",
        "/v1/chat/completions?beta=true",
        &headers,
        body,
    )
    .await;
    let listed = control(&fake, "GET", "calls?since=0", &Value::Null).await;
    assert!(!listed.text().contains("sk-test"));
    let call = listed.json()["calls"][0].clone();
    assert_eq!(
        (&call["query"], &call["status"], &call["body_bytes"]),
        (&json!("beta=true"), &json!(200), &json!(body.len()))
    );
    assert!(
        call["headers"]
            .as_array()
            .unwrap()
            .contains(&json!(["x-custom", "kept"]))
    );
    let kept = control(
        &fake,
        "GET",
        &format!("calls/{}/body", call["seq"]),
        &Value::Null,
    )
    .await;
    assert_eq!(kept.body, body);
    assert_eq!(call["body_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        control(&fake, "GET", "calls/999", &Value::Null)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn the_log_is_bounded_in_calls_and_in_bytes() {
    let retention = Retention {
        calls: 3,
        bytes: 400,
    };
    let fake = serve(Options {
        retention,
        ..Options::default()
    })
    .await
    .unwrap();
    for _ in 0..5 {
        complete(&fake, "").await;
    }
    let seqs: Vec<u64> = fake.calls(0).iter().map(|call| call.seq).collect();
    assert_eq!(seqs, [3, 4, 5]);
    post(&fake, "/v1/chat/completions", &chat(&"x".repeat(1000))).await;
    let large = fake.calls(5).pop().unwrap();
    assert!(large.body.is_none() && large.sha256().len() == 64);
    let body = control(
        &fake,
        "GET",
        &format!("calls/{}/body", large.seq),
        &Value::Null,
    )
    .await;
    assert_eq!(body.status, 410);
}

#[tokio::test]
async fn queued_faults_hit_the_next_matching_calls_and_no_others() {
    let fake = provider().await;
    let faults = json!([
        {"fault": "status=503", "times": 2, "path": "/v1/messages"},
        {"fault": "status=500", "model": "fake-gpt"},
    ]);
    assert_eq!(control(&fake, "POST", "faults", &faults).await.status, 200);
    assert_eq!(fake.stats().faults_queued, 3);
    assert_eq!(complete(&fake, "").await.status, 500);
    assert_eq!(complete(&fake, "").await.status, 200);
    for expected in [503, 503, 200] {
        assert_eq!(
            post(&fake, "/v1/messages", &messages("hello")).await.status,
            expected
        );
    }
    let refused = control(&fake, "POST", "faults", &json!({"fault": "explode=1"})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("unknown directive"));
    let refused = control(&fake, "POST", "faults", &json!({"faults": "status=500"})).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn stopping_ends_calls_that_hang() {
    let fake = provider().await;
    let addr = fake.addr();
    let mut client = tokio::net::TcpStream::connect(addr).await.unwrap();
    let body = chat("[[fake:hang]]").to_string();
    let request =
        crate::support::request_bytes("POST", "/v1/chat/completions", OPENAI, body.as_bytes());
    tokio::io::AsyncWriteExt::write_all(&mut client, &request)
        .await
        .unwrap();
    until("the call has arrived", || fake.stats().in_flight == 1).await;
    fake.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn it_works_on_as_many_calls_at_a_time_as_it_has_slots() {
    let fake = serve(Options {
        slots: NonZeroUsize::new(1),
        defaults: "latency_ms=60".parse().unwrap(),
        ..Options::default()
    })
    .await
    .unwrap();
    let began = std::time::Instant::now();
    tokio::join!(
        complete(&fake, ""),
        complete(&fake, ""),
        complete(&fake, "")
    );
    let took = began.elapsed();
    assert!(took.as_millis() >= 180, "one after the other: {took:?}");
}
