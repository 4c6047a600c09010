//! A canary in every place that is nobody's business: it must never sing.

use seaworthy_core::dialect::Dialect;
use serde_json::json;

use crate::support::app::{ANTHROPIC_SECRET, OPENAI_SECRET, TestApp};
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{
    DIALECTS, chunk, events, http, path, reply, request, stream, stream_head, usage_object,
};

const CANARY: &str = "CANARY-4f1d";

#[tokio::test(start_paused = true)]
async fn contents_and_credentials_appear_in_no_log_no_metric_no_admin_answer_and_no_error() {
    let app = TestApp::start().await;
    let mut shown = String::new();
    for dialect in DIALECTS {
        let secret_words = json!({
            "system": CANARY,
            "user": CANARY,
            "metadata": {"note": CANARY},
            "messages": [
                {"role": "user", "content": CANARY},
                {"role": "assistant", "content": CANARY},
                {"role": "user", "content": CANARY},
            ],
            "tools": [{"name": CANARY, "description": CANARY, "input_schema": {"title": CANARY}}],
        });
        let whole = reply(dialect, true, &usage_object(dialect))
            .to_string()
            .replace("sound", CANARY);
        let streamed = events(dialect, true).concat().replace("sound", CANARY);
        let kind = [("content-type", "application/json")];
        app.upstream.will_send(http(200, &kind, whole));
        app.upstream.will(stream(&streamed));
        app.upstream
            .will_send(http(401, &kind, format!("{{\"error\":\"{CANARY}\"}}")));
        app.upstream
            .will_send(http(200, &kind, format!("{CANARY} is no JSON")));
        app.upstream
            .will_send(http(500, &[("content-type", "text/html")], CANARY));
        app.upstream.will([
            stream_head(),
            chunk(format!("{}data: {CANARY}", events(dialect, true)[0])),
            Step::HangUp,
        ]);
        app.upstream.will([
            Step::Send(format!("{CANARY} is no HTTP\r\n\r\n").into()),
            Step::HangUp,
        ]);
        for number in 0..7 {
            let is_stream = [1, 5].contains(&number);
            let body = request(dialect, is_stream, &secret_words);
            let answer = app
                .post(path(dialect), body)
                .header("x-note", CANARY)
                .header("cookie", CANARY)
                .send()
                .await;
            match number {
                0 | 1 => assert!(answer.text().contains(CANARY), "it did reach the caller"),
                _ => shown.push_str(&answer.text()),
            }
        }
        app.upstream.dial_will(DialFault::Refuse);
        let refused = app.post(path(dialect), request(dialect, false, &secret_words));
        shown.push_str(&refused.send().await.text());
        // What cannot be decoded may come back to its sender, who reads what was wrong with it, and
        // to nobody else.
        for odd in [
            format!("{{\"model\": \"gpt\", \"messages\": \"{CANARY}\"}}"),
            format!("{{\"model\": \"gpt\", \"stream\": \"{CANARY}\""),
            format!("{{\"model\": \"{CANARY}\", \"messages\": [], \"max_tokens\": 1}}"),
        ] {
            let answer = app.post(path(dialect), odd).send().await;
            assert!((400..500).contains(&answer.status));
        }
        let stranger = app.call(http::Method::POST, path(dialect)).key(CANARY);
        shown.push_str(&stranger.send().await.text());
    }
    for route in ["/admin/v1/status", "/admin/v1/config"] {
        shown.push_str(&app.get(route).key(&app.admin_key).send().await.text());
    }
    shown.push_str(&app.get("/health/ready").send().await.text());
    shown.push_str(&app.metrics().await);
    let keys = [app.user_key.clone(), app.admin_key.clone()];
    shown.push_str(&app.finish().await);
    assert!(shown.contains("\"action\":\"chat\"") && shown.contains("seaworthy_requests_total"));
    for secret in [CANARY, OPENAI_SECRET, ANTHROPIC_SECRET, &keys[0], &keys[1]] {
        let at = shown.find(secret);
        let around = at.map(|at| &shown[at.saturating_sub(200)..at + secret.len()]);
        assert_eq!(around, None, "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_names_its_request_cannot_break_the_log() {
    let app = TestApp::start().await;
    app.get("/v1/models")
        .header("x-request-id", "a\",\"level\":\"FORGED")
        .header("x-correlation-id", "{}\\")
        .header("traceparent", "00-\"-\"-01")
        .send()
        .await;
    let body = request(
        Dialect::OpenAiChat,
        false,
        &json!({"model": "no\"such\nmodel"}),
    );
    app.post("/v1/chat/completions", body).send().await;
    let log = app.finish().await;
    assert_eq!(log.lines().count(), 2, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO");
    }
}
