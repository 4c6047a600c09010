//! Limits and budgets hold, tell callers where they stand, and give back what was not used.

use std::time::Duration;

use seaworthy_core::dialect::Dialect;
use serde_json::json;

use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{json_response, path, reply, request, usage_object};

const CHAT: Dialect = Dialect::OpenAiChat;

/// A call that can use 100 tokens of output and, as its provider says, uses 10 in and 10 out.
fn call() -> serde_json::Value {
    json!({"max_tokens": 100})
}

fn small_usage() -> serde_json::Value {
    json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20})
}

async fn ask(app: &TestApp) -> crate::support::client::Answer {
    app.post(path(CHAT), request(CHAT, false, &call()))
        .send()
        .await
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_refuses_with_a_truthful_wait_and_lets_pass_after_it() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_user]\nrequests_per_minute = 2\n")
        .start()
        .await;
    for left in ["1", "0"] {
        app.upstream
            .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
        let answer = ask(&app).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "2");
    }
    app.clock.advance(Duration::from_millis(1_500));
    let refused = ask(&app).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert_eq!(wait, 29, "28.5 s are left: one a second earlier is refused");
    assert!(refused.text().contains("Try again in 29 s"));
    app.clock.advance(Duration::from_secs(wait));
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    assert_eq!(ask(&app).await.status, 200);
    app.finish().await;
}

/// A client that is told to come back in a second would do so for ever.
#[tokio::test(start_paused = true)]
async fn a_call_larger_than_a_limit_of_tokens_is_not_told_to_wait() {
    let limits = "[rate_limits.per_user]\ntokens_per_minute = 1000\nrequests_per_minute = 9\n";
    let app = TestApp::builder().sections(limits).start().await;
    let ask = async |more: serde_json::Value| {
        let body = request(CHAT, false, &more);
        app.post(path(CHAT), body).send().await
    };
    let refused = ask(json!({"max_tokens": 9_000})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "request_over_cap");
    assert_eq!(refused.header("retry-after"), "");
    assert!(
        refused
            .text()
            .contains("`per_user.tokens_per_minute` lets 1000 pass")
    );
    assert_eq!(
        refused.header("x-ratelimit-remaining-requests"),
        "9",
        "half admitted"
    );
    // Without a bound of its own it gets one that fits.
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    let answer = ask(json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: serde_json::Value =
        serde_json::from_str(&app.upstream.only_request().text()).unwrap();
    let bound = sent["max_completion_tokens"].as_u64().unwrap();
    assert!((800..1_000).contains(&bound), "{bound}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn anthropics_callers_read_limits_in_their_own_headers() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_user]\nrequests_per_minute = 1\n")
        .start()
        .await;
    let dialect = Dialect::AnthropicMessages;
    let usage = usage_object(dialect);
    app.upstream
        .will_send(json_response(200, &reply(dialect, false, &usage)));
    let body = || request(dialect, false, &json!({"max_tokens": 10}));
    let answer = app.post(path(dialect), body()).send().await;
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), "0");
    let refused = app.post(path(dialect), body()).send().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    app.finish().await;
}

