//! Brings the schema of a database up to date, one numbered file after the other, while other
//! replicas serve: a lock lets one of them at it at a time.

use std::path::Path;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Transaction};

use crate::open::OpenError;
use crate::schema::{self, Migration, Upgrade};

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

/// Applies the steps that are missing, each in a transaction of its own, and names them.
pub(super) async fn migrate(client: &mut Object, name: &Path) -> Result<Upgrade, OpenError> {
    let failed = |error| failed(name, error);
    let mut made: Option<Upgrade> = None;
    loop {
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(LONGER).await.map_err(failed)?;
        // The lock comes first, so that what is found stays true until the commit.
        let locked = transaction
            .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await;
        locked.map_err(failed)?;
        let done = applied(&transaction, name).await?;
        let made = made.get_or_insert_with(|| Upgrade {
            steps: Vec::new(),
            ..missing(done)
        });
        let Some(step) = MIGRATIONS.get(done) else {
            transaction.commit().await.map_err(failed)?;
            return Ok(made.clone());
        };
        apply(&transaction, done + 1, step).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        made.steps.push(step.name);
    }
}

/// What [`migrate`] would do.
pub(super) async fn plan(client: &mut Object, name: &Path) -> Result<Upgrade, OpenError> {
    let transaction = client.transaction().await.map_err(|e| failed(name, e))?;
    Ok(missing(applied(&transaction, name).await?))
}

fn missing(done: usize) -> Upgrade {
    Upgrade::missing("postgres", MIGRATIONS, done)
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
    let checksum = step.checksum();
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
    let checksums: Vec<&[u8]> = found.iter().map(|row| row.get(0)).collect();
    schema::applied(&checksums, MIGRATIONS, name)
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
