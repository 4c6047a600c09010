//! The configuration as types. The comments become the reference and the JSON Schema.

mod agent;
mod auth;
mod cache;
mod costs;
mod degradation;
mod guard_rules;
mod guards;
mod health;
mod kept;
mod limits;
mod managers;
mod practices;
mod provider;
mod replay;
mod resilience;
mod sandbox;
mod server;
mod state;
mod tls;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::agent::{AgentLogLevel, AgentObservability, MetricsExporter};
pub use self::auth::{Auth, CustomRole, Jwt, JwtAlgorithm, JwtIssuer, Sigv4, User};
pub use self::cache::{Cache, CacheScope, CacheStore, Idempotency, SemanticCache};
pub use self::costs::{
    Budget, BudgetScope, BudgetWindow, CostConfig, CostControls, LastAnswers, LongPrice,
    ModelPrice, RequestCaps, SpendLimits, TierPrice, UnknownPricePolicy,
};
pub use self::degradation::{AllFeatures, DegradationTiers, Feature, Tier};
pub use self::guard_rules::{
    AfterUntrusted, Ask, CodeRules, GuardAction, GuardPlace, GuardPolicy, GuardScope, Guards,
    Moderation, OnFailure, Opinion, PromptLeaks, Severity, UnreadParts,
};
pub use self::guards::{AgentValidation, CodeFilter, Filter, InputValidation, OutputHandling};
pub use self::health::{
    DependencyCheck, DependencyChecks, HealthCheck, HealthEndpoint, HealthEndpoints, Probe,
};
pub use self::kept::{Batches, Files, ResponseStore, Responses};
pub use self::limits::{
    Agent, AgentRateLimit, AgentRedis, AgentSecrets, AgentSecurity, LimitTable, Limits, RateLimits,
};
pub use self::managers::{AwsSecrets, AzureSecrets, GcpSecrets, SecretManagers, VaultSecrets};
pub use self::practices::{ApiKeyPractices, KeyRotation, KeyScope, KeyStorage};
pub use self::provider::{Headers, Provider, ProviderApi, ProviderKind, ProviderTimeouts};
pub use self::replay::ReplayProtection;
pub use self::resilience::{
    CircuitBreaker, Concurrency, Priorities, Priority, Queue, Resilience, Retries, RoutingStrategy,
    TargetOptions, TargetTimeouts,
};
pub use self::sandbox::Sandbox;
pub use self::server::Server;
pub use self::state::{OnLoss, SharedState, Storage};
pub use self::tls::{ClientAuth, HttpAction, HttpRedirect, Tls, TlsVersion};
use crate::value::{Duration, Listen, Target, Usd};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The listener that clients talk to, and the limits of a connection and of a request.
    pub server: Server,
    /// The control plane.
    pub admin: Admin,
    /// Who may use the gateway.
    pub auth: Auth,
    /// Requests that may not be repeated. At the routes that are named here a request says when it
    /// was made, in `x-seaworthy-timestamp`, and bears a nonce, in `x-seaworthy-nonce`.
    pub replay_protection: ReplayProtection,
    /// How API keys are to be handled. What is broken shows as a warning, in
    /// `seaworthy_key_practice_violations` and in `/admin/v1/status`.
    pub api_key_practices: ApiKeyPractices,
    /// Secret managers that references such as `secret://vault/PATH#KEY` lead to.
    pub secret_managers: SecretManagers,
    /// Where durable state is kept: keys, ledger, audit, sessions, tasks.
    pub storage: Storage,
    /// Where the state is kept that replicas share: limits, budgets in flight, breakers.
    pub shared_state: SharedState,
    /// The services that answer requests, each under a name of your choice.
    pub providers: BTreeMap<String, Provider>,
    /// The model names that clients ask for.
    pub models: BTreeMap<String, Model>,
    /// How many requests and tokens may pass in a time. Each part of it is a section, or a text such
    /// as `10/second;100/minute`.
    pub rate_limits: RateLimits,
    /// How much may be spent. What a request can cost at most is reserved before it is made, so that
    /// requests at the same time cannot exceed a limit together.
    pub cost_controls: CostControls,
    /// Budgets of all callers together, in short. They apply beside `cost_controls`.
    pub cost_config: CostConfig,
    /// Further budgets, each under a name of your choice. They apply beside `cost_controls`.
    pub budgets: BTreeMap<String, Budget>,
    /// What models cost, in dollars per million tokens, as `provider/model`; a `*` at the end stands
    /// for any ending. They go before the prices that are built in.
    pub prices: BTreeMap<String, ModelPrice>,
    /// What a call of a tool costs, in dollars, by the name of the tool, whether the caller runs it or
    /// the provider. It is charged when a model's answer calls the tool.
    pub tool_prices: BTreeMap<String, Usd>,
    /// The agent that the gateway stands in front of.
    pub agent: Agent,
    /// What is checked in requests before they leave.
    pub input_validation: InputValidation,
    /// What is checked in answers before the caller sees them.
    pub output_handling: OutputHandling,
    /// Remembered answers. A request that asks for the same as an earlier one gets its answer.
    pub cache: Cache,
    /// Requests with an `Idempotency-Key`: the same key gets the same answer.
    pub idempotency: Idempotency,
    /// Answers of the Responses API that callers can fetch and continue.
    pub responses: Responses,
    /// Files that callers send for batches, and the files that batches make.
    pub files: Files,
    /// Requests that are sent in a file and carried out as there is room.
    pub batches: Batches,
    /// What guards do, beyond `input_validation` and `output_handling`.
    pub guards: Guards,
    /// Code that callers may run, in a process that can do nothing but compute. Off unless enabled.
    pub sandbox: Sandbox,
    /// What happens when providers fail or are slow, and when there is more work than can be done.
    pub resilience: Resilience,
    /// What is given up when things go badly, by tier: `normal`, `degraded_1` and so on, and
    /// `maintenance`.
    pub degradation_tiers: DegradationTiers,
    /// What applications do and can be switched, each under a name of your choice.
    pub features: BTreeMap<String, Feature>,
    /// What the endpoints of health look at, by path: `/health`, `/health/live`, `/health/ready`,
    /// `/ready`, `/health/deep`.
    pub health_endpoints: HealthEndpoints,
    /// What `/health/deep` asks in the background, each under a name of your choice.
    pub dependency_checks: DependencyChecks,
    /// What is written to the log, and how.
    pub logging: Logging,
}

/// The control plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// An address of its own for the control plane. Without it, the control plane shares
    /// `server.listen`.
    pub listen: Option<Listen>,
    /// TLS at that address, if it is other than `server.tls`, which is used without it.
    pub tls: Option<Tls>,
}

/// One name that clients ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What the name stands for, as `provider/model`; the others are asked when one fails before
    /// anything of its answer was sent. At most 32.
    pub targets: Vec<Target>,
    /// Further names for the same model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How the target that is asked first is chosen.
    #[serde(default)]
    pub strategy: RoutingStrategy,
    /// What is different for single targets, by their names in `targets`.
    #[serde(default)]
    pub target_options: BTreeMap<String, TargetOptions>,
    /// After how long without an answer the next target is asked as well; the first answer counts.
    /// Both are reserved before they leave, and both are charged with what they used.
    #[serde(default)]
    pub hedge_after: Option<Duration>,
}

/// What is written to the log, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// `json`, `pretty`, or `auto`: pretty on a terminal and JSON elsewhere.
    pub format: LogFormat,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Auto,
        }
    }
}

/// How severe a log line is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// Recovered or degraded.
    Warn,
    /// Changes of state, and one line a request.
    Info,
    /// Details for finding faults.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
}
