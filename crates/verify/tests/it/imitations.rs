//! Servers and repositories in the shape of well-known ones: nothing passes that they do not have.

use std::fs;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use seaworthy_verify::{Asked, Options, Outcome, Report, Scope, Status, Verdict, run};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::support::{check, complaints, ids, options};

/// What a server answers: a status and a document.
type Answers = fn(&Request<Incoming>) -> (u16, Value);

async fn serve(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request: Request<Incoming>| {
                let (status, body) = answers(&request);
                let answer = Response::builder()
                    .status(status)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(body.to_string())));
                std::future::ready(answer)
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    address
}

async fn check_everything(address: SocketAddr) -> Report {
    let mut options = options(address);
    options.patience = std::time::Duration::from_millis(300);
    options.request_timeout = std::time::Duration::from_secs(2);
    check(options).await
}

/// A proxy in the shape of LiteLLM in front of a model that says what it likes.
fn proxy(request: &Request<Incoming>) -> (u16, Value) {
    let has_key = request.headers().contains_key("authorization");
    match request.uri().path() {
        "/health/liveliness" | "/health/readiness" => (200, json!("I'm alive!")),
        "/openapi.json" => {
            let scheme = json!({"type": "apiKey", "in": "header", "name": "x-litellm-api-key"});
            (
                200,
                json!({"components": {"securitySchemes": {"APIKeyHeader": scheme}}}),
            )
        }
        _ if !has_key => {
            let message = "Authentication Error, No api key passed in.";
            (
                500,
                json!({"error": {"message": message, "type": "auth_error", "param": "None", "code": "500"}}),
            )
        }
        "/v1/models" => (
            200,
            json!({"object": "list", "data": [{"id": "echo", "object": "model"}]}),
        ),
        "/v1/chat/completions" => {
            let message = json!({"role": "assistant", "content": "the ship holds her course"});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let usage = json!({"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6});
            (
                200,
                json!({"id": "x", "object": "chat.completion", "model": "echo", "choices": [choice], "usage": usage}),
            )
        }
        _ => (404, json!({"detail": "Not Found"})),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_repeat_proves_no_redaction() {
    let report = check_everything(serve(proxy).await).await;
    assert_eq!(report.verdict, Verdict::NotReady);
    let passed = ids(&report, Status::Pass);
    for id in [
        "privacy.pii-redacted",
        "output.secrets-filtered",
        "auth.missing-key-is-401",
        "auth.wrong-key-is-401",
        "metrics.exposed",
        "cache.enabled",
        "retry.idempotency",
    ] {
        assert!(!passed.contains(&id), "{id}: {}", complaints(&report));
    }
    // It declares a header and lets nobody in with it.
    assert!(
        ids(&report, Status::Fail).contains(&"auth.declared-in-manifest"),
        "{}",
        complaints(&report)
    );
}

/// An agent in the shape of the ASAP reference server.
fn agent(request: &Request<Incoming>) -> (u16, Value) {
    match request.uri().path() {
        "/.well-known/asap/manifest.json" => (
            200,
            json!({"id": "urn:asap:agent:echo", "auth": {"schemes": ["bearer"]}, "capabilities": {"skills": [{"id": "echo"}]}}),
        ),
        "/.well-known/asap/health" => (200, json!({"status": "healthy", "version": "2.5.10"})),
        "/asap" => {
            let error = json!({"code": -32600, "message": "Invalid Request"});
            (200, json!({"jsonrpc": "2.0", "id": null, "error": error}))
        }
        _ => (404, json!({"detail": "Not Found"})),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_model_api_passes_nothing_about_models() {
    let report = check_everything(serve(agent).await).await;
    assert_eq!(report.verdict, Verdict::NotReady);
    let areas = [
        "models.", "auth.", "metrics.", "health.", "input.", "trace.", "secrets.",
    ];
    let passed = ids(&report, Status::Pass);
    // To a server that asks nobody for a key, any key is as good as another.
    let false_passes: Vec<_> = passed
        .iter()
        .filter(|id| areas.iter().any(|area| id.starts_with(area)))
        .collect();
    assert!(
        false_passes.is_empty(),
        "{false_passes:?}\n{}",
        complaints(&report)
    );
}

/// A repository in the shape of the Microsoft agent template: documented, and not wired.
fn template(folder: &TempDir) {
    let files = [
        (
            "README.md",
            "# Agent\n\n| `POST /api/question` | asks |\n| `GET /health/ready` | health |\n",
        ),
        (
            "config/agent.toml.example",
            "[agent]\nsystem_prompt = \"be kind\"\nlog_level = \"INFO\"\ndefault_model = \"gpt\"\n\n\
             [agent.security]\nenabled = true\nredact_everything = true\n\
             [agent.security.throttle]\nenabled = true\ncalls_per_fortnight = 60\n",
        ),
        (
            "src/config/loader.py",
            "\"\"\"Loads the configuration.\"\"\"\n\n\ndef load(agent: dict) -> tuple:\n    \
             \"\"\"Reads what there is.\"\"\"\n    security = agent.get('enabled')\n    \
             return agent['system_prompt'], agent['log_level'], agent['default_model'], security\n",
        ),
        (
            "Dockerfile",
            "FROM python:3.11-slim\nCOPY . .\nCMD [\"python\", \"-m\", \"src.orchestrator.main\"]\n",
        ),
        (
            "deployment/k8s/deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: agent}\nspec:\n  replicas: 3\n  \
             template:\n    spec:\n      containers:\n        - name: agent\n          \
             image: agent:latest\n",
        ),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
}

#[tokio::test]
async fn a_template_that_documents_what_nothing_reads_is_found_out() {
    let folder = TempDir::new().expect("a folder");
    template(&folder);
    let mut options = Options::new("http://127.0.0.1:9");
    options.scope = Scope::Files;
    options.asked = Asked::All;
    options.repository = Some(folder.path().to_owned());
    options.manifests = Some(folder.path().join("deployment"));
    let report = run(options, |_| {}).await.expect("a report");
    let result = report
        .results
        .iter()
        .find(|r| r.check.id == "config.keys-read");
    let outcome = &result.expect("it was asked").outcome;
    let Outcome::Fail { found, .. } = outcome else {
        panic!("{outcome:?}");
    };
    for key in ["redact_everything", "calls_per_fortnight"] {
        assert!(found.contains(key), "{found}");
    }
    assert!(!found.contains("system_prompt"), "{found}");
    let passed = ids(&report, Status::Pass);
    for id in [
        "k8s.liveness-probe",
        "container.image-pinned",
        "repo.tests-exist",
        "container.dockerfile-user",
    ] {
        assert!(!passed.contains(&id), "{id}");
    }
}

/// Servers that know one answer pass nothing that an answer of theirs seems to show.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_one_answer_for_everything_proves_nothing_by_it() {
    let ones: [(u16, Answers); 5] = [
        (200, |_| (200, json!("ok"))),
        (200, |_| (200, json!({"status": "ok", "data": []}))),
        (302, |_| (302, json!({}))),
        (400, |_| {
            (400, json!({"error": {"message": "bad", "type": "bad"}}))
        }),
        (429, |_| (429, json!({"error": {"message": "slow down"}}))),
    ];
    for (status, answers) in ones {
        let report = check_everything(serve(answers).await).await;
        assert_eq!(report.verdict, Verdict::NotReady);
        let passed = ids(&report, Status::Pass);
        let proved: Vec<_> = passed
            .iter()
            .filter(|id| {
                [
                    "health.",
                    "auth.",
                    "models.",
                    "secrets.",
                    "injection.",
                    "privacy.",
                ]
                .iter()
                .any(|area| id.starts_with(area))
                    || **id == "errors.no-internals" && status < 400
            })
            .collect();
        assert!(proved.is_empty(), "{status}: {proved:?}");
    }
}

/// A proxy that refuses everybody shows that it refuses, and nothing of what lies behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_given_key_as_well_proves_no_validation() {
    let address = serve(|_| (401, json!({"error": {"message": "no", "type": "auth"}}))).await;
    let report = check_everything(address).await;
    assert_eq!(report.verdict, Verdict::NotReady);
    let passed = ids(&report, Status::Pass);
    for id in [
        "auth.jwt-validation",
        "auth.valid-key-is-accepted",
        "auth.wrong-key-is-401",
        "models.api-served",
    ] {
        assert!(!passed.contains(&id), "{passed:?}");
    }
}

/// A server without a library of its own: it answers 401 as soon as a head has come, whatever it is.
async fn serve_by_hand() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
                        return;
                    }
                }
                let answer =
                    b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _gone = stream.write_all(answer).await;
            });
        }
    });
    address
}

