//! Accepts connections, one thread and one single-threaded runtime a core, and drains them.
//!
//! A request stays on the thread that accepted its connection: its upstream connection, its timers
//! and its metrics are never handed between cores.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::BoxError;
use crate::tls::Acceptor;

mod bounds;
mod forgetting;
mod framed;
mod handshake;
mod in_flight;
mod io;
mod shedding;
mod streams;

use bounds::Entered;
use forgetting::Forget;
pub use framed::EndsTwice;
use framed::{End, Head};
use in_flight::{Counted, InFlight};
use io::ServerIo;
pub use io::{NEEDS_TLS, RenderRefusal, Timeouts};
pub use shedding::{Shedding, lines};
use streams::Streams;

/// Answers requests. One clone serves one worker thread.
pub trait Service: Clone + Send + Sync + 'static {
    /// The body of the answers.
    type Body: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static;

    /// Answers one request.
    fn call(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Who is refused before a request over HTTP/1.1 is parsed; `None`: nobody.
    fn shedding(&self) -> Option<Arc<dyn Shedding>> {
        None
    }

    /// The answer to a request whose handler panicked.
    fn panicked(&self) -> Response<Self::Body>;
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<Acceptor>>,
    /// Number of worker threads.
    pub workers: usize,
    /// Most connections at a time; more are refused with 503.
    pub max_connections: usize,
    /// Largest header section of a request in bytes.
    pub max_header_bytes: usize,
    /// Time limits of a connection.
    pub timeouts: Timeouts,
    /// Words for requests that cannot be parsed.
    pub render_refusal: RenderRefusal,
}

/// A bound socket. Nothing is accepted before [`Listener::serve`].
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    options: Options,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address is taken or not allowed.
    pub fn bind(options: Options) -> std::io::Result<Self> {
        let socket = std::net::TcpListener::bind(options.listen)?;
        // The standard library asks for 128.
        SockRef::from(&socket).listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, options })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Starts the workers. `service` makes the service of each, given its number.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be started.
    pub fn serve<S: Service>(self, service: impl Fn(usize) -> S) -> std::io::Result<Server> {
        let (stage, _) = watch::channel(Stage::Serving);
        let connections = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for number in 0..self.options.workers.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let worker = Worker {
                socket: self.socket.try_clone()?,
                options: self.options.clone(),
                service: service(number),
                stage: stage.subscribe(),
                connections: Arc::clone(&connections),
                refused: Refused::default(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(worker.run()))?;
            threads.push(thread);
        }
        Ok(Server {
            stage,
            threads,
            connections,
        })
    }
}

/// So many connections are accepted before the others get on, or as many as can be in this time: a burst
/// of thousands is taken in quickly, and holds nobody up for long.
const ACCEPTED_IN_A_ROW: u32 = 32;
const ACCEPTING_IN_A_ROW: Duration = Duration::from_millis(1);

/// So many connections may wait to be accepted; the system has a bound of its own. What finds no room is
/// not refused but forgotten: its client tries again after a second, then after two, then after four.
const BACKLOG: i32 = 4096;

/// What the system keeps of an answer that its client does not read; it takes as much again for its
/// own. Without a bound that is several MiB for each slow reader.
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// hyper refuses to work with less.
const MIN_BUFFER_BYTES: usize = 8192;

/// What the workers are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Accepting and answering.
    Serving,
    /// Finishing what was begun.
    Draining,
    /// Giving up on what is left.
    Stopping,
}

/// Waits until `at_least` is reached; a server that is gone counts as stopped.
async fn reached(stage: &mut watch::Receiver<Stage>, at_least: Stage) {
    let _gone_or_reached = stage.wait_for(|stage| *stage >= at_least).await.map(drop);
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stage: watch::Sender<Stage>,
    threads: Vec<std::thread::JoinHandle<()>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Stops accepting, lets running requests finish within `timeout`, cuts off the rest and ends
    /// the workers. Returns the number of connections that had to be cut off.
    pub async fn drain(self, timeout: Duration) -> usize {
        self.stage.send_replace(Stage::Draining);
        let all_closed = tokio::time::timeout(timeout, self.stage.closed()).await;
        let cut_off = if all_closed.is_ok() {
            0
        } else {
            self.open_connections()
        };
        self.stage.send_replace(Stage::Stopping);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a worker thread panicked while it stopped");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the workers could not be joined");
        }
        cut_off
    }
}

struct Worker<S> {
    socket: std::net::TcpListener,
    options: Options,
    service: S,
    stage: watch::Receiver<Stage>,
    connections: Arc<AtomicUsize>,
    refused: Refused,
}

/// Connections that were refused since the last line of the log that says so.
#[derive(Default)]
struct Refused {
    count: Cell<u64>,
    told_at: Cell<Option<Instant>>,
}

/// A line for each of them would be more work than refusing them.
const TOLD_EACH: Duration = Duration::from_secs(1);

impl Refused {
    fn note(&self, limit: usize) {
        let refused = self.count.get() + 1;
        self.count.set(refused);
        let told_at = self.told_at.get();
        if told_at.is_none_or(|at| at.elapsed() >= TOLD_EACH) {
            tracing::warn!(limit, refused, "too many connections");
            self.count.set(0);
            self.told_at.set(Some(Instant::now()));
        }
    }
}

