//! What the ledger keeps of each exchange: who called what, how it ended and what it used.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::money::Micros;
use crate::price::Extras;
use crate::usage::Usage;

pub mod attempts;
mod group;
pub mod report;

pub use group::{Coordinates, GroupBy, Only};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The caller got the whole answer.
    Success,
    /// The caller got an error, or a stream that ended with one.
    Failure,
    /// The caller left before the answer was complete.
    Cancelled,
    /// The gateway was killed before the call ended; the usage is the worst case.
    Interrupted,
}

impl Outcome {
    /// The name in logs, metrics and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

impl std::str::FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Success,
            Self::Failure,
            Self::Cancelled,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
        .ok_or_else(|| format!("expected an outcome, found {text:?}"))
    }
}

/// Whom a call is accounted to beside its key and user, as far as the request says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Attribution {
    /// The team that the caller belongs to.
    pub team: Option<Arc<str>>,
    /// The agent that calls.
    pub agent: Option<Arc<str>>,
    /// The session of the agent.
    pub session: Option<Arc<str>>,
}

/// What is remarkable about what a call was charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// The model has no price: the cost is a flat amount or nothing.
    pub unpriced: bool,
    /// More was used than was reserved.
    pub over_reserved: bool,
}

/// A model call that is about to leave. It is recorded before it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The gateway's own ID of the call.
    pub call_id: String,
    /// The request ID that the caller sees.
    pub request_id: String,
    /// When it was recorded.
    pub opened_at: UnixMillis,
    /// The key that was used.
    pub key_id: Arc<str>,
    /// The user it is accounted to.
    pub user_id: Arc<str>,
    /// Who else it is accounted to.
    pub attribution: Attribution,
    /// Which sending of the request it is; the first is 1.
    pub attempt: u32,
    /// The class of work, for example `chat`.
    pub operation: Cow<'static, str>,
    /// The model that the caller asked for.
    pub model: Arc<str>,
    /// The target that is to answer, `provider/model`.
    pub target: Arc<str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The most that the call can use. It is what counts when the gateway is killed before the call
    /// ends.
    pub worst_case: Usage,
    /// What that would cost.
    pub worst_case_cost: Micros,
}

/// How a recorded call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub settled_at: UnixMillis,
    /// From the first byte of the request to the end of the answer.
    pub duration_ms: u64,
    /// How.
    pub outcome: Outcome,
    /// The HTTP status that the caller saw.
    pub status: u16,
    /// What was used.
    pub usage: Usage,
    /// What was used that is not tokens.
    pub extras: Extras,
    /// What it cost.
    pub cost: Micros,
    /// What is remarkable about that.
    pub flags: Flags,
}

impl Intent {
    /// The settlement of a call that ended.
    #[must_use]
    pub fn settled(self, ending: Ending) -> Settlement {
        let Ending {
            settled_at,
            duration_ms,
            outcome,
            status,
            usage,
            extras,
            cost,
            flags,
        } = ending;
        Settlement {
            call_id: self.call_id,
            request_id: self.request_id,
            settled_at,
            duration_ms,
            key_id: self.key_id,
            user_id: self.user_id,
            attribution: self.attribution,
            attempt: self.attempt,
            operation: self.operation,
            model: self.model,
            target: self.target,
            stream: self.stream,
            outcome,
            status,
            usage,
            extras,
            cost,
            flags,
        }
    }

    /// The settlement of a call whose end nobody saw: it counts in full, flagged as an estimate.
    #[must_use]
    pub fn interrupted(self) -> Settlement {
        let ending = Ending {
            settled_at: self.opened_at,
            duration_ms: 0,
            outcome: Outcome::Interrupted,
            status: 0,
            usage: Usage {
                estimated: true,
                ..self.worst_case
            },
            extras: Extras::default(),
            cost: self.worst_case_cost,
            flags: Flags::default(),
        };
        self.settled(ending)
    }
}

