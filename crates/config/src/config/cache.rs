//! Remembered answers, and requests that are carried out once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{ByteSize, Duration};

/// Remembered answers. A request that asks for the same as an earlier one gets its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether answers of chats and embeddings are remembered.
    pub enabled: bool,
    /// Who shares answers: callers with the same `key`, `user` or `team` (a caller without a team
    /// shares with the same user only), or with `global` everyone.
    pub scope: CacheScope,
    /// How long an answer is used.
    pub ttl: Duration,
    /// The memory for answers. When it is full, those go that are used least.
    pub max_size: ByteSize,
    /// The largest answer that is remembered.
    pub max_entry_size: ByteSize,
    /// Whether equal requests at the same time share one call to the provider.
    pub coalesce: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: false,
            scope: CacheScope::User,
            ttl: Duration::from_secs(3_600),
            max_size: ByteSize::new(64 << 20),
            max_entry_size: ByteSize::new(1 << 20),
            coalesce: true,
        }
    }
}

/// Who shares remembered answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// Callers with the same key.
    Key,
    /// Callers with the same user.
    User,
    /// Callers with the same team.
    Team,
    /// Everyone.
    Global,
}

/// Requests with an `Idempotency-Key`: the same key gets the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Idempotency {
    /// How long a key and its answer are kept.
    pub ttl: Duration,
    /// How long a duplicate waits for the answer of a request that is being worked on.
    pub wait: Duration,
    /// How long a process may be silent before its requests count as lost. It speaks up three times
    /// as often.
    pub lease: Duration,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(86_400),
            wait: Duration::from_secs(60),
            lease: Duration::from_secs(15),
        }
    }
}
