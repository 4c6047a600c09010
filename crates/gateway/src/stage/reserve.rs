//! Can it be accounted for? Nothing leaves before its place in the ledger is taken.
//!
//! Budgets belong here: the plan's worst case is reserved against each that applies.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::code::Code;
use seaworthy_core::usage::Usage;

use crate::exchange::Exchange;
use crate::ledger_queue::Slot;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::plan::Plan;
use crate::stage::screen::Screened;

/// Proof that the call is accounted for. Only this stage makes one, and
/// [`crate::provider::Remote::send`] asks for it.
#[derive(Debug)]
pub(crate) struct Reservation(());

/// A call from its reservation to its settlement.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) target: Arc<crate::snapshot::Target>,
    pub(crate) operation: Operation,
    pub(crate) slot: Option<Slot>,
    /// Size of the request, to estimate its tokens should the provider not say.
    input_bytes: usize,
    /// Whether the provider may have seen the request.
    dispatched: bool,
    used: Option<Usage>,
}

impl OpenCall {
    /// Notes that the request may have reached the provider from now on.
    pub(crate) fn mark_dispatched(&mut self) {
        self.dispatched = true;
    }

    /// Notes that the request certainly did not leave.
    pub(crate) fn mark_undispatched(&mut self) {
        self.dispatched = false;
    }

    /// Notes what the call has used as far as is known.
    pub(crate) fn note_usage(&mut self, usage: Usage) {
        self.used = Some(usage);
    }

    /// Notes that the provider refused the call, which costs nothing.
    pub(crate) fn note_refused(&mut self) {
        self.used = Some(Usage::default());
    }

    pub(crate) fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// What the call used: as reported, or an estimate for a call that may have reached the
    /// provider and of which nothing came back. `None` if it never left.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let unknown = || match self.operation {
            // Counting tokens is free of charge.
            Operation::CountTokens => Usage::default(),
            Operation::Chat(_) => seaworthy_llm::usage::estimate(self.input_bytes, 0),
        };
        self.dispatched.then(|| self.used.unwrap_or_else(unknown))
    }
}

/// Takes a place in the ledger for the planned call.
pub(crate) fn reserve(
    exchange: &mut Exchange,
    plan: &Plan,
    request: &Screened,
) -> Result<Reservation, Refusal> {
    let Some(slot) = exchange.gateway.ledger.reserve() else {
        return Err(Refusal::new(
            Code::StoreUnavailable,
            "The ledger cannot take another call now because too many settlements wait to be \
             written. Try again shortly.",
        )
        .retry_after(Duration::from_secs(2)));
    };
    exchange.call = Some(OpenCall {
        target: Arc::clone(&plan.target),
        operation: request.operation,
        slot: Some(slot),
        input_bytes: request.head.input_bytes,
        dispatched: false,
        used: None,
    });
    Ok(Reservation(()))
}
