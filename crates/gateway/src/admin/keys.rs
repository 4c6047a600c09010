//! API keys over HTTP: the same that `seaworthy keys` does.

use std::time::Duration;

use bytes::Bytes;
use seaworthy_config::Duration as ConfigDuration;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::key::{ApiKey, KeyRecord, NewKey};
use seaworthy_core::principal::{Role, Scopes};
use seaworthy_core::store::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Answer;

/// How long a rotated key keeps working if nobody says otherwise.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What `POST /admin/v1/keys` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    user: Option<String>,
    team: Option<String>,
    #[serde(default = "user")]
    role: Role,
    #[serde(default)]
    scopes: Scopes,
    environment: Option<String>,
    service: Option<String>,
    expires_in: Option<ConfigDuration>,
}

fn user() -> Role {
    Role::User
}

/// What `POST /admin/v1/keys/{id}/rotate` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap: Option<ConfigDuration>,
}

/// All keys, oldest first.
pub(crate) async fn list(exchange: &Exchange) -> Result<Answer, Refusal> {
    let now = exchange.gateway.clock.now();
    let listed = exchange.gateway.stores.keys.list().await;
    let records = listed.map_err(|error| failed(&error))?;
    let views: Vec<_> = records.iter().map(|record| record.view(now)).collect();
    Ok(Answer::json(200, json!({"data": views}).to_string()))
}

/// Makes a key and shows it, once.
pub(crate) async fn create(exchange: &Exchange, body: &Bytes) -> Result<Answer, Refusal> {
    let wanted: Wanted = read(body)?;
    let now = exchange.gateway.clock.now();
    let wanted = NewKey {
        user_id: wanted.user.unwrap_or_else(|| wanted.name.clone()),
        name: wanted.name,
        team_id: wanted.team,
        role: wanted.role,
        scopes: wanted.scopes,
        environment: wanted
            .environment
            .or_else(|| exchange.snapshot.environment.as_deref().map(str::to_owned)),
        service: wanted.service,
        expires_at: wanted.expires_in.map(|after| now.plus(after.as_std())),
    };
    wanted.check().map_err(invalid)?;
    if !exchange.snapshot.knows(&wanted.role) {
        let role = wanted.role.as_str();
        let message = format!(
            "There is no role `{role}`: expected admin, operator, auditor, user or one of `auth.roles` \
             in the configuration."
        );
        return Err(invalid(message).at("role".to_owned()));
    }
    may_grant(exchange, &wanted.role, &wanted.scopes)?;
    let (key, record) = wanted.issue(now);
    let inserted = exchange.gateway.stores.keys.insert(record.clone()).await;
    inserted.map_err(|error| failed(&error))?;
    tracing::info!(key_id = record.id, by = caller(exchange), "a key was made");
    notice(exchange).await;
    Ok(shown(201, &record, &key, now))
}

/// Makes a new key in the place of another, which keeps working for a while.
pub(crate) async fn rotate(exchange: &Exchange, id: &str, body: &Bytes) -> Result<Answer, Refusal> {
    let rotation: Rotation = match body.is_empty() {
        true => Rotation::default(),
        false => read(body)?,
    };
    let old = find(exchange, id).await?;
    may_grant(exchange, &old.role, &old.scopes)?;
    let now = exchange.gateway.clock.now();
    let overlap = rotation.overlap.map_or(DEFAULT_OVERLAP, |o| o.as_std());
    let practices = &exchange.snapshot.loaded.config.api_key_practices;
    if practices.rotation.support_zero_downtime_rotation && overlap.is_zero() {
        let message = "`api_key_practices` asks for rotations without downtime: the old key has to \
                       keep working for a while.";
        return Err(invalid(message.to_owned()).at("overlap".to_owned()));
    }
    let (key, record) = old.successor(now);
    let keys = &exchange.gateway.stores.keys;
    let rotated = keys
        .rotate(id, record.clone(), now.plus(overlap), now)
        .await;
    rotated.map_err(|error| failed(&error))?;
    tracing::info!(
        key_id = id,
        new_key_id = record.id,
        by = caller(exchange),
        "a key was rotated"
    );
    notice(exchange).await;
    Ok(shown(201, &record, &key, now))
}

/// Ends a key at once.
pub(crate) async fn revoke(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    let old = find(exchange, id).await?;
    may_grant(exchange, &old.role, &old.scopes)?;
    let now = exchange.gateway.clock.now();
    let revoked = exchange.gateway.stores.keys.revoke(id, now).await;
    let record = revoked.map_err(|error| failed(&error))?;
    tracing::info!(key_id = id, by = caller(exchange), "a key was revoked");
    notice(exchange).await;
    Ok(Answer::json(200, json!(record.view(now)).to_string()))
}

async fn find(exchange: &Exchange, id: &str) -> Result<KeyRecord, Refusal> {
    let found = exchange.gateway.stores.keys.get(id).await;
    found
        .map_err(|error| failed(&error))?
        .ok_or_else(|| Refusal::new(Code::NotFound, "There is no key with this ID."))
}

/// Nobody makes, takes over or ends a key that may do more than they may themselves.
fn may_grant(exchange: &Exchange, role: &Role, scopes: &Scopes) -> Result<(), Refusal> {
    let Some(caller) = &exchange.principal else {
        return Err(denied());
    };
    let snapshot = &exchange.snapshot;
    let own = snapshot.permissions(&caller.roles);
    let granted = snapshot.permissions(std::slice::from_ref(role));
    if own.covers(granted) && scopes.is_within(&caller.scopes) {
        return Ok(());
    }
    Err(denied())
}

fn denied() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "The key may do more than your own credential, so that you can neither make nor change it.",
    )
}

/// This process acts on the change before the answer leaves; others notice within 200 ms.
async fn notice(exchange: &Exchange) {
    if let Err(error) = exchange.gateway.keys.refresh().await {
        let cause = seaworthy_core::error::chain(&error);
        tracing::warn!(cause, "the change of a key is noticed a little later");
    }
}

fn caller(exchange: &Exchange) -> &str {
    exchange.principal.as_ref().map_or("", |by| &by.key_id)
}

fn shown(status: u16, record: &KeyRecord, key: &ApiKey, now: UnixMillis) -> Answer {
    let mut answer = Answer::json(status, json!(record.view(now).showing(key)).to_string());
    let no_store = http::HeaderValue::from_static("no-store");
    answer.headers.insert(http::header::CACHE_CONTROL, no_store);
    answer
}

pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The body is not right: {error}.")))
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

pub(super) fn failed(error: &Error) -> Refusal {
    let refusal = match error {
        Error::NotFound { .. } => Refusal::new(Code::NotFound, "There is no key with this ID."),
        Error::AlreadyExists { .. } | Error::Conflict(_) => {
            let mut refusal = Refusal::new(Code::InvalidRequest, error.to_string());
            refusal.status = Some(409);
            refusal
        }
        Error::Unavailable { .. } => Refusal::new(
            Code::StoreUnavailable,
            "The key store does not answer now. Try again.",
        )
        .retry_after(Duration::from_secs(2)),
    };
    refusal.because(error)
}
