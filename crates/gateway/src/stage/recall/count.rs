//! A request that is answered without a call of its own still counts as a request.

use std::sync::Arc;

use seaworthy_core::clock::SharedClock;
use seaworthy_core::counters::{Close, Counters, Outcome};
use seaworthy_core::money::Micros;
use seaworthy_core::trace::RequestId;
use seaworthy_core::usage::Usage;

use crate::exchange::Exchange;
use crate::limits::demand;
use crate::pipeline::Errand;
use crate::refusal::Refusal;
use crate::snapshot::Model;
use crate::stage::reserve::{CLAIM_LIFETIME, refused, show, take};

/// A place under the limits of requests. It returns when the exchange ends.
#[derive(Debug)]
pub(crate) struct Counted {
    id: Arc<str>,
    counters: Arc<dyn Counters>,
    clock: SharedClock,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let now = self.clock.now();
        if let Some(local) = self.counters.local() {
            let _settled = local.settle_now(&self.id, now, Close::Unused);
            return;
        }
        let (counters, id) = (Arc::clone(&self.counters), Arc::clone(&self.id));
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        tokio::spawn(async move {
            if let Err(error) = counters.settle(&id, now, Close::Unused).await {
                let cause = seaworthy_core::error::chain(&error);
                tracing::error!(cause, "a claim could not be settled; it expires by itself");
            }
        });
    }
}

/// Counts the request under the limits of requests, once. No budget is touched: nothing is spent.
pub(crate) async fn count(
    exchange: &mut Exchange,
    errand: &Errand,
    model: &Arc<Model>,
) -> Result<(), Refusal> {
    if exchange.counted.is_some() {
        return Ok(());
    }
    let limits = Arc::clone(&exchange.snapshot.limits);
    let operation = errand.request.operation.as_str();
    let bound = limits.bind(exchange, &errand.principal, &model.name, operation);
    let now = exchange.gateway.clock.now();
    let id: Arc<str> = Arc::from(RequestId::generate().as_str());
    let nothing = demand(&Usage::default(), Micros::ZERO);
    let mut claim = bound.claim(Arc::clone(&id), now, now.plus(CLAIM_LIFETIME), nothing);
    claim.budgets.clear();
    if claim.is_empty() {
        return Ok(());
    }
    let counters = Arc::clone(&exchange.gateway.counters);
    let outcome = take(&exchange.gateway, claim).await?;
    match outcome {
        Outcome::Taken(standings) => {
            show(exchange, &bound, &standings, now);
            let clock = Arc::clone(&exchange.gateway.clock);
            exchange.counted = Some(Counted {
                id,
                counters,
                clock,
            });
            Ok(())
        }
        Outcome::Refused(refusal, standings) => {
            show(exchange, &bound, &standings, now);
            Err(refused(exchange, &bound, refusal, (&nothing, &[]), now))
        }
    }
}
