//! Errors of providers, in the words of callers who speak another dialect.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::usage::Usage;
use serde_json::{Value, json};

use super::{PAIRS, ask_across, error_of};
use crate::support::app::TestApp;
use crate::support::wire::{http, ok, path};

fn error_body(provider: Dialect, kind: &str) -> Value {
    match provider.family() {
        Family::OpenAi => {
            let code = (kind == "insufficient_quota").then_some(kind);
            json!({"error": {"message": "No.", "type": kind, "param": "max_completion_tokens", "code": code}})
        }
        _ => {
            json!({"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_x"})
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_has_the_status_and_the_class_that_the_callers_client_knows() {
    let from_anthropic = [
        (400, "invalid_request_error", 400, "invalid_request_error"),
        (402, "billing_error", 429, "insufficient_quota"),
        (404, "not_found_error", 404, "invalid_request_error"),
        (413, "request_too_large", 413, "invalid_request_error"),
        (429, "rate_limit_error", 429, "rate_limit_error"),
        (500, "api_error", 500, "server_error"),
        (529, "overloaded_error", 503, "server_error"),
    ];
    let from_openai = [
        (400, "invalid_request_error", 400, "invalid_request_error"),
        (404, "invalid_request_error", 404, "not_found_error"),
        (413, "invalid_request_error", 413, "request_too_large"),
        (422, "invalid_request_error", 422, "invalid_request_error"),
        (429, "rate_limit_exceeded", 429, "rate_limit_error"),
        (429, "insufficient_quota", 402, "billing_error"),
        (500, "server_error", 500, "api_error"),
        (503, "server_error", 529, "overloaded_error"),
    ];
    for (caller, provider) in PAIRS {
        let table: &[_] = match provider.family() {
            Family::OpenAi => &from_openai,
            _ => &from_anthropic,
        };
        for &(status, kind, expected, expected_kind) in table {
            for is_stream in [false, true] {
                let app = TestApp::start().await;
                let headers = [("content-type", "application/json"), ("retry-after", "17")];
                let body = error_body(provider, kind).to_string();
                app.upstream.will_send(http(status, &headers, body));
                let body = ask_across(caller, is_stream, &json!({}));
                let answer = app.post(path(caller), body).send().await;
                let (told, code) = error_of(caller, &answer);
                assert_eq!(
                    (answer.status, &*told),
                    (expected, expected_kind),
                    "{status} {kind}"
                );
                assert_eq!(answer.json()["error"]["message"], "No.");
                assert!(!code.is_empty());
                assert_eq!(answer.header("retry-after"), "17");
                let is_quota = matches!(kind, "insufficient_quota" | "billing_error");
                let should_retry = if is_quota { "false" } else { "" };
                assert_eq!(answer.header("x-should-retry"), should_retry, "{kind}");
                assert!(!answer.text().contains("max_completion_tokens"));
                if caller == Dialect::AnthropicMessages {
                    assert_eq!(answer.json()["request_id"], answer.header("request-id"));
                }
                let settled = app.only_settlement().await;
                assert_eq!(settled.usage, Usage::default(), "a refusal costs nothing");
                assert_eq!(settled.status, expected);
                app.finish().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_page_of_a_proxy_becomes_an_error_that_clients_can_read() {
    for (caller, _) in PAIRS {
        let app = TestApp::start().await;
        let headers = [("content-type", "text/html"), ("retry-after", "5")];
        let page = "<html>secret-of-the-proxy</html>";
        app.upstream.will_send(http(502, &headers, page));
        let body = ask_across(caller, false, &json!({}));
        let answer = app.post(path(caller), body).send().await;
        answer.assert_error(caller.family(), 502, "upstream_error");
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.text().contains("secret-of-the-proxy"));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_the_operators_business_in_every_dialect() {
    for (caller, provider) in PAIRS {
        let app = TestApp::start().await;
        let body = error_body(provider, "sk-leaked").to_string();
        let headers = [("content-type", "application/json")];
        app.upstream.will_send(http(401, &headers, body));
        let body = ask_across(caller, false, &json!({}));
        let answer = app.post(path(caller), body).send().await;
        answer.assert_error(caller.family(), 502, "upstream_authentication_failed");
        assert!(!format!("{answer:?}").contains("sk-leaked"));
        app.finish().await;
    }
}

/// Providers whose errors have a form of their own, each with another one to stand in.
const OTHERS: &str = r#"
    [providers.google]
    kind = "gemini"
    base_url = "http://google.test"
    api_key = "secret://env/OPENAI_KEY"
    [providers.aws]
    kind = "bedrock"
    base_url = "http://aws.test"
    region = "eu-central-1"
    api_key = "secret://env/OPENAI_KEY"
    [models.gemini]
    targets = ["google/gemini-real"]
    [models.nova]
    targets = ["aws/nova-real"]
    [models.both]
    targets = ["aws/nova-real", "openai/gpt-real"]
"#;

fn ask_model(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "Ahoy"}]}).to_string()
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_list_is_an_error_like_any_other() {
    let body = r#"[{"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}]"#;
    for path in [
        "/v1/chat/completions",
        "/v1beta/models/gemini:streamGenerateContent",
    ] {
        let app = TestApp::builder().sections(OTHERS).start().await;
        let headers = [("content-type", "application/json; charset=UTF-8")];
        app.upstream.will_send(http(400, &headers, body));
        let request = match path {
            "/v1/chat/completions" => ask_model("gemini"),
            _ => json!({"contents": [{"parts": [{"text": "hi"}]}]}).to_string(),
        };
        let answer = app.post(path, request).send().await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("No."), "{}", answer.text());
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_to_wait_is_told_in_a_header_that_every_client_reads() {
    let in_body = r#"{"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}"#;
    let gemini = json!({"contents": [{"parts": [{"text": "hi"}]}]}).to_string();
    let chat = "/v1/chat/completions";
    for (path, request, headers, wait) in [
        (chat, ask_model("gemini"), ("x-a", "b"), "35"),
        (
            "/v1beta/models/gemini:generateContent",
            gemini,
            ("x-a", "b"),
            "35",
        ),
        (chat, ask_model("gemini"), ("retry-after", "7"), "7"),
        (chat, ask_model("gemini"), ("retry-after-ms", "1500"), "2"),
    ] {
        let app = TestApp::builder().sections(OTHERS).start().await;
        let headers = [("content-type", "application/json"), headers];
        app.upstream.will_send(http(429, &headers, in_body));
        let answer = app.post(path, request).send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, wait));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_a_used_up_limit_is_renewed_is_told_where_the_provider_says_no_other_wait() {
    let no = r#"{"error": {"message": "No.", "type": "requests", "code": "rate_limit_exceeded"}}"#;
    for (left, wait) in [("0", Some("6")), ("3", None)] {
        let app = TestApp::builder().sections(OTHERS).start().await;
        let headers = [
            ("content-type", "application/json"),
            ("x-ratelimit-remaining-requests", left),
            ("x-ratelimit-reset-requests", "5.5s"),
        ];
        app.upstream.will_send(http(429, &headers, no));
        let question = json!({"model": "gpt", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}]});
        let answer = app.post("/v1/messages", question.to_string()).send().await;
        let told = answer.headers.get("retry-after");
        let told = told.map(|wait| wait.to_str().unwrap());
        assert_eq!((answer.status, told), (429, wait));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_aws_says_with_statuses_of_a_wrong_request_is_told_as_what_it_is() {
    for (status, class, told, kind) in [
        (400, "ValidationException", 400, "invalid_request_error"),
        (
            400,
            "ServiceQuotaExceededException:http://internal.amazon.com/",
            429,
            "insufficient_quota",
        ),
        (408, "ModelTimeoutException", 504, "server_error"),
        (424, "ModelErrorException", 502, "server_error"),
    ] {
        let headers = [
            ("content-type", "application/json"),
            ("x-amzn-errortype", class),
        ];
        let no = http(status, &headers, r#"{"message": "No."}"#);
        let app = TestApp::builder().sections(OTHERS).start().await;
        app.upstream.will_send(no.clone());
        let answer = app
            .post("/v1/chat/completions", ask_model("nova"))
            .send()
            .await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["type"]), (told, &json!(kind)));
        assert_eq!(error["message"], "No.");
        app.finish().await;

        let app = TestApp::builder()
            .attempts(2)
            .sections(OTHERS)
            .start()
            .await;
        let is_the_requests_fault = class == "ValidationException";
        app.upstream.will_send(no);
        if !is_the_requests_fault {
            app.upstream.will_send(ok(Dialect::OpenAiChat));
        }
        let answer = app
            .post("/v1/chat/completions", ask_model("both"))
            .send()
            .await;
        let expected = if is_the_requests_fault { 400 } else { 200 };
        assert_eq!(answer.status, expected, "{class}: {}", answer.text());
        app.finish().await;
    }
}
