//! The endpoint of the sandbox as far as it goes without a worker. What runs is tested with the program.

use serde_json::json;

use crate::support::app::TestApp;

const ON: &str = "\n[sandbox]\nenabled = true\nprice_per_run = 0.01\n";

#[tokio::test(start_paused = true)]
async fn it_is_off_unless_the_operator_enables_it() {
    let app = TestApp::start().await;
    let body = json!({"language": "javascript", "code": "1"});
    let answer = app
        .post("/v1/sandbox/execute", body.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("sandbox.enabled"));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_system_that_cannot_lock_it_refuses_and_nothing_is_charged() {
    let app = TestApp::builder().sections(ON).start().await;
    let body = json!({"language": "javascript", "code": "1"});
    let answer = app
        .post("/v1/sandbox/execute", body.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(
        answer.text().contains("sandbox_unavailable"),
        "{}",
        answer.text()
    );
    let metrics = app.metrics().await;
    assert!(
        metrics.contains(
            "seaworthy_sandbox_runs_total{language=\"javascript\",exit=\"unavailable\"} 1"
        ),
        "{metrics}"
    );
    assert!(app.settlements().await.is_empty());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_in_a_request_is_named() {
    let app = TestApp::builder().sections(ON).start().await;
    for (body, told) in [
        (json!({"language": "perl", "code": "1"}), "perl"),
        (json!({"language": "javascript"}), "code"),
        (
            json!({"language": "javascript", "code": "1", "extra": 1}),
            "extra",
        ),
        (
            json!({"language": "javascript", "code": "1", "limits": {"cpu_ms": 600_000}}),
            "`limits.cpu_ms`: expected 1 to 2000, found 600000",
        ),
        (
            json!({"language": "javascript", "code": "1", "limits": {"memory_bytes": 0}}),
            "limits.memory_bytes",
        ),
    ] {
        let answer = app
            .post("/v1/sandbox/execute", body.to_string())
            .send()
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
    }
    app.finish().await;
}
