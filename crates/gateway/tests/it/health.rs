//! Health says what is true, quickly, and what the configuration asks it to look at.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::{Dialect, Family};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::upstream::{Step, Upstream};
use crate::support::wire::{http, json_response, path, reply, request, usage_object};

const CHAT: Dialect = Dialect::OpenAiChat;

async fn seconds(app: &TestApp, count: u64) {
    for _ in 0..count {
        app.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn deep(app: &TestApp) -> (u16, Value) {
    let answer = app.get("/health/deep").send().await;
    (answer.status, answer.json())
}

async fn post(app: &TestApp, key: &str, target: &str, body: Value) -> Answer {
    let call = app.call(Method::POST, target).key(key);
    call.body(body.to_string()).send().await
}

#[tokio::test(start_paused = true)]
async fn everything_is_looked_at_in_the_background_without_a_configuration() {
    let app = TestApp::start().await;
    seconds(&app, 1).await;
    let (status, body) = deep(&app).await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    for dependency in ["database", "shared_state"] {
        assert_eq!(body["dependencies"][dependency]["status"], "ok", "{body}");
    }
    assert_eq!(body["degradation"]["tier"], "normal");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_database_fails_deep_health_and_comes_back() {
    let app = TestApp::builder()
        .sections(
            "[dependency_checks.db]\ncheck = \"SELECT 1\"\ntimeout = \"1s\"\ncritical = true\n",
        )
        .start()
        .await;
    seconds(&app, 1).await;
    app.keys_outage.set(true);
    seconds(&app, 11).await;
    let (status, body) = deep(&app).await;
    assert_eq!(
        (status, &body["status"]),
        (503, &json!("unavailable")),
        "{body}"
    );
    let db = &body["dependencies"]["db"];
    assert_eq!(
        (&db["status"], &db["critical"]),
        (&json!("failing"), &json!(true))
    );
    assert!(
        !body.to_string().contains("taken away on purpose"),
        "{body}"
    );
    assert!(
        app.metrics()
            .await
            .contains("seaworthy_dependency_up{dependency=\"db\"} 0\n")
    );
    app.keys_outage.set(false);
    seconds(&app, 11).await;
    assert_eq!(deep(&app).await.0, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_critical_degrades_and_does_not_fail() {
    let app = TestApp::builder()
        .sections("[dependency_checks.db]\ncheck = \"SELECT 1\"\n")
        .start()
        .await;
    app.keys_outage.set(true);
    seconds(&app, 11).await;
    let (status, body) = deep(&app).await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("degraded")),
        "{body}"
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_looks_at_what_the_configuration_says() {
    let app = TestApp::builder()
        .sections(
            "[health_endpoints.\"/health/ready\"]\npurpose = \"Readiness for traffic\"\n\
             checks = [\"database_connected\", \"cache_available\", \"api_key_valid\"]\n\
             response_time = \"<500ms\"\n",
        )
        .start()
        .await;
    let ready = app.get("/health/ready").send().await;
    assert_eq!(ready.status, 200);
    let body = ready.json();
    assert_eq!(body["purpose"], "Readiness for traffic");
    assert_eq!(body["response_time_target_ms"], 500);
    let names: Vec<&str> = body["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "accepting_requests",
            "database_connected",
            "cache_available",
            "api_key_valid"
        ]
    );
    // The provider refuses the gateway's own key: told, and no reason to take every replica out.
    let headers = [("content-type", "application/json")];
    app.upstream
        .will_send(http(401, &headers, r#"{"error": {"message": "No."}}"#));
    app.post(path(CHAT), request(CHAT, false, &json!({})))
        .send()
        .await;
    let ready = app.get("/health/ready").send().await;
    assert_eq!(ready.status, 200);
    let check = &ready.json()["checks"][3];
    assert_eq!(check["status"], "degraded");
    assert_eq!(check["detail"], "credentials were refused by: openai");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn deep_health_shows_quotas_and_the_share_of_successes() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let body = reply(CHAT, false, &usage_object(CHAT)).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("x-ratelimit-remaining-requests", "41"),
            ("x-ratelimit-limit-requests", "60"),
        ];
        app.upstream.will_send(http(200, &headers, &body));
        app.post(path(CHAT), request(CHAT, false, &json!({})))
            .send()
            .await;
    }
    let (_, body) = deep(&app).await;
    assert_eq!(body["providers"]["openai"]["quota_remaining"], 41, "{body}");
    assert_eq!(body["providers"]["openai"]["requests_remaining"], 41);
    assert_eq!(body["providers"]["openai"]["requests_limit"], 60);
    assert_eq!(body["providers"]["openai"]["tokens_remaining"], json!(null));
    assert_eq!(body["providers"]["openai"]["last_status"], 200);
    let metrics = app.get("/metrics").send().await.text();
    for line in [
        "seaworthy_provider_quota_remaining{provider=\"openai\",limit=\"requests\"} 41",
        "seaworthy_provider_quota_limit{provider=\"openai\",limit=\"requests\"} 60",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let details = body["checks"].to_string();
    assert!(
        details.contains("100% of the requests of the last minute succeeded"),
        "{details}"
    );
    app.finish().await;
}

async fn with_a_tier_and_a_feature() -> TestApp {
    TestApp::builder()
        .sections(
            "[degradation_tiers.maintenance]\ntrigger = \"Manual activation\"\n\
             action = \"Read-only mode\"\n[features.search]\n",
        )
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn a_tier_or_feature_that_there_is_none_of_is_answered_with_those_that_there_are() {
    let app = with_a_tier_and_a_feature().await;
    for (path, body, known) in [
        (
            "tier",
            json!({"tier": "degraded_7"}),
            "normal, maintenance.",
        ),
        ("features/serch", json!({"enabled": false}), "search."),
    ] {
        let path = format!("/admin/v1/{path}");
        let answer = post(&app, &app.admin_key, &path, body).await;
        let told = answer.text();
        assert!(matches!(answer.status, 400 | 404), "{told}");
        assert!(told.contains(&format!("There are: {known}")), "{told}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn operators_choose_tiers_and_switch_features_over_http() {
    let app = with_a_tier_and_a_feature().await;
    let refused = post(
        &app,
        &app.user_key,
        "/admin/v1/tier",
        json!({"tier": "maintenance"}),
    )
    .await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    let unknown = post(
        &app,
        &app.admin_key,
        "/admin/v1/tier",
        json!({"tier": "degraded_7"}),
    )
    .await;
    unknown.assert_error(Family::OpenAi, 400, "invalid_request");

    let chosen = post(
        &app,
        &app.admin_key,
        "/admin/v1/tier",
        json!({"tier": "maintenance"}),
    )
    .await;
    assert_eq!(
        (chosen.status, &chosen.json()["tier"]),
        (200, &json!("maintenance"))
    );
    assert_eq!(chosen.json()["manual"], true);
    let call = app.post(path(CHAT), request(CHAT, false, &json!({"model": "echo"})));
    call.send()
        .await
        .assert_error(Family::OpenAi, 503, "maintenance");
    let freed = post(
        &app,
        &app.admin_key,
        "/admin/v1/tier",
        json!({"tier": null}),
    )
    .await;
    assert_eq!(freed.json()["tier"], "normal");

    let off = post(
        &app,
        &app.admin_key,
        "/admin/v1/features/search",
        json!({"enabled": false}),
    );
    assert_eq!(off.await.json()["switched"], false);
    let listed = app
        .get("/v1/features")
        .key(&app.user_key)
        .send()
        .await
        .json();
    assert_eq!(
        listed["data"],
        json!([{"name": "search", "enabled": false, "critical": true, "reason": "switched_off"}])
    );
    let nothing = post(
        &app,
        &app.admin_key,
        "/admin/v1/features/no",
        json!({"enabled": true}),
    );
    nothing.await.assert_error(Family::OpenAi, 404, "not_found");
    // Nobody lets go of what people chose by leaving a name out.
    for path in ["/admin/v1/tier", "/admin/v1/features/search"] {
        let slip = post(&app, &app.admin_key, path, json!({})).await;
        slip.assert_error(Family::OpenAi, 400, "invalid_request");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_minimal_call_is_accounted_for_like_any_other() {
    let upstream = Upstream::default();
    let target = "/v1/chat/completions";
    let answer = json_response(200, &reply(CHAT, false, &usage_object(CHAT)));
    upstream.always(target, [Step::Send(answer)]);
    let app = TestApp::builder()
        .upstream(&upstream)
        .sections(
            "[dependency_checks.llm_api]\ncheck = \"test request with minimal tokens\"\n\
             timeout = \"5s\"\ncritical = true\nmodels = [\"gpt\"]\n",
        )
        .start()
        .await;
    seconds(&app, 2).await;
    let (status, body) = deep(&app).await;
    assert_eq!(body["dependencies"]["llm_api"]["status"], "ok", "{body}");
    assert_eq!(status, 200);
    let settled = app.only_settlement().await;
    assert_eq!(&*settled.user_id, "health");
    // Not again before its time has come; then the provider is away.
    let refusal = http(
        503,
        &[
            ("content-type", "application/json"),
            ("x-should-retry", "false"),
        ],
        "{}",
    );
    upstream.always(target, [Step::Send(refusal)]);
    seconds(&app, 200).await;
    assert_eq!(upstream.asked(target), 1);
    seconds(&app, 101).await;
    let (status, body) = deep(&app).await;
    assert_eq!(
        (status, &body["dependencies"]["llm_api"]["status"]),
        (503, &json!("failing"))
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_address_is_asked_for_its_head_whether_or_not_it_has_a_path() {
    let upstream = Upstream::default();
    for target in ["/", "/status"] {
        upstream.always(target, [Step::Send(http(404, &[], ""))]);
    }
    let app = TestApp::builder()
        .upstream(&upstream)
        .sections(
            "[dependency_checks.web]\ncheck = \"HEAD request\"\n\
             urls = [\"http://a.test\", \"http://a.test/\", \"http://a.test/status\"]\n",
        )
        .start()
        .await;
    seconds(&app, 2).await;
    let (_, body) = deep(&app).await;
    assert_eq!(body["dependencies"]["web"]["status"], "ok", "{body}");
    assert_eq!((upstream.asked("/"), upstream.asked("/status")), (2, 1));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn models_are_asked_at_the_same_time_and_those_without_an_answer_are_named() {
    let upstream = Upstream::default();
    let slow = [
        Step::Pause(Duration::from_secs(3)),
        Step::Send(json_response(200, &reply(CHAT, false, &usage_object(CHAT)))),
    ];
    upstream.always("/v1/chat/completions", slow);
    upstream.will([Step::Silence]);
    let app = TestApp::builder()
        .upstream(&upstream)
        .sections(
            "[models.gpt-2]\ntargets = [\"openai/gpt-two\"]\n\
             [dependency_checks.slow]\ncheck = \"test request with minimal tokens\"\n\
             timeout = \"5s\"\ncritical = true\nmodels = [\"gpt\", \"gpt-2\"]\n\
             [dependency_checks.silent]\ncheck = \"test request with minimal tokens\"\n\
             timeout = \"5s\"\ncritical = false\nmodels = [\"claude\", \"gpt\"]\n",
        )
        .start()
        .await;
    seconds(&app, 10).await;
    let (status, body) = deep(&app).await;
    // Three seconds and three seconds are no more than five.
    assert_eq!(body["dependencies"]["slow"]["status"], "ok", "{body}");
    let silent = &body["dependencies"]["silent"];
    assert_eq!(silent["status"], "failing", "{body}");
    assert_eq!(silent["detail"], "a call of `claude` has no answer in time");
    assert_eq!(status, 200);
    app.finish().await;
}
