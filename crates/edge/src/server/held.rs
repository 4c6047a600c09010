//! The beginning of a request that waits for its [turn](super::turns).

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

use super::turns::{Holding, Turns};

/// How long a request may wait to be read.
const LONGEST: Duration = Duration::from_millis(500);

/// Bytes that were received and not passed on.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    passed: usize,
    until: Pin<Box<Sleep>>,
    has_turn: bool,
    _counted: Holding,
}

impl Held {
    pub(super) fn new(bytes: &[u8], turns: &Arc<Turns>) -> Self {
        Self {
            bytes: bytes.to_vec(),
            passed: 0,
            until: Box::pin(tokio::time::sleep(LONGEST)),
            has_turn: false,
            _counted: turns.hold(),
        }
    }

    /// Passes on what fits, once it has its turn. False: it waited too long.
    pub(super) fn poll_pass(
        &mut self,
        turns: &Turns,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<bool> {
        if !self.has_turn && !turns.take(cx.waker()) {
            ready!(self.until.as_mut().poll(cx));
            while !turns.refuses() {
                let until = Instant::now() + LONGEST;
                self.until.as_mut().reset(until);
                ready!(self.until.as_mut().poll(cx));
            }
            return Poll::Ready(false);
        }
        self.has_turn = true;
        let rest = &self.bytes[self.passed..];
        let fits = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..fits]);
        self.passed += fits;
        Poll::Ready(true)
    }

    pub(super) fn is_passed(&self) -> bool {
        self.passed >= self.bytes.len()
    }
}
