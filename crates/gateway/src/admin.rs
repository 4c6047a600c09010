//! What operators may see of the data plane.

pub(crate) mod keys;
pub(crate) mod switches;

use seaworthy_config::{Format, Problem};
use seaworthy_core::code::Code;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::health::Lifecycle;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::resilience::hearsay::Sharing;
use crate::snapshot::Snapshot;

/// How the process is doing and which configuration is in force.
pub(crate) fn status(gateway: &Gateway, snapshot: &Snapshot) -> Answer {
    let last_reload = gateway.last_reload.lock().clone().map(|reload| {
        json!({
            "at": reload.at.to_string(),
            "result": if reload.error.is_none() { "success" } else { "failure" },
            "error": reload.error,
        })
    });
    let lifecycle = match gateway.health.lifecycle() {
        Lifecycle::Starting => "starting",
        Lifecycle::Serving => "serving",
        Lifecycle::Draining => "draining",
        Lifecycle::Stopping => "stopping",
    };
    let store = if gateway.health.store_answers() {
        "ok"
    } else {
        "failing"
    };
    let body = json!({
        "version": gateway.version,
        "lifecycle": lifecycle,
        "started_at": gateway.started_at.to_string(),
        "uptime_seconds": gateway.clock.now().since(gateway.started_at).as_secs(),
        "config": {
            "source": snapshot.loaded.source,
            "hash": snapshot.loaded.hash,
            "loaded_at": snapshot.loaded_at.to_string(),
            "warnings": snapshot.loaded.warnings.iter().map(Problem::summary).collect::<Vec<_>>(),
            "last_reload": last_reload,
        },
        "storage": {"backend": gateway.stores.backend, "status": store},
        "keys": gateway.survey.status(),
        "issuers": snapshot.issuers.iter().map(|issuer| issuer.status(gateway.clock.now())).collect::<Vec<_>>(),
        "limits": {
            "rate_limits": snapshot.limits.policy.rates.len() + snapshot.limits.policy.slots.len(),
            "budgets": snapshot.limits.policy.budgets.len(),
            "unknown_price": snapshot.limits.unknown_price.as_str(),
            "unpriced_targets": snapshot.unpriced_targets(),
            "stale_prices": snapshot.stale_prices(gateway.clock.now()),
        },
        "requests_in_flight": gateway.running_calls(),
        "targets": targets(snapshot),
        "circuit_breakers": gateway.gates.news.sharing().as_str(),
        "ledger": {
            "outstanding": gateway.ledger.outstanding(),
            "unwritten": gateway.ledger.unwritten(),
        },
    });
    Answer::json(200, body.to_string())
}

/// How each target stands.
pub(crate) fn targets(snapshot: &Snapshot) -> Value {
    let targets = snapshot.standings().map(|(target, standing)| {
        let of_target = json!({
            "circuit_breaker": standing.state.as_str(),
            "rate_limited": standing.is_paused,
            "concurrency_limit": standing.limit,
            "awaiting_first_token": standing.in_flight,
            "waiting": standing.waiting,
            "latency_ms": standing.latency_ms.map(f64::round),
        });
        (target.to_owned(), of_target)
    });
    Value::Object(targets.collect())
}

/// The configuration in force, secrets redacted.
pub(crate) fn effective_config(snapshot: &Snapshot) -> Answer {
    let config = serde_json::to_value(&*snapshot.loaded.config).unwrap_or(Value::Null);
    let body = json!({
        "source": snapshot.loaded.source,
        "hash": snapshot.loaded.hash,
        "config": config,
        "toml": seaworthy_config::show(&snapshot.loaded.config, Format::Toml),
    });
    Answer::json(200, body.to_string())
}

/// Forgets all remembered answers.
pub(crate) async fn purge_cache(gateway: &Gateway) -> Result<Answer, Refusal> {
    match gateway.forget_answers().await {
        Ok(purged) => Ok(Answer::json(200, json!({"purged": purged}).to_string())),
        Err(error) => Err(Refusal::new(
            Code::StoreUnavailable,
            "The store of remembered answers does not answer, so that some may still be used.",
        )
        .because(&error)),
    }
}

/// The text of `/metrics`, with the gauges that are read at the time of asking.
pub(crate) fn metrics(gateway: &Gateway) -> String {
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let outstanding = i64::try_from(gateway.ledger.outstanding()).unwrap_or(i64::MAX);
    gateway.metrics.ledger_outstanding.set(outstanding);
    let in_flight = i64::try_from(gateway.running_calls()).unwrap_or(i64::MAX);
    gateway.metrics.in_flight.set(in_flight);
    let overloaded = gauge(gateway.overloaded_workers() as u64);
    gateway.metrics.workers_overloaded.set(overloaded);
    let shared = gateway.counters.status();
    let is_up = shared.as_ref().is_none_or(|status| status.is_up);
    gateway.metrics.shared_state_up.set(i64::from(is_up));
    let replicas = shared.map_or(1, |status| status.replicas);
    gateway
        .metrics
        .replicas
        .set(i64::try_from(replicas).unwrap_or(i64::MAX));
    let is_serving = gateway.health.lifecycle() == Lifecycle::Serving;
    gateway.metrics.ready.set(i64::from(is_serving));
    let remembered = gateway.answers.size();
    gateway.metrics.cache_entries.set(gauge(remembered.entries));
    gateway.metrics.cache_bytes.set(gauge(remembered.bytes));
    let is_shared = gateway.gates.news.sharing() == Sharing::Shared;
    gateway.metrics.breakers_shared.set(i64::from(is_shared));
    let snapshot = gateway.snapshot();
    let stale = snapshot.stale_prices(gateway.clock.now()).len();
    let stale = i64::try_from(stale).unwrap_or(i64::MAX);
    gateway.metrics.stale_prices.set(stale);
    let quotas = gateway.degradation.known_quotas(gateway.clock.now());
    gateway.metrics.show_quotas(quotas.into_iter());
    let budgets = &snapshot.limits.policy.budgets;
    gateway.metrics.show_budgets(budgets, gateway.clock.now());
    for (target, standing) in snapshot.standings() {
        gateway.metrics.note_gate(target, &standing);
    }
    gateway.metrics.render()
}