/// One settled model call. There is exactly one for each call that was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The gateway's own ID of the call; settling the same ID twice changes nothing.
    pub call_id: String,
    /// The request ID that the caller saw.
    pub request_id: String,
    /// When it ended.
    pub settled_at: UnixMillis,
    /// From the first byte of the request to the end of the answer.
    pub duration_ms: u64,
    /// The key that was used.
    pub key_id: Arc<str>,
    /// The user it is accounted to.
    pub user_id: Arc<str>,
    /// Who else it is accounted to.
    pub attribution: Attribution,
    /// Which sending of the request it is; the first is 1.
    pub attempt: u32,
    /// The class of work, for example `chat`.
    pub operation: Cow<'static, str>,
    /// The model that the caller asked for.
    pub model: Arc<str>,
    /// The target that answered, `provider/model`.
    pub target: Arc<str>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status that the caller saw.
    pub status: u16,
    /// What was used; never zero because a client left.
    pub usage: Usage,
    /// What was used that is not tokens.
    pub extras: Extras,
    /// What it cost.
    pub cost: Micros,
    /// What is remarkable about that.
    pub flags: Flags,
}

/// The sum of the settlements of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTotal {
    /// The value that the rows have in common, a user for example.
    pub group: String,
    /// Number of calls.
    pub calls: u64,
    /// Number of calls that did not end in success.
    pub unsuccessful_calls: u64,
    /// Number of calls whose usage is our estimate.
    pub estimated_calls: u64,
    /// Number of calls of models without a price.
    pub unpriced_calls: u64,
    /// Number of calls that used more than was reserved for them.
    pub over_reserved_calls: u64,
    /// Input that did not touch the provider's prompt cache.
    pub input_tokens: u64,
    /// Input read from the provider's prompt cache.
    pub cached_read_tokens: u64,
    /// Input written to the provider's prompt cache.
    pub cache_write_tokens: u64,
    /// Output, reasoning included.
    pub output_tokens: u64,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: u64,
    /// Images that were generated.
    pub images: u64,
    /// Calls of tools that have a price.
    pub tool_calls: u64,
    /// What all of it cost.
    pub cost: Micros,
}

impl UsageTotal {
    /// All tokens, in and out.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cached_read_tokens)
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.output_tokens)
    }

    /// Adds one settlement to the sum.
    pub fn add(&mut self, settlement: &Settlement) {
        self.add_call(&Charged::of(settlement));
    }

    /// Adds the sum of other settlements.
    pub fn add_sum(&mut self, other: &Self) {
        let Self {
            group: _,
            calls,
            unsuccessful_calls,
            estimated_calls,
            unpriced_calls,
            over_reserved_calls,
            input_tokens,
            cached_read_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            images,
            tool_calls,
            cost,
        } = *other;
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        add(&mut self.calls, calls);
        add(&mut self.unsuccessful_calls, unsuccessful_calls);
        add(&mut self.estimated_calls, estimated_calls);
        add(&mut self.unpriced_calls, unpriced_calls);
        add(&mut self.over_reserved_calls, over_reserved_calls);
        add(&mut self.input_tokens, input_tokens);
        add(&mut self.cached_read_tokens, cached_read_tokens);
        add(&mut self.cache_write_tokens, cache_write_tokens);
        add(&mut self.output_tokens, output_tokens);
        add(&mut self.reasoning_tokens, reasoning_tokens);
        add(&mut self.images, images);
        add(&mut self.tool_calls, tool_calls);
        self.cost = self.cost.plus(cost);
    }

    /// Adds what a settlement says of one call. Sums saturate: a provider that reports an absurd
    /// count must not take the report down.
    pub fn add_call(&mut self, call: &Charged) {
        let Charged {
            outcome,
            usage,
            extras,
            cost,
            flags,
        } = *call;
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        add(&mut self.calls, 1);
        add(
            &mut self.unsuccessful_calls,
            u64::from(outcome != Outcome::Success),
        );
        add(&mut self.estimated_calls, u64::from(usage.estimated));
        add(&mut self.unpriced_calls, u64::from(flags.unpriced));
        add(
            &mut self.over_reserved_calls,
            u64::from(flags.over_reserved),
        );
        add(&mut self.images, extras.images);
        add(&mut self.tool_calls, extras.tool_calls);
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.cached_read_tokens, usage.cached_read_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_5m_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_1h_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        add(&mut self.reasoning_tokens, usage.reasoning_tokens);
        self.cost = self.cost.plus(cost);
    }
}

/// The part of a settlement that is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// How the call ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What it used that is not tokens.
    pub extras: Extras,
    /// What it cost.
    pub cost: Micros,
    /// What is remarkable about that.
    pub flags: Flags,
}

impl Charged {
    /// What a settlement charges.
    #[must_use]
    pub fn of(settlement: &Settlement) -> Self {
        Self {
            outcome: settlement.outcome,
            usage: settlement.usage,
            extras: settlement.extras,
            cost: settlement.cost,
            flags: settlement.flags,
        }
    }
}
