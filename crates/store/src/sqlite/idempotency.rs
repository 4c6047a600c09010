//! Requests that are carried out once, in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::{IdempotencyStore, KeptAnswer, Known, Marker};
use seaworthy_core::store::Result;

use super::{Database, unavailable};

const FIND: &str = "
    SELECT request, lease_until, status, headers, body
    FROM idempotency WHERE key = ?1 AND expires_at > ?2";
const WRITE: &str = "
    INSERT INTO idempotency (key, request, owner, lease_until, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (key) DO UPDATE SET
        request = excluded.request, owner = excluded.owner, lease_until = excluded.lease_until,
        expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL";
const FINISH: &str = "
    UPDATE idempotency SET status = ?3, headers = ?4, body = ?5
    WHERE key = ?1 AND owner = ?2 AND status IS NULL";
const RELEASE: &str = "DELETE FROM idempotency WHERE key = ?1 AND owner = ?2 AND status IS NULL";
const RENEW: &str = "
    UPDATE idempotency SET lease_until = ?3 WHERE key = ?1 AND owner = ?2 AND status IS NULL";
const DELETE_EXPIRED: &str = "
    DELETE FROM idempotency WHERE key IN (
        SELECT key FROM idempotency WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// Markers and answers in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteIdempotency(pub(super) Arc<Database>);

#[async_trait]
impl IdempotencyStore for SqliteIdempotency {
    async fn begin(&self, marker: Marker, now: UnixMillis) -> Result<Known> {
        let work = move |db: &Connection| begin(db, &marker, now).map_err(unavailable);
        self.0.writer.write(work).await
    }

    async fn finish(&self, key: &Fingerprint, owner: &str, answer: KeptAnswer) -> Result<bool> {
        let (key, owner) = (*key, owner.to_owned());
        let work = move |db: &Connection| finish(db, &key, &owner, &answer);
        self.0.writer.write(work).await
    }

    async fn release(&self, key: &Fingerprint, owner: &str) -> Result<()> {
        let (key, owner) = (*key, owner.to_owned());
        let work = move |db: &Connection| {
            let released = execute(db, RELEASE, params![key.0, owner]);
            released.map(drop).map_err(unavailable)
        };
        self.0.writer.write(work).await
    }

    async fn renew(&self, held: Vec<(Fingerprint, String)>, lease_until: UnixMillis) -> Result<()> {
        let work = move |db: &Connection| {
            for (key, owner) in &held {
                let values = params![key.0, owner, lease_until.0];
                execute(db, RENEW, values).map_err(unavailable)?;
            }
            Ok(())
        };
        self.0.writer.write(work).await
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let work = move |db: &Connection| {
            execute(db, DELETE_EXPIRED, params![now.0, most]).map_err(unavailable)
        };
        self.0.writer.write(work).await
    }
}

/// Turns the owner's marker into the answer, within the transaction of the caller.
pub(super) fn finish(
    db: &Connection,
    key: &Fingerprint,
    owner: &str,
    answer: &KeptAnswer,
) -> Result<bool> {
    let headers = serde_json::to_string(&answer.headers).map_err(unavailable)?;
    let values = params![key.0, owner, answer.status, headers, &*answer.body];
    let changed = execute(db, FINISH, values).map_err(unavailable)?;
    Ok(changed > 0)
}

fn begin(db: &Connection, marker: &Marker, now: UnixMillis) -> rusqlite::Result<Known> {
    let mut find = db.prepare_cached(FIND)?;
    let found = find.query_row(params![marker.key.0, now.0], known);
    if let Some(known) = found.optional()? {
        return Ok(known);
    }
    let values = params![
        marker.key.0,
        marker.request.0,
        marker.owner,
        marker.lease_until.0,
        marker.expires_at.0,
    ];
    execute(db, WRITE, values)?;
    Ok(Known::New)
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let request = Fingerprint(row.get(0)?);
    let status: Option<u16> = row.get(2)?;
    let Some(status) = status else {
        return Ok(Known::Running {
            request,
            lease_until: UnixMillis(row.get(1)?),
        });
    };
    let headers: String = row.get(3)?;
    let headers = serde_json::from_str(&headers).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, error.into())
    })?;
    let body: Vec<u8> = row.get(4)?;
    let answer = KeptAnswer {
        status,
        headers,
        body: Bytes::from(body),
    };
    Ok(Known::Done { request, answer })
}

fn execute(db: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(values)
}
