//! Requests that somebody sends a second time.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::Duration;

/// Requests that may not be repeated. At the routes that are named here a request says when it was
/// made, in `x-seaworthy-timestamp`, and bears a nonce of its own, in `x-seaworthy-nonce`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayProtection {
    /// The protected routes, by their paths as in [the table](http.md#routes), such as
    /// `/v1/chat/completions`; a `*` at the end stands for any ending. Routes that everyone may call
    /// are never protected.
    pub routes: Vec<String>,
    /// How old a request may be.
    pub window: Duration,
    /// How far the clock of a caller may be ahead of ours, and those of replicas apart.
    pub clock_skew: Duration,
    /// Whether a nonce is needed. Where it is not, one that is sent may still be used once only.
    pub require_nonce: bool,
    /// How many nonces of a credential are remembered at the same time. Further requests get 429.
    pub max_nonces: NonZeroUsize,
}

impl Default for ReplayProtection {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            window: Duration::from_secs(300),
            clock_skew: Duration::from_secs(30),
            require_nonce: true,
            max_nonces: count(100_000),
        }
    }
}
