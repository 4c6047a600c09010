//! `seaworthy keys`: create, list, rotate and revoke API keys, in the store of the configuration.

use std::time::Duration;

use seaworthy_config::Duration as ConfigDuration;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{ApiKey, KeyDigest, KeyRecord, KeyState};
use seaworthy_core::principal::Role;
use seaworthy_core::store::Stores;
use serde_json::{Value, json};

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

/// A running server notices a change within 200 ms; when the command returns, it has.
const TAKES_EFFECT_WITHIN: Duration = Duration::from_millis(300);
/// The name of keys that `serve` makes in development mode.
const DEV_KEY: &str = "dev";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The form to print.
    #[arg(long, value_enum, global = true, default_value_t = Format::Pretty)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and show it, once.
    Create {
        /// What the key is for.
        #[arg(long)]
        name: String,
        /// The user that its use is accounted to; the name if left out.
        #[arg(long)]
        user: Option<String>,
        /// What its holder may do: `user` or `admin`.
        #[arg(long, default_value = "user")]
        role: Role,
        /// How long it works, for example `90d` or `12h`; for ever if left out.
        #[arg(long, value_parser = duration)]
        expires: Option<ConfigDuration>,
    },
    /// List all keys. The keys themselves are not stored and cannot be shown.
    List,
    /// Make a new key in the place of another, which keeps working for a while.
    Rotate {
        /// ID or name of the key.
        key: String,
        /// How long the old key keeps working.
        #[arg(long, value_parser = duration, default_value = "24h")]
        overlap: ConfigDuration,
    },
    /// End a key at once.
    Revoke {
        /// ID or name of the key.
        key: String,
    },
}

fn duration(text: &str) -> Result<ConfigDuration, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        config,
        format,
        command,
    } = arguments;
    let loaded = app::load(config.config.as_deref(), &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    super::block_on(async {
        let result = execute(command, &stores, format).await;
        stores.lifecycle.close().await;
        result
    })
}

async fn execute(command: Command, stores: &Stores, format: Format) -> Result<(), Failure> {
    let now = app::clock().now();
    match command {
        Command::Create {
            name,
            user,
            role,
            expires,
        } => {
            let user = user.unwrap_or_else(|| name.clone());
            let expires_at = expires.map(|after| now.plus(after.as_std()));
            let (key, record) = new_key(&name, &user, role, now, expires_at);
            stores
                .keys
                .insert(record.clone())
                .await
                .map_err(|error| failed(&error))?;
            show_new(&key, &record, now, format)
        }
        Command::List => {
            let records = stores.keys.list().await.map_err(|error| failed(&error))?;
            show_list(&records, now, format)
        }
        Command::Rotate { key, overlap } => {
            let old = find(stores, &key, now).await?;
            let lifetime = old.expires_at.map(|end| end.since(old.created_at));
            let expires_at = lifetime.map(|lifetime| now.plus(lifetime));
            let (key, mut record) = new_key(&old.name, &old.user_id, old.role, now, expires_at);
            record.rotated_from = Some(old.id.clone());
            let until = now.plus(overlap.as_std());
            let rotated = stores
                .keys
                .rotate(&old.id, record.clone(), until, now)
                .await;
            rotated.map_err(|error| failed(&error))?;
            tokio::time::sleep(TAKES_EFFECT_WITHIN).await;
            if format == Format::Pretty {
                output::note(format_args!("The old key {} works until {until}.", old.id));
            }
            show_new(&key, &record, now, format)
        }
        Command::Revoke { key } => {
            let known = find(stores, &key, now).await?;
            let revoked = stores.keys.revoke(&known.id, now).await;
            let record = revoked.map_err(|error| failed(&error))?;
            tokio::time::sleep(TAKES_EFFECT_WITHIN).await;
            match format {
                Format::Json => output::json(&describe(&record, now)),
                Format::Pretty => {
                    output::line(format_args!("Revoked {} ({}).", record.id, record.name))
                }
            }
        }
    }
}

fn new_key(
    name: &str,
    user: &str,
    role: Role,
    now: UnixMillis,
    expires_at: Option<UnixMillis>,
) -> (ApiKey, KeyRecord) {
    let key = ApiKey::generate();
    let record = KeyRecord {
        id: seaworthy_core::key::new_id(),
        name: name.to_owned(),
        user_id: user.to_owned(),
        role,
        hint: key.hint(),
        digest: KeyDigest::of(key.expose()),
        created_at: now,
        expires_at,
        revoked_at: None,
        rotated_from: None,
    };
    (key, record)
}

