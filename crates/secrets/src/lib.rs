//! Ways to the values of secrets: environment variables, files, and secret managers over HTTP.
//!
//! Values are fetched before they are needed and again while the program runs; whoever asks for one
//! gets what was fetched last, at once. While a manager is away, the last good value stays in use.

mod ask;
mod authorities;
mod aws;
mod azure;
mod gcp;
mod token;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use seaworthy_config::{
    Config, LocalSecrets, ManagedSecret, Manager, Secret, SecretError, SecretRef, SecretSource,
    secret_refs,
};
use seaworthy_core::clock::SharedClock;
use seaworthy_core::error::chain;
use seaworthy_edge::client::Dial;

use ask::Ask;
pub use ask::FetchError;
use authorities::Authorities;
use token::Tokens;

/// How many secrets are fetched at the same time.
const AT_A_TIME: usize = 8;
/// How often a fetch is tried when there is no value to go on with.
const TRIES: u32 = 3;
/// Before the first repetition; twice that before the next.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Reads environment variables.
pub type Environment = fn(&str) -> Option<String>;

/// The values of the secrets of a configuration.
pub struct Secrets {
    local: LocalSecrets<Environment>,
    dial: Arc<dyn Dial>,
    authorities: Authorities,
    clock: SharedClock,
    known: Mutex<BTreeMap<ManagedSecret, Known>>,
    tokens: Tokens,
}

/// What is known of one secret.
struct Known {
    value: Secret,
    /// Why it could not be fetched the last time.
    trouble: Option<String>,
}

/// Secrets that could not be fetched, with the reasons.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Unfetched(Vec<(ManagedSecret, FetchError)>);

impl Unfetched {
    /// Whether asking again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.0.iter().any(|(_, error)| error.is_passing())
    }
}

fn list(failed: &[(ManagedSecret, FetchError)]) -> String {
    let lines = failed
        .iter()
        .map(|(secret, error)| format!("{secret} cannot be fetched: {}", chain(error)));
    lines.collect::<Vec<_>>().join("; ")
}

/// How fetching again went, for one manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Which.
    pub manager: Manager,
    /// How many secrets were fetched.
    pub fetched: usize,
    /// What could not be fetched, and why.
    pub failed: Vec<String>,
}

impl Secrets {
    /// Nothing is fetched yet.
    #[must_use]
    pub fn new(environment: Environment, dial: Arc<dyn Dial>, clock: SharedClock) -> Self {
        Self {
            local: LocalSecrets(environment),
            dial,
            authorities: Authorities::default(),
            clock,
            known: Mutex::default(),
            tokens: Tokens::default(),
        }
    }

    /// Fetches what the configuration names and is not known yet. Everything that can be tried again
    /// is.
    ///
    /// # Errors
    /// With every secret that could not be fetched.
    pub async fn prepare(&self, config: &Config) -> Result<(), Unfetched> {
        let wanted = managed(config);
        let unknown: Vec<_> = {
            let known = self.known.lock();
            let missing = |secret: &ManagedSecret| !known.contains_key(secret);
            wanted.into_iter().filter(missing).collect()
        };
        let fetched = self.fetch_all(config, unknown, TRIES).await;
        let mut failed = Vec::new();
        let mut known = self.known.lock();
        for (secret, outcome) in fetched {
            match outcome {
                Ok(value) => {
                    let trouble = None;
                    known.insert(secret, Known { value, trouble });
                }
                Err(error) => failed.push((secret, error)),
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Unfetched(failed)),
        }
    }

    /// Fetches everything again that the configuration names, and forgets the rest. What cannot be
    /// fetched keeps its value.
    pub async fn refresh(&self, config: &Config) -> Vec<Refreshed> {
        let wanted = managed(config);
        self.known
            .lock()
            .retain(|secret, _| wanted.contains(secret));
        let mut told: BTreeMap<Manager, Refreshed> = BTreeMap::new();
        for (secret, outcome) in self.fetch_all(config, wanted, 1).await {
            let told = told.entry(secret.manager).or_insert_with(|| Refreshed {
                manager: secret.manager,
                fetched: 0,
                failed: Vec::new(),
            });
            let mut known = self.known.lock();
            match outcome {
                Ok(value) => {
                    told.fetched += 1;
                    let trouble = None;
                    known.insert(secret, Known { value, trouble });
                }
                Err(error) => {
                    let why = format!("{secret}: {}", chain(&error));
                    if let Some(known) = known.get_mut(&secret) {
                        known.trouble = Some(why.clone());
                    }
                    told.failed.push(why);
                }
            }
        }
        told.into_values().collect()
    }

    async fn fetch_all(
        &self,
        config: &Config,
        secrets: Vec<ManagedSecret>,
        tries: u32,
    ) -> Vec<(ManagedSecret, Result<Secret, FetchError>)> {
        let fetches = secrets.into_iter().map(|secret| async move {
            let mut pause = PAUSE;
            for _ in 1..tries {
                match self.fetch(config, &secret).await {
                    Err(error) if error.is_passing() => tokio::time::sleep(pause).await,
                    outcome => return (secret, outcome),
                }
                pause *= 2;
            }
            let outcome = self.fetch(config, &secret).await;
            (secret, outcome)
        });
        futures_util::stream::iter(fetches)
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await
    }

    /// The value that the manager has now.
    async fn fetch(&self, config: &Config, secret: &ManagedSecret) -> Result<Secret, FetchError> {
        let managers = &config.secret_managers;
        let dial = self
            .authorities
            .way_to(secret.manager, config, &self.dial)?;
        let ask = Ask {
            dial: &dial,
            clock: &self.clock,
            local: &self.local,
            tokens: &self.tokens,
            timeout: managers.timeout.into(),
        };
        let text = match secret.manager {
            Manager::Aws => aws::fetch(&ask, &managers.aws, secret).await?,
            Manager::Vault => return vault::fetch(&ask, &managers.vault, secret).await,
            Manager::Azure => azure::fetch(&ask, &managers.azure, secret).await?,
            Manager::Gcp => gcp::fetch(&ask, &managers.gcp, secret).await?,
        };
        ask::pick(text, secret.key.as_deref())
    }
}

/// The secrets of a configuration that managers have.
fn managed(config: &Config) -> Vec<ManagedSecret> {
    let references = secret_refs(config).into_iter();
    let managed = references.filter_map(|reference| match reference {
        SecretRef::Managed(secret) => Some(secret),
        _ => None,
    });
    managed.collect()
}

impl SecretSource for Secrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let SecretRef::Managed(secret) = reference else {
            return self.local.resolve(reference);
        };
        let known = self.known.lock();
        let known = known.get(secret).map(|known| known.value.clone());
        known.ok_or_else(|| SecretError::NotFetched(secret.to_string()))
    }

    fn troubles(&self) -> Vec<String> {
        let known = self.known.lock();
        known
            .values()
            .filter_map(|known| known.trouble.clone())
            .collect()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