/// Gemini, Cohere and Bedrock have no words for limits: their callers get those of the IETF.
#[tokio::test(start_paused = true)]
async fn callers_of_apis_without_words_for_limits_read_those_of_the_ietf_draft() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_user]\nrequests_per_minute = 2\n")
        .start()
        .await;
    let contents = json!([{"role": "user", "parts": [{"text": "Ahoy"}]}]);
    let messages = json!([{"role": "user", "content": "Ahoy"}]);
    let turns = json!([{"role": "user", "content": [{"text": "Ahoy"}]}]);
    for (path, body) in [
        (
            "/v1beta/models/echo:generateContent",
            json!({"contents": contents}),
        ),
        ("/v2/chat", json!({"model": "echo", "messages": messages})),
        ("/model/echo/converse", json!({"messages": turns})),
    ] {
        for (status, left) in [(200, "r=1"), (200, "r=0"), (429, "r=0")] {
            let answer = app.post(path, body.to_string()).send().await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            let standing = answer.header("ratelimit");
            assert!(standing.contains(left), "{path}: {standing}");
            assert!(
                answer.header("ratelimit-policy").contains("q=2;w=60"),
                "{path}"
            );
            let mut names = answer.headers.keys().map(http::HeaderName::as_str);
            assert!(!names.any(|name| name.contains("-ratelimit-")), "{path}");
            assert_eq!(
                answer.header("retry-after"),
                if status == 429 { "30" } else { "" }
            );
        }
        app.clock.advance(Duration::from_secs(60));
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_refuses_before_the_call_leaves_and_tells_clients_to_stop() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_user]\ndaily_token_limit = 1000\n")
        .start()
        .await;
    let too_much = request(CHAT, false, &json!({"max_tokens": 9999}));
    let refused = app.post(path(CHAT), too_much).send().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let error = &refused.json()["error"];
    assert_eq!(error["type"], "insufficient_quota");
    assert_eq!(error["code"], "budget_exceeded");
    assert_eq!(refused.header("x-should-retry"), "false");
    // Nothing was reserved by the refusal, and the upstream saw nothing.
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    assert_eq!(ask(&app).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_call_did_not_use_comes_back() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_user]\ndaily_token_limit = 1000\n")
        .start()
        .await;
    // Each reserves several hundred tokens and uses twenty: without a return two would not fit.
    for _ in 0..20 {
        app.upstream
            .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
        let answer = ask(&app).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_money_no_longer_than_its_caller_waits_for_it() {
    let sections = "[cost_controls.per_user]\ndaily_token_limit = 6000\n";
    let app = TestApp::builder().sections(sections).start().await;
    let body = || request(CHAT, false, &json!({"max_tokens": 4_000}));
    app.upstream.will([Step::Silence]);
    let holder = tokio::spawn(app.post(path(CHAT), body()).send());
    eventually("the provider is asked", || app.upstream.requests() == 1).await;
    let began = tokio::time::Instant::now();
    let asked = app.post(path(CHAT), body());
    let answer = asked.header("x-seaworthy-timeout-ms", "600").send().await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "rate_limited");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    holder.abort();
    app.finish().await;
}

