//! API keys in PostgreSQL. Every change is one statement or one short transaction.

use std::sync::Arc;

use async_trait::async_trait;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{
    KeyDigest, KeyRecord, KeyState, MAX_ROTATIONS, Successions, TokenSecret,
};
use seaworthy_core::principal::Scopes;
use seaworthy_core::store::memory::not_live;
use seaworthy_core::store::{Error, KeyStore, Result};
use tokio_postgres::{Row, Transaction};

use super::{Database, PATIENT, QUICK, text, unavailable};

const INSERT: &str = "
    INSERT INTO api_keys (id, name, user_id, role, hint, digest,
                          created_at, expires_at, revoked_at, rotated_from,
                          team_id, scopes, environment, service)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT DO NOTHING";
const BY_DIGEST: &str = "SELECT * FROM api_keys WHERE digest = $1";
const BY_ID: &str = "SELECT * FROM api_keys WHERE id = $1";
const BY_ID_LOCKED: &str = "SELECT * FROM api_keys WHERE id = $1 FOR UPDATE";
const OLDEST_FIRST: &str = "SELECT * FROM api_keys ORDER BY created_at, id COLLATE \"C\"";
const SET_REVOKED: &str = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1";
const SET_EXPIRY: &str = "UPDATE api_keys SET expires_at = $2 WHERE id = $1";
const PREDECESSORS: &str = "
    WITH RECURSIVE earlier (id, steps) AS (
        SELECT rotated_from, 1 FROM api_keys WHERE id = $1
        UNION ALL
        SELECT api_keys.rotated_from, steps + 1
        FROM earlier JOIN api_keys ON api_keys.id = earlier.id
        WHERE steps < $2)
    SELECT id FROM earlier WHERE id IS NOT NULL ORDER BY steps";
const SUCCESSIONS: &str = "SELECT id, rotated_from FROM api_keys WHERE rotated_from IS NOT NULL";
const NEXT_GENERATION: &str = "UPDATE key_generation SET generation = generation + 1";
const GENERATION: &str = "SELECT generation FROM key_generation";
const PROPOSE_SECRET: &str =
    "INSERT INTO token_secret (only_row, secret) VALUES (1, $1) ON CONFLICT DO NOTHING";
const TOKEN_SECRET: &str = "SELECT secret FROM token_secret";
const NOTE_SEEN: &str = "
    INSERT INTO credential_ages (name, digest, first_seen_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";
const FIRST_SEEN: &str =
    "SELECT first_seen_at FROM credential_ages WHERE name = $1 AND digest = $2";

/// API keys in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresKeys(pub(super) Arc<Database>);

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn insert(&self, record: KeyRecord) -> Result<()> {
        let work = async move |mut client: deadpool_postgres::Object| {
            let transaction = client.transaction().await.map_err(unavailable)?;
            add(&transaction, &record).await?;
            transaction.commit().await.map_err(unavailable)
        };
        self.0.run("insert_key", PATIENT, work).await
    }

    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        let digest = *digest;
        let work = async move |client: deadpool_postgres::Object| {
            let find = client
                .prepare_cached(BY_DIGEST)
                .await
                .map_err(unavailable)?;
            let found = client.query_opt(&find, &[&&digest.as_bytes()[..]]).await;
            found
                .map_err(unavailable)?
                .map(|row| record(&row))
                .transpose()
        };
        self.0.run("find_key", QUICK, work).await
    }

    async fn get(&self, id: &str) -> Result<Option<KeyRecord>> {
        let id = text::stored(id).into_owned();
        let work = async move |client: deadpool_postgres::Object| {
            let found = client.query_opt(BY_ID, &[&id]).await;
            found
                .map_err(unavailable)?
                .map(|row| record(&row))
                .transpose()
        };
        self.0.run("get_key", PATIENT, work).await
    }

    async fn list(&self) -> Result<Vec<KeyRecord>> {
        let work = async |client: deadpool_postgres::Object| {
            let rows = client.query(OLDEST_FIRST, &[]).await.map_err(unavailable)?;
            rows.iter().map(record).collect()
        };
        self.0.run("list_keys", PATIENT, work).await
    }

    async fn revoke(&self, id: &str, at: UnixMillis) -> Result<KeyRecord> {
        let id = id.to_owned();
        let work = async move |mut client: deadpool_postgres::Object| {
            let transaction = client.transaction().await.map_err(unavailable)?;
            let mut record = by_id(&transaction, &id).await?;
            let revoked_at = *record.revoked_at.get_or_insert(at);
            update(&transaction, SET_REVOKED, &id, revoked_at).await?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(record)
        };
        self.0.run("revoke_key", PATIENT, work).await
    }

    async fn rotate(
        &self,
        id: &str,
        replacement: KeyRecord,
        old_expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        let id = id.to_owned();
        let work = async move |mut client: deadpool_postgres::Object| {
            let transaction = client.transaction().await.map_err(unavailable)?;
            let old = by_id(&transaction, &id).await?;
            let state = old.state(now);
            if state != KeyState::Live {
                return Err(not_live(&id, state));
            }
            add(&transaction, &replacement).await?;
            let expires_at = old.expires_at.unwrap_or(old_expires_at).min(old_expires_at);
            update(&transaction, SET_EXPIRY, &id, expires_at).await?;
            transaction.commit().await.map_err(unavailable)
        };
        self.0.run("rotate_key", PATIENT, work).await
    }

    async fn predecessors(&self, id: &str) -> Result<Vec<String>> {
        let id = text::stored(id).into_owned();
        let work = async move |client: deadpool_postgres::Object| {
            let find = client
                .prepare_cached(PREDECESSORS)
                .await
                .map_err(unavailable)?;
            let most = i32::try_from(MAX_ROTATIONS).unwrap_or(i32::MAX);
            let found = client.query(&find, &[&id, &most]).await;
            let found = found.map_err(unavailable)?;
            Ok(found.iter().map(|row| text::read(row.get(0))).collect())
        };
        self.0.run("key_predecessors", QUICK, work).await
    }

    async fn successions(&self) -> Result<Successions> {
        let work = async |client: deadpool_postgres::Object| {
            let found = client.query(SUCCESSIONS, &[]).await.map_err(unavailable)?;
            let pair = |row: &Row| (text::read(row.get(0)), text::read(row.get(1)));
            Ok(found.iter().map(pair).collect())
        };
        self.0.run("key_successions", PATIENT, work).await
    }

    async fn generation(&self) -> Result<u64> {
        let work = async |client: deadpool_postgres::Object| {
            let select = client
                .prepare_cached(GENERATION)
                .await
                .map_err(unavailable)?;
            let row = client.query_one(&select, &[]).await.map_err(unavailable)?;
            Ok(row.get::<_, i64>(0).cast_unsigned())
        };
        self.0.run("key_generation", QUICK, work).await
    }

    async fn token_secret(&self, proposal: TokenSecret) -> Result<TokenSecret> {
        let work = async move |client: deadpool_postgres::Object| {
            let proposed = client
                .execute(PROPOSE_SECRET, &[&&proposal.expose()[..]])
                .await;
            proposed.map_err(unavailable)?;
            let row = client
                .query_one(TOKEN_SECRET, &[])
                .await
                .map_err(unavailable)?;
            let secret = row.get::<_, &[u8]>(0).try_into().map_err(unavailable)?;
            Ok(TokenSecret::from_bytes(secret))
        };
        self.0.run("token_secret", PATIENT, work).await
    }

    async fn first_seen(
        &self,
        name: &str,
        value: &KeyDigest,
        now: UnixMillis,
    ) -> Result<UnixMillis> {
        let (name, value) = (text::stored(name).into_owned(), *value);
        let work = async move |client: deadpool_postgres::Object| {
            let digest = &value.as_bytes()[..];
            let noted = client.execute(NOTE_SEEN, &[&name, &digest, &now.0]).await;
            noted.map_err(unavailable)?;
            let row = client.query_one(FIRST_SEEN, &[&name, &digest]).await;
            Ok(UnixMillis(row.map_err(unavailable)?.get(0)))
        };
        self.0.run("first_seen", PATIENT, work).await
    }
}

