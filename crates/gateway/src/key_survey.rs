//! How old the keys are and whether they are handled as `api_key_practices` asks for.

use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_config::{ApiKeyPractices, Config};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord, KeyState};
use seaworthy_core::principal::Role;
use seaworthy_core::store;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::gateway::Gateway;

/// How often ages are looked at while no key changes.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long changes are gathered before the keys are read again.
const PAUSE: Duration = Duration::from_secs(1);
/// A key that is too old is named in the log this often.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Most keys whose ages are shown one by one, the oldest first.
const MAX_SHOWN: usize = 100;

/// The practices that can be broken, as metrics and status name them.
pub(crate) const PRACTICES: [&str; 4] = [
    "rotate_every_days",
    "principle_of_least_privilege",
    "separate_keys_per_environment",
    "separate_keys_per_service",
];

/// A live key of a caller or of a provider, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `key/ID` or `provider/NAME`.
    pub(crate) key: String,
    pub(crate) age: Duration,
    /// Which practices it breaks.
    pub(crate) broken: Vec<&'static str>,
}

/// The last look at the keys.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    wanted: Notify,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    warned_at: Option<UnixMillis>,
    warned_of: usize,
}

impl Survey {
    /// Asks for a new look soon.
    pub(crate) fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Looks at the keys now and then, until the future is dropped.
    pub(crate) async fn run(&self, gateway: &Gateway) {
        loop {
            match look(gateway).await {
                Ok(findings) => self.note(gateway, findings),
                // That the store is away is told elsewhere; ages are looked at again soon.
                Err(error) => tracing::debug!(%error, "the keys could not be looked at"),
            }
            let woken = self.wanted.notified();
            let _either = tokio::time::timeout(INTERVAL, woken).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&self, gateway: &Gateway, findings: Vec<Finding>) {
        let now = gateway.clock.now();
        gateway.metrics.note_keys(&findings, MAX_SHOWN);
        let mut found = self.found.lock();
        let old: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.broken.contains(&PRACTICES[0]))
            .collect();
        let is_due = found.warned_at.is_none_or(|at| now.since(at) >= WARN_EVERY);
        if !old.is_empty() && (is_due || old.len() > found.warned_of) {
            for finding in old.iter().take(MAX_SHOWN) {
                let days = finding.age.as_secs() / 86_400;
                tracing::warn!(
                    key = finding.key,
                    age_days = days,
                    "a key is older than `rotate_every_days` allows: rotate it"
                );
            }
            found.warned_at = Some(now);
        }
        found.warned_of = old.len();
        found.findings = findings;
    }

    /// For `/admin/v1/status`.
    pub(crate) fn status(&self) -> Value {
        let found = self.found.lock();
        let broken: Vec<Value> = found
            .findings
            .iter()
            .filter(|finding| !finding.broken.is_empty())
            .take(MAX_SHOWN)
            .map(|finding| {
                json!({
                    "key": finding.key,
                    "age_days": finding.age.as_secs() / 86_400,
                    "broken_practices": finding.broken,
                })
            })
            .collect();
        let status = if broken.is_empty() { "ok" } else { "warning" };
        json!({"status": status, "live_keys": found.findings.len(), "findings": broken})
    }
}

/// All live keys, the oldest first.
async fn look(gateway: &Gateway) -> store::Result<Vec<Finding>> {
    let now = gateway.clock.now();
    let config = gateway.config();
    let records = gateway.stores.keys.list().await?;
    let live = records
        .iter()
        .filter(|record| record.state(now) == KeyState::Live);
    let mut findings: Vec<Finding> = live
        .map(|record| of_caller(record, &config.api_key_practices, now))
        .collect();
    findings.extend(of_providers(gateway, &config, now).await?);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.age));
    Ok(findings)
}

fn of_caller(record: &KeyRecord, practices: &ApiKeyPractices, now: UnixMillis) -> Finding {
    let age = now.since(record.created_at);
    let scope = &practices.scope;
    let is_broad = record.scopes.models.is_empty() && record.role == Role::User
        || record.role == Role::Admin && record.expires_at.is_none();
    let judged = [
        is_too_old(age, practices),
        scope.principle_of_least_privilege && is_broad,
        scope.separate_keys_per_environment && record.environment.is_none(),
        scope.separate_keys_per_service && record.service.is_none(),
    ];
    let broken = PRACTICES.iter().zip(judged);
    Finding {
        key: format!("key/{}", record.id),
        age,
        broken: broken
            .filter_map(|(name, is)| is.then_some(*name))
            .collect(),
    }
}

/// Keys at providers, as old as this deployment has known them.
async fn of_providers(
    gateway: &Gateway,
    config: &Config,
    now: UnixMillis,
) -> store::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (name, provider) in &config.providers {
        let Some(secret) = provider
            .api_key
            .as_ref()
            .and_then(|key| gateway.secret(key))
        else {
            continue;
        };
        let name = format!("provider/{name}");
        let digest = KeyDigest::of(&format!("{name}\0{}", secret.expose()));
        let since = gateway.stores.keys.first_seen(&name, &digest, now).await?;
        let age = now.since(since);
        let is_too_old = is_too_old(age, &config.api_key_practices);
        findings.push(Finding {
            key: name,
            age,
            broken: is_too_old.then_some(PRACTICES[0]).into_iter().collect(),
        });
    }
    Ok(findings)
}

fn is_too_old(age: Duration, practices: &ApiKeyPractices) -> bool {
    let days = practices.rotation.rotate_every_days.map(|days| days.get());
    days.is_some_and(|days| age.as_secs() >= days.saturating_mul(86_400))
}
