//! Code that callers may run.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use seaworthy_core::money::Micros;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::{ByteSize, Duration, Usd};

/// Code that callers may run, in a process that can do nothing but compute. Off unless enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Whether `POST /v1/sandbox/execute` runs code.
    pub enabled: bool,
    /// The most time of the processor that a run may take.
    pub max_cpu_time: Duration,
    /// The most time of the clock that a run may take.
    pub max_time: Duration,
    /// The most memory that the code may take, from `1MiB` to `1GiB`.
    pub max_memory: ByteSize,
    /// The most that a run may write and return, `16MiB` at most.
    pub max_output: ByteSize,
    /// How many runs there may be at a time. Further ones are refused.
    pub max_concurrent: NonZeroUsize,
    /// What a run costs, in dollars, against the budgets of its caller.
    pub price_per_run: Usd,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            enabled: false,
            max_cpu_time: Duration::from_secs(2),
            max_time: Duration::from_secs(10),
            max_memory: ByteSize::new(64 << 20),
            max_output: ByteSize::new(256 << 10),
            max_concurrent: count(4),
            price_per_run: Usd::from(Micros::ZERO),
        }
    }
}
