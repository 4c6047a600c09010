//! How did it end? Runs exactly once for each exchange, when it is dropped: records the usage,
//! counts, and writes the one line of the log.

use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::{Code, Fault};
use seaworthy_core::counters::Close;
use seaworthy_core::ledger::Outcome;

use crate::exchange::Exchange;
use crate::metrics::Metrics;
use crate::open_call::OpenCall;

/// Settles an exchange that has ended.
pub(crate) fn settle(exchange: &mut Exchange) {
    let (finished_at, took) = (exchange.gateway.clock.now(), exchange.started.elapsed());
    note(exchange, finished_at);
    count(exchange, took);
    exchange.gateway.log.write(exchange, finished_at, took);
    if let Some(call) = exchange.call.take() {
        call.settle(exchange.outcome, exchange.status, finished_at);
    }
    if let Some(claim) = exchange.spare_claim.take() {
        claim.close(finished_at, Close::Unused);
    }
}

/// Settles a call whose answer nobody waits for: another one was faster.
pub(crate) fn settle_loser(exchange: &Exchange, call: OpenCall, outcome: Outcome, status: u16) {
    count_tokens(&call, &exchange.gateway.metrics);
    call.settle(outcome, status, exchange.gateway.clock.now());
}

/// Settles an attempt that failed, before the next one is reserved. What it did not use of its claim
/// is kept for that.
pub(crate) fn settle_attempt(exchange: &mut Exchange, status: u16) {
    let Some(mut call) = exchange.call.take() else {
        return;
    };
    count_tokens(&call, &exchange.gateway.metrics);
    exchange.spare_claim = call.take_unused_claim();
    call.settle(Outcome::Failure, status, exchange.gateway.clock.now());
    exchange.outcome = Outcome::Cancelled;
    exchange.code = None;
    exchange.detail = None;
    exchange.first_byte = None;
    exchange.upstream_request_id = None;
    exchange.dropped.clear();
}

/// Notes model calls for the degradation tiers: what went wrong other than by the caller. What a tier
/// gives up says nothing of how things are: a tier that counted it would keep itself in force.
fn note(exchange: &Exchange, finished_at: UnixMillis) {
    let is_given_up = matches!(
        exchange.code,
        Some(Code::Maintenance | Code::FeatureDisabled)
    );
    if exchange.operation().is_none() || is_given_up {
        return;
    }
    let is_failure = exchange
        .code
        .is_some_and(|code| code.fault() != Fault::Caller && exchange.status >= 500)
        || (exchange.outcome == Outcome::Failure && exchange.status == 200);
    let window = &exchange.gateway.degradation.window;
    window.note_request(finished_at, is_failure);
}

fn count(exchange: &Exchange, took: Duration) {
    let metrics = &exchange.gateway.metrics;
    let action = exchange.action_name();
    let seconds = took.as_secs_f64();
    metrics.count_verdicts(&exchange.verdicts);
    if let Some(code) = exchange.code {
        metrics.count_error(action, code);
    }
    if let Some(call) = &exchange.call
        && exchange.outcome == Outcome::Success
        && exchange.status == 200
    {
        let handles = call.target.metrics(call.operation, metrics);
        handles.succeeded.inc();
        let latency = if exchange.stream {
            &handles.stream_latency
        } else {
            &handles.unary_latency
        };
        latency.observe(seconds);
        count_tokens(call, metrics);
        return;
    }
    if let Some(call) = &exchange.call {
        count_tokens(call, metrics);
    }
    let model = exchange.model.as_ref().map_or("", |model| &*model.name);
    metrics.count_request(action, model, exchange.status, exchange.outcome);
    metrics
        .latency(action, model, exchange.stream)
        .observe(seconds);
}

fn count_tokens(call: &OpenCall, metrics: &Metrics) {
    if let Some(usage) = call.usage() {
        let cost = call.cost_so_far().unwrap_or_default();
        let handles = call.target.metrics(call.operation, metrics);
        handles.count_usage(&usage, cost);
        if call.is_over_reserved() {
            handles.over_reserved.inc();
            let (target, tokens) = (&*call.target.id, usage.total());
            tracing::warn!(target, tokens, "a call used more than was reserved for it");
        }
    }
}
