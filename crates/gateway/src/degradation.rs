//! Which degradation tier is in force, and what it asks of requests.
//!
//! Requests note how they went; once a second the tiers are judged by that, by what people have
//! switched, and by time. A request reads the outcome with one load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use seaworthy_config::{NORMAL, TierAction, Tiers};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::condition::{Signal, When};
use seaworthy_core::degradation::{Machine, Manual, Standing};
use seaworthy_core::signals::{Signals, Window};
use seaworthy_core::store::Switch;

use self::quota::Quota;
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;

pub(crate) mod admin;
pub(crate) mod quota;
mod spend;

/// How often the tiers are judged.
const INTERVAL: Duration = Duration::from_secs(1);
/// What a provider said of its limits is believed for so long.
const QUOTA_LIFETIME: Duration = Duration::from_secs(120);
/// The switch that holds a tier chosen by a person.
pub(crate) const TIER_SWITCH: &str = "tier";

/// What is known of how things go, and what follows from it.
#[derive(Debug)]
pub(crate) struct Degradation {
    pub(crate) window: Window,
    /// What is known of each provider that was called.
    providers: Mutex<BTreeMap<String, ProviderStanding>>,
    watched: Mutex<Watched>,
    switches: ArcSwap<Vec<Switch>>,
    in_force: ArcSwap<InForce>,
}

/// How a provider was met last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProviderStanding {
    /// What it said is left of its limits, and when.
    quota: Option<(Quota, UnixMillis)>,
    /// The status of its last answer; `None` when none came.
    pub(crate) last_status: Option<u16>,
    pub(crate) last_at: Option<UnixMillis>,
}

impl ProviderStanding {
    /// What it said is left of its limits, if that is recent.
    pub(crate) fn quota(&self, now: UnixMillis) -> Option<Quota> {
        let recent = |at| now.since(at) < QUOTA_LIFETIME;
        self.quota
            .filter(|(_, at)| recent(*at))
            .map(|(quota, _)| quota)
    }

    /// Whether it refused the gateway's own credentials when it was last called.
    pub(crate) fn refuses_credentials(&self) -> bool {
        matches!(self.last_status, Some(401 | 403))
    }
}

#[derive(Debug, Default)]
struct Watched {
    tiers: Tiers,
    machine: Machine,
    spend: spend::Spend,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InForce {
    pub(crate) name: Arc<str>,
    pub(crate) header: HeaderValue,
    /// All tiers whose actions are taken, mildest first.
    pub(crate) active: Vec<String>,
    pub(crate) is_manual: bool,
    pub(crate) since: UnixMillis,
    /// Whose calls are switched; `None`: all.
    normal_model: Option<String>,
    switch_to: Option<String>,
    gives_up_non_critical: bool,
    gives_up: Vec<String>,
    pub(crate) queues: bool,
    pub(crate) is_read_only: bool,
}

impl InForce {
    fn new(tiers: &Tiers, standing: &Standing, now: UnixMillis) -> Self {
        let active: Vec<_> = standing
            .active
            .iter()
            .filter_map(|at| tiers.tiers.get(*at))
            .collect();
        let name = active.last().map_or(NORMAL, |tier| &tier.name);
        let mut in_force = Self {
            name: name.into(),
            header: HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(NORMAL)),
            active: active.iter().map(|tier| tier.name.clone()).collect(),
            is_manual: standing.is_manual,
            since: now,
            normal_model: tiers.normal_model.clone(),
            switch_to: None,
            gives_up_non_critical: false,
            gives_up: Vec::new(),
            queues: false,
            is_read_only: false,
        };
        for action in active.iter().flat_map(|tier| &tier.actions) {
            match action {
                // The worse tier knows better.
                TierAction::SwitchModel(model) => in_force.switch_to = Some(model.clone()),
                TierAction::DisableNonCritical => in_force.gives_up_non_critical = true,
                TierAction::DisableFeature(name) => in_force.gives_up.push(name.clone()),
                TierAction::QueueRequests => in_force.queues = true,
                TierAction::ReadOnly => in_force.is_read_only = true,
            }
        }
        in_force
    }

    /// The model that is asked instead of `wanted`, if a tier says so.
    pub(crate) fn model_instead_of(&self, wanted: &str) -> Option<&str> {
        let is_meant = self
            .normal_model
            .as_deref()
            .is_none_or(|normal| normal == wanted);
        self.switch_to
            .as_deref()
            .filter(|instead| is_meant && *instead != wanted)
    }

    /// Whether a feature is given up.
    pub(crate) fn gives_up(&self, feature: &str, is_critical: bool) -> bool {
        (self.gives_up_non_critical && !is_critical)
            || self.gives_up.iter().any(|name| name == feature)
    }
}

impl Degradation {
    pub(crate) fn new(now: UnixMillis) -> Self {
        let in_force = InForce::new(&Tiers::default(), &Standing::default(), now);
        Self {
            window: Window::default(),
            providers: Mutex::default(),
            watched: Mutex::default(),
            switches: ArcSwap::default(),
            in_force: ArcSwap::from_pointee(in_force),
        }
    }

    /// What is in force now.
    pub(crate) fn in_force(&self) -> arc_swap::Guard<Arc<InForce>> {
        self.in_force.load()
    }

    /// What a person has switched a feature to.
    pub(crate) fn switched(&self, feature: &str) -> Option<bool> {
        let switches = self.switches.load();
        let mut switches = switches.iter();
        switches
            .find(|switch| switch.name.strip_prefix("feature:") == Some(feature))
            .map(|switch| switch.value == "on")
    }

