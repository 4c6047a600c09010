//! The requests that are being answered on one connection, as far as its timeouts need to know.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::bounds::Entered;
use super::framed::NextHead;
use crate::BoxError;

/// Requests that are being answered on one connection.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Mutex<State>,
    pub(super) next_head: NextHead,
    /// Whether anything of a body came with the last request over HTTP/1.1.
    pub(super) has_body_begun: AtomicBool,
}

#[derive(Debug)]
struct State {
    count: usize,
    /// When the last of them ended.
    idle_since: Instant,
    /// What is known of the request over HTTP/1.1 that came last.
    last: Entered,
    next_stream: u64,
    /// The stream of HTTP/2 that was entered last, until its task is known.
    entered: Option<u64>,
    /// Streams of HTTP/2 whose last piece was taken and that were not asked for another since: their
    /// client does not read. Over HTTP/1.1 the socket itself tells.
    unread: BTreeMap<u64, Instant>,
}

impl InFlight {
    pub(super) fn new() -> Arc<Self> {
        let state = Mutex::new(State {
            count: 0,
            idle_since: Instant::now(),
            last: Entered::NotYet,
            next_stream: 0,
            entered: None,
            unread: BTreeMap::new(),
        });
        Arc::new(Self {
            state,
            next_head: NextHead::default(),
            has_body_begun: AtomicBool::new(false),
        })
    }

    pub(super) fn enter(self: &Arc<Self>, is_http2: bool) -> InFlightGuard {
        let mut state = self.state.lock();
        state.count += 1;
        let stream = is_http2.then_some(state.next_stream);
        state.next_stream += 1;
        state.entered = stream;
        InFlightGuard {
            in_flight: Arc::clone(self),
            stream,
        }
    }

    /// What is known of the request over HTTP/1.1 that came last.
    pub(super) fn last(&self) -> Entered {
        self.state.lock().last
    }

    pub(super) fn set_last(&self, entered: Entered) {
        self.state.lock().last = entered;
    }

    /// Since when nothing has been answered; `None` while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.count == 0).then_some(state.idle_since)
    }

    /// The stream that was entered since this was asked last.
    pub(super) fn take_entered(&self) -> Option<u64> {
        self.state.lock().entered.take()
    }

    /// Since when the client of a stream has left its answer unread.
    pub(super) fn unread_since(&self, stream: u64) -> Option<Instant> {
        self.state.lock().unread.get(&stream).copied()
    }
}

/// Counts one request until it is dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    in_flight: Arc<InFlight>,
    /// The number of the stream; `None` over HTTP/1.1.
    stream: Option<u64>,
}

impl InFlightGuard {
    /// Whether anything came after the head that was seen last, over HTTP/1.1.
    pub(super) fn has_body_begun(&self) -> bool {
        self.in_flight.has_body_begun.load(Ordering::Relaxed)
    }

    /// hyper asked for the next piece: there is room for it.
    fn note_asked(&self) {
        if let Some(stream) = self.stream {
            self.in_flight.state.lock().unread.remove(&stream);
        }
    }

    /// hyper took what there was.
    fn note_taken(&self) {
        if let Some(stream) = self.stream {
            let mut state = self.in_flight.state.lock();
            state.unread.insert(stream, Instant::now());
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut state = self.in_flight.state.lock();
        state.count -= 1;
        if state.count == 0 {
            state.idle_since = Instant::now();
        }
        if let Some(stream) = self.stream {
            state.unread.remove(&stream);
        }
    }
}

/// An answer's body that counts as in flight until it is sent or dropped.
pub(super) struct Counted<B> {
    body: B,
    guard: InFlightGuard,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, guard: InFlightGuard) -> Self {
        Self { body, guard }
    }
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.guard.note_asked();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.guard.note_taken();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