/// What everybody gets for everything is no refusal of what is wrong with a request.
#[tokio::test(flavor = "multi_thread")]
async fn one_answer_to_everything_refuses_no_flood_and_no_garbage() {
    let report = check_everything(serve_by_hand().await).await;
    let passed = ids(&report, Status::Pass);
    for id in [
        "limits.header-flood-is-refused",
        "limits.long-target-is-refused",
        "protocol.garbage-is-harmless",
    ] {
        assert!(!passed.contains(&id), "{passed:?}");
    }
}

/// What is wrong with the ping of a container in the shape of AgentCore's.
async fn ping(answers: Answers) -> Outcome {
    let mut options = options(serve(answers).await);
    options.asked = Asked::Only(["health.ping-contract".to_owned()].into());
    let mut report = check(options).await;
    let at = report
        .results
        .iter()
        .position(|r| r.check.id == "health.ping-contract");
    report
        .results
        .swap_remove(at.expect("it was asked for"))
        .outcome
}

/// The rest of such a container.
fn container(request: &Request<Incoming>, ping: Value) -> (u16, Value) {
    match (request.uri().path(), request.method().as_str()) {
        ("/ping", _) => (200, ping),
        ("/invocations", "GET") => (405, json!({})),
        _ => (404, json!({"detail": "Not Found"})),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ping_of_a_container_must_say_what_holds_and_since_when() {
    let faults: [(Answers, &str); 5] = [
        (|r| container(r, json!({"status": "ok"})), "\"ok\""),
        (|r| container(r, json!({"status": "Healthy"})), "none"),
        (
            |r| {
                container(
                    r,
                    json!({"status": "HealthyBusy", "time_of_last_update": now() * 1_000}),
                )
            },
            "milliseconds",
        ),
        // Each answer says that it changed just now.
        (
            |r| {
                container(
                    r,
                    json!({"status": "Healthy", "time_of_last_update": now()}),
                )
            },
            "a second later Healthy since",
        ),
        (
            |r| match r.uri().path() {
                "/ping" => (500, json!({})),
                _ => container(r, Value::Null),
            },
            "500",
        ),
    ];
    for (answers, expected) in faults {
        let outcome = ping(answers).await;
        let Outcome::Fail { found, .. } = &outcome else {
            panic!("{expected}: {outcome:?}");
        };
        assert!(found.contains(expected), "{found}");
    }
    let since = |r: &Request<Incoming>| {
        static STARTED: std::sync::LazyLock<i64> = std::sync::LazyLock::new(now);
        container(
            r,
            json!({"status": "Healthy", "time_of_last_update": *STARTED}),
        )
    };
    let outcome = ping(since).await;
    assert!(matches!(outcome, Outcome::Pass { .. }), "{outcome:?}");
    let another: Answers = |r| match r.uri().path() {
        "/ping" => (200, json!("pong")),
        _ => (404, json!({})),
    };
    let outcome = ping(another).await;
    assert!(
        matches!(outcome, Outcome::NotApplicable { .. }),
        "{outcome:?}"
    );
}
