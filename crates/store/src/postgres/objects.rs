//! What is kept for callers, in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::{Object as Client, Transaction};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::objects::memory::{already_exists, key_lost};
use seaworthy_core::objects::{Finished, Inserted, Kind, Object, ObjectStore, Page, Part, Quota};
use seaworthy_core::store::Result;
use tokio_postgres::Row;

use super::{Database, PATIENT, QUICK, idempotency, text, unavailable};

/// Insertions of one owner wait for each other, so that they cannot exceed a quota together.
const LOCK_OWNER: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
const USED: &str = "
    SELECT COUNT(*), COALESCE(SUM(bytes), 0)::BIGINT FROM objects WHERE kind = $1 AND owner = $2";
const INSERT: &str = "
    INSERT INTO objects (id, kind, owner, created_at, expires_at, is_open, worker, lease_until,
        version, bytes, head)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO NOTHING";
const WRITE_PART: &str = "
    INSERT INTO object_parts (id, number, content) VALUES ($1, $2, $3)
    ON CONFLICT (id, number) DO UPDATE SET content = EXCLUDED.content";
const ADD_PART: &str = "
    INSERT INTO object_parts (id, number, content)
    SELECT id, $2, $3 FROM objects WHERE id = $1 FOR KEY SHARE
    ON CONFLICT (id, number) DO NOTHING";
const GET: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE id = $1 AND kind = $2 AND expires_at > $3";
const LIST_UP: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE kind = $1 AND owner = $2 AND expires_at > $3
        AND ($4::TEXT IS NULL
            OR (created_at, id) > (SELECT created_at, id FROM objects WHERE id = $4))
    ORDER BY created_at, id LIMIT $5";
const LIST_DOWN: &str = "
    SELECT id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head
    FROM objects WHERE kind = $1 AND owner = $2 AND expires_at > $3
        AND ($4::TEXT IS NULL
            OR (created_at, id) < (SELECT created_at, id FROM objects WHERE id = $4))
    ORDER BY created_at DESC, id DESC LIMIT $5";
const UPDATE: &str = "
    UPDATE objects SET head = $3, expires_at = $4, is_open = $5, worker = $6, lease_until = $7,
        version = version + 1
    WHERE id = $1 AND version = $2";
const MEASURE: &str = "
    UPDATE objects SET bytes = (
        SELECT COALESCE(SUM(LENGTH(content)), 0) FROM object_parts WHERE object_parts.id = $1)
    WHERE id = $1";
const SIZES: &str = "
    SELECT LENGTH(content) FROM object_parts WHERE id = $1 AND number >= $2
    ORDER BY number LIMIT 1000";
const PARTS: &str = "
    SELECT number, content FROM object_parts WHERE id = $1 AND number >= $2
    ORDER BY number LIMIT $3";
