//! Can it be paid and accounted for? Nothing leaves before its worst case is reserved against every
//! limit and budget that applies, and its intent is recorded.

use std::borrow::Cow;
use std::sync::Arc;

use seaworthy_config::OnLoss;
use seaworthy_core::counters::Counters;
use seaworthy_core::crash::{self, Point};
use seaworthy_core::ledger::{Intent, attempts};
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::Bound;
use seaworthy_core::principal::{ANONYMOUS, Principal};
use seaworthy_core::store::JournalEntry;
use seaworthy_core::trace::RequestId;
use seaworthy_llm::tokens;

use crate::exchange::Exchange;
use crate::intent_sharer::SharedIntent;
use crate::limits::{Charge, Limits};
use crate::open_call::{Claimed, OpenCall, Recorded};
use crate::pieces::{self, Offered};
use crate::refusal::Refusal;
use crate::resilience::gate::Permit;
use crate::routes::Operation;
use crate::stage::plan::Candidate;
use crate::stage::screen::Screened;

mod claim;
mod flat;
mod refused;
mod size;

pub(crate) use claim::{CLAIM_LIFETIME, show, take};
use claim::{Wanted, claim};
pub(crate) use flat::{Flat, reserve_flat};
pub(crate) use refused::{cannot_record, refused};
use refused::{nobody, over_cap, unpriced};
pub(crate) use size::{KnownInputs, Size};

/// Proof that the call is accounted for. Only this stage makes one, and
/// [`crate::provider::Remote::send`] asks for it.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// What was claimed, where others may take this process for dead and settle it.
    claim: Option<(Arc<dyn Counters>, Arc<str>)>,
}

impl Reservation {
    /// Whether it is certain to hold still. What stood still between its reservation and this moment
    /// may have lost it.
    pub(crate) fn is_held(&self) -> bool {
        let mut claim = self.claim.iter();
        claim.all(|(counters, id)| counters.is_held(id))
    }
}

/// Most output that is assumed of a call that neither its caller nor a cap bounds.
pub(crate) const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 4096;

