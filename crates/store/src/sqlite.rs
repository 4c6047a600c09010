//! The SQLite back end: one thread writes, two threads read, callers send them messages.
//!
//! ```text
//! settle, insert, revoke, rotate ──▶ store-writer   group commit        ╲
//! find, list, generation         ──▶ store-lookups  never behind a report ├─▶ one file, WAL
//! usage                          ──▶ store-reports                      ╱
//! ```
//!
//! No transaction lives across an `await`, so a client that hangs up cannot leave one open. What was
//! acknowledged survives the death of this process (`kill -9`); after a loss of power the last
//! moments before it can be missing, but the file stays sound.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use seaworthy_core::store::{Error, Lifecycle, Stores};

use crate::open::OpenError;
use crate::schema::Upgrade;

mod connection;
mod copy;
mod idempotency;
mod keys;
mod ledger;
mod migrate;
mod objects;
mod place;
mod reader;
mod switches;
mod worker;
mod writer;

pub(crate) use copy::{copy, inspect};
use idempotency::SqliteIdempotency;
use keys::SqliteKeys;
use ledger::SqliteLedger;
use objects::SqliteObjects;
use place::Place;
use reader::Reader;
use switches::SqliteSwitches;
use writer::Writer;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last checkpoint may wait for readers of other processes: it is only tidiness.
const LAST_CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(250);

/// Opens the database file at `path`, creating it when it does not exist.
pub(crate) fn open(path: &Path) -> Result<Stores, OpenError> {
    let database = Arc::new(Database::open(path)?);
    Ok(Stores {
        backend: "sqlite",
        is_shared: false,
        keys: Arc::new(SqliteKeys(Arc::clone(&database))),
        ledger: Arc::new(SqliteLedger(Arc::clone(&database))),
        idempotency: Arc::new(SqliteIdempotency(Arc::clone(&database))),
        shared_journal: None,
        shares: None,
        switches: Arc::new(SqliteSwitches(Arc::clone(&database))),
        objects: Arc::new(SqliteObjects(Arc::clone(&database))),
        lifecycle: Arc::new(SqliteLifecycle(database)),
    })
}

/// What has to be done to the schema of the file at `path`, which may not exist yet.
pub(crate) fn plan(path: &Path) -> Result<Upgrade, OpenError> {
    let done = match connection::is_there(path)? {
        true => {
            let connection = connection::open_reader(path, BUSY_TIMEOUT)?;
            migrate::applied(&connection, path, migrate::MIGRATIONS)?
        }
        false => 0,
    };
    Ok(Upgrade::missing("sqlite", migrate::MIGRATIONS, done))
}

/// Brings the schema of the file at `path` up to date, creating it when it does not exist.
pub(crate) fn upgrade(path: &Path) -> Result<Upgrade, OpenError> {
    let (connection, upgrade) = up_to_date(path)?;
    close_connection(connection);
    Ok(upgrade)
}

/// A connection that writes a file whose schema is of this program, and what was done for that.
fn up_to_date(path: &Path) -> Result<(Connection, Upgrade), OpenError> {
    let mut connection = connection::open_writer(path, BUSY_TIMEOUT)?;
    // A file that is not for us is refused before anything in it is changed.
    let done = migrate::applied(&connection, path, migrate::MIGRATIONS)?;
    connection::configure_writer(&connection, path, BUSY_TIMEOUT)?;
    let upgrade = Upgrade {
        steps: migrate::migrate(&mut connection, path, migrate::MIGRATIONS)?,
        ..Upgrade::missing("sqlite", migrate::MIGRATIONS, done)
    };
    Ok((connection, upgrade))
}

/// The threads of one open database.
struct Database {
    lookups: Reader,
    reports: Reader,
    writer: Writer,
}

impl Database {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let (connection, _) = up_to_date(path)?;
        let place = Place::of(path).map_err(|error| OpenError::NotWritable {
            path: path.to_owned(),
            source: error.into(),
        })?;
        let place = Arc::new(place);
        let reader = |name| {
            let connection = connection::open_reader(path, BUSY_TIMEOUT)?;
            let reader = Reader::spawn(name, connection, Arc::clone(&place));
            reader.map_err(|source| OpenError::NoThread { source })
        };
        Ok(Self {
            lookups: reader("store-lookups")?,
            reports: reader("store-reports")?,
            writer: Writer::spawn(connection, Arc::clone(&place), close_connection)
                .map_err(|source| OpenError::NoThread { source })?,
        })
    }

    /// Blocks until everything that was accepted is durable. The writer is last, so that its
    /// connection is the one that tidies up the files.
    fn finish(&self) {
        self.lookups.finish();
        self.reports.finish();
        self.writer.finish();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.finish();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct SqliteLifecycle(Arc<Database>);

#[async_trait]
impl Lifecycle for SqliteLifecycle {
    async fn close(&self) {
        let database = Arc::clone(&self.0);
        if let Err(error) = tokio::task::spawn_blocking(move || database.finish()).await {
            tracing::error!(%error, "closing the store did not complete");
        }
    }
}

/// Moves the log into the database, so that a clean stop leaves one file.
fn close_connection(connection: Connection) {
    let checkpoint = connection
        .busy_timeout(LAST_CHECKPOINT_TIMEOUT)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let closed = connection.close().map_err(|(_, error)| error);
    if let Err(error) = checkpoint.and(closed) {
        tracing::warn!(%error, "the store could not tidy up at its end; nothing is lost");
    }
}

/// Every failure of SQLite, as the traits name it.
fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable {
        backend: "sqlite",
        source: source.into(),
    }
}
