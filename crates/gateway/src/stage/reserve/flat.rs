//! Reserves work that costs the same each time, whatever comes of it.

use std::borrow::Cow;
use std::sync::Arc;

use seaworthy_core::counters::Outcome;
use seaworthy_core::ledger::Intent;
use seaworthy_core::limit::policy::Bound;
use seaworthy_core::money::Micros;
use seaworthy_core::price::Price;
use seaworthy_core::principal::{ANONYMOUS, Principal};
use seaworthy_core::trace::RequestId;
use seaworthy_core::usage::Usage;

use super::claim::{CLAIM_LIFETIME, show, take};
use super::refused::{cannot_record, nobody, refused};
use super::{recorded, share};
use crate::exchange::Exchange;
use crate::limits::{Charge, demand};
use crate::open_call::{Claimed, OpenCall, Recorded};
use crate::pieces::PiecePrices;
use crate::refusal::Refusal;
use crate::snapshot::Target;

/// Work that costs the same each time.
pub(crate) struct Flat<'a> {
    /// Its class in limits, budgets and the ledger.
    pub(crate) operation: &'static str,
    /// What stands for the model in them.
    pub(crate) model: &'a Arc<str>,
    pub(crate) target: &'a Arc<Target>,
    pub(crate) price: Micros,
}

/// Claims the price of the work and a place under the limits, and records the intent.
pub(crate) async fn reserve_flat(
    exchange: &mut Exchange,
    caller: &Principal,
    work: &Flat<'_>,
) -> Result<(), Refusal> {
    let limits = Arc::clone(&exchange.snapshot.limits);
    if limits.requires_user && *caller.user_id == *ANONYMOUS {
        return Err(nobody());
    }
    let Some(slot) = exchange.gateway.ledger.reserve() else {
        return Err(cannot_record("too many settlements wait to be written"));
    };
    let bound = limits.bind(exchange, caller, work.model, work.operation);
    let id: Arc<str> = Arc::from(RequestId::generate().as_str());
    let claimed = claim(exchange, &bound, &id, work.price).await?;
    let intent = Intent {
        call_id: id.to_string(),
        request_id: exchange.request_id.as_str().to_owned(),
        opened_at: exchange.gateway.clock.now(),
        key_id: Arc::clone(&caller.key_id),
        user_id: Arc::clone(&caller.user_id),
        attribution: exchange.attribution(caller),
        attempt: 1,
        operation: Cow::Borrowed(work.operation),
        model: Arc::clone(work.model),
        target: Arc::clone(&work.target.id),
        stream: false,
        worst_case: Usage::default(),
        worst_case_cost: work.price,
    };
    let shared = share(exchange, &intent).await?;
    let entry = recorded(exchange, &intent)?;
    let price = Price {
        request: work.price,
        ..Price::default()
    };
    let charge = Charge {
        price: Some(price),
        priority: None,
        in_priority: false,
        flat: Micros::ZERO,
        pieces: PiecePrices::default(),
    };
    let written = Recorded {
        intent,
        slot,
        entry,
        claimed,
        shared,
    };
    let target = Arc::clone(work.target);
    let call = OpenCall::new(target, None, charge, (0, exchange.started), written);
    exchange.call = Some(call);
    Ok(())
}

/// Takes the price and a place, or says why not. Work that is free still takes the least that there
/// is, so that no way leads past a budget that is used up.
async fn claim(
    exchange: &mut Exchange,
    bound: &Arc<Bound>,
    id: &Arc<str>,
    price: Micros,
) -> Result<Option<Claimed>, Refusal> {
    let now = exchange.gateway.clock.now();
    let mut needed = demand(&Usage::default(), price.max(Micros(1)));
    needed.amount.tokens = 1;
    let claim = bound.claim(Arc::clone(id), now, now.plus(CLAIM_LIFETIME), needed);
    if claim.is_empty() {
        return Ok(None);
    }
    let windows: Vec<_> = claim.budgets.iter().map(|budget| budget.window).collect();
    let counters = Arc::clone(&exchange.gateway.counters);
    let outcome = take(&exchange.gateway, claim).await?;
    match outcome {
        Outcome::Taken(standings) => {
            show(exchange, bound, &standings, now);
            Ok(Some(Claimed {
                id: Arc::clone(id),
                counters,
                bound: Arc::clone(bound),
                clock: Arc::clone(&exchange.gateway.clock),
                is_closed: false,
                needed,
                fullest: Arc::clone(exchange.gateway.metrics.fullest_budgets()),
            }))
        }
        Outcome::Refused(refusal, standings) => {
            show(exchange, bound, &standings, now);
            let claimed = (&needed, &*windows);
            Err(refused(exchange, bound, refusal, claimed, now))
        }
    }
}