/// Makes a key that works only for a while, for a check for example.
pub(crate) async fn create_temporary(
    stores: &Stores,
    name: &str,
    lifetime: Duration,
) -> Result<(ApiKey, String), Failure> {
    let now = app::clock().now();
    let (key, record) = new_key(name, name, Role::Admin, now, Some(now.plus(lifetime)));
    let id = record.id.clone();
    stores
        .keys
        .insert(record)
        .await
        .map_err(|error| failed(&error))?;
    Ok((key, id))
}

/// Makes the key of a development server and ends those of earlier ones.
pub(crate) async fn create_dev_key(stores: &Stores) -> Result<String, Failure> {
    let now = app::clock().now();
    let earlier = stores.keys.list().await.map_err(|error| failed(&error))?;
    let is_old = |record: &&KeyRecord| {
        record.name == DEV_KEY && record.user_id == DEV_KEY && record.state(now) == KeyState::Live
    };
    for record in earlier.iter().filter(is_old) {
        stores
            .keys
            .revoke(&record.id, now)
            .await
            .map_err(|error| failed(&error))?;
    }
    let (key, record) = new_key(DEV_KEY, DEV_KEY, Role::Admin, now, None);
    stores
        .keys
        .insert(record)
        .await
        .map_err(|error| failed(&error))?;
    Ok(key.expose().to_owned())
}

/// The live key of this ID or, if only one has it, of this name.
async fn find(stores: &Stores, wanted: &str, now: UnixMillis) -> Result<KeyRecord, Failure> {
    let records = stores.keys.list().await.map_err(|error| failed(&error))?;
    if let Some(record) = records.iter().find(|record| record.id == wanted) {
        return Ok(record.clone());
    }
    let live = |record: &&KeyRecord| record.name == wanted && record.state(now) == KeyState::Live;
    let named: Vec<&KeyRecord> = records.iter().filter(live).collect();
    match named.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Failure::new(
            exit::FAILED,
            format!(
                "no live key has the ID or the name {wanted:?}; `seaworthy keys list` shows them"
            ),
        )),
        several => Err(Failure::new(
            exit::FAILED,
            format!(
                "{} live keys have the name {wanted:?}: name one by its ID",
                several.len()
            ),
        )),
    }
}

fn failed(error: &seaworthy_core::store::Error) -> Failure {
    use seaworthy_core::store::Error;
    let code = match error {
        Error::Unavailable { .. } => exit::UNAVAILABLE,
        Error::NotFound { .. } | Error::AlreadyExists { .. } | Error::Conflict(_) => exit::FAILED,
    };
    Failure::of(code, error)
}

fn describe(record: &KeyRecord, now: UnixMillis) -> Value {
    let moment = |at: Option<UnixMillis>| at.map(|at| at.to_string());
    json!({
        "id": record.id,
        "name": record.name,
        "user": record.user_id,
        "role": record.role,
        "hint": record.hint,
        "state": record.state(now),
        "created_at": record.created_at.to_string(),
        "expires_at": moment(record.expires_at),
        "revoked_at": moment(record.revoked_at),
        "rotated_from": record.rotated_from,
        "age_days": now.since(record.created_at).as_secs() / 86_400,
    })
}

fn show_new(
    key: &ApiKey,
    record: &KeyRecord,
    now: UnixMillis,
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let mut shown = describe(record, now);
            shown["key"] = Value::from(key.expose());
            output::json(&shown)
        }
        Format::Pretty => {
            output::note(format_args!(
                "Key {} ({}), shown once:",
                record.id, record.name
            ));
            output::line(key.expose())
        }
    }
}

fn show_list(records: &[KeyRecord], now: UnixMillis, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let all: Vec<Value> = records.iter().map(|record| describe(record, now)).collect();
        return output::json(&all);
    }
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let state = match record.state(now) {
                KeyState::Live => "live",
                KeyState::Expired => "expired",
                KeyState::Revoked => "revoked",
            };
            let expires = record
                .expires_at
                .map_or("never".to_owned(), |at| at.to_string());
            vec![
                record.id.clone(),
                record.name.clone(),
                record.user_id.clone(),
                record.role.as_str().to_owned(),
                format!("{}…", record.hint),
                state.to_owned(),
                record.created_at.to_string(),
                expires,
            ]
        })
        .collect();
    output::table(
        &[
            "ID", "NAME", "USER", "ROLE", "KEY", "STATE", "CREATED", "EXPIRES",
        ],
        &rows,
    )
}
