//! Can it be paid and accounted for? Nothing leaves before its worst case is reserved against every
//! limit and budget that applies, and its intent is recorded.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_config::OnLoss;
use seaworthy_core::budget;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::counters::{self, Close, Outcome, Reason};
use seaworthy_core::dialect::Family;
use seaworthy_core::ledger::Intent;
use seaworthy_core::limit::headers as limit_headers;
use seaworthy_core::limit::policy::Bound;
use seaworthy_core::principal::Principal;
use seaworthy_core::trace::RequestId;
use seaworthy_core::usage::Usage;
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::intent_sharer::SharedIntent;
use crate::limits::demand;
use crate::open_call::{Claimed, OpenCall, Recorded};
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::plan::Candidate;
use crate::stage::screen::Screened;

/// Proof that the call is accounted for. Only this stage makes one, and
/// [`crate::provider::Remote::send`] asks for it.
#[derive(Debug)]
pub(crate) struct Reservation(());

/// Most output that is assumed of a call that neither its caller nor a cap bounds.
pub(crate) const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 4096;
/// How long a call waits for money that calls in flight hold and may give back.
const HELD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether they have.
const HELD_POLL: Duration = Duration::from_millis(20);

/// Reserves the worst case of the planned call and records its intent.
pub(crate) async fn reserve(
    exchange: &mut Exchange,
    caller: &Principal,
    plan: &Candidate,
    request: &mut Screened,
) -> Result<Reservation, Refusal> {
    let operation = request.operation.as_str();
    let limits = Arc::clone(&exchange.snapshot.limits);
    let bound = limits.bind(exchange, caller, &plan.model.name, operation);
    let Some(charge) = limits.charge(plan.target.price.as_ref(), &bound) else {
        return Err(unpriced(&plan.target.id));
    };
    let caps = limits.policy.caps(Some(operation));
    let allowed = caps.output_allowance(estimated_input(request));
    let is_limited = allowed.is_some() || bound.budgets().next().is_some();
    if is_limited && request.head.max_output_tokens.is_none() {
        request.bound_output(allowed.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS))?;
    }
    let worst_case = worst_case(request);
    let worst_case_cost = charge.worst_case(&worst_case);
    caps.check(
        worst_case.total_input(),
        worst_case.output_tokens,
        worst_case_cost,
    )
    .map_err(over_cap)?;
    let Some(slot) = exchange.gateway.ledger.reserve() else {
        return Err(cannot_record("too many settlements wait to be written"));
    };
    let intent = Intent {
        call_id: RequestId::generate().as_str().to_owned(),
        request_id: exchange.request_id.as_str().to_owned(),
        opened_at: exchange.gateway.clock.now(),
        key_id: Arc::clone(&caller.key_id),
        user_id: Arc::clone(&caller.user_id),
        attribution: exchange.attribution(caller),
        attempt: exchange.attempts,
        operation: Cow::Borrowed(operation),
        model: Arc::clone(&plan.model.name),
        target: Arc::clone(&plan.target.id),
        stream: exchange.stream,
        worst_case,
        worst_case_cost,
    };
    let claimed = claim(exchange, &bound, &intent).await?;
    let shared = share(exchange, &intent).await?;
    let recorded = exchange.gateway.journal.record(exchange.worker, &intent);
    let entry =
        recorded.map_err(|error| cannot_record("the journal cannot be written").because(&error))?;
    exchange.call = Some(OpenCall::new(
        Arc::clone(&plan.target),
        request.operation,
        charge,
        (request.head.input_bytes, exchange.started),
        Recorded {
            intent,
            slot,
            entry,
            claimed,
            shared,
        },
    ));
    Ok(Reservation(()))
}

/// Lets the other replicas know of the call, where they share the store.
async fn share(exchange: &Exchange, intent: &Intent) -> Result<Option<SharedIntent>, Refusal> {
    if exchange.gateway.stores.shared_journal.is_none() {
        return Ok(None);
    }
    let (shared, is_certain) = exchange.gateway.intents.share(intent).await;
    let on_loss = exchange.snapshot.loaded.config.storage.on_loss;
    if !is_certain && on_loss == OnLoss::Reject {
        return Err(cannot_record("the shared store does not answer"));
    }
    Ok(Some(shared))
}