/// Who waits for its own money must not keep others from the target.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_money_takes_no_place_at_its_target() {
    let sections = "[cost_controls.per_user]\ndaily_token_limit = 6000\n\
                    [resilience.concurrency]\nadaptive = false\ninitial = 2\nmax = 2\n";
    let app = TestApp::builder().sections(sections).start().await;
    let body = |tokens: u64| request(CHAT, false, &json!({"max_tokens": tokens}));
    app.upstream.will([Step::Silence]);
    let holder = tokio::spawn(app.post(path(CHAT), body(4_000)).send());
    eventually("the provider is asked", || app.upstream.requests() == 1).await;
    let waits = (0..3).map(|_| tokio::spawn(app.post(path(CHAT), body(4_000)).send()));
    let waits: Vec<_> = waits.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    let began = tokio::time::Instant::now();
    let other = app.call(http::Method::POST, path(CHAT)).key(&app.admin_key);
    let answer = other.body(body(10)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    for wait in waits {
        wait.abort();
    }
    holder.abort();
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn money_is_charged_by_the_configured_price_and_shown() {
    let prices = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 2000\n";
    let app = TestApp::builder().sections(prices).start().await;
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    let answer = ask(&app).await;
    // 10 tokens at 1000 and 10 at 2000 dollars a million.
    assert_eq!(answer.header("x-seaworthy-cost-usd"), "0.030000");
    assert_eq!(app.only_settlement().await.cost.0, 30_000);
    let log = app.finish().await;
    assert!(log.contains("\"cost_usd\":0.030000"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_does_not_slip_past_a_budget_of_money() {
    let app = TestApp::builder()
        .sections("[cost_config]\nmonthly_budget_usd = 5\n")
        .start()
        .await;
    let refused = ask(&app).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "price_unknown");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn parallel_calls_never_spend_more_than_the_budget_and_spend_nearly_all_of_it() {
    // Each call costs exactly what it reserves: 100 output tokens at a dollar each, input free.
    let sections = "[prices.\"openai/gpt-real\"]\ninput = 0\noutput = 1000000\n\
                    [cost_config]\nmonthly_budget_usd = 2000\n";
    let app = TestApp::builder().sections(sections).start().await;
    let used = json!({"prompt_tokens": 0, "completion_tokens": 100, "total_tokens": 100});
    for _ in 0..20 {
        app.upstream
            .will_send(json_response(200, &reply(CHAT, false, &used)));
    }
    let calls = (0..200).map(|_| ask(&app));
    let answers = futures_util::future::join_all(calls).await;
    let succeeded = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((succeeded, refused), (20, 180));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_bound_gets_one_where_a_budget_applies() {
    let app = TestApp::builder()
        .sections("[cost_controls.per_user]\ndaily_token_limit = 100000\n")
        .start()
        .await;
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    let answer = app
        .post(path(CHAT), request(CHAT, false, &json!({})))
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: serde_json::Value =
        serde_json::from_str(&app.upstream.only_request().text()).unwrap();
    assert_eq!(sent["max_completion_tokens"], 4096);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_each_address_counts_addresses() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_ip]\nrequests_per_minute = 1\n")
        .start()
        .await;
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    assert_eq!(ask(&app).await.status, 200);
    assert_eq!(ask(&app).await.status, 429);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn behind_a_trusted_proxy_the_callers_address_counts_and_nobody_can_invent_one() {
    let app = TestApp::builder()
        .server("trusted_proxies = [\"127.0.0.0/8\"]")
        .sections("[rate_limits.per_ip]\nrequests_per_minute = 1\n")
        .start()
        .await;
    for _ in 0..2 {
        app.upstream
            .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    }
    let ask = async |forwarded: &str| {
        let request = app.post(path(CHAT), request(CHAT, false, &json!({})));
        request
            .header("x-forwarded-for", forwarded)
            .send()
            .await
            .status
    };
    assert_eq!(ask("198.51.100.7").await, 200);
    assert_eq!(ask("198.51.100.8").await, 200, "another caller");
    assert_eq!(ask("203.0.113.1, 198.51.100.7").await, 429, "the first one");
    app.finish().await;
}

/// The classes of checklists are none that a route could tell: callers say what their work is.
#[tokio::test(start_paused = true)]
async fn a_class_of_work_has_limits_and_caps_of_its_own() {
    let sections = "[rate_limits.per_operation.expensive_operations]\nrequests_per_minute = 1\n\
                    [cost_controls.per_operation]\nsimple_query = 1500\n";
    let app = TestApp::builder().sections(sections).start().await;
    let ask = async |class: &str, max_tokens: u64| {
        let body = request(CHAT, false, &json!({"max_tokens": max_tokens}));
        let asked = app.post(path(CHAT), body);
        let asked = match class {
            "" => asked,
            class => asked.header("x-seaworthy-operation", class),
        };
        asked.send().await
    };
    for _ in 0..3 {
        app.upstream
            .will_send(json_response(200, &reply(CHAT, false, &small_usage())));
    }
    assert_eq!(ask("expensive_operations", 10).await.status, 200);
    let refused = ask("expensive_operations", 10).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(
        refused
            .text()
            .contains("per_operation.expensive_operations")
    );
    assert_eq!(ask("simple_query", 10).await.status, 200);
    let refused = ask("simple_query", 3_000).await;
    assert_eq!(refused.json()["error"]["code"], "request_over_cap");
    // Others are under none of these.
    assert_eq!(ask("", 3_000).await.status, 200);
    let unknown = ask("simple_queri", 10).await;
    assert_eq!(unknown.status, 400);
    assert!(
        unknown
            .text()
            .contains("There are: expensive_operations, simple_query.")
    );
    assert_eq!(app.upstream.requests(), 3);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_provider_refused_costs_nothing() {
    let prices = "[prices.\"openai/gpt-real\"]\ninput = 1\noutput = 1\nrequest = 5\n";
    let app = TestApp::builder().sections(prices).start().await;
    let error = json!({"error": {"message": "no", "type": "invalid_request_error"}});
    app.upstream.will_send(json_response(400, &error));
    assert_eq!(ask(&app).await.status, 400);
    assert_eq!(app.only_settlement().await.cost.0, 0);
    app.finish().await;
}
