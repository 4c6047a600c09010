//! What an agent's own words say, put where it is read: `agent.security.rate_limit.redis` is
//! `shared_state`, `agent.secrets` names the vault of `secret_managers.azure`, and `agent.log_level`
//! is `logging.level`.

use crate::config::{AgentLogLevel, AgentRedis, Config, Logging, SharedState};
use crate::value::{Name, SharedStateUrl, Text as _};

/// Where the words about a server stand.
const REDIS: [&str; 4] = ["agent", "security", "rate_limit", "redis"];

/// Why the words of a section cannot be followed.
pub(crate) struct Clash {
    section: &'static [&'static str],
    /// The key below the section; `None` for the section itself.
    key: Option<&'static str>,
    pub message: String,
    pub help: &'static str,
}

impl Clash {
    pub(crate) fn path(&self) -> Vec<&'static str> {
        self.section.iter().copied().chain(self.key).collect()
    }
}

/// Follows the agent's words, as far as they can be.
pub(crate) fn adopt(config: &mut Config) -> impl Iterator<Item = Clash> + use<> {
    let clashes = [
        adopt_server(config).err(),
        adopt_vault(config).err(),
        adopt_log_level(config).err(),
        accept_metrics(config).err(),
    ];
    clashes.into_iter().flatten()
}

/// Has the log be as the agent wants it.
fn adopt_log_level(config: &mut Config) -> Result<(), Clash> {
    let Some(level) = config.agent.log_level.map(AgentLogLevel::level) else {
        return Ok(());
    };
    let known = &mut config.logging.level;
    if *known != Logging::default().level && *known != level {
        return Err(Clash {
            section: &["agent"],
            key: Some("log_level"),
            message: format!(
                "another level than that of `logging.level`, which is `{}`",
                known.as_str()
            ),
            help: "there is one log: name its level once",
        });
    }
    *known = level;
    Ok(())
}

/// Metrics cannot be switched off: what says so would be accepted and ignored.
fn accept_metrics(config: &Config) -> Result<(), Clash> {
    match config.agent.observability.metrics_enabled {
        Some(false) => Err(Clash {
            section: &["agent", "observability"],
            key: Some("metrics_enabled"),
            message: "metrics are always served, at `/metrics`".to_owned(),
            help: "remove it, or say `true`",
        }),
        _ => Ok(()),
    }
}

/// Has the vault of references that name none be the one of the agent.
fn adopt_vault(config: &mut Config) -> Result<(), Clash> {
    let Some(url) = &config.agent.secrets.keyvault_url else {
        return Ok(());
    };
    let clash = |message: String, help| Clash {
        section: &["agent", "secrets"],
        key: Some("keyvault_url"),
        message,
        help,
    };
    let host = url.as_str().strip_prefix("https://");
    let named = host.and_then(|host| host.trim_end_matches('/').strip_suffix(".vault.azure.net"));
    let named = named.and_then(|name| Name::parse(name).ok()).ok_or_else(|| {
        clash(
            format!("expected \"https://NAME.vault.azure.net\", found {:?}", url.as_str()),
            "for a vault elsewhere set `secret_managers.azure.vault` and `secret_managers.azure.endpoint`",
        )
    })?;
    match &config.secret_managers.azure.vault {
        Some(known) if *known != named => Err(clash(
            format!("another vault than that of `secret_managers.azure.vault`, `{known}`"),
            "name one vault; references such as \"secret://azure/VAULT/NAME\" name any other",
        )),
        _ => {
            config.secret_managers.azure.vault = Some(named);
            Ok(())
        }
    }
}

/// Has the shared state be the server that the agent's limits name.
fn adopt_server(config: &mut Config) -> Result<(), Clash> {
    let limits = &config.agent.security.rate_limit;
    let Some(wanted) = limits.redis.clone().filter(|_| limits.enabled) else {
        return Ok(());
    };
    let shared = &mut config.shared_state;
    shared.url = server(shared, &wanted)?;
    if shared.password.is_none() {
        shared.password = wanted.password;
    }
    if let Some(prefix) = &wanted.prefix {
        shared.deployment = deployment(&shared.deployment, prefix)?;
    }
    Ok(())
}

fn server(shared: &SharedState, wanted: &AgentRedis) -> Result<SharedStateUrl, Clash> {
    let named = match (&shared.url, &wanted.url) {
        (SharedStateUrl::Redis(known), Some(SharedStateUrl::Redis(url)))
            if with_database(url.expose(), wanted.db) != known.expose()
                && url.expose() != known.expose() =>
        {
            return Err(Clash {
                section: &REDIS,
                key: Some("url"),
                message: format!("another server than that of `shared_state.url`, {known}"),
                help: "name one server for all limits",
            });
        }
        (SharedStateUrl::Redis(known), _) => known.expose(),
        (SharedStateUrl::Memory, Some(SharedStateUrl::Redis(url))) => url.expose(),
        (SharedStateUrl::Memory, _) => {
            return Err(Clash {
                section: &REDIS,
                key: None,
                message: "no server is named, here or in `shared_state.url`".to_owned(),
                help: "set `url`, such as \"redis://redis.internal:6379\"",
            });
        }
    };
    let url = with_database(named, wanted.db);
    SharedStateUrl::parse(&url).map_err(|_| Clash {
        section: &REDIS,
        key: Some("url"),
        message: "expected the URL of a Redis server".to_owned(),
        help: "write it as \"redis://redis.internal:6379\"",
    })
}

/// The URL with the number of a database, unless it names one.
fn with_database(url: &str, database: Option<u16>) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let names_one = rest
        .split_once('/')
        .is_some_and(|(_, path)| !path.is_empty());
    match database {
        Some(database) if !names_one => format!("{}/{database}", url.trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// A prefix such as `ratelimit:` is the name of the deployment that all names begin with.
fn deployment(known: &Name, prefix: &str) -> Result<Name, Clash> {
    let named = Name::parse(prefix.trim_end_matches(':')).map_err(|_| Clash {
        section: &REDIS,
        key: Some("prefix"),
        message: format!("expected {} or the same with a colon", Name::EXPECTED),
        help: "it becomes `shared_state.deployment`",
    })?;
    if *known != Name::main() && *known != named {
        return Err(Clash {
            section: &REDIS,
            key: Some("prefix"),
            message: format!("`shared_state.deployment` is `{known}`"),
            help: "name the deployment once",
        });
    }
    Ok(named)
}
