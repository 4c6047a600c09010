//! `seaworthy keys`: create, list, rotate and revoke API keys, in the store of the configuration.

use std::time::Duration;

use seaworthy_config::{Config, Duration as ConfigDuration};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{ApiKey, KeyDigest, KeyRecord, KeyState, NewKey, PREFIX};
use seaworthy_core::principal::{Role, Scopes};
use seaworthy_core::sigv4;
use seaworthy_core::store::Stores;
use serde_json::Value;

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
    Create(Box<CreateArguments>),
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
    /// Hash a password from standard input, for `auth.users` in the configuration.
    HashPassword,
    /// Show the AWS credentials that belong to a key, for clients of Bedrock.
    AwsCredentials {
        /// ID or name of the key.
        key: String,
    },
    /// End a key at once.
    Revoke {
        /// ID or name of the key.
        key: String,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArguments {
    /// What the key is for.
    #[arg(long)]
    name: String,
    /// The user that its use is accounted to; the name if left out.
    #[arg(long)]
    user: Option<String>,
    /// The team that its use is accounted to.
    #[arg(long)]
    team: Option<String>,
    /// What its holder may do: `user`, `auditor`, `operator`, `admin` or a role of the
    /// configuration.
    #[arg(long, default_value = "user")]
    role: Role,
    #[command(flatten)]
    scopes: ScopeArguments,
    /// The environment that it is for; `auth.environment` if left out.
    #[arg(long)]
    environment: Option<String>,
    /// The service that uses it.
    #[arg(long)]
    service: Option<String>,
    /// How long it works, for example `90d` or `12h`; for ever if left out.
    #[arg(long, value_parser = duration)]
    expires: Option<ConfigDuration>,
}

impl CreateArguments {
    fn wanted(self, config: &Config, now: UnixMillis) -> NewKey {
        NewKey {
            user_id: self.user.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            team_id: self.team,
            role: self.role,
            scopes: self.scopes.into(),
            environment: self.environment.or_else(|| config.auth.environment.clone()),
            service: self.service,
            expires_at: self.expires.map(|after| now.plus(after.as_std())),
        }
    }
}

/// What a key is restricted to. A name that ends with `*` stands for every name that begins like it.
#[derive(Debug, clap::Args)]
struct ScopeArguments {
    /// A model that the key is for, all of them if left out; can be repeated.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// An agent that the key is for; can be repeated.
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// A tool that may be offered to models; can be repeated.
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// A class of operations that the key is for, `chat` for example; can be repeated.
    #[arg(long = "operation", value_name = "OPERATION")]
    operations: Vec<String>,
}

impl From<ScopeArguments> for Scopes {
    fn from(arguments: ScopeArguments) -> Self {
        Self {
            models: arguments.models,
            agents: arguments.agents,
            tools: arguments.tools,
            operations: arguments.operations,
        }
    }
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
    if matches!(command, Command::HashPassword) {
        return hash_password();
    }
    let loaded = app::load(config.config.as_deref(), &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    super::block_on(async {
        let result = execute(command, &stores, &loaded.config, format).await;
        stores.lifecycle.close().await;
        result
    })
}

async fn execute(
    command: Command,
    stores: &Stores,
    config: &Config,
    format: Format,
) -> Result<(), Failure> {
    let now = app::clock().now();
    match command {
        Command::Create(arguments) => {
            let wanted = arguments.wanted(config, now);
            let (key, record) = checked(wanted, config)?.issue(now);
            stores
                .keys
                .insert(record.clone())
                .await
                .map_err(|error| failed(&error))?;
            show_new(&key, &record, now, format)
        }
        Command::HashPassword => hash_password(),
        Command::List => {
            let records = stores.keys.list().await.map_err(|error| failed(&error))?;
            show_list(&records, now, format)
        }
        Command::Rotate { key, overlap } => {
            let old = find(stores, &key, now).await?;
            let rotation = &config.api_key_practices.rotation;
            if rotation.support_zero_downtime_rotation && overlap.as_std().is_zero() {
                return Err(Failure::new(
                    exit::USAGE,
                    "`api_key_practices` asks for rotations without downtime: expected an overlap, \
                     such as `--overlap 1h`",
                ));
            }
            let (key, record) = old.successor(now);
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
        Command::AwsCredentials { key } => {
            let known = find(stores, &key, now).await?;
            show_aws(&known, config, format)
        }
        Command::Revoke { key } => {
            let known = find(stores, &key, now).await?;
            let revoked = stores.keys.revoke(&known.id, now).await;
            let record = revoked.map_err(|error| failed(&error))?;
            tokio::time::sleep(TAKES_EFFECT_WITHIN).await;
            match format {
                Format::Json => output::json(&record.view(now)),
                Format::Pretty => {
                    output::line(format_args!("Revoked {} ({}).", record.id, record.name))
                }
            }
        }
    }
}

/// Prints the argon2id hash of the first line of standard input.
fn hash_password() -> Result<(), Failure> {
    let mut password = String::new();
    let read = std::io::stdin().lines().next().transpose()?;
    password.push_str(read.as_deref().unwrap_or_default());
    if password.is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            "expected a password on standard input: `echo -n … | seaworthy keys hash-password`",
        ));
    }
    let hash = seaworthy_gateway::hash_password(password.as_bytes());
    output::line(hash.map_err(|why| Failure::new(exit::FAILED, why))?)
}

