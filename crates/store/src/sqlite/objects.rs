//! What is kept for callers, in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::objects::memory::{already_exists, key_lost};
use seaworthy_core::objects::{Finished, Inserted, Kind, Object, ObjectStore, Page, Part, Quota};
use seaworthy_core::store::Result;

use super::{Database, idempotency, unavailable};

const EXISTS: &str = "SELECT 1 FROM objects WHERE id = ?1";
const USED: &str = "
    SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM objects WHERE kind = ?1 AND owner = ?2";
const INSERT: &str = "
    INSERT INTO objects (id, kind, owner, created_at, expires_at, is_open, worker, lease_until,
        version, bytes, head)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const WRITE_PART: &str = "
    INSERT INTO object_parts (id, number, content) VALUES (?1, ?2, ?3)
    ON CONFLICT (id, number) DO UPDATE SET content = excluded.content";
const ADD_PART: &str = "
    INSERT INTO object_parts (id, number, content)
    SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM objects WHERE id = ?1)
    ON CONFLICT (id, number) DO NOTHING";
const GET: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE id = ?1 AND kind = ?2 AND expires_at > ?3";
const LIST_UP: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE kind = ?1 AND owner = ?2 AND expires_at > ?3
        AND (?4 IS NULL OR (created_at, id) > (SELECT created_at, id FROM objects WHERE id = ?4))
    ORDER BY created_at, id LIMIT ?5";
const LIST_DOWN: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE kind = ?1 AND owner = ?2 AND expires_at > ?3
        AND (?4 IS NULL OR (created_at, id) < (SELECT created_at, id FROM objects WHERE id = ?4))
    ORDER BY created_at DESC, id DESC LIMIT ?5";
const UPDATE: &str = "
    UPDATE objects SET head = ?3, expires_at = ?4, is_open = ?5, worker = ?6, lease_until = ?7,
        version = version + 1
    WHERE id = ?1 AND version = ?2";
const MEASURE: &str = "
    UPDATE objects SET bytes = (
        SELECT COALESCE(SUM(LENGTH(content)), 0) FROM object_parts WHERE object_parts.id = ?1)
    WHERE id = ?1";
const SIZES: &str = "
    SELECT LENGTH(content) FROM object_parts WHERE id = ?1 AND number >= ?2
    ORDER BY number LIMIT 1000";
const PARTS: &str = "
    SELECT number, content FROM object_parts WHERE id = ?1 AND number >= ?2
    ORDER BY number LIMIT ?3";
const NUMBERS: &str = "SELECT number FROM object_parts WHERE id = ?1 ORDER BY number";
const DELETE: &str = "DELETE FROM objects WHERE kind = ?1 AND owner = ?2 AND id = ?3";
const DELETE_PARTS: &str = "DELETE FROM object_parts WHERE id = ?1";
const DELETE_ONE: &str = "DELETE FROM objects WHERE id = ?1";
const CLAIM: &str = "
    UPDATE objects SET worker = ?2, lease_until = ?4, version = version + 1 WHERE id = (
        SELECT id FROM objects WHERE kind = ?1 AND is_open = 1 AND lease_until <= ?3
        ORDER BY created_at, id LIMIT 1)
    RETURNING id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head";
const EXPIRED: &str = "SELECT id FROM objects WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
const SURPLUS: &str = "
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER (
            PARTITION BY owner ORDER BY created_at DESC, id DESC) AS place
        FROM objects WHERE kind = ?1 AND is_open = 0)
    WHERE place > ?2 LIMIT ?3";

/// Objects in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteObjects(pub(super) Arc<Database>);

