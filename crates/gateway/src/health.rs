//! Whether the process lives and takes work, and how that is told to probes.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seaworthy_config::{Config, HealthCheck, Within};
use serde::Serialize;

use crate::deep_health;
use crate::gateway::Gateway;

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Not ready yet.
    Starting,
    /// Taking work.
    Serving,
    /// Still taking work, but asking to be sent none.
    Draining,
    /// Finishing what was begun and refusing new model calls.
    Stopping,
}

/// Whether the process takes work.
#[derive(Debug, Default)]
pub struct Health {
    lifecycle: AtomicU8,
    /// What the store said last; `None` when it answered.
    store_error: Mutex<Option<String>>,
}

impl Health {
    /// Moves to another phase of life.
    pub fn set(&self, lifecycle: Lifecycle) {
        let number = match lifecycle {
            Lifecycle::Starting => 0,
            Lifecycle::Serving => 1,
            Lifecycle::Draining => 2,
            Lifecycle::Stopping => 3,
        };
        self.lifecycle.store(number, Ordering::Release);
    }

    /// The phase of life.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        match self.lifecycle.load(Ordering::Acquire) {
            0 => Lifecycle::Starting,
            1 => Lifecycle::Serving,
            2 => Lifecycle::Draining,
            _ => Lifecycle::Stopping,
        }
    }

    /// Whether the process is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.lifecycle(), Lifecycle::Draining | Lifecycle::Stopping)
    }

    pub(crate) fn note_store(&self, error: Option<String>) {
        let mut known = self.store_error.lock();
        match (&*known, &error) {
            (None, Some(cause)) => tracing::error!(cause, "the store does not answer"),
            (Some(_), None) => tracing::info!("the store answers again"),
            _ => {}
        }
        *known = error;
    }

    pub(crate) fn store_answers(&self) -> bool {
        self.store_error.lock().is_none()
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// Not as it should be, and the gateway goes on.
    Degraded,
    /// Not as it should be, and the gateway cannot go on.
    Failing,
    /// Nobody has looked yet, or there is nothing to look at.
    Unknown,
}

/// The answer to a probe.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    checks: Vec<Check>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time_target_ms: Option<u64>,
}

impl Report {
    pub(crate) fn http_status(&self) -> u16 {
        if self.status == "ok" { 200 } else { 503 }
    }
}

/// The paths of health that look at what is in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/health` and `/health/live`: the process answers.
    Live,
    /// `/health/ready` and `/ready`: it takes work.
    Ready,
}

/// Looks at what the configuration says for `path`, or at the usual things.
///
/// What every replica shares can degrade readiness and not fail it, or its loss would take all of
/// them out of service at once.
pub(crate) fn report(gateway: &Gateway, config: &Config, endpoint: Endpoint, path: &str) -> Report {
    let started = Instant::now();
    let configured = config.health_endpoints.get(path);
    let usual: &[HealthCheck] = match endpoint {
        Endpoint::Live => &[HealthCheck::ProcessRunning],
        Endpoint::Ready => &[
            HealthCheck::AcceptingRequests,
            HealthCheck::DatabaseConnected,
            HealthCheck::LedgerWritable,
        ],
    };
    let mut wanted: Vec<HealthCheck> = configured
        .map(|endpoint| endpoint.checks.clone())
        .filter(|checks| !checks.is_empty())
        .unwrap_or_else(|| {
            let shares = endpoint == Endpoint::Ready && gateway.counters.status().is_some();
            let shared = shares.then_some(HealthCheck::CacheAvailable);
            usual.iter().copied().chain(shared).collect()
        });
    // A drain has to be seen whatever else is looked at.
    if endpoint == Endpoint::Ready && !wanted.contains(&HealthCheck::AcceptingRequests) {
        wanted.insert(0, HealthCheck::AcceptingRequests);
    }
    let checks: Vec<Check> = wanted.iter().map(|wanted| look(gateway, *wanted)).collect();
    let fails = checks.iter().any(|check| check.status == Status::Failing);
    let target = configured.and_then(|endpoint| endpoint.response_time);
    let elapsed = started.elapsed();
    note_time(path, target, elapsed);
    Report {
        status: if fails { "unavailable" } else { "ok" },
        version: gateway.version,
        purpose: configured.and_then(|endpoint| endpoint.purpose.clone()),
        checks,
        duration_ms: fractional_millis(elapsed),
        response_time_target_ms: target.map(millis),
    }
}

