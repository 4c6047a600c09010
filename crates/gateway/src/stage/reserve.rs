//! Can it be accounted for? Nothing leaves before its place in the ledger is taken.
//!
//! Budgets belong here: the plan's worst case is reserved against each that applies.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::code::Code;
use seaworthy_core::ledger::Intent;
use seaworthy_core::principal::Principal;
use seaworthy_core::trace::RequestId;
use seaworthy_core::usage::Usage;

use crate::exchange::Exchange;
use crate::open_call::OpenCall;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::plan::Plan;
use crate::stage::screen::Screened;

/// Proof that the call is accounted for. Only this stage makes one, and
/// [`crate::provider::Remote::send`] asks for it.
#[derive(Debug)]
pub(crate) struct Reservation(());

/// Most output that is assumed of a call whose caller sets no bound.
const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 4096;

/// Takes a place in the ledger for the planned call and records its intent.
pub(crate) fn reserve(
    exchange: &mut Exchange,
    caller: &Principal,
    plan: &Plan,
    request: &Screened,
) -> Result<Reservation, Refusal> {
    let Some(slot) = exchange.gateway.ledger.reserve() else {
        return Err(cannot_record("too many settlements wait to be written"));
    };
    let intent = Intent {
        call_id: RequestId::generate().as_str().to_owned(),
        request_id: exchange.request_id.as_str().to_owned(),
        opened_at: exchange.gateway.clock.now(),
        key_id: Arc::clone(&caller.key_id),
        user_id: Arc::clone(&caller.user_id),
        operation: Cow::Borrowed(request.operation.as_str()),
        model: Arc::clone(&plan.model.name),
        target: Arc::clone(&plan.target.id),
        stream: exchange.stream,
        worst_case: worst_case(request),
    };
    let recorded = exchange.gateway.journal.record(exchange.worker, &intent);
    let entry = recorded
        .map_err(|error| cannot_record("the journal cannot be written").because(&error))?;
    exchange.call = Some(OpenCall::new(
        Arc::clone(&plan.target),
        request.operation,
        (request.head.input_bytes, exchange.started),
        (intent, slot, entry),
    ));
    Ok(Reservation(()))
}

/// What the call uses at most: no tokenizer makes more tokens of a text than it has bytes.
fn worst_case(request: &Screened) -> Usage {
    let most_output = request.head.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS);
    match request.operation {
        Operation::Chat(_) => Usage {
            input_tokens: request.head.input_bytes as u64,
            output_tokens: most_output.saturating_mul(request.head.choices),
            ..Usage::default()
        },
        _ => Usage::default(),
    }
}

fn cannot_record(why: &str) -> Refusal {
    let message = format!("The ledger cannot take another call now because {why}. Try again shortly.");
    Refusal::new(Code::StoreUnavailable, message).retry_after(Duration::from_secs(2))
}
