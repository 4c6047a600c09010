//! The body of a provider's answer, read as it comes and unpacked on the way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{Deadlines, Error, Lease, Upstream};
use crate::coding::{Coding, Unpackable, Unpacker};

/// The body of a provider's answer. Read to its end it gives the connection back; dropped before, it
/// closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    pub(super) incoming: Incoming,
    pub(super) lease: Option<Lease>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) deadlines: Deadlines,
    pub(super) last_progress: Instant,
    pub(super) token_seen: bool,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    /// Takes off how it is packed.
    pub(super) unpacker: Option<Box<Unpacker>>,
}

impl UpstreamBody {
    /// The same body without these codings. What comes out together is never larger than `max_bytes`.
    #[must_use]
    pub fn unpacked(mut self, codings: &[Coding], max_bytes: usize) -> Self {
        self.unpacker = Some(Box::new(Unpacker::new(codings, max_bytes)));
        self
    }

    /// The first token has come.
    pub fn note_token(&mut self) {
        self.token_seen = true;
    }

    pub(super) fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.upstream.put_back(lease);
        }
    }

    /// The next piece as far as it has arrived, reading from the socket if need be.
    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut unobserved = Context::from_waker(Waker::noop());
        let buffered = Pin::new(&mut self.incoming).poll_frame(&mut unobserved);
        let Some(lease) = &mut self.lease else {
            return buffered;
        };
        if buffered.is_ready() {
            return buffered;
        }
        if lease.driver.as_mut().poll(cx).is_ready() {
            // The connection is over; what it had read is still to be taken.
            self.lease = None;
        }
        Pin::new(&mut self.incoming).poll_frame(&mut unobserved)
    }

    /// What a frame brings once it is unpacked, if that is anything.
    fn unpack(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, Error> {
        let Some(unpacker) = &mut self.unpacker else {
            return Ok(Some(frame));
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Ok(Some(trailers)),
        };
        let fed = unpacker.feed(&data);
        self.out_of(fed)
    }

    /// What is left of a packed body at its end.
    fn last_of_packed(&mut self) -> Result<Option<Frame<Bytes>>, Error> {
        let Some(mut unpacker) = self.unpacker.take() else {
            return Ok(None);
        };
        self.out_of(unpacker.finish())
    }

    fn out_of(
        &mut self,
        unpacked: Result<Bytes, Unpackable>,
    ) -> Result<Option<Frame<Bytes>>, Error> {
        match unpacked {
            Ok(out) => Ok((!out.is_empty()).then(|| Frame::data(out))),
            Err(why) => {
                self.lease = None;
                Err(Error::Packed(why))
            }
        }
    }

    /// Ready with an error when the answer takes too long. The timer is armed when something has to
    /// be waited for and re-armed only when it fires, not with every piece.
    fn poll_expiry(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let expiry = self.deadlines.for_body(self.last_progress, self.token_seen);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(expiry.at)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= expiry.at {
                return Poll::Ready(expiry.error());
            }
            timer.as_mut().reset(expiry.at);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match self.poll_incoming(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.last_progress = Instant::now();
                    // A piece may bring nothing yet.
                    if let Some(frame) = self.unpack(frame).transpose() {
                        return Poll::Ready(Some(frame));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.lease = None;
                    return Poll::Ready(Some(Err(Error::Broken(error))));
                }
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(self.last_of_packed().transpose());
                }
                Poll::Pending => {
                    let error = ready!(self.poll_expiry(cx));
                    self.lease = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.unpacker.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.unpacker {
            None => self.incoming.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
