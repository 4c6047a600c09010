//! A process that can stand still: nothing of it is carried on, and time goes by.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Whether a process stands still.
#[derive(Default)]
pub(super) struct Gate(Mutex<Standing>);

#[derive(Default)]
struct Standing {
    is_still: bool,
    /// How often it stood still.
    times: u64,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(super) fn stand_still(&self) {
        let mut standing = self.0.lock().unwrap();
        standing.is_still = true;
        standing.times += 1;
    }

    pub(super) fn go_on(&self) {
        let waiting = {
            let mut standing = self.0.lock().unwrap();
            standing.is_still = false;
            std::mem::take(&mut standing.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_still(&self) -> bool {
        self.0.lock().unwrap().is_still
    }

    pub(super) fn times(&self) -> u64 {
        self.0.lock().unwrap().times
    }
}

/// Work of a process.
pub(super) struct Within<F> {
    gate: Arc<Gate>,
    work: Pin<Box<F>>,
}

impl<F: Future> Within<F> {
    pub(super) fn new(gate: &Arc<Gate>, work: F) -> Self {
        Self {
            gate: Arc::clone(gate),
            work: Box::pin(work),
        }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut standing = self.gate.0.lock().unwrap();
            if standing.is_still {
                standing.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.work.as_mut().poll(context)
    }
}