#[async_trait]
impl ObjectStore for SqliteObjects {
    async fn insert(
        &self,
        object: Object,
        parts: Vec<Part>,
        quota: Option<Quota>,
        finished: Option<Finished>,
    ) -> Result<Inserted> {
        let work = move |db: &Connection| {
            let mut exists = db.prepare_cached(EXISTS).map_err(unavailable)?;
            if exists.exists([&object.id]).map_err(unavailable)? {
                return Err(already_exists(object.id));
            }
            if !insert(db, &object, &parts, quota).map_err(unavailable)? {
                return Ok(Inserted::Full);
            }
            if let Some(Finished { key, owner, answer }) = &finished
                && !idempotency::finish(db, key, owner, answer)?
            {
                return Err(key_lost());
            }
            Ok(Inserted::Done)
        };
        self.0.writer.write(work).await
    }

    async fn get(&self, kind: Kind, id: &str, now: UnixMillis) -> Result<Option<Object>> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(GET)?;
            let found = query.query_row(params![id, kind.as_str(), now.0], |row| object(kind, row));
            found.optional()
        };
        self.0.lookups.read(work).await
    }

    async fn list(
        &self,
        kind: Kind,
        owner: &str,
        page: Page,
        now: UnixMillis,
    ) -> Result<Vec<Object>> {
        let owner = owner.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(match page.is_ascending {
                true => LIST_UP,
                false => LIST_DOWN,
            })?;
            let values = params![kind.as_str(), owner, now.0, page.after, signed(page.limit)];
            query.query_map(values, |row| object(kind, row))?.collect()
        };
        self.0.lookups.read(work).await
    }

    async fn update(&self, object: Object, parts: Vec<Part>) -> Result<bool> {
        let work = move |db: &Connection| update(db, &object, &parts).map_err(unavailable);
        self.0.writer.write(work).await
    }

    async fn add_part(&self, id: &str, (number, content): Part) -> Result<bool> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let values = params![id, stored(number), &*content];
            let added = execute(db, ADD_PART, values).map_err(unavailable)?;
            Ok(added > 0)
        };
        self.0.writer.write(work).await
    }

    async fn parts(&self, id: &str, from: u64, most_bytes: u64) -> Result<Vec<Part>> {
        let id = id.to_owned();
        let work = move |db: &Connection| parts(db, &id, from, most_bytes);
        self.0.lookups.read(work).await
    }

    async fn part_numbers(&self, id: &str) -> Result<Vec<u64>> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(NUMBERS)?;
            let numbers = query.query_map([&id], |row| row.get(0).map(i64::cast_unsigned))?;
            numbers.collect()
        };
        self.0.lookups.read(work).await
    }

    async fn delete(&self, kind: Kind, owner: &str, id: &str) -> Result<bool> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        let work = move |db: &Connection| {
            let deleted = execute(db, DELETE, params![kind.as_str(), owner, id])?;
            if deleted > 0 {
                execute(db, DELETE_PARTS, [&id])?;
            }
            Ok(deleted > 0)
        };
        let work = move |db: &Connection| work(db).map_err(|e: rusqlite::Error| unavailable(e));
        self.0.writer.write(work).await
    }

    async fn claim(
        &self,
        kind: Kind,
        worker: &str,
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Option<Object>> {
        let worker = worker.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(CLAIM).map_err(unavailable)?;
            let values = params![kind.as_str(), worker, now.0, lease_until.0];
            let claimed = query.query_row(values, |row| object(kind, row));
            claimed.optional().map_err(unavailable)
        };
        self.0.writer.write(work).await
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let values = vec![Value::from(now.0), Value::from(signed(most))];
        self.delete_found(EXPIRED, values).await
    }

    async fn trim(&self, kind: Kind, keep: u64, most: usize) -> Result<usize> {
        let values = vec![
            Value::from(kind.as_str().to_owned()),
            Value::from(stored(keep)),
            Value::from(signed(most)),
        ];
        self.delete_found(SURPLUS, values).await
    }
}