async fn add(transaction: &Transaction<'_>, record: &KeyRecord) -> Result<()> {
    let restricted = (!record.scopes.is_unrestricted()).then_some(&record.scopes);
    let scopes = restricted.map(serde_json::to_string).transpose();
    let scopes = scopes
        .map_err(unavailable)?
        .map(|scopes| text::stored(&scopes).into_owned());
    let optional = |value: &Option<String>| {
        value
            .as_deref()
            .map(|value| text::stored(value).into_owned())
    };
    let added = transaction
        .execute(
            INSERT,
            &[
                &text::stored(&record.id),
                &text::stored(&record.name),
                &text::stored(&record.user_id),
                &record.role.as_str(),
                &text::stored(&record.hint),
                &&record.digest.as_bytes()[..],
                &record.created_at.0,
                &record.expires_at.map(|at| at.0),
                &record.revoked_at.map(|at| at.0),
                &optional(&record.rotated_from),
                &optional(&record.team_id),
                &scopes,
                &optional(&record.environment),
                &optional(&record.service),
            ],
        )
        .await
        .map_err(unavailable)?;
    if added == 0 {
        return Err(Error::AlreadyExists {
            what: "key",
            id: record.id.clone(),
        });
    }
    next_generation(transaction).await
}

async fn by_id(transaction: &Transaction<'_>, id: &str) -> Result<KeyRecord> {
    let found = transaction
        .query_opt(BY_ID_LOCKED, &[&text::stored(id)])
        .await;
    match found.map_err(unavailable)? {
        Some(row) => record(&row),
        None => Err(Error::NotFound {
            what: "key",
            id: id.to_owned(),
        }),
    }
}

async fn update(transaction: &Transaction<'_>, sql: &str, id: &str, at: UnixMillis) -> Result<()> {
    let updated = transaction.execute(sql, &[&text::stored(id), &at.0]).await;
    updated.map_err(unavailable)?;
    next_generation(transaction).await
}

async fn next_generation(transaction: &Transaction<'_>) -> Result<()> {
    let counted = transaction.execute(NEXT_GENERATION, &[]).await;
    counted.map(drop).map_err(unavailable)
}

fn record(row: &Row) -> Result<KeyRecord> {
    let optional = |column: &str| row.get::<_, Option<&str>>(column).map(text::read);
    let scopes = optional("scopes").map_or(Ok(Scopes::default()), |scopes| {
        serde_json::from_str(&scopes)
    });
    let digest = row
        .get::<_, &[u8]>("digest")
        .try_into()
        .map_err(unavailable)?;
    Ok(KeyRecord {
        id: text::read(row.get("id")),
        name: text::read(row.get("name")),
        user_id: text::read(row.get("user_id")),
        team_id: optional("team_id"),
        role: row
            .get::<_, &str>("role")
            .parse()
            .map_err(|error: String| unavailable(error))?,
        scopes: scopes.map_err(unavailable)?,
        environment: optional("environment"),
        service: optional("service"),
        hint: text::read(row.get("hint")),
        digest: KeyDigest::from_bytes(digest),
        created_at: UnixMillis(row.get("created_at")),
        expires_at: row.get::<_, Option<_>>("expires_at").map(UnixMillis),
        revoked_at: row.get::<_, Option<_>>("revoked_at").map(UnixMillis),
        rotated_from: optional("rotated_from"),
    })
}