/// Milliseconds to three places, which is as exact as a health endpoint has to be.
pub(crate) fn fractional_millis(elapsed: Duration) -> f64 {
    f64::from(u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

pub(crate) fn millis(bound: Within) -> u64 {
    u64::try_from(bound.0.as_std().as_millis()).unwrap_or(u64::MAX)
}

/// Says when an endpoint took longer than it may.
pub(crate) fn note_time(path: &str, target: Option<Within>, elapsed: Duration) {
    if let Some(target) = target.filter(|target| elapsed > target.0.as_std()) {
        let (duration_ms, target_ms) = (elapsed.as_millis(), millis(target));
        tracing::warn!(path, duration_ms, target_ms, "a health endpoint was slow");
    }
}

/// Looks at one thing, without asking anybody outside of the process.
pub(crate) fn look(gateway: &Gateway, wanted: HealthCheck) -> Check {
    let (status, detail) = match wanted {
        HealthCheck::ProcessRunning => (Status::Ok, None),
        HealthCheck::AcceptingRequests => match gateway.health.lifecycle() {
            Lifecycle::Serving => (Status::Ok, None),
            Lifecycle::Starting => (Status::Failing, Some("starting".to_owned())),
            _ => (Status::Failing, Some("draining".to_owned())),
        },
        HealthCheck::LedgerWritable => match gateway.ledger.has_room() {
            true => (Status::Ok, None),
            false => {
                let detail = "too many settlements wait to be written";
                (Status::Failing, Some(detail.to_owned()))
            }
        },
        HealthCheck::DatabaseConnected => {
            match (gateway.health.store_answers(), gateway.stores.is_shared) {
                (true, _) => (Status::Ok, None),
                (false, false) => {
                    let detail = "the local store does not answer";
                    (Status::Failing, Some(detail.to_owned()))
                }
                (false, true) => {
                    let detail = "the shared store does not answer; known keys keep working";
                    (Status::Degraded, Some(detail.to_owned()))
                }
            }
        }
        HealthCheck::CacheAvailable => deep_health::shared_state(gateway),
        HealthCheck::ApiKeyValid => credentials(gateway),
        HealthCheck::RecentRequestSuccessRate => success_rate(gateway),
        HealthCheck::TokenQuotaRemaining => quota(gateway),
        HealthCheck::AllDependenciesHealthy => gateway.deep_health.summary(),
    };
    Check {
        name: wanted.as_str(),
        status,
        detail,
    }
}

type Seen = (Status, Option<String>);

fn credentials(gateway: &Gateway) -> Seen {
    let providers = gateway.degradation.providers();
    let refusing: Vec<&str> = providers
        .iter()
        .filter(|(_, known)| known.refuses_credentials())
        .map(|(name, _)| name.as_str())
        .collect();
    match (refusing.is_empty(), providers.is_empty()) {
        (true, true) => (
            Status::Unknown,
            Some("no provider was called yet".to_owned()),
        ),
        (true, false) => (Status::Ok, None),
        (false, _) => {
            let detail = format!("credentials were refused by: {}", refusing.join(", "));
            (Status::Degraded, Some(detail))
        }
    }
}

/// A share of failures above this, in ten thousandths, is not well.
const BAD_ERROR_RATE: u64 = 1_000;

fn success_rate(gateway: &Gateway) -> Seen {
    let signals = gateway.degradation.window.signals(gateway.clock.now());
    match signals.error_rate {
        None => {
            let detail = "too few requests in the last minute to tell";
            (Status::Unknown, Some(detail.to_owned()))
        }
        Some(errors) => {
            let share = (10_000 - errors.min(10_000)) as f64 / 100.0;
            let is_well = errors <= BAD_ERROR_RATE;
            let status = if is_well {
                Status::Ok
            } else {
                Status::Degraded
            };
            let detail = format!("{share}% of the requests of the last minute succeeded");
            (status, Some(detail))
        }
    }
}

fn quota(gateway: &Gateway) -> Seen {
    let quotas = gateway.degradation.quotas(gateway.clock.now());
    if quotas.is_empty() {
        let detail = "no provider has said lately what is left";
        return (Status::Unknown, Some(detail.to_owned()));
    }
    let shown: Vec<String> = quotas
        .iter()
        .map(|(name, left)| format!("{name}: {left}"))
        .collect();
    let is_empty = quotas.values().any(|left| *left == 0);
    let status = if is_empty {
        Status::Degraded
    } else {
        Status::Ok
    };
    (status, Some(shown.join(", ")))
}
