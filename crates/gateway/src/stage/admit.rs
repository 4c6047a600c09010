//! Is there room? A permit bounds what is worked on at a time.
//!
//! Limits of keys, users and operations are taken together with budgets, in [`super::reserve`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use seaworthy_core::code::Code;
use seaworthy_core::principal::Principal;
use seaworthy_core::resilience::line::Priority;

use crate::door::{Denied, too_busy};
use crate::exchange::Exchange;
use crate::features;
use crate::headers::name;
use crate::health::Lifecycle;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::decode::Request;

/// The right to be worked on; it returns when the exchange ends.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Proof that the request was admitted.
#[derive(Debug)]
pub(crate) struct Admission(());

/// No request is waited for longer than this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Notes how much the request matters and how long its caller waits, which headers can say. What
/// stands in our own and cannot be read is refused: its caller counts on it.
pub(crate) fn note_wishes(
    exchange: &mut Exchange,
    caller: &Principal,
    operation: Operation,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let text = |name: &HeaderName| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().trim())
    };
    let refused = |message: &str| Refusal::new(Code::InvalidRequest, message);
    let wished = text(&name::PRIORITY);
    if wished.is_some_and(|wished| Priority::named(wished).is_none()) {
        return Err(refused(
            "`x-seaworthy-priority` is `low`, `normal`, `high` or `critical`.",
        ));
    }
    let settings = &exchange.snapshot.resilience;
    exchange.priority = settings.priority(caller, operation.as_str(), wished);
    let own = text(&name::TIMEOUT).map(whole_millis).transpose();
    let own = own.map_err(|()| {
        refused("`x-seaworthy-timeout-ms` is a whole number of milliseconds above zero.")
    })?;
    // What official clients say of themselves, in seconds.
    let clients = || {
        let seconds: f64 = text(&name::STAINLESS_TIMEOUT)?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    if let Some(limit) = own.or_else(clients) {
        exchange.deadline = Some(exchange.started + limit.min(LONGEST));
    }
    Ok(())
}

/// Milliseconds, however many; `Err` for anything else.
fn whole_millis(text: &str) -> Result<Duration, ()> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || text.bytes().all(|byte| byte == b'0') {
        return Err(());
    }
    let millis = text.parse().unwrap_or(u64::MAX);
    Ok(Duration::from_millis(millis))
}

/// Admits the request or says when to come back.
pub(crate) fn admit(
    exchange: &mut Exchange,
    caller: &Principal,
    request: &Request,
    headers: &HeaderMap,
) -> Result<Admission, Refusal> {
    features::require(exchange, caller, request, headers)?;
    enter(exchange)
}

/// Takes a place among the requests that are worked on.
pub(crate) fn enter(exchange: &mut Exchange) -> Result<Admission, Refusal> {
    if exchange.gateway.health.lifecycle() == Lifecycle::Stopping {
        return Err(Refusal::new(
            Code::ShuttingDown,
            "This replica is shutting down and takes no new work. Try again: another one answers.",
        )
        .retry_after(Duration::from_secs(1)));
    }
    let running = exchange.gateway.concurrent.fetch_add(1, Ordering::Relaxed);
    exchange.permit = Some(Permit(Arc::clone(&exchange.gateway.concurrent)));
    require_room(exchange, running)?;
    Ok(Admission(()))
}

/// Turns a request away before its body is read, while there is no room: what is refused should cost
/// much less than what is carried out. The place itself is taken by [`enter`]. Waits for the
/// processor, behind what is under way and what matters more.
pub(crate) async fn look_for_room(exchange: &mut Exchange) -> Result<(), Refusal> {
    require_room(exchange, exchange.gateway.running_calls())?;
    if !exchange.snapshot.overload_control {
        return Ok(());
    }
    let Some(door) = exchange.gateway.doors.get(exchange.worker) else {
        return Ok(());
    };
    let (waited, entered) = door.enter(exchange.priority, exchange.deadline).await;
    exchange.waited += waited;
    match entered {
        Ok(()) => Ok(()),
        Err(Denied::Busy) => Err(busy(exchange)),
        Err(Denied::TooLate) => Err(Refusal::new(
            Code::DeadlineExceeded,
            "The gateway did not come to the request within the time limit of the request.",
        )),
    }
}

fn busy(exchange: &Exchange) -> Refusal {
    let metrics = &exchange.gateway.metrics;
    metrics.count_shed("busy", exchange.priority);
    too_busy()
}

fn require_room(exchange: &Exchange, running: usize) -> Result<(), Refusal> {
    let limit = exchange.snapshot.max_concurrent_requests;
    if running < most_at_once(limit, exchange.priority) {
        return Ok(());
    }
    let metrics = &exchange.gateway.metrics;
    metrics.count_shed("too_many", exchange.priority);
    Err(Refusal::new(
        Code::Overloaded,
        format!(
            "The gateway works on {limit} requests already, as many as it may. Try again shortly."
        ),
    )
    .retry_after(Duration::from_secs(1)))
}

/// What is critical finds room where everything else has taken what there is.
fn most_at_once(limit: usize, priority: Priority) -> usize {
    match priority {
        Priority::Critical => limit.saturating_add(limit / 8 + 1),
        Priority::Low | Priority::Normal | Priority::High => limit,
    }
}
