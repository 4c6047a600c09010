//! A thread with a connection that only reads, beside the writer and never in its way.

use std::io;
use std::sync::Arc;

use rusqlite::{Connection, InterruptHandle};
use seaworthy_core::store::Result;
use tokio::sync::oneshot;

use super::place::Place;
use super::unavailable;
use super::worker::{Queue, Worker};

/// Reads that wait; further callers wait to get in.
const QUEUE_CAPACITY: usize = 256;

/// Reads, or is told why that would be in vain.
type Job = Box<dyn FnOnce(rusqlite::Result<&Connection>) + Send>;

/// Queues reads for a reading thread.
pub(super) struct Reader {
    worker: Worker<Job>,
    interrupt: InterruptHandle,
}

impl Reader {
    pub(super) fn spawn(name: &str, connection: Connection, place: Arc<Place>) -> io::Result<Self> {
        let interrupt = connection.get_interrupt_handle();
        let work = move |queue: Queue<Job>| {
            while let Some(job) = queue.next() {
                job(place.check().map(|()| &connection));
            }
        };
        let worker = Worker::spawn(name, QUEUE_CAPACITY, work)?;
        Ok(Self { worker, interrupt })
    }

    /// Runs `work` and returns what it read. Skipped when the caller stops waiting in the queue.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !reply.is_closed() {
                drop(reply.send(connection.and_then(work).map_err(unavailable)));
            }
        });
        self.worker.submit(job).await?;
        answer
            .await
            .map_err(|_| unavailable("the reading thread has ended"))?
    }

    /// Ends the thread; a report that is running gives up.
    pub(super) fn finish(&self) {
        self.interrupt.interrupt();
        self.worker.finish();
    }
}
