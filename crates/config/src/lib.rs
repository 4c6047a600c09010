//! The configuration language: one schema, TOML and YAML, errors with file, line and column.
//!
//! A text becomes a tree with positions ([`Format`]), environment variables and flags are laid
//! over it ([`Overrides`]), the tree is decoded into [`Config`], and what the options must be
//! together is checked. [`load`] does all of it and reports everything that is wrong at once.

mod adopt;
mod compile;
mod config;
mod decode;
mod document;
mod load;
mod mark;
mod mask;
mod nearest;
mod overrides;
mod problem;
mod reserved;
mod schema;
mod secret;
mod show;
mod source;
mod starting;
mod validate;
mod value;
mod watch;

pub use compile::tiers::{CompiledTier, MAINTENANCE, NORMAL, Tiers, tiers};
pub use compile::{Mistake, policy, prices, unknown_price};
pub use config::{
    Admin, Agent, AgentRateLimit, AgentRedis, AgentSecrets, AgentSecurity, Auth, Budget,
    BudgetScope, BudgetWindow, Config, CostConfig, CostControls, CustomRole, Headers, LastAnswers,
    LimitTable, Limits, LogFormat, LogLevel, Logging, LongPrice, Model, ModelPrice, OnLoss,
    Provider, ProviderApi, ProviderKind, ProviderTimeouts, RateLimits, RequestCaps, Sandbox,
    Server, SharedState, Sigv4, SpendLimits, Storage, TierPrice, UnknownPricePolicy,
};
pub use config::{
    AfterUntrusted, AgentValidation, Ask, CodeFilter, CodeRules, Filter, GuardAction, GuardPlace,
    GuardPolicy, GuardScope, Guards, InputValidation, Moderation, OnFailure, Opinion,
    OutputHandling, PromptLeaks, Severity as GuardSeverity, UnreadParts,
};
pub use config::{AgentLogLevel, AgentObservability, MetricsExporter};
pub use config::{
    AllFeatures, DegradationTiers, DependencyCheck, DependencyChecks, Feature, HealthCheck,
    HealthEndpoint, HealthEndpoints, Probe, Tier,
};
pub use config::{ApiKeyPractices, Jwt, JwtAlgorithm, JwtIssuer, KeyRotation, KeyScope};
pub use config::{AwsSecrets, AzureSecrets, GcpSecrets, SecretManagers, VaultSecrets};
pub use config::{Batches, Files, ResponseStore, Responses};
pub use config::{Cache, CacheScope, CacheStore, Idempotency, SemanticCache};
pub use config::{
    CircuitBreaker, Concurrency, Priorities, Priority, Queue, Resilience, Retries, RoutingStrategy,
    TargetOptions, TargetTimeouts,
};
pub use config::{ClientAuth, HttpAction, HttpRedirect, Tls, TlsVersion};
pub use config::{KeyStorage, ReplayProtection, User};
pub use document::Format;
pub use load::{Loaded, load, load_str};
pub use overrides::{ENVIRONMENT_PREFIX, Overrides};
pub use problem::{Problem, Problems, Severity};
pub use schema::{reference, schema};
pub use secret::{
    LocalSecrets, ManagedSecret, Manager, Secret, SecretError, SecretRef, SecretSource,
};
pub use show::{Change, diff, secret_refs, show};
pub use starting::{load_default, starting_config};
pub use value::{
    Actions, BaseUrl, ByteSize, Condition, Count, Duration, Factor, Interval, Listen, Name,
    Network, Pem, Permission, ServerUrl, Share, SharedStateUrl, StorageUrl, Target, TierAction,
    TimeZone, Usd, Within,
};
pub use watch::Fingerprint;
