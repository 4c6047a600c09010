//! The tasks of the streams of an HTTP/2 connection. One whose client leaves its answer unread ends
//! alone: others share the connection, and the socket says nothing about one of them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};

use super::in_flight::InFlight;

/// Spawns the tasks of one connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    in_flight: Arc<InFlight>,
    write_timeout: Duration,
}

impl Streams {
    pub(super) fn new(in_flight: Arc<InFlight>, write_timeout: Duration) -> Self {
        Self {
            in_flight,
            write_timeout,
        }
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, task: F) {
        // hyper calls the service and spawns its task in one step.
        match self.in_flight.take_entered() {
            Some(stream) => {
                tokio::spawn(until_unread(task, self.clone(), stream));
            }
            None => {
                tokio::spawn(task);
            }
        }
    }
}

/// Runs the task of a stream until it ends, or its client has not read for too long. A task that is
/// dropped resets its stream.
async fn until_unread<F: Future>(task: F, streams: Streams, stream: u64) {
    let mut task = pin!(task);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = streams.in_flight.unread_since(stream) else {
            return Poll::Pending;
        };
        let deadline = since + streams.write_timeout;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // The timer is re-armed only when it fires, so that a stream in progress does not touch it.
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    })
    .await;
}
