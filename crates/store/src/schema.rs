//! The schema of a store: at which version it is, and the steps that bring it up to date, with the
//! store or beside it.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::open::{OpenError, Place};
use crate::postgres::{self, PostgresOptions};
use crate::sqlite;

/// One step of a schema. A step that was released is never edited: a later one changes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// Its name; the version is its place in the list, starting with 1.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

impl Migration {
    /// What is recorded of a step, so that an edited one is noticed.
    pub(crate) fn checksum(&self) -> [u8; 32] {
        Sha256::digest(self.sql.as_bytes()).into()
    }
}

/// What has to be done to a schema, or was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The kind of back end.
    pub backend: &'static str,
    /// The version that was found; 0 where there is nothing yet.
    pub from: u32,
    /// The version of this program.
    pub to: u32,
    /// The steps between, in their order. After [`upgrade`], those that it has applied: another
    /// process may have applied others at the same time.
    pub steps: Vec<&'static str>,
}

impl Upgrade {
    /// All that `migrations` add to a schema that has `done` of them.
    pub(crate) fn missing(backend: &'static str, migrations: &[Migration], done: usize) -> Self {
        let missing = migrations.iter().skip(done);
        Self {
            backend,
            from: version(done),
            to: version(migrations.len()),
            steps: missing.map(|step| step.name).collect(),
        }
    }
}

/// What [`upgrade`] would do. Changes nothing, creates nothing. Blocks, outside of a runtime.
///
/// # Errors
///
/// As [`crate::open()`].
pub fn plan(url: &str, options: &PostgresOptions) -> Result<Upgrade, OpenError> {
    match Place::named_by(url)? {
        Place::Memory => Ok(nothing()),
        Place::Postgres => postgres::plan(url, options),
        Place::Sqlite(path) => sqlite::plan(path),
    }
}

/// Brings the schema of a store up to date, as opening it does, while others use it or not.
/// Blocks, outside of a runtime.
///
/// # Errors
///
/// As [`crate::open()`].
pub fn upgrade(url: &str, options: &PostgresOptions) -> Result<Upgrade, OpenError> {
    match Place::named_by(url)? {
        Place::Memory => Ok(nothing()),
        Place::Postgres => postgres::upgrade(url, options),
        Place::Sqlite(path) => sqlite::upgrade(path),
    }
}

/// Memory has no schema.
fn nothing() -> Upgrade {
    Upgrade::missing("memory", &[], 0)
}

/// How many of `migrations` a database has, by the checksums on its record, oldest first.
pub(crate) fn applied(
    found: &[impl AsRef<[u8]>],
    migrations: &[Migration],
    path: &Path,
) -> Result<usize, OpenError> {
    if found.len() > migrations.len() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: version(found.len()),
            known: version(migrations.len()),
        });
    }
    for (index, (found, step)) in found.iter().zip(migrations).enumerate() {
        if found.as_ref() != step.checksum() {
            return Err(OpenError::Altered {
                path: path.to_owned(),
                version: version(index + 1),
                name: step.name,
            });
        }
    }
    Ok(found.len())
}

/// The version that the `number`th step leads to.
pub(crate) fn version(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
