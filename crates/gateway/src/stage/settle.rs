//! How did it end? Runs exactly once for each exchange, when it is dropped: records the usage,
//! counts, and writes the one line of the log.

use std::sync::Arc;

use seaworthy_core::clock::{UnixMillis, micros_since};
use seaworthy_core::ledger::{Outcome, Settlement};

use crate::exchange::Exchange;
use crate::stage::reserve::OpenCall;

/// Settles an exchange that has ended.
pub(crate) fn settle(exchange: &mut Exchange) {
    let finished_at = exchange.gateway.clock.now();
    count(exchange);
    exchange.gateway.log.write(exchange, finished_at);
    record(exchange, finished_at);
}

fn record(exchange: &mut Exchange, settled_at: UnixMillis) {
    let Some(mut call) = exchange.call.take() else {
        return;
    };
    let (Some(usage), Some(slot)) = (call.usage(), call.slot.take()) else {
        return;
    };
    let (Some(principal), Some(model)) = (&exchange.principal, &exchange.model) else {
        return;
    };
    slot.fill(Settlement {
        call_id: seaworthy_core::trace::RequestId::generate()
            .as_str()
            .to_owned(),
        request_id: exchange.request_id.as_str().to_owned(),
        settled_at,
        duration_ms: micros_since(exchange.started) / 1000,
        key_id: Arc::clone(&principal.key_id),
        user_id: Arc::clone(&principal.user_id),
        operation: call.operation.as_str(),
        model: Arc::clone(&model.name),
        target: Arc::clone(&call.target.id),
        stream: exchange.stream,
        outcome: exchange.outcome,
        status: exchange.status,
        usage,
    });
}

fn count(exchange: &Exchange) {
    let metrics = &exchange.gateway.metrics;
    let action = exchange.action_name();
    let seconds = exchange.started.elapsed().as_secs_f64();
    if let Some(code) = exchange.code {
        metrics.count_error(action, code);
    }
    if let Some(call) = &exchange.call
        && exchange.outcome == Outcome::Success
        && exchange.status == 200
    {
        let handles = call.target.metrics(call.operation);
        handles.succeeded.inc();
        let latency = if exchange.stream {
            &handles.stream_latency
        } else {
            &handles.unary_latency
        };
        latency.observe(seconds);
        count_tokens(call);
        return;
    }
    if let Some(call) = &exchange.call {
        count_tokens(call);
    }
    let model = exchange.model.as_ref().map_or("", |model| &*model.name);
    metrics.count_request(action, model, exchange.status, exchange.outcome);
    metrics
        .latency(action, model, exchange.stream)
        .observe(seconds);
}

fn count_tokens(call: &OpenCall) {
    if let Some(usage) = call.usage() {
        call.target.metrics(call.operation).count_usage(&usage);
    }
}
