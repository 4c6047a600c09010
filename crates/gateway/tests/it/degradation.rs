//! Tiers come and go by how things are and by what people say, and do what the configuration says.

use std::time::Duration;

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::store::Switch;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::wire::{http, json_response, path, reply, request, usage_object};

const CHAT: Dialect = Dialect::OpenAiChat;

async fn ask_for(app: &TestApp, model: &str) -> Answer {
    let body = request(CHAT, false, &json!({"model": model}));
    app.post(path(CHAT), body).send().await
}

fn will_answer(app: &TestApp) {
    let answer = reply(CHAT, false, &usage_object(CHAT));
    app.upstream.will_send(json_response(200, &answer));
}

fn will_fail(app: &TestApp) {
    let headers = [
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
    ];
    let body = r#"{"error": {"message": "No.", "type": "server_error"}}"#;
    app.upstream.will_send(http(501, &headers, body));
}

/// Lets the tiers be judged `seconds` later.
async fn later(app: &TestApp, seconds: u64) {
    for _ in 0..seconds {
        app.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn switch(app: &TestApp, name: &str, value: &str) {
    let switch = Switch {
        name: name.to_owned(),
        value: value.to_owned(),
        by: "test".to_owned(),
        at: seaworthy_core::clock::UnixMillis(0),
    };
    app.stores.switches.set(switch).await.unwrap();
    later(app, 2).await;
}

const SWITCHES_MODEL: &str = "[degradation_tiers.normal]\nmodel = \"gpt\"\n\
     [degradation_tiers.degraded_1]\ntrigger = \"Error rate > 10%\"\n\
     action = \"Switch to echo model\"\nrecover_after = \"30s\"\n";

#[tokio::test(start_paused = true)]
async fn failures_switch_to_another_model_until_things_are_calm() {
    let app = TestApp::builder().sections(SWITCHES_MODEL).start().await;
    for _ in 0..5 {
        will_fail(&app);
        let answer = ask_for(&app, "gpt").await;
        assert_eq!(answer.status, 501);
        assert_eq!(answer.header("x-seaworthy-tier"), "normal");
    }
    later(&app, 2).await;
    let answer = ask_for(&app, "gpt").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-seaworthy-tier"), "degraded_1");
    assert_eq!(answer.header("x-seaworthy-target"), "echo/echo");
    // Another model than the normal one is nobody's business.
    will_answer(&app);
    let answer = ask_for(&app, "gpt-alias-of-nothing").await;
    assert_eq!(answer.status, 404);
    let metrics = app.metrics().await;
    assert!(metrics.contains("seaworthy_degradation_tier{tier=\"degraded_1\"} 1\n"));
    assert!(metrics.contains("seaworthy_degradation_tier{tier=\"normal\"} 0\n"));
    assert!(metrics.contains("seaworthy_degradation_tier_changes_total{tier=\"degraded_1\"} 1\n"));
    later(&app, 100).await;
    let answer = ask_for(&app, "gpt").await;
    assert_eq!(answer.header("x-seaworthy-tier"), "normal");
    assert_eq!(answer.header("x-seaworthy-target"), "openai/gpt-real");
    let log = app.finish().await;
    assert!(!log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_gives_up_is_no_reason_to_stay_in_it() {
    let gives_up = [
        ("Read-only mode", "maintenance"),
        ("Disable non-critical features", "feature_disabled"),
    ];
    for (action, code) in gives_up {
        let tiers = format!(
            "[cache]\nenabled = true\n[features.all]\ncritical = false\nmodels = [\"gpt\"]\n\
             [degradation_tiers.degraded_1]\ntrigger = \"Error rate > 10%\"\n\
             action = \"{action}\"\nrecover_after = \"30s\"\n"
        );
        let app = TestApp::builder().sections(&tiers).start().await;
        for _ in 0..5 {
            will_fail(&app);
            assert_eq!(ask_for(&app, "gpt").await.status, 501);
        }
        later(&app, 2).await;
        // Callers go on asking all the time.
        for _ in 0..24 {
            let models = app.get("/v1/models").send().await;
            if models.header("x-seaworthy-tier") == "normal" {
                break;
            }
            let answer = ask_for(&app, "gpt").await;
            answer.assert_error(Family::OpenAi, 503, code);
            later(&app, 5).await;
        }
        will_answer(&app);
        let answer = ask_for(&app, "gpt").await;
        assert_eq!(
            (answer.status, answer.header("x-seaworthy-tier")),
            (200, "normal")
        );
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_model_answered_is_no_answer_of_the_model_once_it_is_back() {
    let tiers = "[cache]\nenabled = true\n[degradation_tiers.degraded_1]\n\
                 trigger = \"Manual activation\"\naction = \"Switch to echo model\"\n";
    let app = TestApp::builder().sections(tiers).start().await;
    switch(&app, "tier", "degraded_1").await;
    for expected in ["miss", "hit"] {
        let answer = ask_for(&app, "gpt").await;
        assert_eq!(answer.header("x-seaworthy-cache"), expected);
        assert!(
            answer.text().contains("Is the hull tight?"),
            "{}",
            answer.text()
        );
    }
    app.stores.switches.release("tier").await.unwrap();
    later(&app, 2).await;
    will_answer(&app);
    let answer = ask_for(&app, "gpt").await;
    assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    assert_eq!(answer.header("x-seaworthy-target"), "openai/gpt-real");
    // The better answer serves in the next bad time, too.
    switch(&app, "tier", "degraded_1").await;
    let again = ask_for(&app, "gpt").await;
    assert_eq!(again.header("x-seaworthy-cache"), "hit");
    assert_eq!(again.text(), answer.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_limits_us_brings_its_tier_about() {
    let tiers = "[degradation_tiers.degraded_1]\ntrigger = \"Rate limited by provider\"\n\
                 action = \"Switch to echo model\"\n";
    let app = TestApp::builder().sections(tiers).start().await;
    let headers = [
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
    ];
    let body = r#"{"error": {"message": "Slow down.", "code": "insufficient_quota"}}"#;
    app.upstream.will_send(http(429, &headers, body));
    assert_eq!(ask_for(&app, "gpt").await.status, 429);
    later(&app, 2).await;
    assert_eq!(
        ask_for(&app, "gpt").await.header("x-seaworthy-tier"),
        "degraded_1"
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn people_choose_a_tier_and_let_go_of_it() {
    let tiers = "[degradation_tiers.maintenance]\ntrigger = \"Manual activation\"\n\
                 action = \"Read-only mode, cached responses only\"\n";
    let app = TestApp::builder().sections(tiers).start().await;
    switch(&app, "tier", "maintenance").await;
    for dialect in [CHAT, Dialect::AnthropicMessages] {
        let body = request(dialect, false, &json!({}));
        let refused = app.post(path(dialect), body).send().await;
        let family = dialect.family();
        refused.assert_error(family, 503, "maintenance");
        assert_eq!(refused.header("x-seaworthy-tier"), "maintenance");
        assert_eq!(refused.header("retry-after"), "60");
    }
    app.stores.switches.release("tier").await.unwrap();
    later(&app, 2).await;
    will_answer(&app);
    assert_eq!(ask_for(&app, "gpt").await.status, 200);
    app.finish().await;
}

const FEATURES: &str = "[features.drafts]\ncritical = false\n[features.drafts.tenants]\n\
     the-user = true\n[features.search]\nenabled = false\n\
     [degradation_tiers.degraded_1]\ntrigger = \"Manual activation\"\n\
     action = \"Disable non-critical features\"\n";

async fn ask_with_feature(app: &TestApp, feature: &str) -> Answer {
    let body = request(CHAT, false, &json!({"model": "echo"}));
    let call = app.post(path(CHAT), body);
    call.header("x-seaworthy-feature", feature).send().await
}

#[tokio::test(start_paused = true)]
async fn features_are_switched_by_the_configuration_people_and_tiers() {
    let app = TestApp::builder().sections(FEATURES).start().await;
    assert_eq!(ask_with_feature(&app, "drafts").await.status, 200);
    let refused = ask_with_feature(&app, "search").await;
    refused.assert_error(Family::OpenAi, 403, "feature_disabled");
    let unknown = ask_with_feature(&app, "draft").await;
    unknown.assert_error(Family::OpenAi, 400, "invalid_request");
    assert!(
        unknown.text().contains("drafts, search"),
        "{}",
        unknown.text()
    );

    switch(&app, "feature:search", "on").await;
    assert_eq!(ask_with_feature(&app, "search").await.status, 200);

    switch(&app, "tier", "degraded_1").await;
    let refused = ask_with_feature(&app, "drafts").await;
    refused.assert_error(Family::OpenAi, 503, "feature_disabled");
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(ask_with_feature(&app, "search").await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_belongs_to_a_feature_without_the_caller_saying_so() {
    let features = "[features.big]\nenabled = false\nmodels = [\"gpt\"]\n";
    let app = TestApp::builder().sections(features).start().await;
    let refused = ask_for(&app, "gpt-alias").await;
    refused.assert_error(Family::OpenAi, 403, "feature_disabled");
    assert_eq!(ask_for(&app, "echo").await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_is_left_can_bring_a_tier_about() {
    let tiers = "[degradation_tiers.degraded_1]\ntrigger = \"remaining_quota < 1000\"\n\
                 action = \"Switch to echo model\"\n";
    let app = TestApp::builder().sections(tiers).start().await;
    let body = reply(CHAT, false, &usage_object(CHAT)).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-tokens", "999"),
    ];
    app.upstream.will_send(http(200, &headers, &body));
    assert_eq!(ask_for(&app, "gpt").await.status, 200);
    later(&app, 2).await;
    assert_eq!(
        ask_for(&app, "gpt").await.header("x-seaworthy-tier"),
        "degraded_1"
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn vectors_and_judgements_are_asked_of_the_model_that_was_meant() {
    let sections = "[degradation_tiers.degraded_1]\ntrigger = \"Manual activation\"\n\
                    action = \"Switch to echo model\"\n";
    let app = TestApp::builder().sections(sections).start().await;
    switch(&app, "tier", "degraded_1").await;
    for (path, body, answer) in [
        (
            "/v1/embeddings",
            json!({"model": "gpt", "input": "Ahoy"}),
            json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1]}],
                "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        ),
        (
            "/v1/moderations",
            json!({"model": "gpt", "input": "Ahoy"}),
            json!({"id": "m", "model": "m", "results": []}),
        ),
    ] {
        app.upstream.will_send(json_response(200, &answer));
        let told = app.post(path, body.to_string()).send().await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        assert_eq!(told.header("x-seaworthy-target"), "openai/gpt-real");
    }
    app.finish().await;
}
