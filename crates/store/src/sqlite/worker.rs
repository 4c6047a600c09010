//! A named thread that works off a bounded queue and can be finished in good order.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use seaworthy_core::store::Result;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::unavailable;

/// The callers' end of a working thread. Dropping it finishes the queue first.
pub(super) struct Worker<J> {
    /// One permit for each free place in the queue.
    room: Arc<Semaphore>,
    /// `None` from the moment that nothing more is accepted. It is never held by a caller that
    /// waits, because a caller that is never polled again would then keep the thread alive.
    queue: Mutex<Option<mpsc::Sender<Queued<J>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A job and the place that it takes.
type Queued<J> = (J, OwnedSemaphorePermit);

/// The thread's end of the queue.
pub(super) struct Queue<J>(mpsc::Receiver<Queued<J>>);

impl<J> Queue<J> {
    /// Waits for a job; `None` when nothing more is accepted and everything is taken.
    pub(super) fn next(&self) -> Option<J> {
        self.0.recv().ok().map(|(job, _)| job)
    }

    /// The jobs that are there already.
    pub(super) fn ready(&self) -> impl Iterator<Item = J> {
        self.0.try_iter().map(|(job, _)| job)
    }
}

impl<J: Send + 'static> Worker<J> {
    /// Starts a thread that runs `work`, which has to take jobs until there are no more, with at
    /// most `capacity` of them waiting.
    pub(super) fn spawn(
        name: &str,
        capacity: usize,
        work: impl FnOnce(Queue<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(Queue(receiver)))?;
        Ok(Self {
            room: Arc::new(Semaphore::new(capacity)),
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a job, waiting while the queue is full.
    pub(super) async fn submit(&self, job: J) -> Result<()> {
        let closed = || unavailable("the store is closed");
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.map_err(|_| closed())?;
        let queue = self.queue.lock();
        let queue = queue.as_ref().ok_or_else(closed)?;
        let sent = queue.send((job, place));
        sent.map_err(|_| unavailable("the thread of the store has ended"))
    }
}

impl<J> Worker<J> {
    /// Accepts nothing more and blocks until what was accepted is done and the thread has ended.
    pub(super) fn finish(&self) {
        self.room.close();
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// A thread that takes nothing before it is told to, and hands out what it took.
    fn held_worker(capacity: usize) -> (mpsc::Sender<()>, mpsc::Receiver<u32>, Worker<u32>) {
        let (go, told) = mpsc::channel();
        let (took, taken) = mpsc::channel();
        let worker = Worker::spawn("test", capacity, move |queue| {
            told.recv().unwrap();
            while let Some(job) = queue.next() {
                took.send(job).unwrap();
            }
        });
        (go, taken, worker.unwrap())
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait_and_they_do_not_hold_up_the_end() {
        let (go, taken, worker) = held_worker(2);
        worker.submit(1).await.unwrap();
        worker.submit(2).await.unwrap();
        let mut third = pin!(worker.submit(3));
        let polled = poll_fn(|context| Poll::Ready(third.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        go.send(()).unwrap();
        worker.finish();
        third.await.unwrap_err();
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[tokio::test]
    async fn a_place_is_free_again_once_its_job_is_taken() {
        let (go, taken, worker) = held_worker(1);
        go.send(()).unwrap();
        for job in 0..10 {
            worker.submit(job).await.unwrap();
        }
        drop(worker);
        assert_eq!(taken.into_iter().count(), 10);
    }

    #[tokio::test]
    async fn a_thread_that_has_panicked_is_reported_to_callers() {
        let worker = Worker::<u32>::spawn("test", 1, |queue| {
            queue.next();
            panic!("a bug");
        });
        let worker = worker.unwrap();
        let mut results = Vec::new();
        while results.last().is_none_or(Result::is_ok) {
            results.push(worker.submit(1).await);
            assert!(results.len() < 1_000);
        }
        worker.finish();
    }
}
