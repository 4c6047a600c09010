//! The socket as the HTTP server sees it: with the timeouts that hyper does not have, and with words
//! for the requests that hyper refuses on its own.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::bounds::{Bounds, Entered};
use super::forgetting::Forget;
use super::framed::Head;
use super::in_flight::InFlight;
use super::shedding::{Ahead, Shedding, plain};

/// Time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its headers.
    pub header: Duration,
    /// How long a connection may stay open between requests.
    pub keep_alive: Duration,
    /// How long a client may leave an answer unread before it is given up.
    pub write: Duration,
}

/// Stands for the status of the answer to a plain request at a port of TLS.
pub const NEEDS_TLS: u16 = 0;

/// Renders the whole HTTP/1.1 response for a request that could not be parsed, by its status, or by
/// [`NEEDS_TLS`].
pub type RenderRefusal = fn(status: u16) -> Vec<u8>;

/// What is read ahead of hyper at a time: a head, and the beginning of its body. What is read of a long
/// body is copied to be forgotten; a head that is longer is hyper's to parse.
const AHEAD_BYTES: usize = 4 << 10;

/// The most that hyper is given at a time, one less than a power of two: hyper makes room for twice as
/// much as long as a read fills it, and keeps that room while the connection is idle. Most requests are
/// shorter, and a long one costs a system call more for each time this.
const MOST_AT_A_TIME: usize = (16 << 10) - 1;

/// What the read side waits for.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// A request is being answered: its own deadlines apply.
    Busy,
    /// Nothing came since this moment.
    Idle(Instant),
    /// Headers have been arriving since this moment.
    Header(Instant),
}

/// A server-side connection.
#[derive(Debug)]
pub(super) struct ServerIo<T> {
    inner: T,
    timeouts: Timeouts,
    in_flight: Arc<InFlight>,
    render_refusal: RenderRefusal,
    phase: Phase,
    bounds: Bounds,
    is_http2: Option<bool>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    refusal: Option<Refusal>,
    /// Who is refused before a request is parsed.
    shedding: Option<Arc<dyn Shedding>>,
    /// How their bodies are forgotten, if there is a way that costs less than reading them.
    forget: Option<Forget<T>>,
    ahead: Ahead,
    /// Whether hyper has nothing left to write.
    is_flushed: bool,
}

