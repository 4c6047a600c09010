//! Servers that are not ours, or not there at all.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use seaworthy_verify::{FailOn, Options, RunError, Status, Verdict, exit_code, run};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::support::{check, complaints, ids, options};

/// A plain web server: a page at `/`, and pages that say "not found".
async fn web_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
                let status = if request.uri().path() == "/" {
                    200
                } else {
                    404
                };
                Response::builder()
                    .status(status)
                    .header("server", "httpd/2.4")
                    .body(Full::new(Bytes::from_static(b"<html>page</html>")))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_millis(300))
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_web_server_is_not_ready_and_passes_nothing_it_does_not_have() {
    let report = check(options(web_server().await)).await;
    assert_eq!(report.verdict, Verdict::NotReady, "{}", complaints(&report));
    assert!(!report.subject.seaworthy);
    let passed = ids(&report, Status::Pass);
    for area in [
        "auth.", "secrets.", "health.", "input.", "metrics.", "trace.", "models.",
    ] {
        let false_passes: Vec<_> = passed
            .iter()
            .filter(|id| id.starts_with(area) && **id != "auth.valid-key-is-accepted")
            .collect();
        assert!(false_passes.is_empty(), "{false_passes:?}");
    }
    for red in [
        "models.api-served",
        "metrics.exposed",
        "health.liveness",
        "errors.no-version-banner",
    ] {
        assert!(
            ids(&report, Status::Fail).contains(&red),
            "{red}: {}",
            complaints(&report)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_no_verdict_but_exit_code_2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let outcome = run(Options::new(format!("http://{address}")), |_| {}).await;
    assert!(
        matches!(outcome, Err(RunError::Unreachable { .. })),
        "{outcome:?}"
    );
    assert_eq!(exit_code(&outcome, FailOn::High), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_speak_http_is_no_verdict() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"220 mail.example.com ESMTP\r\n").await);
        }
    });
    let outcome = run(Options::new(format!("http://{address}")), |_| {}).await;
    assert!(
        matches!(outcome, Err(RunError::Unreachable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_does_not_hold_the_run_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut options = Options::new(format!("http://{address}"));
    options.request_timeout = Duration::from_millis(200);
    let outcome = run(options, |_| {}).await;
    assert!(
        matches!(outcome, Err(RunError::Unreachable { .. })),
        "{outcome:?}"
    );
    drop(listener);
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_explained() {
    let outcome = run(Options::new("localhost:8080"), |_| {}).await;
    let error = outcome.expect_err("not a URL with a scheme").to_string();
    assert!(error.contains("expected a URL such as"), "{error}");
}
