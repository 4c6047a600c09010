//! What `agent.security.rate_limit.redis` says, put where it is read: it is `shared_state` in the
//! agent's own words.

use crate::config::{AgentRedis, Config, SharedState};
use crate::value::{Name, SharedStateUrl, Text as _};

/// Where the words stand.
pub(crate) const PATH: [&str; 4] = ["agent", "security", "rate_limit", "redis"];

/// Why the words cannot be followed.
pub(crate) struct Clash {
    /// The key below [`PATH`]; `None` for the section.
    pub key: Option<&'static str>,
    pub message: String,
    pub help: &'static str,
}

/// Has the shared state be the server that the agent's limits name.
pub(crate) fn adopt(config: &mut Config) -> Result<(), Clash> {
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
                key: Some("url"),
                message: format!("another server than that of `shared_state.url`, {known}"),
                help: "name one server for all limits",
            });
        }
        (SharedStateUrl::Redis(known), _) => known.expose(),
        (SharedStateUrl::Memory, Some(SharedStateUrl::Redis(url))) => url.expose(),
        (SharedStateUrl::Memory, _) => {
            return Err(Clash {
                key: None,
                message: "no server is named, here or in `shared_state.url`".to_owned(),
                help: "set `url`, such as \"redis://redis.internal:6379\"",
            });
        }
    };
    let url = with_database(named, wanted.db);
    SharedStateUrl::parse(&url).map_err(|_| Clash {
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
        key: Some("prefix"),
        message: format!("expected {} or the same with a colon", Name::EXPECTED),
        help: "it becomes `shared_state.deployment`",
    })?;
    if *known != Name::main() && *known != named {
        return Err(Clash {
            key: Some("prefix"),
            message: format!("`shared_state.deployment` is `{known}`"),
            help: "name the deployment once",
        });
    }
    Ok(named)
}
