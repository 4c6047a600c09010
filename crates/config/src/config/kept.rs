//! What is kept for callers: stored responses, files, batches.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::{ByteSize, Duration};

/// Answers of the Responses API that callers can fetch and continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Responses {
    /// Whether conversations are stored: `on`, unless a request says `"store": false`, or `off`,
    /// whatever requests say. What is stored is stored in clear, in `storage`.
    pub store: ResponseStore,
    /// How long a response is kept.
    pub retention: Duration,
    /// The largest conversation that is stored, the earlier turns included.
    pub max_size: ByteSize,
    /// How many responses of a user are kept; the oldest go first.
    pub max_per_user: NonZeroUsize,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            store: ResponseStore::On,
            retention: Duration::from_secs(30 * 86_400),
            max_size: ByteSize::new(4 << 20),
            max_per_user: count(10_000),
        }
    }
}

/// Whether responses are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStore {
    /// Those that callers want to be stored.
    On,
    /// None.
    Off,
}

/// Files that callers send for batches, and the files that batches make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The largest file that can be sent.
    pub max_size: ByteSize,
    /// How many files a user may have.
    pub max_per_user: NonZeroUsize,
    /// How much all files of a user may have together.
    pub max_total_size: ByteSize,
    /// How long a file is kept, unless its sender wants it to go earlier.
    pub retention: Duration,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            max_size: ByteSize::new(64 << 20),
            max_per_user: count(1_000),
            max_total_size: ByteSize::new(1 << 30),
            retention: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Requests that are sent in a file and carried out as there is room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batches {
    /// How many requests of batches a process carries out at the same time.
    pub concurrency: NonZeroUsize,
    /// The most requests in one batch.
    pub max_requests: NonZeroUsize,
    /// How many batches a user may have, those that have ended included while they are kept.
    pub max_per_user: NonZeroUsize,
    /// How long a batch is kept.
    pub retention: Duration,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            concurrency: count(8),
            max_requests: count(50_000),
            max_per_user: count(1_000),
            retention: Duration::from_secs(30 * 86_400),
        }
    }
}
