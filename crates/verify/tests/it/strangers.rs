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
    let mut options = options(web_server().await);
    // It runs on this machine, beside a program that it has nothing to do with.
    options.local_binary = std::env::current_exe().ok();
    let report = check(options).await;
    assert_eq!(report.verdict, Verdict::NotReady, "{}", complaints(&report));
    assert!(!report.subject.seaworthy);
    let passed = ids(&report, Status::Pass);
    for area in [
        "auth.",
        "secrets.",
        "health.",
        "input.",
        "metrics.",
        "trace.",
        "models.",
        "lifecycle.",
    ] {
        let false_passes: Vec<_> = passed.iter().filter(|id| id.starts_with(area)).collect();
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

/// Where Debian and others put it.
const NGINX: [&str; 3] = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];

/// A real nginx that serves an empty folder; it is stopped when dropped.
struct Nginx {
    child: std::process::Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Nginx {
    fn start(program: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let at = folder.path().display();
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/errors;\n\
             events {{}}\nhttp {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {at}; }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).expect("written");
        let child = std::process::Command::new(program)
            .args(["-p", &folder.path().display().to_string(), "-c"])
            .arg(&file)
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("nginx starts");
        Self {
            child,
            _folder: folder,
            port,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_nginx_passes_nothing_it_does_not_have_and_crashes_nothing() {
    let Some(program) = NGINX
        .iter()
        .find(|path| std::path::Path::new(path).exists())
    else {
        println!("not compared with nginx: it is not installed");
        return;
    };
    let nginx = Nginx::start(program);
    let mut options = options(([127, 0, 0, 1], nginx.port).into());
    options.patience = Duration::from_secs(1);
    let mut outcome = run(options.clone(), |_| {}).await;
    for _ in 0..50 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        outcome = run(options.clone(), |_| {}).await;
    }
    let report = outcome.expect("a report");
    assert_eq!(report.verdict, Verdict::NotReady);
    let passed = ids(&report, Status::Pass);
    // What a plain web server truly does: it speaks HTTP, bounds what it takes, and echoes nothing.
    let may = |id: &&str| {
        ["protocol.", "limits.", "errors."]
            .iter()
            .any(|area| id.starts_with(area))
            || matches!(*id, "output.html-escaped" | "auth.valid-key-is-accepted")
    };
    let false_passes: Vec<_> = passed.iter().filter(|id| !may(id)).collect();
    assert!(
        false_passes.is_empty(),
        "{false_passes:?}\n{}",
        complaints(&report)
    );
}
