//! How everything that the gateway needs is doing.
//!
//! Dependencies are asked in the background, each with a time limit of its own; `/health/deep` shows
//! what was found last and asks nobody, so that it answers at once whatever hangs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_config::{Config, DependencyCheck, HealthCheck, Probe};
use seaworthy_core::clock::{UnixMillis, micros_since};
use serde::Serialize;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::health::{self, Check, Status};
use crate::snapshot::Snapshot;

mod probe;

/// How often dependencies that cost nothing are asked.
const CHEAP_INTERVAL: Duration = Duration::from_secs(2);
/// How often those are asked that cost money or that belong to others, unless the configuration says.
const DEAR_INTERVAL: Duration = Duration::from_secs(300);
const DEEP: &str = "/health/deep";

/// What was found when dependencies were last asked.
#[derive(Debug, Default)]
pub(crate) struct DeepHealth(Mutex<BTreeMap<String, Finding>>);

/// What one dependency said.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    #[serde(skip)]
    asked_at: UnixMillis,
    /// For the log.
    #[serde(skip)]
    cause: Option<String>,
    critical: bool,
    check: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    latency_ms: f64,
}

impl DeepHealth {
    /// Whether all dependencies are well, in one word.
    pub(crate) fn summary(&self) -> (Status, Option<String>) {
        let findings = self.0.lock();
        let failing: Vec<&str> = findings
            .iter()
            .filter(|(_, finding)| finding.status == Status::Failing)
            .map(|(name, _)| name.as_str())
            .collect();
        let is_critical = findings
            .values()
            .any(|finding| finding.critical && finding.status == Status::Failing);
        if findings.is_empty() {
            return (Status::Unknown, Some("nobody was asked yet".to_owned()));
        }
        match (failing.is_empty(), is_critical) {
            (true, _) => (Status::Ok, None),
            (false, false) => (Status::Degraded, Some(failing.join(", "))),
            (false, true) => (Status::Failing, Some(failing.join(", "))),
        }
    }

    fn is_due(&self, name: &str, interval: Duration, now: UnixMillis) -> bool {
        let findings = self.0.lock();
        findings
            .get(name)
            .is_none_or(|finding| now.since(finding.asked_at) >= interval)
    }

    fn note(&self, name: &str, finding: Finding) {
        let mut findings = self.0.lock();
        let before = findings.get(name).map(|before| before.status);
        let (dependency, critical) = (name, finding.critical);
        match (before, finding.status) {
            (Some(Status::Failing), Status::Ok) => {
                tracing::info!(dependency, "a dependency is well again");
            }
            (Some(Status::Failing), _) => {}
            (_, Status::Failing) => {
                let told = finding.detail.as_deref().unwrap_or("");
                let cause = finding.cause.as_deref().unwrap_or(told);
                tracing::warn!(dependency, critical, cause, "a dependency is not well");
            }
            _ => {}
        }
        findings.insert(name.to_owned(), finding);
    }

    /// Asks those whose time has come, all at once, each within its own time limit.
    pub(crate) async fn ask(&self, gateway: &Arc<Gateway>) {
        let snapshot = gateway.snapshot();
        let wanted = dependencies(&snapshot.loaded.config);
        self.0.lock().retain(|name, _| wanted.contains_key(name));
        let frequency = snapshot
            .loaded
            .config
            .health_endpoints
            .get(DEEP)
            .and_then(|endpoint| endpoint.frequency)
            .map_or(DEAR_INTERVAL, |interval| interval.0.into());
        let now = gateway.clock.now();
        let due = wanted.iter().filter(|(name, dependency)| {
            let interval = match dependency.check {
                Probe::Database | Probe::SharedState => frequency.min(CHEAP_INTERVAL),
                Probe::MinimalCall | Probe::Head | Probe::Secrets => frequency,
            };
            self.is_due(name, interval, now)
        });
        let asked = due.map(async |(name, dependency)| {
            let finding = one(gateway, &snapshot, dependency).await;
            gateway
                .metrics
                .show_dependency(name, finding.status != Status::Failing);
            self.note(name, finding);
        });
        futures_util::future::join_all(asked).await;
    }

