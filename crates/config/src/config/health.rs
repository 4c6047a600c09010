//! What is looked at to tell how the gateway and what it needs are doing.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BaseUrl, Duration, Interval, Text, Within, text_value};

/// What is looked at behind a path of health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthEndpoint {
    /// What it is for, for people who read it; it is repeated in the answer.
    pub purpose: Option<String>,
    /// What is looked at, instead of what is looked at by default.
    pub checks: Vec<HealthCheck>,
    /// How quickly it has to answer. An answer that takes longer says so, in the log too.
    pub response_time: Option<Within>,
    /// How often dependencies are asked in the background. Of `/health/deep` only.
    pub frequency: Option<Interval>,
}

/// One thing that an endpoint of health looks at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheck {
    /// The process answers.
    ProcessRunning,
    /// The process takes requests.
    AcceptingRequests,
    /// The ledger has room.
    LedgerWritable,
    /// The store answers.
    DatabaseConnected,
    /// The shared state answers.
    CacheAvailable,
    /// No provider refuses the gateway's own credentials.
    ApiKeyValid,
    /// All dependencies are well.
    AllDependenciesHealthy,
    /// The share of requests that succeeded lately.
    RecentRequestSuccessRate,
    /// What is left of budgets and of the providers' limits.
    TokenQuotaRemaining,
}

impl HealthCheck {
    /// Its name in the configuration and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProcessRunning => "process_running",
            Self::AcceptingRequests => "accepting_requests",
            Self::LedgerWritable => "ledger_writable",
            Self::DatabaseConnected => "database_connected",
            Self::CacheAvailable => "cache_available",
            Self::ApiKeyValid => "api_key_valid",
            Self::AllDependenciesHealthy => "all_dependencies_healthy",
            Self::RecentRequestSuccessRate => "recent_request_success_rate",
            Self::TokenQuotaRemaining => "token_quota_remaining",
        }
    }
}

/// Something that the gateway needs, and how it is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyCheck {
    /// How it is asked: `test request with minimal tokens`, `SELECT 1`, `PING`, `HEAD request`, or
    /// `read secrets`.
    pub check: Probe,
    /// After how long no answer counts as a bad one.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Whether the gateway is unwell without it.
    #[serde(default)]
    pub critical: bool,
    /// Of `test request with minimal tokens`: the models that are asked. Without it, one model of
    /// each provider.
    #[serde(default)]
    pub models: Vec<String>,
    /// Of `HEAD request`: where it is sent.
    #[serde(default)]
    pub urls: Vec<BaseUrl>,
}

const fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

/// How a dependency is asked whether it is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A call of a model that asks for one token, accounted for like any other.
    MinimalCall,
    /// The durable store is asked something trivial.
    Database,
    /// The shared state is asked something trivial.
    SharedState,
    /// A `HEAD` request to an address.
    Head,
    /// The references to secrets are read again.
    Secrets,
}

const PROBES: [(&str, Probe); 7] = [
    ("test request with minimal tokens", Probe::MinimalCall),
    ("minimal call", Probe::MinimalCall),
    ("SELECT 1", Probe::Database),
    ("PING", Probe::SharedState),
    ("HEAD request", Probe::Head),
    ("HEAD", Probe::Head),
    ("read secrets", Probe::Secrets),
];

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PROBES.iter().find(|(_, probe)| probe == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl Text for Probe {
    const KIND: &'static str = "probe";
    const EXPECTED: &'static str = "\"test request with minimal tokens\", \"SELECT 1\", \"PING\", \"HEAD request\" or \
         \"read secrets\"";

    fn parse(text: &str) -> Result<Self, crate::value::Refusal> {
        let mut names = PROBES.iter();
        names
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, probe)| *probe)
            .ok_or(crate::value::Refusal::Unlike)
    }
}

text_value!(Probe);

/// Endpoints of health by path.
pub type HealthEndpoints = BTreeMap<String, HealthEndpoint>;
/// Dependencies under names of your choice.
pub type DependencyChecks = BTreeMap<String, DependencyCheck>;
