//! Brings the schema of a database up to date, one numbered file after the other, while other
//! replicas serve: a lock lets one of them at it at a time.

use std::path::Path;

use deadpool_postgres::Object;
use sha2::{Digest as _, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Transaction};

use crate::open::OpenError;

/// One step of the schema. A step that was released is never edited: a later one changes it.
#[derive(Debug, Clone, Copy)]
struct Migration {
    /// Its name; the version is its place in the list, starting with 1.
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration {
            name: $name,
            sql: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }),*]
    };
}

/// All steps, oldest first.
const MIGRATIONS: &[Migration] = migrations![
    "0001_keys",
    "0002_ledger",
    "0003_idempotency",
    "0004_switches",
    "0005_objects",
    "0006_share_holders"
];

const RECORD: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        checksum BYTEA NOT NULL
    )";
/// The lock of this program among those of a database: "seaworth" in ASCII.
const LOCK: i64 = 0x7365_6177_6f72_7468;
/// A step may rewrite a table.
const LONGER: &str = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '1min'";

/// Applies the steps that are missing, each in a transaction of its own.
pub(super) async fn migrate(client: &mut Object, name: &Path) -> Result<(), OpenError> {
    loop {
        let transaction = client.transaction().await.map_err(|e| failed(name, e))?;
        transaction
            .batch_execute(LONGER)
            .await
            .map_err(|e| failed(name, e))?;
        // The lock comes first, so that what is found stays true until the commit.
        let locked = transaction
            .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await;
        locked.map_err(|e| failed(name, e))?;
        let done = applied(&transaction, name).await?;
        let Some(step) = MIGRATIONS.get(done) else {
            return transaction.commit().await.map_err(|e| failed(name, e));
        };
        apply(&transaction, done + 1, step)
            .await
            .map_err(|e| failed(name, e))?;
        transaction.commit().await.map_err(|e| failed(name, e))?;
    }
}

async fn apply(
    transaction: &Transaction<'_>,
    version: usize,
    step: &Migration,
) -> Result<(), Error> {
    transaction.batch_execute(RECORD).await?;
    transaction.batch_execute(step.sql).await?;
    let version = i32::try_from(version).unwrap_or(i32::MAX);
    let insert = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";
    let checksum = checksum(step);
    transaction
        .execute(insert, &[&version, &step.name, &&checksum[..]])
        .await?;
    Ok(())
}

/// How many steps the database has, in order and unaltered.
async fn applied(transaction: &Transaction<'_>, name: &Path) -> Result<usize, OpenError> {
    let known = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    let known = transaction
        .query_one(known, &[])
        .await
        .map_err(|e| failed(name, e))?;
    if !known.get::<_, bool>(0) {
        return Ok(0);
    }
    let select = "SELECT checksum FROM schema_migrations ORDER BY version";
    let found = transaction
        .query(select, &[])
        .await
        .map_err(|e| failed(name, e))?;
    let version = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    if found.len() > MIGRATIONS.len() {
        return Err(OpenError::Newer {
            path: name.to_owned(),
            found: version(found.len()),
            known: version(MIGRATIONS.len()),
        });
    }
    for (index, (row, step)) in found.iter().zip(MIGRATIONS).enumerate() {
        if row.get::<_, &[u8]>(0) != checksum(step) {
            return Err(OpenError::Altered {
                path: name.to_owned(),
                version: version(index + 1),
                name: step.name,
            });
        }
    }
    Ok(found.len())
}

fn checksum(step: &Migration) -> [u8; 32] {
    Sha256::digest(step.sql.as_bytes()).into()
}

fn failed(name: &Path, error: Error) -> OpenError {
    let path = name.to_owned();
    match error.code() {
        Some(&SqlState::DUPLICATE_TABLE) => OpenError::Foreign { path },
        Some(&SqlState::LOCK_NOT_AVAILABLE) => OpenError::Locked { path },
        _ => OpenError::Failed {
            path,
            source: error.into(),
        },
    }
}
