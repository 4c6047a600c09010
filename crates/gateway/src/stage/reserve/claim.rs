//! Taking what a call needs of limits and budgets: as little as is certain to be enough.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use seaworthy_core::budget;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{Claim, Close, Outcome, Reason};
use seaworthy_core::dialect::Family;
use seaworthy_core::ledger::attempts;
use seaworthy_core::limit::headers::{Header, Value};
use seaworthy_core::limit::policy::{Bound, Demand};
use seaworthy_core::limit::{self, headers as limit_headers};
use seaworthy_core::money::Micros;
use seaworthy_core::resilience::chance;
use seaworthy_core::trace::RequestId;
use tokio::time::Instant;

use super::refused::{cannot_record, never_fits, refused};
use super::size::Size;
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::headers::name;
use crate::limits::{Charge, demand};
use crate::open_call::Claimed;
use crate::refusal::Refusal;
use crate::resilience::gate::Permit;

/// How long a call waits for money that calls in flight hold and may give back.
const HELD_TIMEOUT: Duration = Duration::from_secs(10);
/// How soon it looks whether they have; each time that they have not, after twice as long.
const HELD_POLL: Duration = Duration::from_millis(10);
/// How long it does not look, at most. Many that wait must not keep the counters from those that
/// give back.
const MAX_HELD_POLL: Duration = Duration::from_millis(160);
/// A claim whose owner is gone counts as abandoned after this time.
pub(crate) const CLAIM_LIFETIME: Duration = Duration::from_secs(900);
/// The least output that an answer is shortened to.
const LEAST_OUTPUT: u64 = 16;
/// An answer that its caller has bounded is shortened to no less than this part of the bound.
const LEAST_SHARE: u64 = 4;

/// What a call asks for.
pub(super) struct Wanted<'a> {
    pub(super) bound: &'a Arc<Bound>,
    pub(super) charge: &'a Charge,
    /// The bound of the output that the caller has set.
    pub(super) asked: Option<u64>,
    /// The output if nothing is shortened.
    pub(super) whole_output: u64,
    pub(super) may_shorten: bool,
}

impl Wanted<'_> {
    /// The least output that will do.
    fn least_output(&self, size: &Size) -> u64 {
        if !self.may_shorten || size.divides_output() {
            return self.whole_output;
        }
        let least = self.asked.map_or(LEAST_OUTPUT, |asked| {
            (asked / LEAST_SHARE).max(LEAST_OUTPUT)
        });
        least.min(self.whole_output)
    }
}

/// Takes what the call needs of every limit and budget that applies, or nothing. Where it does not
/// fit it is counted, then shortened as far as its caller may expect.
pub(super) async fn claim(
    exchange: &mut Exchange,
    wanted: &Wanted<'_>,
    id: &mut Arc<str>,
    size: &mut Size,
    mut place: Option<&mut Option<Permit>>,
) -> Result<Option<Claimed>, Refusal> {
    let is_first = exchange.attempts <= 1;
    size.relearn(&exchange.gateway.known_inputs);
    if let Some(spare) = exchange.spare_claim.take() {
        let will_do = spare.is_held() && spare.covers(&needed(wanted, size));
        if exchange.attempts <= attempts::LAST && will_do {
            return Ok(Some(spare));
        }
        spare.close(exchange.gateway.clock.now(), Close::Unused);
    }
    let gives_up_at = Instant::now() + HELD_TIMEOUT;
    // Nobody waits for the answer after that.
    let gives_up_at = exchange
        .deadline
        .map_or(gives_up_at, |deadline| deadline.min(gives_up_at));
    let mut held_poll = HELD_POLL;
    loop {
        size.relearn(&exchange.gateway.known_inputs);
        let now = exchange.gateway.clock.now();
        let needed = needed(wanted, size);
        let expires_at = now.plus(CLAIM_LIFETIME);
        let mut claim = wanted.bound.claim(Arc::clone(id), now, expires_at, needed);
        if !is_first {
            // The request passed its rate limits before its first attempt.
            claim.rates.clear();
        }
        if claim.is_empty() {
            return Ok(None);
        }
        let windows: Vec<_> = claim.budgets.iter().map(|budget| budget.window).collect();
        let counters = Arc::clone(&exchange.gateway.counters);
        let outcome = take(&exchange.gateway, claim).await?;
        let (refusal, standings) = match outcome {
            Outcome::Taken(standings) => {
                if is_first {
                    show(exchange, wanted.bound, &standings, now);
                }
                return Ok(Some(Claimed {
                    id: Arc::clone(id),
                    counters,
                    bound: Arc::clone(wanted.bound),
                    clock: Arc::clone(&exchange.gateway.clock),
                    is_closed: false,
                    needed,
                    fullest: Arc::clone(exchange.gateway.metrics.fullest_budgets()),
                }));
            }
            Outcome::Refused(refusal, standings) => (refusal, standings),
        };
        // What was asked is answered under its name, however late a part of it arrives.
        *id = Arc::from(RequestId::generate().as_str());
        if size.is_rough() && may_fit_counted(wanted, size, refusal.reason) {
            size.count().await;
            continue;
        }
        if let Some(output) = shortened(wanted, size, refusal.reason) {
            size.output = output;
            continue;
        }
        if is_held(refusal.reason)
            && let Some(place) = place.as_deref_mut()
        {
            // What one caller waits for is nothing that its target or other callers have to do with.
            drop(place.take());
            if wait_for_others(&mut held_poll, gives_up_at).await {
                size.output = wanted.whole_output;
                continue;
            }
        }
        show(exchange, wanted.bound, &standings, now);
        let claimed = (&needed, &*windows);
        return Err(refused(exchange, wanted.bound, refusal, claimed, now));
    }
}

