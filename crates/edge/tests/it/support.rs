//! A service with a path for every behaviour, and a client that sees every byte.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use seaworthy_edge::BoxError;
use seaworthy_edge::body::{Limits, RequestBody};
use seaworthy_edge::server::{Listener, Options, Server, Service, Shedding, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Limits that no test reaches by accident.
pub(crate) fn options() -> Options {
    Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        tls: None,
        workers: 1,
        max_connections: 100,
        max_header_bytes: 8192,
        timeouts: Timeouts {
            header: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            write: Duration::from_secs(30),
        },
        render_refusal,
    }
}

fn render_refusal(status: u16) -> Vec<u8> {
    let body = format!("{{\"refused\":{status}}}");
    format!(
        "HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// `/`, `/hold` until released, `/big` without end, `/panic`, `/panic-late`, `/read` the body and
/// `/leave` it.
#[derive(Clone, Default)]
pub(crate) struct Dock {
    pub(crate) release: Arc<Notify>,
    pub(crate) holding: Arc<AtomicUsize>,
    /// Whether requests are refused that say that they can wait.
    pub(crate) sheds: Arc<AtomicBool>,
}

/// Refuses those that can wait.
#[derive(Debug)]
struct Sheds(Arc<AtomicBool>);

impl Shedding for Sheds {
    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn refusal(&self, head: &[u8]) -> Option<Vec<u8>> {
        let head = std::str::from_utf8(head).unwrap();
        let refusal = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater";
        head.contains("can-wait: yes").then(|| refusal.into())
    }
}

impl Service for Dock {
    type Body = Cargo;

    async fn call(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Cargo> {
        let mut response = match request.uri().path() {
            "/hold" => {
                let _held = Held::new(&self.holding);
                self.release.notified().await;
                Response::new(Cargo::Text(Some("held".into())))
            }
            "/big" => Response::new(Cargo::Endless(Held::new(&self.holding))),
            "/panic" => panic!("a panic on purpose"),
            "/panic-late" => Response::new(Cargo::Panics),
            "/leave" => {
                let limits = Limits {
                    max_bytes: 1_000_000,
                    idle_timeout: Duration::from_secs(20),
                };
                drop(RequestBody::new(request.into_body(), limits));
                Response::new(Cargo::Text(Some("left".into())))
            }
            "/read" => {
                let limits = Limits {
                    max_bytes: 1000,
                    idle_timeout: Duration::from_millis(200),
                };
                match RequestBody::new(request.into_body(), limits).read().await {
                    Ok(body) => Response::new(Cargo::Text(Some(body))),
                    Err(error) => Response::new(Cargo::Text(Some(error.to_string().into()))),
                }
            }
            _ => Response::new(Cargo::Text(Some("ahoy".into()))),
        };
        let id = http::HeaderValue::from_static("1");
        response.headers_mut().insert("x-request-id", id);
        response
    }

    fn shedding(&self) -> Option<Arc<dyn Shedding>> {
        Some(Arc::new(Sheds(Arc::clone(&self.sheds))))
    }

    fn panicked(&self) -> Response<Cargo> {
        let mut response = Response::new(Cargo::Text(Some("panicked".into())));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    }
}

/// Counts while it exists.
pub(crate) struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The body of an answer.
pub(crate) enum Cargo {
    Text(Option<Bytes>),
    Endless(#[expect(dead_code, reason = "counts while it exists")] Held),
    Panics,
}

impl Body for Cargo {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match &mut *self {
            Self::Text(text) => text.take().map(|text| Ok(Frame::data(text))),
            Self::Endless(_) => Some(Ok(Frame::data(Bytes::from(vec![b'x'; 64 * 1024])))),
            Self::Panics => panic!("a late panic on purpose"),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Endless(_) | Self::Panics => SizeHint::default(),
        }
    }
}

/// A server on a free port.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) dock: Dock,
}

pub(crate) fn start(options: Options) -> Running {
    let dock = Dock::default();
    let listener = Listener::bind(options).unwrap();
    let address = listener.local_addr().unwrap();
    let server = listener.serve(|_| dock.clone()).unwrap();
    Running {
        address,
        server,
        dock,
    }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        self.exchange(request.as_bytes()).await
    }

    /// Ends the server; everything has to be finished.
    pub(crate) async fn stop(self) {
        assert_eq!(self.server.drain(Duration::from_secs(5)).await, 0);
    }
}

/// Everything until the end of the connection, also when it is reset.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let reading = async { while matches!(stream.read_buf(&mut text).await, Ok(1..)) {} };
    within(5, "the connection ends", reading).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads one answer of known length and leaves the connection open.
pub(crate) async fn read_answer(stream: &mut TcpStream, body: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.ends_with(body.as_bytes()) {
            assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
        }
    };
    within(5, body, reading).await;
    String::from_utf8(text).unwrap()
}

pub(crate) async fn within<T>(seconds: u64, what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(seconds), work).await {
        Ok(value) => value,
        Err(_) => panic!("expected within {seconds} s: {what}"),
    }
}

pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(5, what, waiting).await;
}