/// A key that can be made: its role exists and its names can stand where they have to.
fn checked(wanted: NewKey, config: &Config) -> Result<NewKey, Failure> {
    let failed = |message| Failure::new(exit::USAGE, message);
    wanted.check().map_err(failed)?;
    if let Role::Custom(name) = &wanted.role
        && !config.auth.roles.contains_key(&**name)
    {
        return Err(failed(format!(
            "there is no role {name:?}: expected admin, operator, auditor, user or one of \
             `auth.roles` in the configuration"
        )));
    }
    Ok(wanted)
}

/// The secret is derived, so that it can be shown again and is stored nowhere.
fn show_aws(key: &KeyRecord, config: &Config, format: Format) -> Result<(), Failure> {
    let Some(reference) = &config.auth.sigv4.secret else {
        let message = "there are no AWS credentials without `auth.sigv4.secret`: set it to a \
                       reference to a secret of at least 32 characters";
        return Err(Failure::new(exit::CONFIG, message));
    };
    let secret = app::secret(config, reference)?;
    let secret = sigv4::derived_secret(secret.expose(), &key.id);
    match format {
        Format::Json => output::json(&serde_json::json!({
            "access_key_id": key.id,
            "secret_access_key": secret,
        })),
        Format::Pretty => {
            output::line(format_args!("AWS_ACCESS_KEY_ID={}", key.id))?;
            output::line(format_args!("AWS_SECRET_ACCESS_KEY={secret}"))
        }
    }
}

/// Makes a key that works only for a while, for a check for example.
pub(crate) async fn create_temporary(
    stores: &Stores,
    name: &str,
    lifetime: Duration,
) -> Result<(ApiKey, String), Failure> {
    let now = app::clock().now();
    let wanted = NewKey {
        expires_at: Some(now.plus(lifetime)),
        ..NewKey::of(name, name, Role::Admin)
    };
    let (key, record) = wanted.issue(now);
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
    let (key, record) = NewKey::of(DEV_KEY, DEV_KEY, Role::Admin).issue(now);
    stores
        .keys
        .insert(record)
        .await
        .map_err(|error| failed(&error))?;
    Ok(key.expose().to_owned())
}

/// The live key of this ID or, if only one has it, of this name. One that is written out itself, such
/// as one that has leaked, is found as well, and never repeated.
async fn find(stores: &Stores, wanted: &str, now: UnixMillis) -> Result<KeyRecord, Failure> {
    let records = stores.keys.list().await.map_err(|error| failed(&error))?;
    if let Some(record) = records.iter().find(|record| record.id == wanted) {
        return Ok(record.clone());
    }
    if wanted.starts_with(PREFIX) {
        let digest = KeyDigest::of(wanted);
        let found = records.into_iter().find(|record| record.digest == digest);
        return found.ok_or_else(|| {
            let message = "this key is not one of this store; `seaworthy keys list` shows those";
            Failure::new(exit::FAILED, message)
        });
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

fn show_new(
    key: &ApiKey,
    record: &KeyRecord,
    now: UnixMillis,
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&record.view(now).showing(key)),
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
        let all: Vec<_> = records.iter().map(|record| record.view(now)).collect();
        return output::json(&all);
    }
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let state = record.state(now).as_str();
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
