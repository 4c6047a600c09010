//! API keys in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{
    KeyDigest, KeyRecord, KeyState, MAX_ROTATIONS, Successions, TokenSecret,
};
use seaworthy_core::principal::{Role, Scopes};
use seaworthy_core::store::memory::not_live;
use seaworthy_core::store::{Error, KeyStore, Result};

use super::{Database, unavailable};

const INSERT: &str = "
    INSERT INTO api_keys (id, name, user_id, role, hint, digest,
                          created_at, expires_at, revoked_at, rotated_from,
                          team_id, scopes, environment, service)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT DO NOTHING";
const BY_DIGEST: &str = "SELECT * FROM api_keys WHERE digest = ?1";
const BY_ID: &str = "SELECT * FROM api_keys WHERE id = ?1";
const OLDEST_FIRST: &str = "SELECT * FROM api_keys ORDER BY created_at, id";
const SET_REVOKED: &str = "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1";
const SET_EXPIRY: &str = "UPDATE api_keys SET expires_at = ?2 WHERE id = ?1";
const PREDECESSORS: &str = "
    WITH RECURSIVE earlier (id, steps) AS (
        SELECT rotated_from, 1 FROM api_keys WHERE id = ?1
        UNION ALL
        SELECT api_keys.rotated_from, steps + 1
        FROM earlier JOIN api_keys ON api_keys.id = earlier.id
        WHERE steps < ?2)
    SELECT id FROM earlier WHERE id IS NOT NULL ORDER BY steps";
const SUCCESSIONS: &str = "SELECT id, rotated_from FROM api_keys WHERE rotated_from IS NOT NULL";
const NEXT_GENERATION: &str = "UPDATE key_generation SET generation = generation + 1";
const GENERATION: &str = "SELECT generation FROM key_generation";
const PROPOSE_SECRET: &str =
    "INSERT INTO token_secret (only_row, secret) VALUES (1, ?1) ON CONFLICT DO NOTHING";
const TOKEN_SECRET: &str = "SELECT secret FROM token_secret";
const NOTE_SEEN: &str = "
    INSERT INTO credential_ages (name, digest, first_seen_at) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";
const FIRST_SEEN: &str =
    "SELECT first_seen_at FROM credential_ages WHERE name = ?1 AND digest = ?2";

/// API keys in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteKeys(pub(super) Arc<Database>);

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn insert(&self, record: KeyRecord) -> Result<()> {
        let work = move |db: &Connection| add(db, &record);
        self.0.writer.write(work).await
    }

    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        let digest = *digest;
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(BY_DIGEST)?;
            query.query_row([digest.as_bytes()], record).optional()
        };
        self.0.lookups.read(work).await
    }

    async fn get(&self, id: &str) -> Result<Option<KeyRecord>> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(BY_ID)?;
            query.query_row([id], record).optional()
        };
        self.0.lookups.read(work).await
    }

    async fn list(&self) -> Result<Vec<KeyRecord>> {
        let work = |db: &Connection| {
            let mut query = db.prepare_cached(OLDEST_FIRST)?;
            query.query_map([], record)?.collect()
        };
        self.0.lookups.read(work).await
    }

    async fn revoke(&self, id: &str, at: UnixMillis) -> Result<KeyRecord> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let mut record = by_id(db, &id)?;
            let revoked_at = *record.revoked_at.get_or_insert(at);
            update(db, SET_REVOKED, &id, revoked_at)?;
            Ok(record)
        };
        self.0.writer.write(work).await
    }

    async fn rotate(
        &self,
        id: &str,
        replacement: KeyRecord,
        old_expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let old = by_id(db, &id)?;
            let state = old.state(now);
            if state != KeyState::Live {
                return Err(not_live(&id, state));
            }
            add(db, &replacement)?;
            let expires_at = old.expires_at.unwrap_or(old_expires_at).min(old_expires_at);
            update(db, SET_EXPIRY, &id, expires_at)
        };
        self.0.writer.write(work).await
    }

    async fn predecessors(&self, id: &str) -> Result<Vec<String>> {
        let id = id.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(PREDECESSORS)?;
            let found = query.query_map(params![id, MAX_ROTATIONS], |row| row.get(0))?;
            found.collect()
        };
        self.0.lookups.read(work).await
    }

    async fn successions(&self) -> Result<Successions> {
        let work = |db: &Connection| {
            let mut query = db.prepare_cached(SUCCESSIONS)?;
            let found = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            found.collect()
        };
        self.0.lookups.read(work).await
    }

    async fn generation(&self) -> Result<u64> {
        let work = |db: &Connection| {
            let mut query = db.prepare_cached(GENERATION)?;
            query.query_row([], |row| row.get(0).map(i64::cast_unsigned))
        };
        self.0.lookups.read(work).await
    }

    async fn token_secret(&self, proposal: TokenSecret) -> Result<TokenSecret> {
        let work = move |db: &Connection| {
            db.prepare_cached(PROPOSE_SECRET)
                .and_then(|mut propose| propose.execute([proposal.expose()]))
                .and_then(|_| db.prepare_cached(TOKEN_SECRET))
                .and_then(|mut query| query.query_row([], |row| row.get(0)))
                .map(TokenSecret::from_bytes)
                .map_err(unavailable)
        };
        self.0.writer.write(work).await
    }

    async fn first_seen(
        &self,
        name: &str,
        value: &KeyDigest,
        now: UnixMillis,
    ) -> Result<UnixMillis> {
        let (name, value) = (name.to_owned(), *value);
        let work = move |db: &Connection| {
            db.prepare_cached(NOTE_SEEN)
                .and_then(|mut note| note.execute(params![name, value.as_bytes(), now.0]))
                .and_then(|_| db.prepare_cached(FIRST_SEEN))
                .and_then(|mut query| {
                    query.query_row(params![name, value.as_bytes()], |row| row.get(0))
                })
                .map(UnixMillis)
                .map_err(unavailable)
        };
        self.0.writer.write(work).await
    }
}