/// A refusal that replaces what hyper wanted to write.
#[derive(Debug)]
struct Refusal {
    bytes: Vec<u8>,
    written: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> ServerIo<T> {
    pub(super) fn new(
        inner: T,
        timeouts: Timeouts,
        in_flight: Arc<InFlight>,
        render_refusal: RenderRefusal,
    ) -> Self {
        Self {
            inner,
            timeouts,
            in_flight,
            render_refusal,
            phase: Phase::Header(Instant::now()),
            bounds: Bounds::new(),
            is_http2: None,
            read_timer: None,
            write_timer: None,
            refusal: None,
            shedding: None,
            forget: None,
            ahead: Ahead::default(),
            is_flushed: true,
        }
    }

    /// The same connection, of which requests may be refused before they are parsed.
    pub(super) fn shedding(
        self,
        shedding: Option<Arc<dyn Shedding>>,
        forget: Option<Forget<T>>,
    ) -> Self {
        Self {
            shedding,
            forget,
            ..self
        }
    }

    /// Whether what comes now is the beginning of a request.
    fn is_between_requests(&self) -> bool {
        self.in_flight.idle_since().is_some() && self.bounds.is_over(self.in_flight.last())
    }

    /// Whether the last request was answered so quickly that nobody read meanwhile.
    fn is_answered(&self) -> bool {
        self.ahead.is_empty() && self.bounds.is_past_head(self.in_flight.last())
    }

    /// Whether requests are read ahead of hyper now.
    fn reads_ahead(&self) -> bool {
        let is_on = || {
            self.shedding
                .as_ref()
                .is_some_and(|shedding| shedding.is_on())
        };
        !self.ahead.is_empty()
            || (self.is_flushed
                && self.is_http2 != Some(true)
                && self.is_between_requests()
                && is_on())
    }

    /// Reads what begins here, answers those who are refused, and passes on the rest.
    fn poll_read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.ahead.has_bytes() {
            if let Some(forget) = self.forget.filter(|_| self.ahead.rest_of_body > 0) {
                let forgotten = ready!(forget(&self.inner, cx, self.ahead.rest_of_body))?;
                if forgotten == 0 {
                    return Poll::Ready(Ok(()));
                }
                self.note_forgotten(forgotten);
                continue;
            }
            let mut space = [const { MaybeUninit::uninit() }; AHEAD_BYTES];
            let mut ahead = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut ahead))?;
            let received = ahead.filled();
            if received.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let forgotten = self.ahead.of_body(received.len());
            self.note_forgotten(forgotten);
            let begun = &received[forgotten..];
            if begun.is_empty() {
                continue;
            }
            let plain = plain(begun);
            let refusal = plain.as_ref().and_then(|plain| {
                let shedding = self.shedding.as_ref()?;
                shedding.refusal(plain.head)
            });
            let (Some(plain), Some(refusal)) = (plain, refusal) else {
                self.note_read(begun);
                self.ahead.keep(begun);
                break;
            };
            // HTTP/2 does not begin like this.
            self.is_http2 = Some(false);
            let written = Pin::new(&mut self.inner).poll_write(cx, &refusal);
            let flushed = Pin::new(&mut self.inner).poll_flush(cx);
            let is_written = matches!(written, Poll::Ready(Ok(length)) if length == refusal.len());
            if !is_written || matches!(flushed, Poll::Ready(Err(_))) {
                // Whoever does not read such a short answer has left.
                return Poll::Ready(Ok(()));
            }
            self.ahead.rest_of_body = plain.rest_of_body;
            self.phase = match plain.rest_of_body {
                0 => Phase::Idle(Instant::now()),
                _ => Phase::Header(Instant::now()),
            };
        }
        buf.put_slice(self.ahead.take(buf.remaining()));
        self.ahead.tidy();
        Poll::Ready(Ok(()))
    }

    /// So much of a refused request's body has come.
    fn note_forgotten(&mut self, bytes: usize) {
        if self.ahead.forget(bytes) {
            self.phase = Phase::Idle(Instant::now());
        }
    }

    fn note_read(&mut self, received: &[u8]) {
        if received.is_empty() {
            return;
        }
        let is_first = self.is_http2.is_none();
        let mut is_rest = false;
        let is_http2 = *self.is_http2.get_or_insert(received.starts_with(b"PRI "));
        if !is_http2 {
            let (is_idle, last) = (self.in_flight.idle_since().is_some(), self.in_flight.last());
            let is_within = matches!(self.phase, Phase::Header(_)) && self.bounds.is_within_head();
            if self.bounds.begins(last, is_idle, is_first || !is_within) {
                self.in_flight.next_head.set(Head::Unseen);
                self.in_flight.set_last(Entered::NotYet);
            }
            if let Some(head) = self.bounds.take(received, is_idle) {
                self.in_flight.next_head.set(head);
            }
            let has_begun = self.bounds.has_body_begun();
            self.in_flight
                .has_body_begun
                .store(has_begun, Ordering::Relaxed);
            is_rest = self.bounds.is_past_head(self.in_flight.last());
        }
        self.phase = match (self.in_flight.idle_since(), self.phase) {
            (None, _) => Phase::Busy,
            // HTTP/2 control frames, answered pings for example, are not the start of a request.
            (Some(since), _) if is_http2 => Phase::Idle(since),
            // It was answered before all of it had come.
            (Some(_), _) if is_rest => Phase::Idle(Instant::now()),
            (Some(_), Phase::Header(since)) => Phase::Header(since),
            (Some(_), Phase::Busy | Phase::Idle(_)) => Phase::Header(Instant::now()),
        };
    }

    /// Pending until the phase lasts too long. The timer is re-armed only when it fires or would
    /// fire too late, so that a busy connection does not touch it. It is armed while an answer is
    /// sent as well, because nothing polls the read side when that ends.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        self.phase = match (self.in_flight.idle_since(), self.phase) {
            (None, _) => Phase::Busy,
            (Some(ended), Phase::Busy) => Phase::Idle(ended),
            (Some(ended), Phase::Header(_)) if self.is_answered() => Phase::Idle(ended),
            (Some(_), phase) => phase,
        };
        let deadline = match self.phase {
            Phase::Busy => Instant::now() + self.timeouts.keep_alive,
            Phase::Idle(since) => since + self.timeouts.keep_alive,
            Phase::Header(since) => since + self.timeouts.header,
        };
        let timer = self
            .read_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(self.phase);
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// Turns a write that does not progress into an error.
    fn bound_write(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if progress.is_ready() {
            self.write_timer = None;
            return progress;
        }
        let timeout = self.timeouts.write;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not read",
        )))
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>, instead_of: usize) -> Poll<io::Result<usize>> {
        let Some(refusal) = &mut self.refusal else {
            return Poll::Ready(Ok(instead_of));
        };
        while let Some(rest) = refusal
            .bytes
            .get(refusal.written..)
            .filter(|rest| !rest.is_empty())
        {
            refusal.written += ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
        }
        self.refusal = None;
        Poll::Ready(Ok(instead_of))
    }
}

