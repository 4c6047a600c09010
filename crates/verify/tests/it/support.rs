//! A scripted server that does everything right, except for the one thing it is told to break.

pub(crate) mod answers;
pub(crate) mod front;
pub(crate) mod handler;
pub(crate) mod process;
pub(crate) mod promises;
pub(crate) mod series;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use seaworthy_verify::{Asked, Check, Need, Options, Report, catalogue};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use handler::Server;

/// The data-plane key that the scripted server accepts.
pub(crate) const KEY: &str = "sw-data-plane-key-of-the-test-0123456789";
/// The admin key that it accepts.
pub(crate) const ADMIN_KEY: &str = "sw-admin-key-of-the-test-0123456789abcd";

/// A scripted server on a free port of the loopback; it ends when dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

/// Starts a scripted server that breaks what the check with this ID looks for.
pub(crate) async fn start(broken: Option<&'static str>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        serve(listener, Arc::new(Server::new(broken)), async move {
            drop(stopped.await)
        })
        .await;
    });
    Scripted {
        address,
        _stop: stop,
    }
}

/// Accepts connections until told to stop, then finishes the open ones.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            () = &mut stop => break,
        };
        let (server, watcher) = (Arc::clone(&server), graceful.watcher());
        tokio::spawn(async move {
            if let Some(stream) = front::answer_badly(stream, &server).await {
                let builder = builder(&server);
                let connection =
                    builder.serve_connection(TokioIo::new(stream), handler::Service(server));
                drop(watcher.watch(connection.into_owned()).await);
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn builder(server: &Server) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let cut_off = !server.breaks("limits.slow-headers-cut-off");
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(cut_off.then_some(Duration::from_millis(400)))
        .keep_alive(!server.breaks("protocol.keep-alive"))
        .max_headers(if server.breaks("limits.header-flood-is-refused") {
            5_000
        } else {
            100
        });
    if server.breaks("protocol.http2") {
        builder.http1_only()
    } else {
        builder
    }
}

/// Checks that need neither files nor a network: what the scripted server answers.
pub(crate) fn asked_of_a_server() -> impl Iterator<Item = &'static Check> {
    catalogue().filter(|check| !check.reads_files() && !check.needs.contains(&Need::Network))
}

/// Options that fit the scripted server's limits.
pub(crate) fn options(address: SocketAddr) -> Options {
    Options {
        key: Some(KEY.to_owned()),
        admin_key: Some(ADMIN_KEY.to_owned()),
        request_timeout: Duration::from_secs(6),
        patience: Duration::from_secs(2),
        oversize_bytes: 2 * 1024 * 1024,
        asked: Asked::Only(
            asked_of_a_server()
                .map(|check| check.id.to_owned())
                .collect(),
        ),
        ..Options::new(format!("http://{address}"))
    }
}

/// Runs the verifier.
pub(crate) async fn check(options: Options) -> Report {
    seaworthy_verify::run(options, |_| {})
        .await
        .expect("a report")
}

/// The IDs of the results with this status.
pub(crate) fn ids(report: &Report, status: seaworthy_verify::Status) -> Vec<&'static str> {
    let of_status = report
        .results
        .iter()
        .filter(|r| r.outcome.status() == status);
    of_status.map(|r| r.check.id).collect()
}

/// The outcomes other than a pass, in words, for messages of failed tests.
pub(crate) fn complaints(report: &Report) -> String {
    let of = |r: &seaworthy_verify::CheckResult| format!("{}: {:?}\n", r.check.id, r.outcome);
    let not_passed =
        |r: &&seaworthy_verify::CheckResult| r.outcome.status() != seaworthy_verify::Status::Pass;
    report.results.iter().filter(not_passed).map(of).collect()
}