    /// Notes the head of a provider's answer: how long it took, and what it says of its limits.
    /// `status` is `None` when none came.
    pub(crate) fn note_attempt(
        &self,
        provider: &str,
        status: Option<u16>,
        headers: Option<&HeaderMap>,
        waited: Duration,
        now: UnixMillis,
    ) {
        self.window.note_answer(now, waited);
        if status == Some(429) {
            self.window.note_limited(now);
        }
        let quota = headers.and_then(Quota::read);
        let mut providers = self.providers.lock();
        let known = match providers.get_mut(provider) {
            Some(known) => known,
            None => providers.entry(provider.to_owned()).or_default(),
        };
        known.quota = quota.map(|left| (left, now)).or(known.quota);
        known.last_status = status;
        known.last_at = Some(now);
    }

    /// What is known of the providers that were called.
    pub(crate) fn providers(&self) -> BTreeMap<String, ProviderStanding> {
        self.providers.lock().clone()
    }

    /// What providers say is left of their limits, by provider.
    pub(crate) fn quotas(&self, now: UnixMillis) -> BTreeMap<String, u64> {
        let known = self.known_quotas(now).into_iter();
        known
            .filter_map(|(name, quota)| Some((name, quota.least()?)))
            .collect()
    }

    /// The same by limit.
    pub(crate) fn known_quotas(&self, now: UnixMillis) -> BTreeMap<String, Quota> {
        let providers = self.providers.lock();
        let quota = |(name, known): (&String, &ProviderStanding)| {
            known.quota(now).map(|quota| (name.clone(), quota))
        };
        providers.iter().filter_map(quota).collect()
    }

    /// Judges the tiers once.
    pub(crate) async fn judge(&self, gateway: &Gateway) {
        let snapshot = gateway.snapshot();
        let config = &snapshot.loaded.config;
        if !(config.degradation_tiers.is_empty() && config.features.is_empty()) {
            match gateway.stores.switches.list().await {
                Ok(switches) => self.switches.store(Arc::new(switches)),
                // What was switched stays so until the store answers again.
                Err(error) => tracing::debug!(%error, "the switches cannot be read"),
            }
        }
        let now = gateway.clock.now();
        let needs_spend = needs_spend(&snapshot.tiers);
        if needs_spend && self.watched.lock().spend.is_due(now) {
            let spend = spend::Spend::ask(&*gateway.stores.ledger, now).await;
            self.watched.lock().spend = spend;
        }
        self.step(gateway, &snapshot, now);
    }

    fn step(&self, gateway: &Gateway, snapshot: &Snapshot, now: UnixMillis) {
        let tiers = &snapshot.tiers;
        let mut watched = self.watched.lock();
        let signals = Signals {
            remaining_quota: self.quotas(now).into_values().min(),
            requests_in_flight: gateway.running_calls() as u64,
            provider_unavailable: snapshot.has_shut_target(),
            hourly_cost: watched.spend.last_hour,
            hourly_cost_baseline: watched.spend.usual_hour,
            ..self.window.signals(now)
        };
        if watched.tiers != *tiers {
            watched.tiers = tiers.clone();
            watched.machine = Machine::default();
        }
        let rules: Vec<_> = tiers.tiers.iter().map(|tier| tier.rule).collect();
        let manual = manual(tiers, &self.switches.load());
        let standing = watched.machine.step(&rules, manual, &signals, now);
        drop(watched);
        let next = InForce::new(tiers, &standing, now);
        let before = self.in_force.load_full();
        let since = before.since;
        if next
            == (InForce {
                since: now,
                ..(*before).clone()
            })
        {
            return;
        }
        if next.name == before.name {
            self.in_force.store(Arc::new(InForce { since, ..next }));
            return;
        }
        tell(&before, &next);
        gateway.metrics.count_tier(&before.name, &next.name);
        self.in_force.store(Arc::new(next));
    }

    /// Judges the tiers for as long as it is polled.
    pub(crate) async fn run(&self, gateway: &Gateway) {
        loop {
            self.judge(gateway).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

fn needs_spend(tiers: &Tiers) -> bool {
    let compares = |when| {
        matches!(
            when,
            When::Compare {
                signal: Signal::HourlyCost,
                ..
            }
        )
    };
    tiers
        .tiers
        .iter()
        .any(|tier| compares(tier.rule.trigger.when))
}

/// What a person has chosen. A tier that is no longer configured chooses nothing.
fn manual(tiers: &Tiers, switches: &[Switch]) -> Option<Manual> {
    let mut switches = switches.iter();
    let chosen = switches.find(|switch| switch.name == TIER_SWITCH)?;
    if chosen.value == NORMAL {
        return Some(Manual::Normal);
    }
    let mut names = tiers.tiers.iter();
    let at = names.position(|tier| tier.name == chosen.value)?;
    Some(Manual::Tier(at))
}

fn tell(before: &InForce, next: &InForce) {
    let (tier, previous_tier) = (&*next.name, &*before.name);
    let (manual, active) = (next.is_manual, next.active.join(", "));
    if tier == NORMAL {
        tracing::info!(
            tier,
            previous_tier,
            manual,
            "the degradation tier is normal again"
        );
    } else {
        tracing::warn!(
            tier,
            previous_tier,
            manual,
            active,
            "the degradation tier has changed"
        );
    }
}

/// Refuses a call that the cache did not answer while nothing else may.
pub(crate) fn require_provider(exchange: &Exchange) -> Result<(), Refusal> {
    let in_force = exchange.gateway.degradation.in_force();
    if !in_force.is_read_only {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Maintenance,
        format!(
            "The gateway is in the tier `{}`: only answers that it remembers are given, and it \
             remembers none to this request. Try again later.",
            in_force.name
        ),
    )
    .retry_after(MAINTENANCE_RETRY))
}

/// When to ask again during maintenance.
const MAINTENANCE_RETRY: Duration = Duration::from_secs(60);