/// Waits a while for calls in flight, which usually use less than they reserve. Whether to look again.
async fn wait_for_others(poll: &mut Duration, until: Instant) -> bool {
    let pause = poll.mul_f64(0.5 + chance());
    *poll = MAX_HELD_POLL.min(*poll * 2);
    tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
    Instant::now() < until
}

fn is_held(reason: Reason) -> bool {
    let held = budget::Refusal::Held;
    matches!(reason, Reason::Budget { refusal, .. } if refusal == held)
}

/// Whether it is worth while to count: a used-up budget must not make every refusal dear.
fn may_fit_counted(wanted: &Wanted<'_>, size: &Size, reason: Reason) -> bool {
    match reason {
        Reason::Slot(_) => false,
        Reason::Rate(index) => {
            let rule = wanted.bound.rates().nth(index);
            rule.is_some_and(|(rule, _)| rule.unit == limit::Unit::Tokens)
        }
        Reason::Budget {
            index, remaining, ..
        } => {
            let mut smallest = size.at_least();
            smallest.output = smallest.output.min(wanted.least_output(size));
            in_unit(wanted, index, &smallest) <= remaining
        }
    }
}

/// A smaller output with which it may fit, if its caller can do with that.
fn shortened(wanted: &Wanted<'_>, size: &Size, reason: Reason) -> Option<u64> {
    let least_output = wanted.least_output(size);
    if size.output <= least_output {
        return None;
    }
    let affordable = match reason {
        Reason::Budget {
            index,
            refusal: budget::Refusal::Exhausted | budget::Refusal::NeverFits,
            remaining,
        } => size.affordable(remaining, |size| in_unit(wanted, index, size)),
        // Of a limit that it can wait for, it waits.
        Reason::Rate(index) => {
            let most = never_fits(wanted.bound, index, &needed(wanted, size))?;
            size.affordable(most, |size| needed(wanted, size).rate_tokens)
        }
        Reason::Budget { .. } | Reason::Slot(_) => return None,
    };
    // With the least output it shows whether calls in flight hold what would do.
    Some(affordable.min(size.output - 1).max(least_output))
}

/// What a call of this size takes. One that costs nothing still takes the least that there is, so
/// that no way leads past a budget that is used up.
fn needed(wanted: &Wanted<'_>, size: &Size) -> Demand {
    let mut needed = demand(&size.usage(), size.cost(wanted.charge));
    needed.amount.tokens = needed.amount.tokens.max(1);
    needed.amount.cost = needed.amount.cost.max(Micros(1));
    needed
}

/// What a call of this size takes of a budget.
fn in_unit(wanted: &Wanted<'_>, index: usize, size: &Size) -> u64 {
    let needed = needed(wanted, size);
    let rule = wanted.bound.budgets().nth(index);
    rule.map_or(0, |(rule, _)| needed.amount.in_unit(rule.unit))
}

/// Takes all of a claim, or nothing of it.
pub(crate) async fn take(gateway: &Gateway, claim: Claim) -> Result<Outcome, Refusal> {
    if let Some(local) = gateway.counters.local() {
        return Ok(local.take_now(claim));
    }
    let taken = gateway.counters.take(claim).await;
    taken.map_err(|error| cannot_record("the shared counters do not answer").because(&error))
}

/// Three for requests, three for tokens, and the two of the IETF.
const MOST_HEADERS: usize = 8;

/// Tells the caller how it stands, in the words of its dialect and of the IETF draft.
pub(crate) fn show(
    exchange: &mut Exchange,
    bound: &Bound,
    standings: &[limit::Standing],
    now: UnixMillis,
) {
    let shown = bound.shown(standings);
    if shown.is_empty() {
        return;
    }
    let mut headers = match exchange.family {
        Family::OpenAi => limit_headers::openai(&shown),
        Family::Anthropic => limit_headers::anthropic(&shown, now),
        // These have no words of their own for it.
        Family::Gemini | Family::Cohere | Family::Bedrock => Vec::new(),
    };
    headers.extend(limit_headers::standing(&shown).map(|text| Header {
        name: limit_headers::STANDING,
        value: Value::Text(text),
    }));
    let standing = headers.into_iter().filter_map(|header| {
        let value = match header.value {
            Value::Number(number) => HeaderValue::from(number),
            Value::Text(text) => HeaderValue::try_from(text).ok()?,
        };
        Some((name::of_limit(header.name)?, value))
    });
    let policy = bound.told().and_then(|told| {
        let value = HeaderValue::from_str(told).ok()?;
        Some((name::RATE_LIMIT_POLICY.clone(), value))
    });
    exchange.limit_headers.clear();
    exchange.limit_headers.reserve_exact(MOST_HEADERS);
    exchange.limit_headers.extend(standing.chain(policy));
}
