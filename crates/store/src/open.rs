//! From a store URL to an opened back end, with errors for the person who wrote the URL.

use std::io;
use std::path::{Path, PathBuf};

use seaworthy_core::store::{Stores, memory};

use crate::postgres::{self, PostgresOptions};
use crate::sqlite;
use crate::tls::TlsError;

/// Opens the back end that `url` names and brings its schema up to date. Blocks; call it at start.
///
/// - `memory:` forgets everything when the process ends.
/// - `sqlite:PATH` keeps everything in one file, which is created (readable by its owner only) when
///   it does not exist. Several processes may have it open at once.
/// - `postgres://USER:PASSWORD@HOST:PORT/DATABASE` keeps everything in a server for any number of
///   processes; `sslmode=require` at its end asks for an encrypted connection.
///
/// # Errors
///
/// [`OpenError`] says what was expected, what was found and what to do.
pub fn open(url: &str) -> Result<Stores, OpenError> {
    open_with(url, &PostgresOptions::default())
}

/// [`open`], with what a server needs beside its URL.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(url: &str, options: &PostgresOptions) -> Result<Stores, OpenError> {
    match Place::named_by(url)? {
        Place::Memory => Ok(memory::open()),
        Place::Postgres => postgres::open(url, options),
        Place::Sqlite(path) => sqlite::open(path),
    }
}

/// Where a URL says that everything is kept.
#[derive(Debug)]
pub(crate) enum Place<'url> {
    Memory,
    Postgres,
    Sqlite(&'url Path),
}

impl<'url> Place<'url> {
    pub(crate) fn named_by(url: &'url str) -> Result<Self, OpenError> {
        if url == "memory:" {
            return Ok(Self::Memory);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres);
        }
        match url.strip_prefix("sqlite:") {
            Some(path) if is_file_path(path) => Ok(Self::Sqlite(Path::new(path))),
            _ => Err(OpenError::UnsupportedUrl {
                found: describe_url(url),
            }),
        }
    }
}

/// `sqlite://name.db` would mean a file in the root folder, and `:memory:` a private database that
/// the second connection cannot see: both are slips.
fn is_file_path(path: &str) -> bool {
    !path.is_empty() && !path.starts_with("//") && path != ":memory:"
}

/// Enough of a URL to recognise it. What follows the scheme may hold a password, except for SQLite.
fn describe_url(url: &str) -> String {
    match url.split_once(':') {
        Some(("sqlite", _)) => format!("{url:?}"),
        Some((scheme, _)) => format!("a URL that starts with {scheme:?}"),
        None => "a text without a scheme".to_owned(),
    }
}

/// Why a back end could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no back end of ours.
    #[error(
        "expected a store URL of the form `sqlite:PATH` or `memory:`, or \
         `postgres://USER@HOST/DATABASE`, found {found}: \
         write for example `sqlite:seaworthy.db` or `sqlite:/var/lib/seaworthy/seaworthy.db`"
    )]
    UnsupportedUrl {
        /// The recognisable part of the URL.
        found: String,
    },
    /// The folder of the file does not exist.
    #[error("expected the folder {folder:?} for the database {path:?} to exist: create it first")]
    NoFolder {
        /// The database.
        path: PathBuf,
        /// The folder it would lie in.
        folder: PathBuf,
    },
    /// The path names something else than a regular file.
    #[error("expected a database file at {path:?}, found a folder: name a file inside it")]
    NotAFile {
        /// What was opened.
        path: PathBuf,
    },
    /// The file or its folder cannot be written.
    #[error(
        "expected to be able to write the database {path:?} and, beside it, its -wal and -shm \
         files: let this user write the file and its folder"
    )]
    NotWritable {
        /// The database.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is something else.
    #[error(
        "expected a SQLite database at {path:?}, found another kind of file: \
         check the path, or move the file away to start with an empty database"
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a SQLite database of another program.
    #[error(
        "expected a database of Seaworthy or an empty one at {path:?}, found the tables of another \
         program: choose another path"
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The file is a database whose structure is broken.
    #[error(
        "expected a sound database at {path:?}, found damage ({finding}): restore a backup, or \
         save what can be read with `sqlite3 FILE .recover`"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found first.
        finding: String,
    },
    /// A newer Seaworthy has changed the schema.
    #[error(
        "expected schema version {known} or older in {path:?}, found {found}: \
         run the Seaworthy that wrote it, or a newer one"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its schema.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A migration was not applied as this program knows it.
    #[error(
        "expected migration {version} ({name}) in {path:?} to be the one of this program, found a \
         different text applied: run the Seaworthy that wrote the database, or restore a backup"
    )]
    Altered {
        /// The database.
        path: PathBuf,
        /// Number of the migration.
        version: u32,
        /// Name of the migration.
        name: &'static str,
    },
    /// Another process holds the database exclusively.
    #[error(
        "expected to share the database {path:?} with other processes, found it locked: \
         end the program that holds it (a backup, or a database browser) and start again"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The file system cannot hold a database that is shared between connections.
    #[error(
        "expected a file system with shared memory for the database {path:?}, found one where \
         write-ahead logging is not possible: move the database to a local disk"
    )]
    NoSharedMemory {
        /// The database.
        path: PathBuf,
    },
    /// Something else that SQLite complains about.
    #[error("expected to open the database {path:?}, which failed")]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server does not answer.
    #[error("expected to reach the {name:?}, which failed: check the URL, and that it is running")]
    Unreachable {
        /// What was to be opened.
        name: PathBuf,
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(TlsError),
    /// The system refuses to start a thread.
    #[error(
        "expected to start a thread for the database: raise the limit of processes and threads"
    )]
    NoThread {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_back_end_names_those_that_exist() {
        for url in [
            "",
            "data.db",
            "sqlite",
            "sqlite:",
            "sqlite://data.db",
            "sqlite::memory:",
            "memory",
            "memory:x",
            "mysql:x",
        ] {
            let error = open(url).unwrap_err().to_string();
            assert!(
                error.contains("`sqlite:PATH` or `memory:`"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn a_password_in_an_unsupported_url_is_not_repeated() {
        let error = open("mysql://ada:hunter2@db/x").unwrap_err().to_string();
        assert!(error.contains("\"mysql\""), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_memory_store_opens() {
        assert_eq!(open("memory:").unwrap().backend, "memory");
    }
}
