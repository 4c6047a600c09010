//! What the agent's own words say of its log and its metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LogLevel;

/// How severe a log line is, in the agent's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AgentLogLevel {
    /// A person must act.
    Error,
    /// Recovered or degraded.
    Warning,
    /// Changes of state, and one line a request.
    Info,
    /// Details for finding faults.
    Debug,
}

impl AgentLogLevel {
    /// The same in the words of `logging`.
    pub(crate) const fn level(self) -> LogLevel {
        match self {
            Self::Error => LogLevel::Error,
            Self::Warning => LogLevel::Warn,
            Self::Info => LogLevel::Info,
            Self::Debug => LogLevel::Debug,
        }
    }
}

/// What the agent shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentObservability {
    /// Whether there are metrics. There always are, at `/metrics`, so this can only be `true`.
    pub metrics_enabled: Option<bool>,
    /// Who fetches them.
    pub metrics_exporter: Option<MetricsExporter>,
}

/// Who fetches metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsExporter {
    /// Prometheus, and all that read its text.
    Prometheus,
}
