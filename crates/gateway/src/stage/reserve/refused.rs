//! Why a call cannot be reserved, in words for its caller.

use std::time::Duration;

use seaworthy_core::budget;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::counters::{self, Reason};
use seaworthy_core::dialect::Family;
use seaworthy_core::limit::Unit;
use seaworthy_core::limit::caps::OverCap;
use seaworthy_core::limit::policy::{Bound, Demand};
use seaworthy_core::money::Micros;

use crate::exchange::Exchange;
use crate::refusal::Refusal;

/// How many tokens a limit of tokens lets pass at once, if that is less than a call needs: it would wait for
/// ever.
pub(super) fn never_fits(bound: &Bound, index: usize, needed: &Demand) -> Option<u64> {
    let (rule, _) = bound.rates().nth(index)?;
    let most = rule.quota.burst();
    (rule.unit == Unit::Tokens && needed.rate_tokens > most).then_some(most)
}

/// Why a claim was refused that needs this, in these windows of its budgets.
pub(crate) fn refused(
    exchange: &Exchange,
    bound: &Bound,
    refusal: counters::Refusal,
    (needed, windows): (&Demand, &[budget::Window]),
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
            Some((rule, _)) => match never_fits(bound, index, needed) {
                Some(most) => {
                    exchange.gateway.metrics.count_limit(&rule.name);
                    over_limit(&rule.name, needed.rate_tokens, most)
                }
                None => limited(
                    &rule.name,
                    &format!("{} {}", rule.quota.limit(), rule.unit.as_str()),
                ),
            },
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
            let rule = bound.budgets().nth(index).map(|(rule, _)| rule);
            let name = rule.map_or("budget", |rule| &rule.name);
            exchange.gateway.metrics.count_limit(name);
            let left = match rule.map(|rule| rule.unit) {
                Some(budget::Unit::Micros) => format!("{} US dollars", Micros(remaining)),
                Some(budget::Unit::Tokens) | None => format!("{remaining} tokens"),
            };
            let mut refusal = out_of_budget(name, why, &left, windows.get(index), now);
            if refusal.code == Code::BudgetExceeded {
                say_that_waiting_is_in_vain(exchange.family, &mut refusal);
            }
            refusal
        }
    }
}

/// Official clients stop at once instead of trying again: money does not come back in seconds.
fn out_of_budget(
    name: &str,
    why: budget::Refusal,
    left: &str,
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
                "The budget `{name}` has {left} left, which is less than this call can use. \
                 It is renewed at {}.",
                window.end
            ),
        ),
        (budget::Refusal::Exhausted, None) => Refusal::new(
            Code::BudgetExceeded,
            format!("The budget `{name}` has {left} left, which is less than this call can use."),
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

/// Clients of these send 429 again, whatever its headers say; Cohere's wait for a minute each time.
fn say_that_waiting_is_in_vain(family: Family, refusal: &mut Refusal) {
    match family {
        Family::Bedrock => {
            refusal.status = Some(400);
            refusal.kind = Some("ServiceQuotaExceededException");
        }
        Family::Cohere => refusal.status = Some(402),
        Family::OpenAi | Family::Anthropic | Family::Gemini => {}
    }
}

pub(super) fn over_cap(over: OverCap) -> Refusal {
    Refusal::new(
        Code::RequestOverCap,
        format!(
            "The request can use {} where `{}` allows {}. Send less, or ask for less with \
             `max_tokens`.",
            over.needed, over.cap, over.allowed
        ),
    )
}

/// Waiting does not help a call that is larger than a limit ever lets pass.
fn over_limit(name: &str, needed: u64, most: u64) -> Refusal {
    Refusal::new(
        Code::RequestOverCap,
        format!(
            "The request can use {needed} tokens where the limit `{name}` lets {most} pass at once. Send \
             less, or ask for less with `max_tokens`."
        ),
    )
}

/// A target without a price, or one that has none in the tier of service that is asked for.
pub(super) fn unpriced(target: &str, only_in_tier: bool) -> Refusal {
    let (what, place) = match only_in_tier {
        true => (" in the priority tier", "as `priority` under `prices`"),
        false => ("", "under `prices`"),
    };
    Refusal::new(
        Code::PriceUnknown,
        format!(
            "A budget of money applies and the price of `{target}`{what} is not known. The operator \
             has to set it {place}, or choose another `unknown_price` policy."
        ),
    )
}

pub(crate) fn cannot_record(why: &str) -> Refusal {
    let message = format!("The call cannot be accounted for now because {why}. Try again shortly.");
    Refusal::new(Code::StoreUnavailable, message).retry_after(Duration::from_secs(2))
}

pub(super) fn nobody() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "Calls have to be accounted to a user (`agent.security.rate_limit.require_user_id`), and \
         without a key there is none.",
    )
}
