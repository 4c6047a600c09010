//! Brings the schema of a database up to date, one numbered file after the other.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::connection::explain;
use crate::open::OpenError;
use crate::schema::{self, Migration, version};

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration {
            name: $name,
            sql: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
        }),*]
    };
}

/// All steps, oldest first.
pub(super) const MIGRATIONS: &[Migration] = migrations![
    "0001_keys",
    "0002_settlements",
    "0003_cost",
    "0004_identity",
    "0005_attribution",
    "0006_idempotency",
    "0007_switches",
    "0008_objects",
];

const CREATE_RECORD: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        checksum BLOB NOT NULL
    ) STRICT";

/// Applies the steps that are missing, each in a transaction of its own, and names them. Nothing is
/// written when none is missing. Several processes may do this at once.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<Vec<&'static str>, OpenError> {
    let explain = |error| explain(path, error);
    let mut steps = Vec::new();
    while applied(connection, path, migrations)? < migrations.len() {
        // The write lock comes first, so that what `applied` says stays true until the commit.
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(explain)?;
        let done = applied(&transaction, path, migrations)?;
        if let Some(next) = migrations.get(done) {
            apply(&transaction, version(done + 1), next).map_err(explain)?;
            steps.push(next.name);
        }
        transaction.commit().map_err(explain)?;
    }
    Ok(steps)
}

fn apply(connection: &Connection, version: u32, step: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch(CREATE_RECORD)?;
    connection.execute_batch(step.sql)?;
    connection
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
            params![version, step.name, step.checksum()],
        )
        .map(drop)
}

/// How many of `migrations` the database has, in order and unaltered. Changes nothing.
pub(super) fn applied(
    connection: &Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<usize, OpenError> {
    let found = checksums(connection).map_err(|error| explain(path, error))?;
    let Some(found) = found else {
        let path = path.to_owned();
        return Err(OpenError::Foreign { path });
    };
    schema::applied(&found, migrations, path)
}

/// The checksums on record, oldest first; `None` if the tables are not ours.
fn checksums(connection: &Connection) -> rusqlite::Result<Option<Vec<[u8; 32]>>> {
    let (tables, records): (u32, u32) = connection.query_row(
        "SELECT count(*), count(*) FILTER (WHERE name = 'schema_migrations') FROM sqlite_schema",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if tables == 0 {
        return Ok(Some(Vec::new()));
    }
    if records == 0 {
        return Ok(None);
    }
    let mut query =
        connection.prepare("SELECT checksum FROM schema_migrations ORDER BY version")?;
    let checksums = query.query_map([], |row| row.get(0))?;
    checksums.collect::<rusqlite::Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[Migration] = &[
        Migration {
            name: "0001_a",
            sql: "CREATE TABLE a (x) ",
        },
        Migration {
            name: "0002_b",
            sql: "CREATE TABLE b (x); INSERT INTO a VALUES (1);",
        },
    ];

    fn run(
        connection: &mut Connection,
        migrations: &[Migration],
    ) -> Result<Vec<&'static str>, OpenError> {
        migrate(connection, Path::new("s.db"), migrations)
    }

    fn rows_of_a(connection: &Connection) -> u32 {
        let query = "SELECT count(*) FROM a";
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_step_is_applied_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(run(&mut connection, &TWO[..1]).unwrap(), ["0001_a"]);
        assert_eq!(rows_of_a(&connection), 0);
        for expected in [&["0002_b"][..], &[], &[]] {
            assert_eq!(run(&mut connection, TWO).unwrap(), expected);
            assert_eq!(rows_of_a(&connection), 1);
        }
    }

    #[test]
    fn nothing_is_written_when_nothing_is_missing() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, TWO).unwrap();
        let changes = connection.total_changes();
        connection.pragma_update(None, "query_only", "ON").unwrap();
        run(&mut connection, TWO).unwrap();
        assert_eq!(connection.total_changes(), changes);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_of_itself() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = Migration {
            name: "0002_b",
            sql: "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);",
        };
        let error = run(&mut connection, &[TWO[0], broken]).unwrap_err();
        assert!(matches!(error, OpenError::Failed { .. }), "{error:?}");
        run(&mut connection, TWO).unwrap();
        assert_eq!(rows_of_a(&connection), 1);
    }

    #[test]
    fn a_step_with_another_text_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, TWO).unwrap();
        let edited = Migration {
            name: "0001_a",
            sql: "CREATE TABLE a (y)",
        };
        let error = run(&mut connection, &[edited, TWO[1]]).unwrap_err();
        assert!(
            error.to_string().contains("migration 1 (0001_a)"),
            "{error}"
        );
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, TWO).unwrap();
        let error = run(&mut connection, &TWO[..1]).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = run(&mut connection, TWO).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    }

    #[test]
    fn the_names_of_the_steps_carry_their_versions() {
        for (index, step) in MIGRATIONS.iter().enumerate() {
            let prefix = format!("{:04}_", index + 1);
            assert!(step.name.starts_with(&prefix), "{}", step.name);
        }
    }
}
