//! Opening connections: the settings they share, and errors that say what to do.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::open::OpenError;

/// Only the owner may read what is stored.
const FILE_MODE: u32 = 0o600;
/// A log that a long report kept from being reused shrinks back to this.
const LOG_SIZE_LIMIT_BYTES: i64 = 64 * 1024 * 1024;
/// Up to this size an unclean stop is followed by a check of the whole file; beyond it, the check
/// would hold up the start (SQLite reads about a gigabyte a second).
const CHECK_LIMIT_BYTES: u64 = 32 * 1024 * 1024;
/// More than the number of different statements, so that none is prepared twice.
const CACHED_STATEMENTS: usize = 32;

/// Opens the connection that writes and creates the file when there is none. What is in the file
/// stays as it is.
pub(super) fn open_writer(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let ended_unclean = has_leftover_log(path);
    create_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, busy_timeout)?;
    let read_only = connection.is_readonly("main");
    if read_only.map_err(|error| explain(path, error))? {
        // SQLite falls back to reading without a word.
        return Err(OpenError::NotWritable {
            path: path.to_owned(),
            source: io::Error::from(io::ErrorKind::PermissionDenied).into(),
        });
    }
    if ended_unclean {
        check(&connection, path)?;
    }
    Ok(connection)
}

/// Makes the database one that is read while it is written.
pub(super) fn configure_writer(
    connection: &Connection,
    path: &Path,
    busy_timeout: Duration,
) -> Result<(), OpenError> {
    let explain = |error| explain(path, error);
    let mode = switch_to_wal(connection, busy_timeout).map_err(explain)?;
    if mode != "wal" {
        let path = path.to_owned();
        return Err(OpenError::NoSharedMemory { path });
    }
    let settings = format!(
        "PRAGMA synchronous = NORMAL;
         PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = {LOG_SIZE_LIMIT_BYTES};"
    );
    connection.execute_batch(&settings).map_err(explain)
}

/// Opens a connection that cannot change anything.
pub(super) fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, busy_timeout)
}

fn open(path: &Path, flags: OpenFlags, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let explain = |error| explain(path, error);
    let connection = Connection::open_with_flags(path, flags).map_err(explain)?;
    connection.busy_timeout(busy_timeout).map_err(explain)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Creates the file if there is none. An existing file is left to SQLite alone: opening and closing
/// it here would drop the POSIX locks of every other connection of this process.
pub(super) fn create_file(path: &Path) -> Result<(), OpenError> {
    if is_there(path)? {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    match options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(OpenError::NotWritable {
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

/// Whether there is a file at `path`, which is an error where there cannot be one.
pub(super) fn is_there(path: &Path) -> Result<bool, OpenError> {
    let there = path.to_owned();
    if path.is_dir() {
        return Err(OpenError::NotAFile { path: there });
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(OpenError::NoFolder {
                folder: folder.to_owned(),
                path: there,
            })
        }
        _ => Ok(path.exists()),
    }
}

/// Two processes that open a new file at once can both be refused the switch without the busy
/// handler being asked, because waiting could be a deadlock. Starting over cannot.
fn switch_to_wal(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<String> {
    let started = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Err(error) if is_busy(&error) && started.elapsed() < busy_timeout => {
                std::thread::sleep(Duration::from_millis(5));
            }
            mode => return mode,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// A clean stop leaves no log, or an empty one.
fn has_leftover_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(PathBuf::from(log)).is_ok_and(|log| log.len() > 0)
}

fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    if fs::metadata(path).is_ok_and(|file| file.len() > CHECK_LIMIT_BYTES) {
        return Ok(());
    }
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, error))?;
    if finding != "ok" {
        let path = path.to_owned();
        return Err(OpenError::Damaged { path, finding });
    }
    Ok(())
}

/// What an error of SQLite means to the person who wants to open `path`.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            path,
            finding: error.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable {
                path,
                source: error.into(),
            }
        }
        _ => OpenError::Failed {
            path,
            source: error.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_another_program_holds_is_reported_as_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let holder = open_writer(&path, Duration::ZERO).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let wait = Duration::from_millis(20);
        let second = open_writer(&path, wait).unwrap();
        let configured = configure_writer(&second, &path, wait);
        assert!(
            matches!(configured, Err(OpenError::Locked { .. })),
            "{configured:?}"
        );
        holder.execute_batch("ROLLBACK").unwrap();
        configure_writer(&second, &path, wait).unwrap();
    }

    #[test]
    fn the_linked_sqlite_is_newer_than_the_bug_that_corrupts_a_log_when_it_is_reset() {
        assert!(rusqlite::version_number() >= 3_051_003);
    }
}