    /// Asks for as long as it is polled.
    pub(crate) async fn run(&self, gateway: &Arc<Gateway>) {
        loop {
            self.ask(gateway).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn one(gateway: &Arc<Gateway>, snapshot: &Snapshot, dependency: &DependencyCheck) -> Finding {
    let started = Instant::now();
    let timeout: Duration = dependency.timeout.into();
    let asked = probe::ask(gateway, snapshot, dependency);
    let (status, detail, cause) = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(None)) => (Status::Ok, None, None),
        Ok(Ok(Some(nothing))) => (Status::Unknown, Some(nothing), None),
        Ok(Err(trouble)) => (Status::Failing, Some(trouble.told), Some(trouble.cause)),
        Err(_) => {
            let told = format!("no answer within {} ms", timeout.as_millis());
            (Status::Failing, Some(told), None)
        }
    };
    Finding {
        asked_at: gateway.clock.now(),
        critical: dependency.critical,
        check: dependency.check.to_string(),
        status,
        detail,
        cause,
        latency_ms: micros_since(started.into_std()) as f64 / 1000.0,
    }
}

/// What is asked: as configured, or what the gateway has of its own.
fn dependencies(config: &Config) -> BTreeMap<String, DependencyCheck> {
    if !config.dependency_checks.is_empty() {
        return config.dependency_checks.clone();
    }
    let own = |check, critical| DependencyCheck {
        check,
        timeout: seaworthy_config::Duration::ONE_SECOND,
        critical,
        models: Vec::new(),
        urls: Vec::new(),
    };
    BTreeMap::from([
        ("database".to_owned(), own(Probe::Database, true)),
        ("shared_state".to_owned(), own(Probe::SharedState, false)),
    ])
}

/// What is known of the shared state without asking.
pub(crate) fn shared_state(gateway: &Gateway) -> (Status, Option<String>) {
    match gateway.counters.status() {
        None => return (Status::Ok, None),
        Some(status) if !status.is_up => {
            let detail = match status.mode {
                "local" => "the shared state does not answer; limits are shared out by replica",
                _ => "the shared state does not answer; requests under limits are refused",
            };
            return (Status::Degraded, Some(detail.to_owned()));
        }
        Some(_) => {}
    }
    let findings = gateway.deep_health.0.lock();
    let check = Probe::SharedState.to_string();
    let found = findings.values().find(|finding| finding.check == check);
    match found.map(|finding| finding.status) {
        Some(Status::Failing) => {
            let detail = "the shared state does not answer";
            (Status::Degraded, Some(detail.to_owned()))
        }
        Some(status) => (status, None),
        None => (Status::Unknown, Some("nobody was asked yet".to_owned())),
    }
}

/// The answer of `/health/deep`, and its status.
pub(crate) fn report(gateway: &Gateway, snapshot: &Snapshot) -> (u16, serde_json::Value) {
    let started = std::time::Instant::now();
    let configured = snapshot.loaded.config.health_endpoints.get(DEEP);
    let usual = [
        HealthCheck::AllDependenciesHealthy,
        HealthCheck::RecentRequestSuccessRate,
        HealthCheck::TokenQuotaRemaining,
        HealthCheck::ApiKeyValid,
    ];
    let wanted = configured
        .map(|endpoint| endpoint.checks.as_slice())
        .filter(|checks| !checks.is_empty())
        .unwrap_or(&usual);
    let checks: Vec<Check> = wanted
        .iter()
        .map(|wanted| health::look(gateway, *wanted))
        .collect();
    let now = gateway.clock.now();
    let dependencies: BTreeMap<_, _> = gateway
        .deep_health
        .0
        .lock()
        .iter()
        .map(|(name, finding)| {
            let mut shown = serde_json::to_value(finding).unwrap_or_default();
            shown["checked_at"] = finding.asked_at.to_string().into();
            shown["age_seconds"] = now.since(finding.asked_at).as_secs().into();
            (name.clone(), shown)
        })
        .collect();
    let tier = crate::degradation::admin::tier(gateway, snapshot);
    let fails = checks.iter().any(|check| check.status == Status::Failing);
    let is_degraded = tier["tier"] != seaworthy_config::NORMAL
        || gateway.overloaded_workers() > 0
        || checks.iter().any(|check| check.status == Status::Degraded);
    let status = match (fails, is_degraded) {
        (true, _) => "unavailable",
        (false, true) => "degraded",
        (false, false) => "ok",
    };
    let target = configured.and_then(|endpoint| endpoint.response_time);
    let elapsed = started.elapsed();
    health::note_time(DEEP, target, elapsed);
    let body = serde_json::json!({
        "status": status,
        "version": gateway.version,
        "purpose": configured.and_then(|endpoint| endpoint.purpose.as_deref()),
        "checks": checks,
        "dependencies": dependencies,
        "providers": providers(gateway, now),
        "targets": crate::admin::targets(snapshot),
        "workers": workers(gateway),
        "circuit_breakers": gateway.gates.news.sharing().as_str(),
        "degradation": tier,
        "duration_ms": health::fractional_millis(elapsed),
        "response_time_target_ms": target.map(health::millis),
    });
    (if fails { 503 } else { 200 }, body)
}

fn workers(gateway: &Gateway) -> serde_json::Value {
    let waiting: usize = gateway.doors.iter().map(|door| door.waiting()).sum();
    serde_json::json!({
        "count": gateway.doors.len(),
        "overloaded": gateway.overloaded_workers(),
        "calls_waiting": waiting,
    })
}

fn providers(gateway: &Gateway, now: UnixMillis) -> BTreeMap<String, serde_json::Value> {
    let shown = |known: crate::degradation::ProviderStanding| {
        let quota = known.quota(now);
        let requests = quota.and_then(|quota| quota.requests);
        let tokens = quota.and_then(|quota| quota.tokens);
        serde_json::json!({
            "last_status": known.last_status,
            "last_call_at": known.last_at.map(|at| at.to_string()),
            "quota_remaining": quota.and_then(|quota| quota.least()),
            "requests_remaining": requests.map(|left| left.remaining),
            "requests_limit": requests.and_then(|left| left.limit),
            "tokens_remaining": tokens.map(|left| left.remaining),
            "tokens_limit": tokens.and_then(|left| left.limit),
        })
    };
    let providers = gateway.degradation.providers();
    providers
        .into_iter()
        .map(|(name, known)| (name, shown(known)))
        .collect()
}