/// What the call uses at most: no tokenizer makes more tokens of a text than it has bytes.
fn worst_case(request: &Screened) -> Usage {
    let most_output = request
        .head
        .max_output_tokens
        .unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS);
    let output_tokens = match request.operation {
        Operation::Chat(_) => most_output.saturating_mul(request.head.choices),
        Operation::Embeddings => 0,
        _ => return Usage::default(),
    };
    Usage {
        input_tokens: estimated_input(request),
        output_tokens,
        ..Usage::default()
    }
}

fn estimated_input(request: &Screened) -> u64 {
    request.head.input_bytes as u64
}

/// Takes what the call needs of every limit and budget that applies, or nothing.
async fn claim(
    exchange: &mut Exchange,
    bound: &Bound,
    intent: &Intent,
) -> Result<Option<Claimed>, Refusal> {
    let needed = demand(&intent.worst_case, intent.worst_case_cost);
    let is_first = exchange.attempts <= 1;
    if let Some(spare) = exchange.spare_claim.take() {
        if spare.covers(&needed) {
            return Ok(Some(spare));
        }
        spare.close(exchange.gateway.clock.now(), Close::Unused);
    }
    let id: Arc<str> = Arc::from(intent.call_id.as_str());
    let gives_up_at = Instant::now() + HELD_TIMEOUT;
    loop {
        let now = exchange.gateway.clock.now();
        let mut claim = bound.claim(Arc::clone(&id), now, now.plus(CLAIM_LIFETIME), needed);
        if !is_first {
            // The request passed its rate limits before its first attempt.
            claim.rates.clear();
        }
        if claim.is_empty() {
            return Ok(None);
        }
        let windows: Vec<_> = claim.budgets.iter().map(|budget| budget.window).collect();
        let counters = &exchange.gateway.counters;
        let outcome = match counters.local() {
            Some(local) => local.take_now(claim),
            None => counters.take(claim).await.map_err(|error| {
                cannot_record("the shared counters do not answer").because(&error)
            })?,
        };
        match outcome {
            Outcome::Taken(standings) => {
                if is_first {
                    show(exchange, bound, &standings, now);
                }
                let counters = Arc::clone(&exchange.gateway.counters);
                let policy = Arc::clone(&exchange.snapshot.limits.policy);
                return Ok(Some(Claimed {
                    id,
                    counters,
                    policy,
                    clock: Arc::clone(&exchange.gateway.clock),
                    is_closed: false,
                    needed,
                }));
            }
            Outcome::Refused(refusal, standings) => {
                let is_held = matches!(
                    refusal.reason,
                    Reason::Budget {
                        refusal: budget::Refusal::Held,
                        ..
                    }
                );
                if is_held && Instant::now() < gives_up_at {
                    // Calls in flight usually use less than they reserve.
                    tokio::time::sleep(HELD_POLL).await;
                    continue;
                }
                show(exchange, bound, &standings, now);
                return Err(refused(exchange, bound, refusal, &windows, now));
            }
        }
    }
}

/// A claim whose owner is gone counts as abandoned after this time.
pub(crate) const CLAIM_LIFETIME: Duration = Duration::from_secs(900);

/// Tells the caller how it stands, in the words of its dialect and of the IETF draft.
pub(crate) fn show(
    exchange: &mut Exchange,
    bound: &Bound,
    standings: &[seaworthy_core::limit::Standing],
    now: UnixMillis,
) {
    let shown = bound.shown(standings);
    if shown.is_empty() {
        return;
    }
    let mut headers = match exchange.family {
        Family::Anthropic => limit_headers::anthropic(&shown, now),
        _ => limit_headers::openai(&shown),
    };
    headers.extend(limit_headers::policy(&shown).map(|value| ("ratelimit-policy", value)));
    headers.extend(limit_headers::standing(&shown).map(|value| ("ratelimit", value)));
    exchange.limit_headers = headers
        .into_iter()
        .filter_map(|(name, value)| {
            Some((http::HeaderName::from_static(name), value.parse().ok()?))
        })
        .collect();
}

