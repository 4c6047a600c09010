//! A sound copy of a database that others go on writing.

use std::path::Path;

use rusqlite::Connection;

use super::{BUSY_TIMEOUT, connection, migrate};
use crate::open::OpenError;

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) schema: usize,
    pub(crate) settlements: u64,
    pub(crate) keys: u64,
}

/// Copies the database as it is at one moment, and checks the copy whole.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Contents, OpenError> {
    let source = connection::open_reader(from, BUSY_TIMEOUT)?;
    migrate::applied(&source, from, migrate::MIGRATIONS)?;
    connection::create_file(to)?;
    // One read transaction: writers go on, and the copy is of one moment.
    source
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .map_err(|error| connection::explain(to, error))?;
    inspect(to)
}

/// Checks a database whole that nobody writes, and says what it holds.
pub(crate) fn inspect(path: &Path) -> Result<Contents, OpenError> {
    let database = connection::open_reader(path, BUSY_TIMEOUT)?;
    let explain = |error| connection::explain(path, error);
    let schema = migrate::applied(&database, path, migrate::MIGRATIONS)?;
    let finding: String = database
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(explain)?;
    if finding != "ok" {
        let path = path.to_owned();
        return Err(OpenError::Damaged { path, finding });
    }
    let count = |query: &str| -> rusqlite::Result<u64> {
        let rows: i64 = Connection::query_row(&database, query, [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    };
    Ok(Contents {
        schema,
        settlements: count("SELECT count(*) FROM settlements").map_err(explain)?,
        keys: count("SELECT count(*) FROM api_keys").map_err(explain)?,
    })
}
