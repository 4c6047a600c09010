//! The one thread that writes: it takes whatever is queued into one transaction, so that the cost of
//! a commit is shared, and answers each caller only after that commit.

use std::sync::Arc;
use std::{io, iter};

use rusqlite::{Connection, ffi};
use seaworthy_core::crash::{self, Point};
use seaworthy_core::store::{Error, Result};
use tokio::sync::oneshot;

use super::place::Place;
use super::unavailable;
use super::worker::{Queue, Worker};

/// Jobs that wait. A full queue makes callers wait, which is how they learn that the disk is slow.
const QUEUE_CAPACITY: usize = 1024;
/// Jobs that share a commit; bounds how long the first of them waits for the last.
const GROUP_LIMIT: usize = 256;

/// Shared because a failed commit is told to every job of its group.
type SharedError = Arc<rusqlite::Error>;
/// Does its work, or is told why it cannot be tried.
type Job = Box<dyn FnOnce(std::result::Result<&Connection, SharedError>) -> Done + Send>;

/// What a job leaves to be done.
struct Done {
    /// Whether its changes stay.
    keep: bool,
    /// Tells its caller, given how the commit went.
    answer: Box<dyn FnOnce(std::result::Result<(), SharedError>) + Send>,
}

/// Queues jobs for the writing thread.
pub(super) struct Writer(Worker<Job>);

impl Writer {
    /// Starts the thread. `at_end` gets the connection back when the queue is closed and empty.
    pub(super) fn spawn(
        connection: Connection,
        place: Arc<Place>,
        at_end: impl FnOnce(Connection) + Send + 'static,
    ) -> io::Result<Self> {
        let work = move |queue: Queue<Job>| {
            while let Some(first) = queue.next() {
                let others = queue.ready().take(GROUP_LIMIT - 1);
                commit_group(&connection, place.check(), iter::once(first).chain(others));
            }
            at_end(connection);
        };
        Worker::spawn("store-writer", QUEUE_CAPACITY, work).map(Self)
    }

    /// Runs `work` inside a transaction and returns once that is committed. If `work` fails, its
    /// own changes are undone and nobody else's. The job runs even when the caller stops waiting.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.0.submit(job(work, reply)).await?;
        answer
            .await
            .map_err(|_| unavailable("the writing thread has ended"))?
    }

    pub(super) fn finish(&self) {
        self.0.finish();
    }
}

fn job<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    reply: oneshot::Sender<Result<T>>,
) -> Job {
    Box::new(move |connection| {
        let result = connection.map_err(unavailable).and_then(work);
        Done {
            keep: result.is_ok(),
            answer: Box::new(move |committed| {
                let result = match (result, committed) {
                    // The job's own failure says more than that of its group.
                    (Err(own @ Error::Unavailable { .. }), _) => Err(own),
                    // Neither a success nor a refusal counts when what it was based on is undone.
                    (_, Err(error)) => Err(unavailable(error)),
                    (result, Ok(())) => result,
                };
                // Whoever has stopped waiting does not need the answer.
                drop(reply.send(result));
            }),
        }
    })
}

fn commit_group(
    connection: &Connection,
    is_there: rusqlite::Result<()>,
    group: impl Iterator<Item = Job>,
) {
    let begun = is_there.and_then(|()| execute(connection, "BEGIN IMMEDIATE"));
    let mut state = begun.map_err(Arc::new);
    let mut answers = Vec::new();
    for job in group {
        let done = match &state {
            Ok(()) => {
                let (done, isolated) = run_isolated(connection, job);
                state = isolated.map_err(Arc::new);
                done
            }
            Err(error) => job(Err(Arc::clone(error))),
        };
        answers.push(done.answer);
    }
    crash::point(Point::CommitDue);
    let committed = state.and_then(|()| execute(connection, "COMMIT").map_err(Arc::new));
    if committed.is_err() && !connection.is_autocommit() {
        // A rollback that fails leaves a transaction open: the next BEGIN reports it.
        drop(execute(connection, "ROLLBACK"));
    }
    for answer in answers {
        answer(committed.clone());
    }
}

/// Runs one job between savepoints. The second result is whether the transaction is still usable.
fn run_isolated(connection: &Connection, job: Job) -> (Done, rusqlite::Result<()>) {
    if let Err(error) = execute(connection, "SAVEPOINT job") {
        let error = Arc::new(error);
        return (job(Err(error)), Err(rolled_back()));
    }
    let done = job(Ok(connection));
    let usable = if connection.is_autocommit() {
        // SQLite ends the whole transaction by itself when the disk is full or broken.
        Err(rolled_back())
    } else if done.keep {
        execute(connection, "RELEASE job")
    } else {
        execute(connection, "ROLLBACK TO job").and_then(|()| execute(connection, "RELEASE job"))
    };
    (done, usable)
}

fn rolled_back() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_ABORT),
        Some("the failure of another write has undone the common transaction".to_owned()),
    )
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests;
