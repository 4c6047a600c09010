//! Connections to one provider, and requests over them.
//!
//! A connection is driven by the task that uses it: no second task has to be woken for a request,
//! and dropping the response body closes the connection, which cancels the provider's work at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::coding::Unpackable;

mod body;
mod connect;
mod trust;

pub use body::UpstreamBody;
pub use connect::{Dial, Dialing, Io, Network, Origin, OriginError};
pub use trust::Trust;

/// Time limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// From the request sent to the head of the answer.
    pub first_byte: Duration,
    /// From the start of the attempt to the first token of a stream, which its reader notes with
    /// [`UpstreamBody::note_token`]; whole answers have none.
    pub first_token: Option<Duration>,
    /// Between two pieces of the answer.
    pub between_chunks: Duration,
    /// From the start of the attempt to the end of the answer.
    pub total: Duration,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// [`Timeouts::connect`]
    Connect,
    /// [`Timeouts::first_byte`]
    FirstByte,
    /// [`Timeouts::first_token`]
    FirstToken,
    /// [`Timeouts::between_chunks`]
    BetweenChunks,
    /// [`Timeouts::total`]
    Total,
    /// [`Timeouts::deadline`]
    Deadline,
}

impl std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::FirstByte => "first byte",
            Self::FirstToken => "first token",
            Self::BetweenChunks => "between chunks",
            Self::Total => "total",
            Self::Deadline => "caller's",
        })
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made; the request was not sent.
    #[error("no connection to {origin} could be made")]
    Connect {
        /// Where to.
        origin: String,
        /// Why not.
        #[source]
        source: crate::BoxError,
    },
    /// A time limit was reached.
    #[error("the {which} timeout of {after:?} was reached")]
    Timeout {
        /// Which limit.
        which: Timeout,
        /// Its length.
        after: Duration,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The body could not be unpacked.
    #[error("the body cannot be unpacked: {0:?}")]
    Packed(Unpackable),
}

type Sender = http1::SendRequest<Full<Bytes>>;
type Driver = http1::Connection<TokioIo<Box<dyn Io>>, Full<Bytes>>;

/// Idle connections older than this are not used again: providers close theirs about then.
const MAX_IDLE: Duration = Duration::from_secs(55);

/// A provider's origin with the connections that are open to it.
#[derive(Debug)]
pub struct Upstream {
    origin: Origin,
    host: HeaderValue,
    dial: Arc<dyn Dial>,
    max_idle: usize,
    idle: Mutex<Vec<Lease>>,
}

