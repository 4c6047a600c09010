//! A named thread that works off a bounded queue and can be finished in good order.

use std::io;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use seaworthy_core::store::Result;
use tokio::sync::mpsc;

use super::unavailable;

/// The owner's end of a working thread. Dropping it finishes the queue first.
pub(super) struct Worker<J> {
    /// `None` from the moment that nothing more is accepted.
    queue: Mutex<Option<mpsc::Sender<J>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts a thread that runs `work` on its queue of at most `capacity` jobs. `work` returns when
    /// the queue is closed and empty.
    pub(super) fn spawn(
        name: &str,
        capacity: usize,
        work: impl FnOnce(mpsc::Receiver<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(capacity);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(receiver))?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a job, waiting while the queue is full.
    pub(super) async fn submit(&self, job: J) -> Result<()> {
        let queue = self.queue.lock().clone();
        let queue = queue.ok_or_else(|| unavailable("the store is closed"))?;
        let sent = queue.send(job).await;
        sent.map_err(|_| unavailable("the thread of the store has ended"))
    }
}

impl<J> Worker<J> {
    /// Accepts nothing more and blocks until what was accepted is done and the thread has ended.
    pub(super) fn finish(&self) {
        self.queue.lock().take();
        // Held while waiting, so that a second caller waits as well.
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store has panicked");
        }
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.finish();
    }
}