/// Connections that are accepted one after the other.
struct Row {
    began: Instant,
    accepted: u32,
}

impl Row {
    fn begin() -> Self {
        Self {
            began: Instant::now(),
            accepted: 0,
        }
    }

    /// Whether one more is enough.
    fn is_over(&mut self) -> bool {
        self.accepted += 1;
        self.accepted >= ACCEPTED_IN_A_ROW || self.began.elapsed() >= ACCEPTING_IN_A_ROW
    }
}

impl<S: Service> Worker<S> {
    async fn run(self) {
        let mut stage = self.stage.clone();
        let socket = match self
            .socket
            .try_clone()
            .and_then(tokio::net::TcpListener::from_std)
        {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%error, "a worker cannot use the listening socket");
                return;
            }
        };
        let mut tasks = JoinSet::new();
        let mut row = Row::begin();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.admit(stream, peer, &mut tasks);
                        if row.is_over() {
                            tokio::task::yield_now().await;
                            row = Row::begin();
                        }
                    }
                    Err(error) => {
                        // Usually out of file descriptors: breathe instead of spinning.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
                () = reached(&mut stage, Stage::Draining) => break,
            }
            while tasks.try_join_next().is_some() {}
        }
        drop(socket);
        let Self { socket, .. } = self;
        drop(socket);
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = reached(&mut stage, Stage::Stopping) => {}
        }
        // Dropping what is left settles it.
        tasks.shutdown().await;
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, tasks: &mut JoinSet<()>) {
        let open = Open::new(&self.connections);
        if open.count > self.options.max_connections {
            let refusal = (self.options.render_refusal)(503);
            // Best effort and without waiting: the socket buffer of a new connection is empty.
            let _written = stream.try_write(&refusal);
            self.refused.note(self.options.max_connections);
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed before it was used");
            return;
        }
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES) {
            tracing::debug!(%error, "the send buffer of a connection could not be bounded");
        }
        let options = self.options.clone();
        let (service, mut stage) = (self.service.clone(), self.stage.clone());
        tasks.spawn(async move {
            let Some(tls) = &options.tls else {
                let forget = Some(forgetting::forget as Forget<_>);
                serve_connection((stream, forget), peer, options, service, stage).await;
                drop(open);
                return;
            };
            let encrypted = tokio::select! {
                encrypted = handshake::shake_hands(stream, tls, options.render_refusal) => encrypted,
                () = reached(&mut stage, Stage::Draining) => None,
            };
            if let Some(encrypted) = encrypted {
                serve_connection((encrypted, None), peer, options, service, stage).await;
            }
            drop(open);
        });
    }
}

/// Counts one open connection.
struct Open {
    connections: Arc<AtomicUsize>,
    count: usize,
}

impl Open {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        let count = connections.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            connections: Arc::clone(connections),
            count,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection that is open already, until it closes. For tests and for other transports.
pub async fn serve_io<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    options: Options,
    service: S,
) {
    let (_serving, stage) = watch::channel(Stage::Serving);
    serve_connection((stream, None), peer, options, service, stage).await;
}

async fn serve_connection<S: Service, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    (stream, forget): (T, Option<Forget<T>>),
    peer: SocketAddr,
    options: Options,
    service: S,
    mut stage: watch::Receiver<Stage>,
) {
    let in_flight = InFlight::new();
    let io = ServerIo::new(
        stream,
        options.timeouts,
        Arc::clone(&in_flight),
        options.render_refusal,
    )
    .shedding(service.shedding(), forget);
    let streams = Streams::new(Arc::clone(&in_flight), options.timeouts.write);
    let handler = service_fn(move |mut request: Request<Incoming>| {
        let guard = in_flight.enter(request.version() == Version::HTTP_2);
        let head = in_flight.next_head.take();
        in_flight.set_last(match (head, request.body().size_hint().exact()) {
            (Head::Unseen, _) | (_, None) => Entered::Unknown,
            (Head::WithoutLength | Head::WithLength, Some(length)) => Entered::Length(length),
        });
        let end = framed::end(request.version(), request.headers(), head);
        if end == End::Twice {
            request.extensions_mut().insert(EndsTwice);
        }
        let waits = framed::waits(&request);
        let service = service.clone();
        async move {
            let mut response = match AssertUnwindSafe(service.call(request, peer))
                .catch_unwind()
                .await
            {
                Ok(response) => response,
                Err(_) => service.panicked(),
            };
            // Whoever was not asked for the body need not send it, and what comes next on the
            // connection may be either. What came behind a head that was not seen is not known.
            let has_begun = head != Head::Unseen && guard.has_body_begun();
            let is_unasked = waits && !has_begun;
            if end != End::Sure || is_unasked {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, guard)))
        }
    });
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        // A header section that does not fit is refused with 431.
        .max_buf_size(options.max_header_bytes.max(MIN_BUFFER_BYTES))
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(20)));
    let connection = builder.serve_connection(TokioIo::new(io), handler);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = reached(&mut stage, Stage::Draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // Clients that hang up and requests that cannot be parsed: nothing for an operator to do.
        tracing::debug!(error, %peer, "a connection ended early");
    }
}
