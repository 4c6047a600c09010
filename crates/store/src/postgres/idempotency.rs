//! Requests that are carried out once, in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::{GenericClient, Object};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::{IdempotencyStore, KeptAnswer, Known, Marker};
use seaworthy_core::store::Result;
use tokio_postgres::Row;

use super::{Database, PATIENT, QUICK, text, unavailable};

const FIND: &str = "
    SELECT request, lease_until, status, headers, body
    FROM idempotency WHERE key = $1 AND expires_at > $2";
/// Of those that write at once, one does: the others find its row.
const WRITE: &str = "
    INSERT INTO idempotency AS known (key, request, owner, lease_until, expires_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key) DO UPDATE SET
        request = EXCLUDED.request, owner = EXCLUDED.owner, lease_until = EXCLUDED.lease_until,
        expires_at = EXCLUDED.expires_at, status = NULL, headers = NULL, body = NULL
    WHERE known.expires_at <= $6";
const FINISH: &str = "
    UPDATE idempotency SET status = $3, headers = $4, body = $5
    WHERE key = $1 AND owner = $2 AND status IS NULL";
const RELEASE: &str = "DELETE FROM idempotency WHERE key = $1 AND owner = $2 AND status IS NULL";
/// In the order of the keys, so that two replicas cannot wait for each other.
const RENEW: &str = "
    UPDATE idempotency SET lease_until = $3 WHERE key IN (
        SELECT idempotency.key FROM idempotency
        JOIN unnest($1::bytea[], $2::text[]) AS held (key, owner)
          ON held.key = idempotency.key AND held.owner = idempotency.owner
        WHERE status IS NULL ORDER BY idempotency.key FOR UPDATE OF idempotency)";
const DELETE_EXPIRED: &str = "
    DELETE FROM idempotency WHERE key IN (
        SELECT key FROM idempotency WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
/// A row that is found by nobody and written by nobody expires in this moment: look again.
const MAX_LOOKS: usize = 5;

/// Markers and answers in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresIdempotency(pub(super) Arc<Database>);

#[async_trait]
impl IdempotencyStore for PostgresIdempotency {
    async fn begin(&self, marker: Marker, now: UnixMillis) -> Result<Known> {
        let work = async move |client: Object| begin(&client, &marker, now).await;
        self.0.run("idempotency_begin", QUICK, work).await
    }

    async fn finish(&self, key: &Fingerprint, owner: &str, answer: KeptAnswer) -> Result<bool> {
        let (key, owner) = (*key, owner.to_owned());
        let work = async move |client: Object| finish(&client, &key, &owner, &answer).await;
        self.0.run("idempotency_finish", PATIENT, work).await
    }

    async fn release(&self, key: &Fingerprint, owner: &str) -> Result<()> {
        let (key, owner) = (*key, text::stored(owner).into_owned());
        let work = async move |client: Object| {
            let released = client.execute(RELEASE, &[&&key.0[..], &owner]).await;
            released.map(drop).map_err(unavailable)
        };
        self.0.run("idempotency_release", PATIENT, work).await
    }

    async fn renew(&self, held: Vec<(Fingerprint, String)>, lease_until: UnixMillis) -> Result<()> {
        let work = async move |client: Object| {
            let keys: Vec<&[u8]> = held.iter().map(|(key, _)| &key.0[..]).collect();
            let owners: Vec<_> = held.iter().map(|(_, owner)| text::stored(owner)).collect();
            let renewed = client
                .execute(RENEW, &[&keys, &owners, &lease_until.0])
                .await;
            renewed.map(drop).map_err(unavailable)
        };
        self.0.run("idempotency_renew", PATIENT, work).await
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let work = async move |client: Object| {
            let deleted = client.execute(DELETE_EXPIRED, &[&now.0, &most]).await;
            let deleted = deleted.map_err(unavailable)?;
            Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
        };
        self.0.run("idempotency_clean", PATIENT, work).await
    }
}

/// Turns the owner's marker into the answer, within the transaction of the caller if it has one.
pub(super) async fn finish(
    client: &impl GenericClient,
    key: &Fingerprint,
    owner: &str,
    answer: &KeptAnswer,
) -> Result<bool> {
    let headers = serde_json::to_string(&answer.headers).map_err(unavailable)?;
    let (status, body) = (i32::from(answer.status), &answer.body[..]);
    let (headers, owner) = (text::stored(&headers), text::stored(owner));
    let changed = client
        .execute(FINISH, &[&&key.0[..], &owner, &status, &headers, &body])
        .await;
    Ok(changed.map_err(unavailable)? > 0)
}

async fn begin(client: &Object, marker: &Marker, now: UnixMillis) -> Result<Known> {
    let write = client.prepare_cached(WRITE).await.map_err(unavailable)?;
    let (key, request) = (&marker.key.0[..], &marker.request.0[..]);
    let (lease, expires) = (marker.lease_until.0, marker.expires_at.0);
    let owner = text::stored(&marker.owner);
    for _ in 0..MAX_LOOKS {
        let written = client
            .execute(&write, &[&key, &request, &owner, &lease, &expires, &now.0])
            .await;
        if written.map_err(unavailable)? > 0 {
            return Ok(Known::New);
        }
        let found = client
            .query_opt(FIND, &[&key, &now.0])
            .await
            .map_err(unavailable)?;
        if let Some(row) = found {
            return known(&row);
        }
    }
    Err(unavailable("a key changes all the time"))
}

fn known(row: &Row) -> Result<Known> {
    let request = row.get::<_, &[u8]>(0).try_into().map_err(unavailable)?;
    let request = Fingerprint(request);
    let Some(status) = row.get::<_, Option<i32>>(2) else {
        return Ok(Known::Running {
            request,
            lease_until: UnixMillis(row.get(1)),
        });
    };
    let headers = text::read(row.get(3));
    let answer = KeptAnswer {
        status: u16::try_from(status).map_err(unavailable)?,
        headers: serde_json::from_str(&headers).map_err(unavailable)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(4)),
    };
    Ok(Known::Done { request, answer })
}
