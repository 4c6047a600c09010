//! What operators may see and switch of tiers and features.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::snapshot::Snapshot;

/// The tier in force, and what it is decided from.
pub(crate) fn tier(gateway: &Gateway, snapshot: &Snapshot) -> Value {
    let (degradation, now) = (&gateway.degradation, gateway.clock.now());
    let in_force = degradation.in_force();
    let signals = degradation.window.signals(now);
    let tiers: Vec<&str> = snapshot
        .tiers
        .tiers
        .iter()
        .map(|tier| tier.name.as_str())
        .collect();
    json!({
        "tier": &*in_force.name,
        "active": in_force.active,
        "since": in_force.since.to_string(),
        "manual": in_force.is_manual,
        "tiers": tiers,
        "signals": {
            "error_rate_percent": signals.error_rate.map(|share| share as f64 / 100.0),
            "p50_latency_ms": signals.latency_ms.map(|[p50, ..]| p50),
            "p95_latency_ms": signals.latency_ms.map(|[_, p95, _]| p95),
            "p99_latency_ms": signals.latency_ms.map(|[.., p99]| p99),
            "remaining_quota": degradation.quotas(now),
            "requests_in_flight": gateway.running_calls(),
        },
    })
}
