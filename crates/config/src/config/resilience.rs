//! What happens when providers fail or are slow, and when there is more work than can be done.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::{Count, Duration, Factor, Share};

/// What happens when providers fail or are slow, and when there is more work than can be done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resilience {
    /// How often a call is tried again.
    pub retries: Retries,
    /// When a target that fails is left alone.
    pub circuit_breaker: CircuitBreaker,
    /// How many calls of a target may be under way before their first token.
    pub concurrency: Concurrency,
    /// Calls that wait for a target that has enough to do, or that its provider has told to wait.
    pub queue: Queue,
    /// How much the calls of a caller or an operation matter.
    pub priorities: Priorities,
}

/// How often a call is tried again. Nothing is tried again once the caller was sent a byte of an
/// answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// The most attempts of one request, at all targets together. 1 tries nothing again.
    pub max_attempts: NonZeroUsize,
    /// The longest pause before the same target is asked a second time; it doubles with each further
    /// time. The pause is chosen by chance between nothing and this.
    pub base_delay: Duration,
    /// The longest pause of all. A provider that asks for more is not waited for, except that rate
    /// limits are, within `queue.max_wait`.
    pub max_delay: Duration,
    /// How many of its requests the whole process may send to the same target again. Another target
    /// may always be asked.
    pub budget: Share,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: count(3),
            base_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(8),
            budget: Share::percent(10),
        }
    }
}

/// When a target that fails is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Whether targets that fail are left alone.
    pub enabled: bool,
    /// How far back calls count.
    pub window: Duration,
    /// How many calls have to be in the window before rates count.
    pub min_calls: NonZeroUsize,
    /// The share of failed calls that opens it.
    pub failure_rate: Share,
    /// How many failures in a row open it.
    pub consecutive_failures: NonZeroUsize,
    /// A call whose first token takes longer than this is slow.
    pub slow_call: Duration,
    /// The share of slow calls that opens it.
    pub slow_call_rate: Share,
    /// How long it stays open the first time. Each probe that fails doubles it.
    pub open_for: Duration,
    /// The longest that it stays open.
    pub max_open_for: Duration,
    /// How many probes in a row have to succeed before it closes.
    pub probes: NonZeroUsize,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(10),
            min_calls: count(10),
            failure_rate: Share::percent(50),
            consecutive_failures: count(5),
            slow_call: Duration::from_secs(60),
            slow_call_rate: Share::percent(90),
            open_for: Duration::from_secs(5),
            max_open_for: Duration::from_secs(60),
            probes: count(2),
        }
    }
}

/// How many calls of a target may be under way before their first token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Concurrency {
    /// Whether the limit follows the time to the first token: it shrinks while more calls only make
    /// each of them slower. Without it, `max` is the limit.
    pub adaptive: bool,
    /// The limit that a target begins with.
    pub initial: NonZeroUsize,
    /// The limit never falls below this.
    pub min: NonZeroUsize,
    /// The limit never rises above this.
    pub max: NonZeroUsize,
    /// How much slower than usual first tokens may come before the limit shrinks; while calls
    /// wait, half as much slower.
    pub tolerance: Factor,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            adaptive: true,
            initial: count(200),
            min: count(1),
            max: count(10_000),
            tolerance: Factor::TWO,
        }
    }
}

/// Calls that wait for a target that has enough to do, or that its provider has told to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// How many calls may wait for a target. 0 lets none wait.
    pub max_length: Count,
    /// How long a call may wait in all, unless its caller leaves earlier or says so.
    pub max_wait: Duration,
    /// How long the caller of a stream waits before it is told so: by the head of the answer and a
    /// comment, or an event that says nothing, where its dialect has room for one. As long as
    /// `max_wait`, nobody is told.
    pub tell_after: Duration,
    /// How often it is told again.
    pub tell_every: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            max_length: Count::from(2_000),
            max_wait: Duration::from_secs(30),
            tell_after: Duration::from_secs(2),
            tell_every: Duration::from_secs(5),
        }
    }
}

/// How much a call matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Work that can wait.
    Low,
    /// Anything else.
    #[default]
    Normal,
    /// A person waits for it.
    High,
    /// It must go through.
    Critical,
}

/// How much the calls of a caller or an operation matter. Of several that apply, the first of
/// `keys`, `users`, `roles` and `operations` counts. A caller can lower it with the header
/// `x-seaworthy-priority`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Priorities {
    /// By the ID of the key.
    pub keys: BTreeMap<String, Priority>,
    /// By user.
    pub users: BTreeMap<String, Priority>,
    /// By role.
    pub roles: BTreeMap<String, Priority>,
    /// By operation, such as `chat` or `embeddings`.
    pub operations: BTreeMap<String, Priority>,
    /// For everything else.
    pub default: Priority,
    /// Whether callers may raise their own calls with the header, too.
    pub may_raise: bool,
}

/// How the first target of a model is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingStrategy {
    /// In the order of `targets`.
    #[default]
    Ordered,
    /// By chance, in proportion to their weights.
    Weighted,
    /// Whose first token has come fastest of late.
    LeastLatency,
    /// Where the call costs least at most.
    LeastCost,
}

/// What is different for one target of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetOptions {
    /// Its share of the calls under `strategy = "weighted"`. Without it, 1; with 0 it is asked last.
    pub weight: Option<u32>,
    /// Time limits that go before those of its provider.
    pub timeouts: TargetTimeouts,
}

/// Time limits that go before those of the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetTimeouts {
    /// Until the connection is open, TLS included.
    pub connect: Option<Duration>,
    /// From the request until the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// From the request until the first token of a stream.
    pub first_token: Option<Duration>,
    /// Between two parts of an answer.
    pub between_chunks: Option<Duration>,
    /// For the request as a whole.
    pub total: Option<Duration>,
}
