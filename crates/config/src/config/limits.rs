//! How many requests and tokens may pass in a time.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_core::limit::{self, Period};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::agent::{AgentLogLevel, AgentObservability};
use super::guards::{AgentValidation, OutputHandling};
use crate::secret::SecretRef;
use crate::value::{BaseUrl, Count, Factor, SharedStateUrl};

/// How many requests and tokens may pass in a time. Each of the parts is a section, or a text such
/// as `10/second;100/minute`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// All callers together.
    pub global: Limits,
    /// Each user.
    pub per_user: Limits,
    /// Each API key.
    pub per_key: Limits,
    /// Each team.
    pub per_team: Limits,
    /// Each model that clients ask for, all callers together.
    pub per_model: Limits,
    /// Each agent.
    pub per_agent: Limits,
    /// Each address that requests come from.
    pub per_ip: Limits,
    /// Each class of operation, all callers together, by its name: an operation such as `chat`, or a
    /// name of your own that callers say in `x-seaworthy-operation`.
    pub per_operation: BTreeMap<String, Limits>,
}

/// The limits of one subject. All of them apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Limits(pub LimitTable);

/// The limits of one subject. All of them apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitTable {
    /// Requests in a second. As many may come at once; after that, one at a time at this pace.
    pub requests_per_second: Option<Count>,
    /// Requests in a minute.
    pub requests_per_minute: Option<Count>,
    /// Requests in an hour.
    pub requests_per_hour: Option<Count>,
    /// Requests in a day.
    pub requests_per_day: Option<Count>,
    /// Tokens in a minute, in and out.
    pub tokens_per_minute: Option<Count>,
    /// Tokens in an hour.
    pub tokens_per_hour: Option<Count>,
    /// Tokens in a day.
    pub tokens_per_day: Option<Count>,
    /// Requests at the same time.
    pub concurrent_requests: Option<Count>,
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section or a text such as \"10/second;100/minute\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limits, E> {
        let quotas = limit::parse(text).map_err(E::custom)?;
        let mut table = LimitTable::default();
        for quota in quotas {
            let field = match quota.period() {
                Period::Second => &mut table.requests_per_second,
                Period::Minute => &mut table.requests_per_minute,
                Period::Hour => &mut table.requests_per_hour,
                Period::Day => &mut table.requests_per_day,
            };
            *field = Some(quota.limit().into());
        }
        Ok(Limits(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limits, A::Error> {
        LimitTable::deserialize(MapAccessDeserializer::new(map)).map(Limits)
    }

    fn visit_unit<E: Error>(self) -> Result<Limits, E> {
        Ok(Limits::default())
    }
}

impl JsonSchema for Limits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<LimitTable>();
        json_schema!({ "anyOf": [table, { "type": "string" }] })
    }
}

/// The agent that the gateway stands in front of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// The least severe level that is written to the log. It is `logging.level`.
    pub log_level: Option<AgentLogLevel>,
    /// What protects it.
    pub security: AgentSecurity,
    /// Where its secrets are.
    pub secrets: AgentSecrets,
    /// What it shows of itself.
    pub observability: AgentObservability,
}

/// Where the agent's secrets are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSecrets {
    /// The vault of Azure in which references such as `secret://azure/NAME` are looked up:
    /// `https://VAULT.vault.azure.net/`. It is `secret_managers.azure.vault`.
    pub keyvault_url: Option<BaseUrl>,
}

/// What protects the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSecurity {
    /// Limits in the agent's own words. They apply beside `rate_limits`.
    pub rate_limit: AgentRateLimit,
    /// What is checked in requests. It holds beside `input_validation`.
    pub validation: AgentValidation,
    /// What is checked in answers. It holds beside `output_handling`.
    pub output: OutputHandling,
}

/// Limits in the agent's own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentRateLimit {
    /// Whether these limits apply.
    pub enabled: bool,
    /// Requests in a minute.
    pub requests_per_minute: Option<Count>,
    /// Requests in an hour.
    pub requests_per_hour: Option<Count>,
    /// Tokens in a minute, in and out.
    pub tokens_per_minute: Option<Count>,
    /// Tokens in an hour.
    pub tokens_per_hour: Option<Count>,
    /// Requests at the same time.
    pub max_concurrent_requests: Option<Count>,
    /// Whether each user has these limits, or all callers together.
    pub per_user: bool,
    /// Whether callers that need no key (`auth.enabled = false`) are refused under these limits,
    /// because nobody can tell them apart.
    pub require_user_id: bool,
    /// Whether callers that need no key are told apart by the session that they name.
    pub fallback_to_session: bool,
    /// How many times the requests of a minute may come at once.
    pub burst_multiplier: Option<Factor>,
    /// The Redis server that counts these limits, and with them all others, for several replicas:
    /// `shared_state` in the agent's own words.
    pub redis: Option<AgentRedis>,
}

/// `shared_state` in the agent's own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentRedis {
    /// The server, as `shared_state.url`. It is that one if left out.
    pub url: Option<SharedStateUrl>,
    /// Its password, as `shared_state.password`.
    pub password: Option<SecretRef>,
    /// The number of the database, where the URL names none.
    pub db: Option<u16>,
    /// What names there begin with, such as `ratelimit:`. It is `shared_state.deployment`.
    pub prefix: Option<String>,
}

impl Default for AgentRateLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            requests_per_minute: None,
            requests_per_hour: None,
            tokens_per_minute: None,
            tokens_per_hour: None,
            max_concurrent_requests: None,
            per_user: true,
            require_user_id: false,
            fallback_to_session: true,
            burst_multiplier: None,
            redis: None,
        }
    }
}