pub(crate) fn refused(
    exchange: &Exchange,
    bound: &Bound,
    refusal: counters::Refusal,
    windows: &[budget::Window],
    now: UnixMillis,
) -> Refusal {
    let wait = refusal.retry_after_ms.map(Duration::from_millis);
    let limited = |name: &str, what: &str| {
        exchange.gateway.metrics.count_limit(name);
        let seconds = wait.map_or(1, |wait| wait.as_millis().div_ceil(1000));
        Refusal::new(
            Code::RateLimited,
            format!("The limit `{name}` of {what} is reached. Try again in {seconds} s."),
        )
        .retry_after(wait.unwrap_or(Duration::from_secs(1)))
    };
    match refusal.reason {
        Reason::Rate(index) => match bound.rates().nth(index) {
            Some((rule, _)) => limited(
                &rule.name,
                &format!("{} {}", rule.quota.limit(), rule.unit.as_str()),
            ),
            None => limited("rate", "requests"),
        },
        Reason::Slot(index) => match bound.slots().nth(index) {
            Some((rule, _)) => limited(&rule.name, &format!("{} concurrent requests", rule.max)),
            None => limited("concurrency", "requests"),
        },
        Reason::Budget {
            index,
            refusal: why,
            remaining,
        } => {
            let name = bound
                .budgets()
                .nth(index)
                .map_or("budget", |(rule, _)| &rule.name);
            exchange.gateway.metrics.count_limit(name);
            out_of_budget(name, why, remaining, windows.get(index), now)
        }
    }
}

/// Official clients stop at once instead of trying again: money does not come back in seconds.
fn out_of_budget(
    name: &str,
    why: budget::Refusal,
    remaining: u64,
    window: Option<&budget::Window>,
    now: UnixMillis,
) -> Refusal {
    let reset = window.filter(|window| window.end.0 < i64::MAX);
    let mut refusal = match (why, reset) {
        (budget::Refusal::Held, _) => {
            let message = format!(
                "Calls in flight hold what is left of the budget `{name}`. Try again shortly."
            );
            return Refusal::new(Code::RateLimited, message).retry_after(Duration::from_secs(1));
        }
        (budget::Refusal::NeverFits, _) => Refusal::new(
            Code::BudgetExceeded,
            format!(
                "This call could use more than the whole budget `{name}`. Ask for less with \
                 `max_tokens`."
            ),
        ),
        (budget::Refusal::Exhausted, Some(window)) => Refusal::new(
            Code::BudgetExceeded,
            format!(
                "The budget `{name}` has {remaining} left, which is less than this call can use. \
                 It is renewed at {}.",
                window.end
            ),
        ),
        (budget::Refusal::Exhausted, None) => Refusal::new(
            Code::BudgetExceeded,
            format!(
                "The budget `{name}` has {remaining} left, which is less than this call can use."
            ),
        ),
    };
    refusal.kind = Some("insufficient_quota");
    refusal
        .headers
        .insert("x-should-retry", http::HeaderValue::from_static("false"));
    if let (budget::Refusal::Exhausted, Some(window)) = (why, reset) {
        if let Ok(value) = window.end.to_string().parse() {
            refusal.headers.insert("x-seaworthy-budget-reset", value);
        }
        return refusal.retry_after(window.end.since(now));
    }
    refusal
}

fn over_cap(over: seaworthy_core::limit::caps::OverCap) -> Refusal {
    Refusal::new(
        Code::RequestOverCap,
        format!(
            "The request can use {} where `{}` allows {}. Send less, or ask for less with \
             `max_tokens`.",
            over.needed, over.cap, over.allowed
        ),
    )
}

fn unpriced(target: &str) -> Refusal {
    Refusal::new(
        Code::PriceUnknown,
        format!(
            "A budget of money applies and the price of `{target}` is not known. The operator has \
             to set it under `prices`, or choose another `unknown_price` policy."
        ),
    )
}

pub(crate) fn cannot_record(why: &str) -> Refusal {
    let message = format!("The call cannot be accounted for now because {why}. Try again shortly.");
    Refusal::new(Code::StoreUnavailable, message).retry_after(Duration::from_secs(2))
}