/// Reserves the worst case of the planned call and records its intent. The place at the target is let go
/// of while money is waited for; a call without one does not wait.
pub(crate) async fn reserve(
    exchange: &mut Exchange,
    caller: &Principal,
    plan: &Candidate,
    request: &mut Screened,
    place: Option<&mut Option<Permit>>,
) -> Result<Reservation, Refusal> {
    let operation = request.operation.as_str();
    let limits = Arc::clone(&exchange.snapshot.limits);
    let bound = limits.bind(exchange, caller, &plan.model.name, operation);
    if limits.requires_user && *caller.user_id == *ANONYMOUS {
        return Err(nobody());
    }
    let charge = charge(&limits, plan, request, &bound)?;
    let caps = limits.caps(exchange, operation);
    let is_measured = bound.measures() || caps != Caps::default();
    let known_inputs = is_measured.then(|| Arc::clone(&exchange.gateway.known_inputs));
    let mut size = Size::of(request, &plan.target, &charge, known_inputs.as_deref());
    let asked = request.head.max_output_tokens;
    fit_caps(&mut size, &caps, asked, &charge).await?;
    let Some(slot) = exchange.gateway.ledger.reserve() else {
        return Err(cannot_record("too many settlements wait to be written"));
    };
    let mut id: Arc<str> = Arc::from(RequestId::generate().as_str());
    let wanted = Wanted {
        bound: &bound,
        charge: &charge,
        asked,
        whole_output: size.output,
        may_shorten: limits.may_shorten,
    };
    let claimed = claim(exchange, &wanted, &mut id, &mut size, place).await?;
    crash::point(Point::ClaimTaken);
    let is_limited = claimed.is_some() || caps.output_allowance(size.input()).is_some();
    let must_bound = match asked {
        Some(asked) => size.output < asked,
        None => is_limited,
    };
    let claim = claimed.as_ref().and_then(Claimed::in_shared_counters);
    let intent = Intent {
        call_id: call_id(&id, claimed.as_ref(), exchange.attempts),
        request_id: exchange.request_id.as_str().to_owned(),
        opened_at: exchange.gateway.clock.now(),
        key_id: Arc::clone(&caller.key_id),
        user_id: Arc::clone(&caller.user_id),
        attribution: exchange.attribution(caller),
        attempt: exchange.attempts,
        operation: Cow::Borrowed(recorded_as(exchange, request.operation)),
        model: Arc::clone(&plan.model.name),
        target: Arc::clone(&plan.target.id),
        stream: exchange.stream,
        worst_case: size.usage(),
        worst_case_cost: size.cost(&charge),
    };
    let tools =
        (bound.draws_on_money() || caps.max_cost.is_some()).then(|| charge.pieces.unbounded());
    request.bound(must_bound.then_some(size.output), tools)?;
    let shared = share(exchange, &intent).await?;
    let entry = recorded(exchange, &intent)?;
    if asked.is_some_and(|asked| size.output < asked) {
        exchange.shortened_to = Some(size.output);
    }
    exchange.call = Some(OpenCall::new(
        Arc::clone(&plan.target),
        Some(request.operation),
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
    if let (Some(call), Some(known), Some(key)) = (&mut exchange.call, known_inputs, size.key) {
        call.learn_input(known, key);
    }
    Ok(Reservation { claim })
}

/// What the call is going to be charged with.
fn charge(
    limits: &Limits,
    plan: &Candidate,
    request: &Screened,
    bound: &Bound,
) -> Result<Charge, Refusal> {
    let price = plan.target.price.as_ref();
    let fees = fees(plan, request);
    let charge = limits.charge((price, fees), request.head.tier, bound);
    charge.ok_or_else(|| unpriced(&plan.target.id, price.is_some()))
}

/// What the provider charges for the tools of its own that a request offers. A prompt that it keeps may
/// offer any of them.
fn fees(plan: &Candidate, request: &Screened) -> Vec<Offered> {
    let known = &plan.target.tool_fees;
    let (head, operation) = (&request.head, request.operation);
    match operation {
        Operation::Chat(dialect) if !known.is_empty() && head.offers_tools => {
            let body = tokens::without_escaped_names(&request.body);
            pieces::offered(known, dialect, &body)
        }
        Operation::Chat(_) if head.reads_kept => pieces::any_of(known),
        _ => Vec::new(),
    }
}

/// The ID of the call: the one of its claim, or made from it if an earlier attempt took that.
fn call_id(fresh: &str, claimed: Option<&Claimed>, attempt: u32) -> String {
    match claimed {
        Some(claimed) if *claimed.id != *fresh => attempts::call_id(&claimed.id, attempt),
        _ => fresh.to_owned(),
    }
}

/// The class of work in the ledger: requests of batches are one of their own.
fn recorded_as(exchange: &Exchange, operation: Operation) -> &'static str {
    match exchange.is_of_batch {
        true => operation.in_batch(),
        false => operation.as_str(),
    }
}

/// Records the intent in the journal.
fn recorded(exchange: &Exchange, intent: &Intent) -> Result<Box<dyn JournalEntry>, Refusal> {
    let recorded = exchange.gateway.journal.record(exchange.worker, intent);
    crash::point(Point::IntentRecorded);
    recorded.map_err(|error| cannot_record("the journal cannot be written").because(&error))
}

/// Lets the other replicas know of the call, where they share the store.
async fn share(exchange: &Exchange, intent: &Intent) -> Result<Option<SharedIntent>, Refusal> {
    if exchange.gateway.stores.shared_journal.is_none() {
        return Ok(None);
    }
    let (shared, is_certain) = exchange.gateway.intents.share(intent).await;
    crash::point(Point::IntentShared);
    let on_loss = exchange.snapshot.loaded.config.storage.on_loss;
    if !is_certain && on_loss == OnLoss::Reject {
        return Err(cannot_record("the shared store does not answer"));
    }
    Ok(Some(shared))
}

/// Settles how much the call may use of itself: what it asks for, within the caps. It is counted
/// only where its size in bytes would be in the way.
async fn fit_caps(
    size: &mut Size,
    caps: &Caps,
    asked: Option<u64>,
    charge: &Charge,
) -> Result<(), Refusal> {
    loop {
        let allowed = caps.output_allowance(size.input());
        size.output = match (asked, allowed) {
            (Some(asked), _) => asked,
            (None, Some(allowed)) => allowed,
            (None, None) => DEFAULT_MAX_OUTPUT_TOKENS,
        };
        let used = size.usage();
        let checked = caps.check(used.total_input(), used.output_tokens, size.cost(charge));
        let is_narrow = asked.is_none()
            && caps.max_total_tokens.is_some()
            && size.output < caps.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS);
        if size.is_rough() && (checked.is_err() || is_narrow) {
            size.count().await;
            continue;
        }
        return checked.map_err(over_cap);
    }
}