fn add(db: &Connection, record: &KeyRecord) -> Result<()> {
    let restricted = (!record.scopes.is_unrestricted()).then_some(&record.scopes);
    let scopes = restricted.map(serde_json::to_string).transpose();
    let scopes = scopes.map_err(unavailable)?;
    let values = params![
        record.id,
        record.name,
        record.user_id,
        record.role.as_str(),
        record.hint,
        record.digest.as_bytes(),
        record.created_at.0,
        record.expires_at.map(|at| at.0),
        record.revoked_at.map(|at| at.0),
        record.rotated_from,
        record.team_id,
        scopes,
        record.environment,
        record.service,
    ];
    let added = db
        .prepare_cached(INSERT)
        .and_then(|mut insert| insert.execute(values))
        .map_err(unavailable)?;
    if added == 0 {
        return Err(Error::AlreadyExists {
            what: "key",
            id: record.id.clone(),
        });
    }
    next_generation(db)
}

fn by_id(db: &Connection, id: &str) -> Result<KeyRecord> {
    let found = db
        .prepare_cached(BY_ID)
        .and_then(|mut query| query.query_row([id], record).optional())
        .map_err(unavailable)?;
    found.ok_or_else(|| Error::NotFound {
        what: "key",
        id: id.to_owned(),
    })
}

fn update(db: &Connection, sql: &str, id: &str, at: UnixMillis) -> Result<()> {
    db.prepare_cached(sql)
        .and_then(|mut update| update.execute(params![id, at.0]))
        .map_err(unavailable)?;
    next_generation(db)
}

fn next_generation(db: &Connection) -> Result<()> {
    db.prepare_cached(NEXT_GENERATION)
        .and_then(|mut update| update.execute([]))
        .map(drop)
        .map_err(unavailable)
}

fn record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: row.get("id")?,
        name: row.get("name")?,
        user_id: row.get("user_id")?,
        team_id: row.get("team_id")?,
        role: row.get::<_, StoredRole>("role")?.0,
        scopes: row
            .get::<_, Option<StoredScopes>>("scopes")?
            .map_or_else(Scopes::default, |stored| stored.0),
        environment: row.get("environment")?,
        service: row.get("service")?,
        hint: row.get("hint")?,
        digest: KeyDigest::from_bytes(row.get("digest")?),
        created_at: UnixMillis(row.get("created_at")?),
        expires_at: row.get::<_, Option<_>>("expires_at")?.map(UnixMillis),
        revoked_at: row.get::<_, Option<_>>("revoked_at")?.map(UnixMillis),
        rotated_from: row.get("rotated_from")?,
    })
}

struct StoredRole(Role);

impl FromSql for StoredRole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let role = value.as_str()?.parse();
        role.map(Self)
            .map_err(|error: String| FromSqlError::Other(error.into()))
    }
}

struct StoredScopes(Scopes);

impl FromSql for StoredScopes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let scopes = serde_json::from_str(value.as_str()?);
        scopes
            .map(Self)
            .map_err(|error| FromSqlError::Other(error.into()))
    }
}
