//! What is kept for callers: stored responses.

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
