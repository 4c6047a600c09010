//! Callers of streams are told when they have to wait: for a provider that takes no more calls, for
//! a place at a target, or for a pause between two attempts.
//!
//! The call itself knows that it waits, and the front of the data plane owns it. Between them is the
//! [`Herald`]: once it was told, the front sends the head of the answer, and signs of life until the
//! answer begins.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Framing, waiting_sign};

use crate::exchange::Exchange;
use crate::flight::Flight;
use crate::reply::common_headers;
use crate::routes::Operation;

/// On answers whose head was sent before it was known whose answer it is.
const WAITING: HeaderName = HeaderName::from_static("x-seaworthy-waiting");

/// How an exchange tells that it waits.
#[derive(Debug, Clone, Default)]
pub(crate) enum Herald {
    /// Not at all.
    #[default]
    Mute,
    /// To its caller.
    Caller(Arc<OnceLock<Notice>>),
    /// To those who read the answer, each of whom tells its own caller.
    Readers(Arc<Flight>),
}

/// What a caller gets while it waits.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) headers: HeaderMap,
    /// What says that it waits.
    pub(crate) sign: &'static [u8],
    /// How often it is said.
    pub(crate) every: Duration,
    pub(crate) dialect: Dialect,
}

impl Herald {
    /// Whether the caller of this exchange was told.
    pub(crate) fn has_told(&self) -> bool {
        matches!(self, Self::Caller(notice) if notice.get().is_some())
    }

    /// Tells that the exchange waits; once is enough.
    pub(crate) fn tell(&self, exchange: &Exchange) {
        match self {
            Self::Mute => {}
            Self::Readers(flight) => flight.note_waiting(),
            Self::Caller(told) => {
                let Some(notice) = notice(exchange) else {
                    return;
                };
                if told.set(notice).is_ok() {
                    exchange.gateway.metrics.told_to_wait.inc();
                }
            }
        }
    }
}

/// Whether whoever waits for this exchange can be told so.
pub(crate) fn can_be_told(exchange: &Exchange) -> bool {
    sign(exchange).is_some()
}

fn sign(exchange: &Exchange) -> Option<(Dialect, &'static [u8])> {
    match exchange.operation() {
        Some(Operation::Chat(dialect)) if exchange.stream => {
            waiting_sign(dialect, exchange.framing).map(|sign| (dialect, sign))
        }
        _ => None,
    }
}

fn notice(exchange: &Exchange) -> Option<Notice> {
    let (dialect, sign) = sign(exchange)?;
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_static(Framing::ServerSentEvents.content_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    common_headers(exchange, &mut headers, true);
    headers.insert(WAITING, HeaderValue::from_static("true"));
    let every = exchange.snapshot.resilience.queue.tell_every;
    Some(Notice {
        headers,
        sign,
        every,
        dialect,
    })
}

/// Waits, and tells when it takes long, what was waited before included.
pub(crate) async fn told<T>(
    exchange: &Exchange,
    before: Duration,
    waits: impl Future<Output = T>,
) -> T {
    let tell_after = exchange.snapshot.resilience.queue.tell_after;
    let Some(after) = tell_after.filter(|_| can_be_told(exchange)) else {
        return waits.await;
    };
    let mut waits = pin!(waits);
    tokio::select! {
        biased;
        done = &mut waits => return done,
        () = tokio::time::sleep(after.saturating_sub(before)) => exchange.herald.tell(exchange),
    }
    waits.await
}