/// Reads no more than is good for whoever keeps the buffer.
fn poll_some<T: AsyncRead + Unpin>(
    inner: &mut T,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<()>> {
    if buf.remaining() <= most {
        return Pin::new(inner).poll_read(cx, buf);
    }
    let mut some = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(Pin::new(inner).poll_read(cx, &mut some))?;
    let received = some.filled().len();
    buf.advance(received);
    Poll::Ready(Ok(()))
}

/// The status of an answer that hyper wrote on its own, without asking the service.
fn bare_refusal_status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    if digits[0] != b'4' || !head.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from_service = head
        .windows(14)
        .any(|w| w.eq_ignore_ascii_case(b"\r\nx-request-id"));
    if from_service {
        None
    } else {
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reads_ahead() {
            if let Poll::Ready(result) = this.poll_read_ahead(cx, buf) {
                return Poll::Ready(result);
            }
        } else {
            let before = buf.filled().len();
            // No further than to the end of a body: what comes then may begin a request.
            let rest = this.bounds.rest_of_body(this.in_flight.last());
            let rest = rest.and_then(|rest| usize::try_from(rest).ok());
            let most = rest.map_or(MOST_AT_A_TIME, |rest| rest.min(MOST_AT_A_TIME));
            if let Poll::Ready(result) = poll_some(&mut this.inner, cx, buf, most) {
                let received = buf.filled().get(before..).unwrap_or_default();
                this.note_read(received);
                return Poll::Ready(result);
            }
        }
        let phase = ready!(this.poll_read_deadline(cx));
        let is_head = this.ahead.is_empty() && this.bounds.is_within_head();
        if matches!(phase, Phase::Header(_)) && is_head && this.is_http2 != Some(true) {
            // Best effort: a peer that is this slow may not read either.
            let refusal = (this.render_refusal)(408);
            let _written = Pin::new(&mut this.inner).poll_write(cx, &refusal);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_flushed = false;
        if this.refusal.is_none()
            && let Some(status) = bare_refusal_status(buf)
        {
            this.refusal = Some(Refusal {
                bytes: (this.render_refusal)(status),
                written: 0,
            });
        }
        let progress = if this.refusal.is_some() {
            this.poll_refusal(cx, buf.len())
        } else {
            Pin::new(&mut this.inner).poll_write(cx, buf)
        };
        this.bound_write(cx, progress)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let this = self.get_mut();
        this.is_flushed = false;
        let progress = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.bound_write(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS keeps what the socket did not take.
        let this = self.get_mut();
        let progress = Pin::new(&mut this.inner).poll_flush(cx).map_ok(|()| 0);
        let flushed = this.bound_write(cx, progress).map_ok(drop);
        this.is_flushed |= matches!(flushed, Poll::Ready(Ok(())));
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_offers_more_room_is_not_taught_to_keep_it() {
        let sent = [7; 40_000];
        let (mut from, mut seen) = (&sent[..], Vec::new());
        let mut room = [0; 65_536];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while seen.len() < sent.len() {
            let mut buf = ReadBuf::new(&mut room);
            let Poll::Ready(Ok(())) = poll_some(&mut from, &mut cx, &mut buf, MOST_AT_A_TIME)
            else {
                panic!("a slice is always ready");
            };
            assert!(!buf.filled().is_empty() && buf.filled().len() < 16_384);
            seen.extend_from_slice(buf.filled());
        }
        assert_eq!(seen, sent);
    }

    #[test]
    fn only_answers_that_hyper_made_up_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal_status(bare), Some(431));
        let ours = b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_refusal_status(ours), None);
        assert_eq!(
            bare_refusal_status(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            None
        );
        assert_eq!(bare_refusal_status(b"data: HTTP/1.1 400\r\n\r\n"), None);
        assert_eq!(bare_refusal_status(b"HTTP/1.1 4"), None);
    }
}
