//! Every metric of the data plane, with handles that a request can use without looking anything up.
//!
//! Labels are bounded: configured names, statuses and codes, never what a caller sent.

// A family of metrics by its labels, registered under a name. Counters and gauges differ in their
// type alone; the names of the macros are for the test that compares the reference with the code.
macro_rules! family {
    ($registry:ident, $name:literal, $help:literal) => {{
        let family = prometheus_client::metrics::family::Family::default();
        $registry.register(
            $name,
            $help,
            $crate::metrics::announced::Announced(family.clone()),
        );
        family
    }};
}
macro_rules! gauges {
    ($registry:ident, $name:literal, $help:literal) => {
        family!($registry, $name, $help)
    };
}

mod announced;
mod attempts;
mod batches;
mod budgets;
mod call;
mod health;
mod keys;
mod labels;
mod process;
mod quota;
mod runs;
mod secrets;
mod stores;
mod tls;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use seaworthy_core::code::Code;
use seaworthy_core::ledger::Outcome;

use self::announced::Announced;
use self::attempts::{AttemptMetrics, OpeningLabels};
use self::batches::BatchRequestLabels;
use self::budgets::BudgetMetrics;
pub(crate) use self::budgets::Fullest;
pub(crate) use self::call::CallMetrics;
use self::keys::{AuthFailureLabels, KeyLabels, PracticeLabels, ReplayLabels};
use self::labels::{
    CacheLabels, DependencyLabels, ErrorLabels, GuardLabels, LatencyLabels, LimitLabels,
    ModelTargetLabels, ProviderStatusLabels, ReloadLabels, RequestLabels, ShedLabels, TargetLabels,
    TierLabels, TokenLabels,
};
use self::process::ProcessMetrics;
pub use self::process::ProcessUsage;
use self::quota::QuotaMetrics;
use self::runs::RunLabels;
pub use self::secrets::SecretMetrics;
use self::stores::CallLabels;
pub use self::stores::StoreMetrics;
pub use self::tls::TlsMetrics;
use crate::guards::verdicts::Verdicts;

