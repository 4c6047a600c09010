//! Errors of providers: what an official client can use arrives as it was, the rest is told apart.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use seaworthy_core::usage::Usage;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::upstream::DialFault;
use crate::support::wire::{DIALECTS, ask, http, path};

fn error_body(dialect: Dialect, kind: &str) -> Value {
    match dialect.family() {
        Family::OpenAi => json!({"error": {"message": "No.", "type": kind, "code": kind}}),
        _ => {
            json!({"type": "error", "error": {"type": kind, "message": "No."}})
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_keep_their_status_their_body_and_their_advice_on_when_to_retry() {
    for dialect in DIALECTS {
        for status in [400, 404, 413, 422, 429, 500, 503, 529] {
            let app = TestApp::start().await;
            let body = error_body(dialect, "insufficient_quota").to_string();
            let headers = [
                ("content-type", "application/json"),
                ("retry-after", "17"),
                ("retry-after-ms", "17000"),
                ("x-should-retry", "false"),
                ("x-ratelimit-remaining-tokens", "0"),
            ];
            app.upstream.will_send(http(status, &headers, &body));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            assert_eq!((answer.status, answer.text()), (status, body));
            for (name, value) in &headers[1..] {
                assert_eq!(answer.header(name), *value);
            }
            let settled = app.only_settlement().await;
            assert_eq!(settled.usage, Usage::default(), "a refusal costs nothing");
            assert_eq!(
                (settled.outcome, settled.status),
                (Outcome::Failure, status)
            );
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_before_a_stream_is_an_error_and_no_stream() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let body = error_body(dialect, "overloaded_error").to_string();
        let headers = [("content-type", "application/json; charset=utf-8")];
        app.upstream.will_send(http(503, &headers, &body));
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        assert_eq!((answer.status, answer.text()), (503, body));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_page_of_a_proxy_becomes_an_error_that_clients_can_read() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        let headers = [("content-type", "text/html"), ("retry-after", "5")];
        let page = "<html>secret-of-the-proxy</html>";
        app.upstream.will_send(http(502, &headers, page));
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_error");
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.text().contains("secret-of-the-proxy"));
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn overload_that_only_anthropics_clients_know_is_told_to_others_in_their_way() {
    for (dialect, status) in [
        (Dialect::OpenAiChat, 503),
        (Dialect::AnthropicMessages, 529),
    ] {
        let app = TestApp::start().await;
        app.upstream
            .will_send(http(529, &[("content-type", "text/plain")], "busy"));
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), status, "upstream_error");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_the_operators_business_and_never_blamed_on_the_caller() {
    for dialect in DIALECTS {
        for status in [401, 403] {
            let app = TestApp::start().await;
            let body = error_body(dialect, "Incorrect API key provided: sk-leaked").to_string();
            app.upstream
                .will_send(http(status, &[("content-type", "application/json")], body));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_authentication_failed");
            assert!(!format!("{answer:?}").contains("sk-leaked"));
            assert_eq!(app.only_settlement().await.usage, Usage::default());
            let log = app.finish().await;
            assert!(log.contains("\"level\":\"ERROR\""), "{log}");
            assert!(!log.contains("sk-leaked"), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_google_calls_a_wrong_argument_is_not_blamed_on_the_caller_either() {
    let body = json!({"error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US"},
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
        ],
    }});
    let sections = "
        [providers.google]
        kind = \"gemini\"
        base_url = \"http://google.test\"
        api_key = \"secret://env/OPENAI_KEY\"
        [models.gemini]
        targets = [\"google/gemini-real\"]
    ";
    let asked = |body: &Value| body.to_string();
    let gemini = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let chat = json!({"model": "gemini", "messages": [{"role": "user", "content": "hi"}]});
    for (family, path, request) in [
        (
            Family::Gemini,
            "/v1beta/models/gemini:generateContent",
            asked(&gemini),
        ),
        (
            Family::Gemini,
            "/v1beta/models/gemini:streamGenerateContent?alt=sse",
            asked(&gemini),
        ),
        (Family::OpenAi, "/v1/chat/completions", asked(&chat)),
    ] {
        let app = TestApp::builder().sections(sections).start().await;
        let headers = [("content-type", "application/json; charset=UTF-8")];
        app.upstream
            .will_send(http(400, &headers, body.to_string()));
        let answer = app.post(path, request).send().await;
        let text = answer.text();
        assert_eq!(answer.status, 502, "{family:?}: {text}");
        assert!(text.contains("upstream_authentication_failed"), "{text}");
        assert!(!text.contains("Please pass"), "{text}");
        let log = app.finish().await;
        assert!(log.contains("\"level\":\"ERROR\""), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_in_another_kind_of_json_is_passed_on_and_pages_have_the_right_code()
{
    let problem = r#"{"title": "No.", "detail": "Too long."}"#;
    for (kind, body, is_kept) in [
        ("application/problem+json", problem, true),
        ("application/vnd.x+json; charset=utf-8", problem, true),
        ("text/html", "<html>No.</html>", false),
    ] {
        for (status, code) in [
            (400, "upstream_refused"),
            (429, "upstream_rate_limited"),
            (500, "upstream_error"),
        ] {
            let app = TestApp::start().await;
            let dialect = Dialect::OpenAiChat;
            app.upstream
                .will_send(http(status, &[("content-type", kind)], body));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            match is_kept {
                true => assert_eq!((answer.status, &*answer.text()), (status, body)),
                false => answer.assert_error(dialect.family(), status, code),
            }
            app.finish().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_reached_is_502() {
    for dialect in DIALECTS {
        let app = TestApp::start().await;
        app.upstream.dial_will(DialFault::Refuse);
        let answer = app.post(path(dialect), ask(dialect, true)).send().await;
        answer.assert_error(dialect.family(), 502, "upstream_unreachable");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_of_a_provider_is_not_followed_and_not_passed_on() {
    let app = TestApp::start().await;
    app.upstream
        .will_send(http(307, &[("location", "http://elsewhere.test/")], ""));
    let body = ask(Dialect::OpenAiChat, false);
    let answer = app.post("/v1/chat/completions", body).send().await;
    answer.assert_error(Family::OpenAi, 502, "upstream_invalid_response");
    assert_eq!(answer.header("location"), "");
    app.finish().await;
}
