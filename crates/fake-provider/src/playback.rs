//! Performs the steps of a script as the body of a response, and records how far it got.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

use crate::ledger::{CallGuard, Outcome, Usage};
use crate::script::Step;
use crate::socket::ResetSwitch;

/// The longest that a connection is kept waiting for nothing.
pub(crate) const LONGEST_HANG: Duration = Duration::from_secs(600);

/// A response body that plays a script.
pub(crate) struct Playback {
    steps: std::vec::IntoIter<Step>,
    pause: Option<Pin<Box<Sleep>>>,
    /// What was handed over last has not been flushed yet.
    unflushed: bool,
    planned: Usage,
    call: CallGuard,
    switch: ResetSwitch,
}

impl Playback {
    pub(crate) fn new(
        steps: Vec<Step>,
        planned: Usage,
        call: CallGuard,
        switch: ResetSwitch,
    ) -> Self {
        let steps = steps.into_iter();
        Self {
            steps,
            pause: None,
            unflushed: false,
            planned,
            call,
            switch,
        }
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if self.unflushed {
                // The connection writes out what it has when the body has nothing ready.
                self.unflushed = false;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.steps.next() {
                Some(Step::Send { bytes, tokens }) => {
                    let planned = self.planned;
                    self.call.sent(bytes.len(), tokens, planned);
                    self.unflushed = !self.steps.as_slice().is_empty();
                    if self.steps.as_slice().is_empty() {
                        self.call.ended(Outcome::Completed);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Wait(time)) => self.pause = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Hang) => {
                    self.pause = Some(Box::pin(tokio::time::sleep(LONGEST_HANG)));
                }
                Some(Step::Break { reset }) => {
                    self.call.ended(Outcome::Broken);
                    if reset {
                        self.switch.arm();
                    }
                    return Poll::Ready(Some(Err(io::Error::other("broken on command"))));
                }
                None => {
                    self.call.ended(Outcome::Completed);
                    return Poll::Ready(None);
                }
            }
        }
    }
}