/// From a local answer to a long chain of thought, with the limits of the readiness checklists
/// (2, 5, 10, 30 and 60 s) as bounds of their own.
const SECONDS: [f64; 20] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
    10.0, 20.0, 30.0, 60.0, 120.0, 300.0,
];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// The metrics of the data plane.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    request_latency: Family<LatencyLabels, Histogram, fn() -> Histogram>,
    first_byte: Family<TargetLabels, Histogram, fn() -> Histogram>,
    provider_latency: Family<TargetLabels, Histogram, fn() -> Histogram>,
    provider_responses: Family<ProviderStatusLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    estimated_usage: Family<TargetLabels, Counter>,
    cost_usd: Family<ModelTargetLabels, Counter<f64, AtomicU64>>,
    reloads: Family<ReloadLabels, Counter>,
    auth_failures: Family<AuthFailureLabels, Counter>,
    replays: Family<ReplayLabels, Counter>,
    batch_requests: Family<BatchRequestLabels, Counter>,
    key_ages: Family<KeyLabels, Gauge>,
    broken_practices: Family<PracticeLabels, Gauge>,
    /// The age of the oldest live key.
    pub oldest_key: Gauge,
    limits: Family<LimitLabels, Counter>,
    over_reserved: Family<TargetLabels, Counter>,
    guard_verdicts: Family<GuardLabels, Counter>,
    cache_hits: Family<CacheLabels, Counter>,
    /// Requests whose answer could have been remembered and was not.
    pub cache_misses: Counter,
    /// Answers that are remembered in this process.
    pub cache_entries: Gauge,
    /// What they weigh.
    pub cache_bytes: Gauge,
    /// Requests that got the answer of an earlier one under the same idempotency key.
    pub idempotent_replays: Counter,
    store_latency: Family<CallLabels, Histogram, fn() -> Histogram>,
    store_errors: Family<CallLabels, Counter>,
    /// Metrics without the name of the program before theirs.
    unnamed: Registry,
    process: ProcessMetrics,
    tls: TlsMetrics,
    secrets: SecretMetrics,
    quotas: QuotaMetrics,
    attempts: AttemptMetrics,
    budgets: BudgetMetrics,
    shed: Family<ShedLabels, Counter>,
    /// Streams whose callers were told that they wait.
    pub(crate) told_to_wait: Counter,
    sandbox_runs: Family<RunLabels, Counter>,
    sandbox_cpu: Counter<f64, AtomicU64>,
    breaker_state: Family<TargetLabels, Gauge>,
    breaker_openings: Family<OpeningLabels, Counter>,
    /// Whether replicas hear of each other's circuit breakers.
    pub breakers_shared: Gauge,
    concurrency_limit: Family<TargetLabels, Gauge>,
    queue_depth: Family<TargetLabels, Gauge>,
    /// Workers that have more to do than they can.
    pub(crate) workers_overloaded: Gauge,
    tier: Family<TierLabels, Gauge>,
    tier_changes: Family<TierLabels, Counter>,
    dependency_up: Family<DependencyLabels, Gauge>,
    /// Model calls whose answer is not complete.
    pub in_flight: Gauge,
    /// Whether the last attempt to load the configuration succeeded.
    pub config_current: Gauge,
    /// Calls that are open or whose settlement is not written yet.
    pub ledger_outstanding: Gauge,
    /// Connections of clients that are open.
    pub open_connections: Gauge,
    /// Targets whose built-in price is old.
    pub stale_prices: Gauge,
    /// Whether the server of the shared state decides; 1 without one.
    pub shared_state_up: Gauge,
    /// How many replicas share the state, or shared it last.
    pub replicas: Gauge,
    /// Hours in which a user spent more than twice its own baseline.
    pub(crate) unusual_spend: Counter,
    /// Whether new work is accepted.
    pub ready: Gauge,
    /// Panics that cost a request.
    pub panics: Counter,
    /// Log lines that were dropped because the output did not keep up.
    pub log_lines_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    #[expect(
        clippy::too_many_lines,
        reason = "a list of metrics, one after the other"
    )]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("seaworthy");
        let mut unnamed = Registry::default();
        macro_rules! histograms {
            ($name:literal, $help:literal) => {{
                let family = Family::new_with_constructor(seconds as fn() -> Histogram);
                let announced = Announced(family.clone());
                registry.register_with_unit($name, $help, Unit::Seconds, announced);
                family
            }};
        }
        macro_rules! single {
            ($name:literal, $help:literal) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
        }
        Self {
            requests: family!(
                registry,
                "requests",
                "Requests that ended, by what they asked for and how they ended"
            ),
            errors: family!(registry, "errors", "Requests that ended with an error code"),
            request_latency: histograms!(
                "request_latency",
                "From the request's head to the end of its answer"
            ),
            first_byte: histograms!(
                "time_to_first_byte",
                "From the request's head to the first byte of a provider's answer"
            ),
            provider_latency: histograms!(
                "provider_latency",
                "From sending a call to the head of the provider's answer"
            ),
            provider_responses: family!(
                registry,
                "provider_responses",
                "Answers of providers by status; \"error\" where none came"
            ),
            tokens: family!(registry, "tokens_used", "Tokens by price class"),
            estimated_usage: family!(
                registry,
                "usage_estimated",
                "Calls whose usage the provider did not report"
            ),
            cost_usd: family!(registry, "cost_usd", "What calls cost, in US dollars"),
            limits: family!(
                registry,
                "rate_limit_exceeded",
                "Requests refused by a limit or a budget, by its name in the configuration"
            ),
            over_reserved: family!(
                registry,
                "reservations_exceeded",
                "Calls that used more than was reserved for them"
            ),
            guard_verdicts: family!(
                registry,
                "guard_verdicts",
                "What guards decided, by guard, place and action"
            ),
            cache_hits: family!(
                registry,
                "cache_hits",
                "Requests answered without a call of their own, by kind: exact, semantic, coalesced"
            ),
            cache_misses: single!(
                "cache_misses",
                "Requests whose answer could have been remembered and was not"
            ),
            cache_entries: single!("cache_entries", "Answers remembered in this process"),
            cache_bytes: single!("cache_bytes", "Memory taken by remembered answers"),
            idempotent_replays: single!(
                "idempotent_replays",
                "Requests that got the answer of an earlier one under their idempotency key"
            ),
            store_latency: histograms!("store_call", "Calls to stores over a network"),
            store_errors: family!(
                registry,
                "store_errors",
                "Calls to stores that had no answer"
            ),
            process: ProcessMetrics::register(&mut unnamed),
            unnamed,
            tls: TlsMetrics::register(&mut registry),
            secrets: SecretMetrics::register(&mut registry),
            quotas: QuotaMetrics::register(&mut registry),
            attempts: AttemptMetrics::register(&mut registry),
            budgets: BudgetMetrics::register(&mut registry),
            shed: family!(
                registry,
                "shed",
                "Requests refused because there was too much to do"
            ),
            told_to_wait: single!(
                "told_to_wait",
                "Streams whose callers were told that they wait"
            ),
            breaker_state: gauges!(
                registry,
                "circuit_breaker_state",
                "0 while a target is asked, 1 while it is tried, 2 while it is left alone"
            ),
            breaker_openings: family!(
                registry,
                "circuit_breaker_openings",
                "Openings of circuit breakers, by who found the target failing"
            ),
            breakers_shared: single!(
                "circuit_breakers_shared",
                "1 while replicas hear of each other's circuit breakers"
            ),
            concurrency_limit: gauges!(
                registry,
                "concurrency_limit",
                "Calls that a target may have before their first token"
            ),
            queue_depth: gauges!(registry, "queue_depth", "Calls that wait for a target"),
            workers_overloaded: single!(
                "workers_overloaded",
                "Worker threads that have more to do than they can"
            ),
            tier: gauges!(
                registry,
                "degradation_tier",
                "1 for the degradation tier that is in force"
            ),
            tier_changes: family!(
                registry,
                "degradation_tier_changes",
                "Changes of the degradation tier, by the tier that came"
            ),
            dependency_up: gauges!(
                registry,
                "dependency_up",
                "1 while a dependency is well, by its name in the configuration"
            ),
            reloads: family!(
                registry,
                "config_reloads",
                "Attempts to reload the configuration"
            ),
            replays: family!(
                registry,
                "replay_refusals",
                "Requests that were not known to be fresh at a route that takes no others"
            ),
            auth_failures: family!(
                registry,
                "auth_failures",
                "Credentials that were not accepted"
            ),
            batch_requests: family!(registry, "batch_requests", "Requests of batches that ended"),
            key_ages: gauges!(registry, "key_age_seconds", "Age of the oldest live keys"),
            broken_practices: gauges!(
                registry,
                "key_practice_violations",
                "Live keys that break a practice"
            ),
            oldest_key: single!("oldest_key_age_seconds", "Age of the oldest live key"),
            in_flight: single!(
                "requests_in_flight",
                "Model calls whose answer is not complete"
            ),
            config_current: single!(
                "config_last_reload_successful",
                "1 when the configuration in force is the one on disk"
            ),
            sandbox_runs: family!(
                registry,
                "sandbox_runs",
                "Runs of code in the sandbox by how they ended"
            ),
            sandbox_cpu: single!(
                "sandbox_cpu_seconds",
                "Time of the processor that runs in the sandbox took"
            ),
            ledger_outstanding: single!(
                "ledger_outstanding",
                "Calls that are open or not yet written to the ledger"
            ),
            stale_prices: single!(
                "stale_prices",
                "Targets whose built-in price is older than cost_controls.max_price_age_days"
            ),
            shared_state_up: single!(
                "shared_state_up",
                "1 while the server of the shared state decides, or there is none"
            ),
            replicas: single!(
                "replicas",
                "Replicas that share the state, or shared it last"
            ),
            open_connections: single!("open_connections", "Open connections of clients"),
            unusual_spend: single!(
                "unusual_spend",
                "Hours in which a user spent more than twice its own baseline"
            ),
            ready: single!("ready", "1 while new work is accepted"),
            panics: single!("panics", "Panics that cost a request"),
            log_lines_dropped: single!(
                "log_lines_dropped",
                "Log lines dropped because the output did not keep up"
            ),
            registry,
        }
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &self.unnamed))
            .and_then(|()| encode_eof(&mut text));
        text
    }

    /// Counts calls to stores.
    #[must_use]
    pub fn stores(&self) -> StoreMetrics {
        StoreMetrics {
            latency: self.store_latency.clone(),
            errors: self.store_errors.clone(),
        }
    }

    /// Counts an attempt to reload the configuration.
    pub fn count_reload(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.config_current.set(i64::from(succeeded));
    }

    /// Shows how many connections of clients are open.
    pub fn note_open_connections(&self, count: usize) {
        self.open_connections
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Shows how many log lines were dropped since the start.
    pub fn note_dropped_log_lines(&self, total: u64) {
        let counted = self.log_lines_dropped.get();
        self.log_lines_dropped.inc_by(total.saturating_sub(counted));
    }

    /// Counts a request that a limit or a budget refused.
    pub(crate) fn count_limit(&self, name: &str) {
        let limit = name.to_owned();
        self.limits.get_or_create(&LimitLabels { limit }).inc();
    }

    /// Counts a request that was answered without a call of its own.
    pub(crate) fn count_cache_hit(&self, kind: &'static str) {
        self.cache_hits.get_or_create(&CacheLabels { kind }).inc();
    }

    /// Counts what guards decided about one exchange.
    pub(crate) fn count_verdicts(&self, verdicts: &Verdicts) {
        for counted in verdicts.iter() {
            let labels = GuardLabels {
                guard: counted.guard,
                place: counted.place,
                action: counted.action,
            };
            let counter = self.guard_verdicts.get_or_create(&labels);
            counter.inc_by(counted.times);
        }
    }

    /// Counts a request that ended.
    pub(crate) fn count_request(
        &self,
        action: &'static str,
        model: &str,
        status: u16,
        outcome: Outcome,
    ) {
        let outcome = outcome.as_str();
        let labels = RequestLabels {
            action,
            model: model.to_owned(),
            status,
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn count_error(&self, action: &'static str, code: Code) {
        self.errors
            .get_or_create(&ErrorLabels {
                action,
                code: code.as_str(),
            })
            .inc();
    }

    pub(crate) fn latency(&self, action: &'static str, model: &str, stream: bool) -> Histogram {
        let stream = if stream { "true" } else { "false" };
        let labels = LatencyLabels {
            action,
            model: model.to_owned(),
            stream,
        };
        self.request_latency.get_or_create_owned(&labels)
    }
}