impl SqliteObjects {
    /// Deletes what a query finds. Looking takes long and is not in the way of those who write.
    async fn delete_found(&self, query: &'static str, values: Vec<Value>) -> Result<usize> {
        let find = move |db: &Connection| {
            let mut query = db.prepare_cached(query)?;
            let ids = query.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
            ids.collect::<rusqlite::Result<Vec<String>>>()
        };
        let ids = self.0.reports.read(find).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let work = move |db: &Connection| {
            let mut deleted = 0;
            for id in &ids {
                deleted += execute(db, DELETE_ONE, [id]).map_err(unavailable)?;
                execute(db, DELETE_PARTS, [id]).map_err(unavailable)?;
            }
            Ok(deleted)
        };
        self.0.writer.write(work).await
    }
}

/// `false`: the owner has as much as it may.
fn insert(
    db: &Connection,
    object: &Object,
    parts: &[Part],
    quota: Option<Quota>,
) -> rusqlite::Result<bool> {
    let kind = object.kind.as_str();
    let bytes: u64 = parts.iter().map(|(_, part)| part.len() as u64).sum();
    if let Some(quota) = quota {
        let mut used = db.prepare_cached(USED)?;
        let (count, used): (i64, i64) = used.query_row(params![kind, object.owner], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let (count, used) = (count.cast_unsigned(), used.cast_unsigned());
        if count >= quota.objects || used + bytes > quota.bytes {
            return Ok(false);
        }
    }
    let values = params![
        object.id,
        kind,
        object.owner,
        object.created_at.0,
        object.expires_at.0,
        object.is_open,
        object.worker,
        object.lease_until.0,
        stored(object.version),
        stored(bytes),
        &*object.head,
    ];
    execute(db, INSERT, values)?;
    for (number, content) in parts {
        execute(
            db,
            WRITE_PART,
            params![object.id, stored(*number), &**content],
        )?;
    }
    Ok(true)
}

fn update(db: &Connection, object: &Object, parts: &[Part]) -> rusqlite::Result<bool> {
    let values = params![
        object.id,
        stored(object.version),
        &*object.head,
        object.expires_at.0,
        object.is_open,
        object.worker,
        object.lease_until.0,
    ];
    if execute(db, UPDATE, values)? == 0 {
        return Ok(false);
    }
    for (number, content) in parts {
        execute(
            db,
            WRITE_PART,
            params![object.id, stored(*number), &**content],
        )?;
    }
    execute(db, MEASURE, [&object.id])?;
    Ok(true)
}

fn parts(db: &Connection, id: &str, from: u64, most_bytes: u64) -> rusqlite::Result<Vec<Part>> {
    let mut sizes = db.prepare_cached(SIZES)?;
    let sizes = sizes.query_map(params![id, stored(from)], |row| row.get::<_, i64>(0))?;
    let (mut count, mut bytes) = (0_i64, 0);
    for size in sizes {
        bytes += size?.cast_unsigned();
        if count > 0 && bytes > most_bytes {
            break;
        }
        count += 1;
    }
    let mut query = db.prepare_cached(PARTS)?;
    let parts = query.query_map(params![id, stored(from), count], |row| {
        let content: Vec<u8> = row.get(1)?;
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), Bytes::from(content)))
    })?;
    parts.collect()
}

fn object(kind: Kind, row: &Row<'_>) -> rusqlite::Result<Object> {
    Ok(Object {
        kind,
        id: row.get(0)?,
        owner: row.get(1)?,
        created_at: UnixMillis(row.get(2)?),
        expires_at: UnixMillis(row.get(3)?),
        is_open: row.get(4)?,
        worker: row.get(5)?,
        lease_until: UnixMillis(row.get(6)?),
        version: row.get::<_, i64>(7)?.cast_unsigned(),
        bytes: row.get::<_, i64>(8)?.cast_unsigned(),
        head: Bytes::from(row.get::<_, Vec<u8>>(9)?),
    })
}

/// Numbers of ours never come near the end of what SQLite can hold.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn execute(db: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(values)
}