impl Upstream {
    /// An upstream without connections yet.
    #[must_use]
    pub fn new(origin: Origin, dial: Arc<dyn Dial>, max_idle: usize) -> Arc<Self> {
        let host = origin.host_header();
        Arc::new(Self {
            origin,
            host,
            dial,
            max_idle,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// The value of the `host` header of requests.
    #[must_use]
    pub fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Where requests go.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a request and waits for the head of the answer. A request that was written is never
    /// sent twice; one that met a connection the provider had closed meanwhile is sent over another.
    ///
    /// # Errors
    /// When no connection can be made, it breaks, or a time limit is reached.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
        timeouts: Timeouts,
    ) -> Result<Response<UpstreamBody>, Error> {
        let deadlines = Deadlines {
            started: Instant::now(),
            timeouts,
        };
        while let Some(lease) = self.checkout(deadlines.started) {
            match self.send_over(lease, request, deadlines).await {
                Err(Failed {
                    unsent: Some(unsent),
                    ..
                }) => request = *unsent,
                Err(Failed {
                    error,
                    unsent: None,
                }) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
        let lease = self.connect(deadlines).await?;
        self.send_over(lease, request, deadlines)
            .await
            .map_err(|failed| failed.error)
    }

    async fn send_over(
        self: &Arc<Self>,
        mut lease: Lease,
        request: Request<Full<Bytes>>,
        deadlines: Deadlines,
    ) -> Result<Response<UpstreamBody>, Failed> {
        let (head, incoming) = lease.send(request, deadlines).await?.into_parts();
        let mut body = UpstreamBody {
            incoming,
            lease: Some(lease),
            upstream: Arc::clone(self),
            deadlines,
            last_progress: Instant::now(),
            token_seen: deadlines.timeouts.first_token.is_none(),
            timer: None,
            unpacker: None,
        };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        Ok(Response::from_parts(head, body))
    }

    fn checkout(&self, now: Instant) -> Option<Lease> {
        loop {
            let mut lease = self.idle.lock().pop()?;
            if !lease.is_old(now) && lease.is_usable() {
                return Some(lease);
            }
        }
    }

    fn put_back(&self, mut lease: Lease) {
        let now = Instant::now();
        lease.idle_since = now;
        let mut expired = None;
        let mut idle = self.idle.lock();
        if idle.first().is_some_and(|oldest| oldest.is_old(now)) {
            expired = Some(idle.remove(0));
        }
        if idle.len() < self.max_idle {
            idle.push(lease);
        }
        drop(idle);
        drop(expired);
    }

    async fn connect(&self, deadlines: Deadlines) -> Result<Lease, Error> {
        let expiry = deadlines.for_connection();
        let failed = |source| Error::Connect {
            origin: self.origin.to_string(),
            source,
        };
        let stream = tokio::time::timeout_at(expiry.at, self.dial.dial(&self.origin))
            .await
            .map_err(|_| expiry.error())?
            .map_err(|error| failed(error.into()))?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(Lease {
            sender,
            driver: Box::pin(driver),
            idle_since: Instant::now(),
        })
    }
}

/// A failed attempt, with the request where it was certainly not sent.
struct Failed {
    error: Error,
    unsent: Option<Box<Request<Full<Bytes>>>>,
}

/// The moments by which something has to happen.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    started: Instant,
    timeouts: Timeouts,
}

/// The next of the deadlines.
#[derive(Debug, Clone, Copy)]
struct Expiry {
    at: Instant,
    which: Timeout,
    after: Duration,
}

impl Expiry {
    fn error(self) -> Error {
        Error::Timeout {
            which: self.which,
            after: self.after,
        }
    }
}

impl Deadlines {
    /// The earlier of `which`, `after` the last progress, and the end of the whole attempt.
    fn next(&self, which: Timeout, last_progress: Instant, after: Duration) -> Expiry {
        let total = self.started + self.timeouts.total;
        let at = last_progress + after;
        let expiry = if total < at {
            Expiry {
                at: total,
                which: Timeout::Total,
                after: self.timeouts.total,
            }
        } else {
            Expiry { at, which, after }
        };
        match self.timeouts.deadline {
            Some(deadline) if deadline < expiry.at => Expiry {
                at: deadline,
                which: Timeout::Deadline,
                after: deadline.saturating_duration_since(self.started),
            },
            _ => expiry,
        }
    }

    fn for_connection(&self) -> Expiry {
        self.next(Timeout::Connect, self.started, self.timeouts.connect)
    }

    fn for_head(&self) -> Expiry {
        let now = Instant::now();
        let expiry = self.next(Timeout::FirstByte, now, self.timeouts.first_byte);
        // What has no head has no token either.
        self.or_first_token(expiry)
    }

    fn for_body(&self, last_progress: Instant, token_seen: bool) -> Expiry {
        let expiry = self.next(
            Timeout::BetweenChunks,
            last_progress,
            self.timeouts.between_chunks,
        );
        match token_seen {
            true => expiry,
            false => self.or_first_token(expiry),
        }
    }

    /// The earlier of an expiry and that of the first token, which did not come yet.
    fn or_first_token(&self, expiry: Expiry) -> Expiry {
        match self.timeouts.first_token {
            Some(after) if self.started + after < expiry.at => Expiry {
                at: self.started + after,
                which: Timeout::FirstToken,
                after,
            },
            _ => expiry,
        }
    }
}

/// One connection and the right to use it.
#[derive(Debug)]
struct Lease {
    sender: Sender,
    driver: Pin<Box<Driver>>,
    idle_since: Instant,
}

impl Lease {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.idle_since) >= MAX_IDLE
    }

    /// Whether the provider kept the connection open while nobody looked at it.
    fn is_usable(&mut self) -> bool {
        let mut unobserved = Context::from_waker(Waker::noop());
        self.driver.as_mut().poll(&mut unobserved).is_pending() && self.sender.is_ready()
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Failed> {
        let expiry = deadlines.for_head();
        let mut timer = pin!(tokio::time::sleep_until(expiry.at));
        let mut response = pin!(self.sender.try_send_request(request));
        // The driver registers our waker with the socket. The response only ever becomes ready
        // because the driver was polled, so that it needs no waker of its own.
        let mut driver_ended = false;
        poll_fn(|cx| {
            let mut unobserved = Context::from_waker(Waker::noop());
            driver_ended = driver_ended || self.driver.as_mut().poll(cx).is_ready();
            if let Poll::Ready(result) = response.as_mut().poll(&mut unobserved) {
                return Poll::Ready(result.map_err(|mut error| Failed {
                    unsent: error.take_message().map(Box::new),
                    error: Error::Broken(error.into_error()),
                }));
            }
            ready!(timer.as_mut().poll(cx));
            Poll::Ready(Err(Failed {
                error: expiry.error(),
                unsent: None,
            }))
        })
        .await
    }
}
