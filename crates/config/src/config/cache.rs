//! Remembered answers, and requests that are carried out once.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_core::budget::watch::Share as CoreShare;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::{ByteSize, Duration, Share};

/// Remembered answers. A request that asks for the same as an earlier one gets its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether answers of chats and embeddings are remembered.
    pub enabled: bool,
    /// Who shares answers: callers with the same `key`, `user` or `team` (a caller without a team
    /// shares with the same user only), or with `global` everyone.
    pub scope: CacheScope,
    /// Where answers are kept: in the `memory` of the process, or in `redis` at `shared_state.url`,
    /// with the memory in front.
    pub store: CacheStore,
    /// How long an answer is used.
    pub ttl: Duration,
    /// The memory for answers. When it is full, those go that are used least.
    pub max_size: ByteSize,
    /// The largest answer that is remembered.
    pub max_entry_size: ByteSize,
    /// Whether equal requests at the same time share one call to the provider.
    pub coalesce: bool,
    /// A file with answers to remember from the start, one JSON object a line.
    pub warm_up: Option<PathBuf>,
    /// Answers to the same in other words. Off unless a model is named.
    pub semantic: SemanticCache,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: false,
            scope: CacheScope::User,
            store: CacheStore::Memory,
            ttl: Duration::from_secs(3_600),
            max_size: ByteSize::new(64 << 20),
            max_entry_size: ByteSize::new(1 << 20),
            coalesce: true,
            warm_up: None,
            semantic: SemanticCache::default(),
        }
    }
}

/// Answers to the same in other words, as an embeddings model judges it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SemanticCache {
    /// The configured model that makes the embeddings. Its calls are the caller's.
    pub model: Option<String>,
    /// How alike two conversations have to be: the least cosine of their embeddings.
    pub threshold: Share,
    /// The most answers that are compared.
    pub max_entries: NonZeroUsize,
}

impl Default for SemanticCache {
    fn default() -> Self {
        Self {
            model: None,
            threshold: CoreShare::NINETY_FIVE_PERCENT.into(),
            max_entries: count(10_000),
        }
    }
}

/// Where remembered answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheStore {
    /// In the memory of the process.
    Memory,
    /// In Redis, where replicas share them.
    Redis,
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
