//! Listens, reads whole requests, and hands out responses that are played back.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::control;
use crate::directive::Directives;
use crate::ledger::{
    Arrived, Call, CallGuard, Fault, Ledger, Outcome, QueueError, Retention, Stats,
};
use crate::plan::{self, Moment, Plan};
use crate::playback::{LONGEST_HANG, Playback};
use crate::route::{self, Arrival};
use crate::socket::{ResetSwitch, Socket};

const MAX_REQUEST_BYTES: usize = 64 << 20;
const MAX_CONNECTIONS: usize = 10_000;

/// How a fake provider is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it does unless a call says otherwise.
    pub defaults: Directives,
    /// The keys it accepts; empty accepts any key, but not none.
    pub keys: Vec<String>,
    /// The models it lists. It answers for any model.
    pub models: Vec<String>,
    /// How much of the log of calls is kept.
    pub retention: Retention,
    /// How many calls it works on at a time, as long as their `latency_ms`; others wait in line.
    /// `None`: all of them.
    pub slots: Option<NonZeroUsize>,
}

impl Default for Options {
    fn default() -> Self {
        let models = ["fake-gpt", "fake-gpt-mini", "fake-embedding", "fake-claude"];
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            defaults: Directives::default(),
            keys: Vec::new(),
            models: models.map(str::to_owned).to_vec(),
            retention: Retention {
                calls: 10_000,
                bytes: 64 << 20,
            },
            slots: None,
        }
    }
}

/// A fake provider that runs in the background; it stops when this is dropped.
pub struct Running {
    addr: SocketAddr,
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What reached it so far.
    pub fn stats(&self) -> Stats {
        self.ledger.stats()
    }

    /// The logged calls after number `since`, oldest first.
    pub fn calls(&self, since: u64) -> Vec<Call> {
        self.ledger.calls(since, usize::MAX)
    }

    /// Queues a fault for matching calls.
    pub fn queue(&self, fault: Fault) -> Result<(), QueueError> {
        self.ledger.queue(fault)
    }

    /// Forgets counts, calls and faults.
    pub fn reset(&self) {
        self.ledger.reset();
    }

    /// Stops listening, breaks what is in flight, and waits for the end of it.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only if the task has ended.
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.task.abort();
        }
    }
}

/// Starts a fake provider in the background.
pub async fn serve(options: Options) -> io::Result<Running> {
    let listener = TcpListener::bind(options.listen).await?;
    let addr = listener.local_addr()?;
    let ledger = Arc::new(Ledger::new(options.retention));
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        // An error means that the sender was dropped, which asks for the same.
        let _ = stopped.await;
    };
    let task = tokio::spawn(accept(
        listener,
        Arc::new(options),
        Arc::clone(&ledger),
        shutdown,
    ));
    Ok(Running {
        addr,
        ledger,
        stop: Some(stop),
        task,
    })
}

/// Runs a fake provider on a listener until `shutdown` resolves.
pub async fn run(listener: TcpListener, options: Options, shutdown: impl Future<Output = ()>) {
    let ledger = Arc::new(Ledger::new(options.retention));
    accept(listener, Arc::new(options), ledger, shutdown).await;
}

async fn accept(
    listener: TcpListener,
    options: Arc<Options>,
    ledger: Arc<Ledger>,
    shutdown: impl Future<Output = ()>,
) {
    let slots = options
        .slots
        .map_or(Semaphore::MAX_PERMITS, NonZeroUsize::get);
    let desk = Desk {
        slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
        options,
        ledger,
    };
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropping the set ends the connections that are left.
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            (permit, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    desk.ledger.connection_accepted();
                    let work = connection(stream, desk.clone());
                    connections.spawn(async move {
                        work.await;
                        drop(permit);
                    });
                }
                // Out of descriptors, most likely: let some connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Desk {
    options: Arc<Options>,
    ledger: Arc<Ledger>,
    slots: Arc<Semaphore>,
}

async fn connection(stream: TcpStream, desk: Desk) {
    // Without it the last bytes of a chunk may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let switch = ResetSwitch::default();
    let socket = Socket::new(stream, switch.clone());
    let service = service_fn(move |request| {
        let (desk, switch) = (desk.clone(), switch.clone());
        async move { respond(&desk, switch, request).await }
    });
    // A connection ends in an error whenever a fault or a caller breaks it: the ledger knows.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

/// The connection is to be broken without an answer.
#[derive(Debug, thiserror::Error)]
#[error("disconnected on command")]
struct Disconnect;

async fn respond(
    desk: &Desk,
    switch: ResetSwitch,
    request: Request<Incoming>,
) -> Result<Response<Either<Playback, Full<Bytes>>>, Disconnect> {
    let Desk {
        options, ledger, ..
    } = desk;
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
        ledger.request_incomplete();
        let mut response = Response::new(Either::Right(Full::from(
            "the body is cut off, or larger than 64 MB",
        )));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let body = body.to_bytes();
    let (path, query) = (
        parts.uri.path().to_owned(),
        parts.uri.query().map(str::to_owned),
    );
    if path.starts_with(control::PREFIX) {
        let answer = control::handle(ledger, &parts.method, &path, query.as_deref(), &body);
        return Ok(answer.map(Either::Right));
    }
    let arrival = Arrival {
        method: &parts.method,
        path: &path,
        query: query.as_deref(),
        headers: &parts.headers,
        body: &body,
    };
    let asked = route::read(options, &arrival);
    let model = asked.as_ref().ok().and_then(|asked| asked.model());
    let fault = asked
        .is_ok()
        .then(|| ledger.take_fault(&path, model))
        .flatten();
    let mut call = ledger.begin(Arrived {
        model: model.map(str::to_owned),
        key: route::presented_key(&parts.headers).map(str::to_owned),
        path: path.clone(),
        query: query.clone(),
        headers: parts.headers.clone(),
        body: body.clone(),
    });
    let moment = Moment {
        seq: call.seq,
        now: Ledger::now(),
    };
    let plan = plan::plan(options, &arrival, asked, fault.as_deref(), &moment);
    before_headers(&plan, &mut call, (&desk.slots, &switch)).await?;
    call.answered(plan.status, plan.is_stream, plan.usage);
    Ok(response(plan, call, switch))
}

/// What happens before the first byte: delay, silence, or a broken connection.
async fn before_headers(
    plan: &Plan,
    call: &mut CallGuard,
    (slots, switch): (&Semaphore, &ResetSwitch),
) -> Result<(), Disconnect> {
    // Never closed, so that there is always one in the end.
    let slot = slots.acquire().await;
    if plan.directives.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(plan.directives.latency_ms)).await;
    }
    drop(slot);
    if plan.directives.hang {
        tokio::time::sleep(LONGEST_HANG).await;
    }
    if plan.directives.hang || plan.directives.disconnect {
        call.ended(Outcome::Broken);
        if !plan.directives.close_gently {
            switch.arm();
        }
        return Err(Disconnect);
    }
    Ok(())
}

fn response(
    plan: Plan,
    call: CallGuard,
    switch: ResetSwitch,
) -> Response<Either<Playback, Full<Bytes>>> {
    let playback = Playback::new(plan.steps, plan.usage, call, switch);
    let mut response = Response::new(Either::Left(playback));
    *response.status_mut() =
        StatusCode::from_u16(plan.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in plan.headers {
        headers.append(name, value);
    }
    if let Some(length) = plan.length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}
