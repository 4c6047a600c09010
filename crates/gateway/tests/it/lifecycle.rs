//! Overload, shutdown, panics and changes of the configuration, with requests on their way.

use std::sync::Arc;

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::Outcome;
use seaworthy_gateway::Lifecycle;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::TestApp;
use crate::support::client::Open;
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{
    DIALECTS, ask, chunk, events, last_chunk, ok, openai_usage_event, path, request, stream_head,
};

const CHAT: Dialect = Dialect::OpenAiChat;

/// A stream that has begun and goes on when it is told to.
async fn begin_stream(app: &TestApp) -> (Open, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    let events = events(CHAT, false);
    app.upstream.will([
        stream_head(),
        chunk(events[..2].concat()),
        Step::Until(Arc::clone(&go_on)),
        chunk(events[2..].concat()),
        last_chunk(),
    ]);
    let mut open = app.post(path(CHAT), ask(CHAT, true)).open().await;
    assert_eq!(open.response.status(), 200);
    open.next().await.unwrap();
    (open, go_on)
}

async fn assert_completes(open: Open, go_on: &Notify) {
    go_on.notify_one();
    let rest = events(CHAT, false)[2..].concat();
    let answer = open.rest().await;
    assert_eq!(answer.text(), rest.replace(&openai_usage_event(), ""));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stops_refuses_new_calls_and_finishes_those_that_run() {
    let app = TestApp::start().await;
    let (open, go_on) = begin_stream(&app).await;
    app.gateway.health.set(Lifecycle::Stopping);
    for dialect in DIALECTS {
        let refused = app.post(path(dialect), ask(dialect, false)).send().await;
        refused.assert_error(dialect.family(), 503, "shutting_down");
        assert!(!refused.header("retry-after").is_empty());
        assert_eq!(refused.header("connection"), "close");
    }
    assert_eq!(app.get("/health/ready").send().await.status, 503);
    assert_eq!(app.get("/health/live").send().await.status, 200);
    assert_completes(open, &go_on).await;
    assert_eq!(app.only_settlement().await.outcome, Outcome::Success);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_about_to_stop_still_takes_calls_but_asks_for_none() {
    let app = TestApp::start().await;
    app.gateway.health.set(Lifecycle::Draining);
    assert_eq!(app.get("/health/ready").send().await.status, 503);
    app.upstream.will_send(ok(CHAT));
    let answer = app.post(path(CHAT), ask(CHAT, false)).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), "close");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_not_started_is_not_ready() {
    let app = TestApp::start().await;
    app.gateway.health.set(Lifecycle::Starting);
    let ready = app.get("/ready").send().await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("starting"), "{}", ready.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_idleness_waits_for_the_last_stream() {
    let app = TestApp::start().await;
    let (open, go_on) = begin_stream(&app).await;
    let gateway = Arc::clone(&app.gateway);
    let idle = tokio::spawn(async move { gateway.wait_until_idle().await });
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(!idle.is_finished());
    assert_completes(open, &go_on).await;
    let soon = std::time::Duration::from_secs(1);
    tokio::time::timeout(soon, idle).await.unwrap().unwrap();
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_may_run_are_refused_with_503_until_one_ends() {
    let app = TestApp::builder()
        .server("max_concurrent_requests = 2")
        .start()
        .await;
    let running = [begin_stream(&app).await, begin_stream(&app).await];
    for dialect in DIALECTS {
        let refused = app.post(path(dialect), ask(dialect, true)).send().await;
        refused.assert_error(dialect.family(), 503, "overloaded");
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(
        app.get("/v1/models").key(&app.user_key).send().await.status,
        200
    );
    let [first, second] = running;
    assert_completes(first.0, &first.1).await;
    app.upstream.will_send(ok(CHAT));
    let answer = app.post(path(CHAT), ask(CHAT, false)).send().await;
    assert_eq!(answer.status, 200);
    assert_completes(second.0, &second.1).await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_want_of_room_costs_no_body_and_what_is_critical_finds_some() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let app = TestApp::builder()
        .server("max_concurrent_requests = 2")
        .sections("[resilience.priorities]\nmay_raise = true\n")
        .start()
        .await;
    let running = [begin_stream(&app).await, begin_stream(&app).await];
    // Its body never comes, and nobody waits for it.
    let mut io = app.connect();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 500000\r\n\r\n",
        app.user_key
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut answer = [0; 12];
    io.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    drop(io);
    app.upstream.will_send(ok(CHAT));
    let critical = app.post(path(CHAT), ask(CHAT, false));
    let critical = critical.header("x-seaworthy-priority", "critical");
    assert_eq!(critical.send().await.status, 200);
    let metrics = app.metrics().await;
    let shed = "seaworthy_shed_total{reason=\"too_many\",priority=\"normal\"} 1\n";
    assert!(metrics.contains(shed), "{metrics}");
    let [first, second] = running;
    assert_completes(first.0, &first.1).await;
    assert_completes(second.0, &second.1).await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_request_and_says_so() {
    let app = TestApp::start().await;
    let (open, go_on) = begin_stream(&app).await;
    for dialect in DIALECTS {
        // The idle connection would be used instead of dialling.
        app.upstream.dial_will(DialFault::Panic);
        let answer = app.post(path(dialect), ask(dialect, false)).send().await;
        answer.assert_error(dialect.family(), 500, "internal_error");
    }
    assert_completes(open, &go_on).await;
    app.upstream.will_send(ok(CHAT));
    let answer = app.post(path(CHAT), ask(CHAT, false)).send().await;
    assert_eq!(answer.status, 200);
    let settled = app.settlements().await;
    let failed = settled
        .iter()
        .filter(|settled| settled.outcome == Outcome::Failure && settled.status == 500);
    assert_eq!((failed.count(), settled.len()), (2, 4), "{settled:#?}");
    assert!(app.metrics().await.contains("seaworthy_panics_total 2\n"));
    let log = app.finish().await;
    let errors = log.matches("\"error_code\":\"internal_error\"").count();
    assert_eq!(errors, 2, "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_requests_that_come_after_it_and_none_that_came_before() {
    let app = TestApp::start().await;
    let (open, go_on) = begin_stream(&app).await;
    app.reload("[models.gpt]", "[models.renamed]")
        .await
        .unwrap();
    let answer = app.post(path(CHAT), ask(CHAT, false)).send().await;
    answer.assert_error(Family::OpenAi, 404, "model_not_found");
    app.upstream.will_send(ok(CHAT));
    let body = request(CHAT, false, &json!({"model": "renamed"}));
    assert_eq!(app.post(path(CHAT), body).send().await.status, 200);
    assert_completes(open, &go_on).await;
    let models: Vec<String> = app
        .settlements()
        .await
        .iter()
        .map(|settled| settled.model.to_string())
        .collect();
    assert_eq!(models, ["renamed", "gpt"]);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_moves_is_dialled_anew_and_one_that_stays_keeps_its_connections() {
    let app = TestApp::start().await;
    let ask_once = async || {
        app.upstream.will_send(ok(CHAT));
        app.post(path(CHAT), ask(CHAT, false)).send().await;
        app.upstream.received().last().unwrap().host.clone()
    };
    assert_eq!(ask_once().await, "openai.test");
    app.reload("[models.claude]", "[models.other]")
        .await
        .unwrap();
    assert_eq!(ask_once().await, "openai.test");
    assert_eq!(app.upstream.dialled(), 1);
    app.reload("http://openai.test/v1", "http://moved.test/v1")
        .await
        .unwrap();
    assert_eq!(ask_once().await, "moved.test");
    assert_eq!(app.upstream.dialled(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_cannot_be_used_changes_nothing_and_is_reported() {
    let app = TestApp::start().await;
    let hash = app.gateway.config_hash();
    let error = app
        .reload("secret://env/OPENAI_KEY", "secret://env/NOT_SET")
        .await
        .unwrap_err();
    assert!(error.contains("NOT_SET"), "{error}");
    assert_eq!(app.gateway.config_hash(), hash);
    app.upstream.will_send(ok(CHAT));
    let answer = app.post(path(CHAT), ask(CHAT, false)).send().await;
    assert_eq!(answer.status, 200);
    let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
    let reload = &status.json()["config"]["last_reload"];
    assert_eq!(reload["result"], "failure");
    assert!(reload["error"].as_str().unwrap().contains("NOT_SET"));
    let metrics = app.metrics().await;
    assert!(metrics.contains("seaworthy_config_last_reload_successful 0\n"));
    assert!(metrics.contains("seaworthy_config_reloads_total{result=\"failure\"} 1\n"));
    app.reload("[models.claude]", "[models.other]")
        .await
        .unwrap();
    let metrics = app.metrics().await;
    assert!(metrics.contains("seaworthy_config_last_reload_successful 1\n"));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_request_is_one_line_of_the_log_and_one_count() {
    let app = TestApp::start().await;
    app.upstream.will_send(ok(CHAT));
    app.post(path(CHAT), ask(CHAT, false)).send().await;
    app.get("/v1/models").send().await;
    app.get("/health").send().await;
    let metrics = app.metrics().await;
    for line in [
        "seaworthy_requests_total{action=\"chat\",model=\"gpt\",status=\"200\",outcome=\"success\"} 1\n",
        "seaworthy_requests_total{action=\"list_models\",model=\"\",status=\"401\",outcome=\"failure\"} 1\n",
        "seaworthy_errors_total{action=\"list_models\",code=\"missing_api_key\"} 1\n",
        "seaworthy_tokens_used_total{model=\"gpt\",target=\"openai/gpt-real\",type=\"output\"} 9\n",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let log = app.finish().await;
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let actions: Vec<&str> = lines
        .iter()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["chat", "list_models"], "probes say nothing");
    for field in [
        "timestamp",
        "level",
        "request_id",
        "user_id",
        "action",
        "duration_ms",
        "token_count",
        "cost_usd",
        "status",
        "trace_id",
        "correlation_id",
    ] {
        assert!(lines[0].get(field).is_some(), "{field}: {}", lines[0]);
    }
    assert_eq!(lines[1]["error_code"], "missing_api_key");
}