const NUMBERS: &str = "SELECT number FROM object_parts WHERE id = $1 ORDER BY number";
const DELETE: &str = "DELETE FROM objects WHERE kind = $1 AND owner = $2 AND id = $3";
const CLAIM: &str = "
    UPDATE objects SET worker = $2, lease_until = $4, version = version + 1 WHERE id = (
        SELECT id FROM objects WHERE kind = $1 AND is_open AND lease_until <= $3
        ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, owner, created_at, expires_at, is_open, worker, lease_until, version, bytes, head";
const DELETE_EXPIRED: &str = "
    DELETE FROM objects WHERE id IN (
        SELECT id FROM objects WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
const TRIM: &str = "
    DELETE FROM objects WHERE id IN (
        SELECT id FROM (
            SELECT id, ROW_NUMBER() OVER (
                PARTITION BY owner ORDER BY created_at DESC, id DESC) AS place
            FROM objects WHERE kind = $1 AND NOT is_open) AS placed
        WHERE place > $2 LIMIT $3)";

/// Objects in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresObjects(pub(super) Arc<Database>);

#[async_trait]
impl ObjectStore for PostgresObjects {
    async fn insert(
        &self,
        object: Object,
        parts: Vec<Part>,
        quota: Option<Quota>,
        finished: Option<Finished>,
    ) -> Result<Inserted> {
        let work = async move |mut client: Client| {
            let transaction = client.transaction().await.map_err(unavailable)?;
            let inserted = insert(&transaction, &object, &parts, quota).await?;
            if inserted == Inserted::Full {
                return Ok(inserted);
            }
            if let Some(Finished { key, owner, answer }) = &finished
                && !idempotency::finish(&transaction, key, owner, answer).await?
            {
                return Err(key_lost());
            }
            transaction.commit().await.map_err(unavailable)?;
            Ok(inserted)
        };
        self.0.run("object_insert", PATIENT, work).await
    }

    async fn get(&self, kind: Kind, id: &str, now: UnixMillis) -> Result<Option<Object>> {
        let id = text::stored(id).into_owned();
        let work = async move |client: Client| {
            let get = client.prepare_cached(GET).await.map_err(unavailable)?;
            let row = client.query_opt(&get, &[&id, &kind.as_str(), &now.0]).await;
            row.map_err(unavailable)?
                .map(|row| object(kind, &row))
                .transpose()
        };
        self.0.run("object_get", QUICK, work).await
    }

    async fn list(
        &self,
        kind: Kind,
        owner: &str,
        page: Page,
        now: UnixMillis,
    ) -> Result<Vec<Object>> {
        let owner = text::stored(owner).into_owned();
        let work = async move |client: Client| {
            let list = match page.is_ascending {
                true => LIST_UP,
                false => LIST_DOWN,
            };
            let after = page.after.as_deref().map(text::stored);
            let limit = signed(page.limit);
            let rows = client
                .query(list, &[&kind.as_str(), &owner, &now.0, &after, &limit])
                .await;
            let rows = rows.map_err(unavailable)?;
            rows.iter().map(|row| object(kind, row)).collect()
        };
        self.0.run("object_list", QUICK, work).await
    }

    async fn update(&self, object: Object, parts: Vec<Part>) -> Result<bool> {
        let work = async move |mut client: Client| {
            let transaction = client.transaction().await.map_err(unavailable)?;
            let (version, worker) = (stored(object.version), text::stored(&object.worker));
            let changed = transaction
                .execute(
                    UPDATE,
                    &[
                        &object.id,
                        &version,
                        &&*object.head,
                        &object.expires_at.0,
                        &object.is_open,
                        &worker,
                        &object.lease_until.0,
                    ],
                )
                .await;
            if changed.map_err(unavailable)? == 0 {
                return Ok(false);
            }
            write(&transaction, &object.id, &parts).await?;
            let measured = transaction.execute(MEASURE, &[&object.id]).await;
            measured.map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(true)
        };
        self.0.run("object_update", PATIENT, work).await
    }

    async fn add_part(&self, id: &str, (number, content): Part) -> Result<bool> {
        let id = text::stored(id).into_owned();
        let work = async move |client: Client| {
            let add = client.prepare_cached(ADD_PART).await.map_err(unavailable)?;
            let added = client
                .execute(&add, &[&id, &stored(number), &&*content])
                .await;
            Ok(added.map_err(unavailable)? > 0)
        };
        self.0.run("object_add_part", PATIENT, work).await
    }

    async fn parts(&self, id: &str, from: u64, most_bytes: u64) -> Result<Vec<Part>> {
        let id = text::stored(id).into_owned();
        let work = async move |client: Client| parts(&client, &id, from, most_bytes).await;
        self.0.run("object_parts", PATIENT, work).await
    }

    async fn part_numbers(&self, id: &str) -> Result<Vec<u64>> {
        let id = text::stored(id).into_owned();
        let work = async move |client: Client| {
            let rows = client.query(NUMBERS, &[&id]).await.map_err(unavailable)?;
            let number = |row: &Row| row.get::<_, i64>(0).cast_unsigned();
            Ok(rows.iter().map(number).collect())
        };
        self.0.run("object_part_numbers", PATIENT, work).await
    }

    async fn delete(&self, kind: Kind, owner: &str, id: &str) -> Result<bool> {
        let owner = text::stored(owner).into_owned();
        let id = text::stored(id).into_owned();
        let work = async move |client: Client| {
            let deleted = client.execute(DELETE, &[&kind.as_str(), &owner, &id]).await;
            Ok(deleted.map_err(unavailable)? > 0)
        };
        self.0.run("object_delete", PATIENT, work).await
    }

    async fn claim(
        &self,
        kind: Kind,
        worker: &str,
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Option<Object>> {
        let worker = text::stored(worker).into_owned();
        let work = async move |client: Client| {
            let claimed = client
                .query_opt(CLAIM, &[&kind.as_str(), &worker, &now.0, &lease_until.0])
                .await;
            let claimed = claimed.map_err(unavailable)?;
            claimed.map(|row| object(kind, &row)).transpose()
        };
        self.0.run("object_claim", PATIENT, work).await
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let work = async move |client: Client| {
            let deleted = client
                .execute(DELETE_EXPIRED, &[&now.0, &signed(most)])
                .await;
            let deleted = deleted.map_err(unavailable)?;
            Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
        };
        self.0.run("object_expire", PATIENT, work).await
    }

    async fn trim(&self, kind: Kind, keep: u64, most: usize) -> Result<usize> {
        let work = async move |client: Client| {
            let deleted = client
                .execute(TRIM, &[&kind.as_str(), &stored(keep), &signed(most)])
                .await;
            let deleted = deleted.map_err(unavailable)?;
            Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
        };
        self.0.run("object_trim", PATIENT, work).await
    }
}

async fn insert(
    transaction: &Transaction<'_>,
    object: &Object,
    parts: &[Part],
    quota: Option<Quota>,
) -> Result<Inserted> {
    let (kind, owner) = (object.kind.as_str(), text::stored(&object.owner));
    let bytes: u64 = parts.iter().map(|(_, part)| part.len() as u64).sum();
    if let Some(quota) = quota {
        let locked = transaction.execute(LOCK_OWNER, &[&owner]).await;
        locked.map_err(unavailable)?;
        let used = transaction.query_one(USED, &[&kind, &owner]).await;
        let used = used.map_err(unavailable)?;
        let number = |index| used.get::<usize, i64>(index).cast_unsigned();
        if number(0) >= quota.objects || number(1) + bytes > quota.bytes {
            return Ok(Inserted::Full);
        }
    }
    let worker = text::stored(&object.worker);
    let inserted = transaction
        .execute(
            INSERT,
            &[
                &object.id,
                &kind,
                &owner,
                &object.created_at.0,
                &object.expires_at.0,
                &object.is_open,
                &worker,
                &object.lease_until.0,
                &stored(object.version),
                &stored(bytes),
                &&*object.head,
            ],
        )
        .await;
    if inserted.map_err(unavailable)? == 0 {
        return Err(already_exists(object.id.clone()));
    }
    write(transaction, &object.id, parts).await?;
    Ok(Inserted::Done)
}

async fn write(transaction: &Transaction<'_>, id: &str, parts: &[Part]) -> Result<()> {
    for (number, content) in parts {
        let written = transaction
            .execute(WRITE_PART, &[&id, &stored(*number), &&**content])
            .await;
        written.map_err(unavailable)?;
    }
    Ok(())
}

async fn parts(client: &Client, id: &str, from: u64, most_bytes: u64) -> Result<Vec<Part>> {
    let from = stored(from);
    let sizes = client.query(SIZES, &[&id, &from]).await;
    let (mut count, mut bytes) = (0_i64, 0);
    for size in sizes.map_err(unavailable)? {
        bytes += i64::from(size.get::<_, i32>(0)).cast_unsigned();
        if count > 0 && bytes > most_bytes {
            break;
        }
        count += 1;
    }
    let rows = client.query(PARTS, &[&id, &from, &count]).await;
    let part = |row: &Row| {
        let content = Bytes::from(row.get::<_, Vec<u8>>(1));
        (row.get::<_, i64>(0).cast_unsigned(), content)
    };
    Ok(rows.map_err(unavailable)?.iter().map(part).collect())
}

fn object(kind: Kind, row: &Row) -> Result<Object> {
    let number = |index| row.try_get::<usize, i64>(index).map_err(unavailable);
    let told = |index| row.try_get::<usize, &str>(index).map_err(unavailable);
    let head: Vec<u8> = row.try_get(9).map_err(unavailable)?;
    Ok(Object {
        kind,
        id: text::read(told(0)?),
        owner: text::read(told(1)?),
        created_at: UnixMillis(number(2)?),
        expires_at: UnixMillis(number(3)?),
        is_open: row.try_get(4).map_err(unavailable)?,
        worker: text::read(told(5)?),
        lease_until: UnixMillis(number(6)?),
        version: number(7)?.cast_unsigned(),
        bytes: number(8)?.cast_unsigned(),
        head: Bytes::from(head),
    })
}

/// Numbers of ours never come near the end of what PostgreSQL can hold.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
