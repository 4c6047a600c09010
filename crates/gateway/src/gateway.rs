//! The data plane's shared state: what every worker and every request can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use seaworthy_config::{Loaded, Secret, SecretRef, SecretSource};
use seaworthy_core::cache::AnswerStore;
use seaworthy_core::clock::{SharedClock, UnixMillis};
use seaworthy_core::counters::Counters;
use seaworthy_core::ledger::Settlement;
use seaworthy_core::nonces::Nonces;
use seaworthy_core::resilience::openings::Openings;
use seaworthy_core::resilience::retry::RetryBudget;
use seaworthy_core::store::{self, Journal, Ledger, Stores};
use seaworthy_edge::client::Dial;
use seaworthy_sandbox::Launcher;
use tokio::sync::{Notify, Semaphore};

use crate::batches::work::Batches;
use crate::deep_health::DeepHealth;
use crate::degradation::Degradation;
use crate::door::Door;
use crate::flight::Flights;
use crate::health::Health;
use crate::intent_sharer::IntentSharer;
use crate::key_survey::Survey;
use crate::keyring::KeyRing;
use crate::ledger_queue::LedgerQueue;
use crate::metrics::Metrics;
use crate::reload::Retired;
use crate::request_log::{RequestLog, Style};
use crate::resilience::gate::Gates;
use crate::responses::background::Background;
use crate::snapshot::{CompileError, Snapshot, Tools};
use crate::spend::{Spend, Unusual};
use crate::stage::recall::idempotent::{HeldKeys, keep_house};
use crate::stage::recall::semantic::Meanings;
use crate::stage::reserve::KnownInputs;

/// What the data plane is built from.
pub struct Dependencies {
    /// Wall time.
    pub clock: SharedClock,
    /// Durable state.
    pub stores: Stores,
    /// Limits and budgets in use.
    pub counters: Arc<dyn Counters>,
    /// Remembered answers.
    pub answers: Arc<dyn AnswerStore>,
    /// What requests at protected routes bear once.
    pub nonces: Arc<dyn Nonces>,
    /// Where replicas tell each other of targets that fail; `None` where there is only one.
    pub openings: Option<Arc<dyn Openings>>,
    /// Where calls are recorded before they leave.
    pub journal: Arc<dyn Journal>,
    /// Values of secrets.
    pub secrets: Arc<dyn SecretSource>,
    /// Metrics.
    pub metrics: Metrics,
    /// The log of requests.
    pub log: RequestLog,
    /// How connections to providers are opened.
    pub dial: Arc<dyn Dial>,
    /// How code is run that callers send.
    pub sandbox: Launcher,
    /// Number of worker threads that will serve requests.
    pub workers: usize,
    /// The version of the program.
    pub version: &'static str,
}

/// The data plane.
pub struct Gateway {
    pub(crate) clock: SharedClock,
    pub(crate) stores: Stores,
    pub(crate) keys: KeyRing,
    /// Wakes the fetching of issuers' keys.
    pub(crate) issuers_wake: Notify,
    pub(crate) survey: Survey,
    pub(crate) ledger: LedgerQueue,
    pub(crate) counters: Arc<dyn Counters>,
    pub(crate) answers: Arc<dyn AnswerStore>,
    pub(crate) nonces: Arc<dyn Nonces>,
    pub(crate) openings: Option<Arc<dyn Openings>>,
    /// Answers that several callers read while they are made.
    pub(crate) flights: Arc<Flights>,
    pub(crate) held_keys: Arc<HeldKeys>,
    /// Names this deployment in the keys of limits and budgets, as when it was started.
    deployment: String,
    /// What remembered answers mean.
    pub(crate) meanings: Meanings,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) intents: Arc<IntentSharer>,
    pub(crate) known_inputs: Arc<KnownInputs>,
    pub(crate) spend: Arc<Spend>,
    /// The batches that are worked on.
    pub(crate) batches: Batches,
    /// The responses that are made in the background.
    pub(crate) responses: Arc<Background>,
    /// The metrics of the data plane.
    pub metrics: Metrics,
    pub(crate) log: RequestLog,
    /// Whether the process takes work.
    pub health: Health,
    /// How things go, and which tier is in force.
    pub(crate) degradation: Degradation,
    pub(crate) deep_health: DeepHealth,
    pub(crate) concurrent: Arc<AtomicUsize>,
    /// Where calls wait for the processor, one for each worker.
    pub(crate) doors: Vec<Arc<Door>>,
    /// Places for long texts that are guarded beside the workers: as many as there are workers, so
    /// that those keep half of the processors at least.
    pub(crate) screening: Arc<Semaphore>,
    /// Who may pass to which target.
    pub(crate) gates: Gates,
    /// What may be repeated.
    pub(crate) retry_budget: RetryBudget,
    /// How code is run that callers send.
    pub(crate) launcher: Launcher,
    pub(crate) version: &'static str,
    pub(crate) started_at: UnixMillis,
    pub(crate) last_reload: Mutex<Option<Reload>>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) retired: Retired,
    secrets: Arc<dyn SecretSource>,
    dial: Arc<dyn Dial>,
    workers: usize,
}

/// The last attempt to change the configuration.
#[derive(Debug, Clone)]
pub struct Reload {
    /// When.
    pub at: UnixMillis,
    /// What was wrong; `None` when the new configuration is in force.
    pub error: Option<String>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Compiles the configuration and wires the data plane.
    ///
    /// # Errors
    /// When a provider cannot be used as configured.
    pub fn build(loaded: Loaded, deps: Dependencies) -> Result<Arc<Self>, CompileError> {
        let Dependencies {
            clock,
            stores,
            counters,
            answers,
            nonces,
            openings,
            journal,
            secrets,
            metrics,
            log,
            dial,
            sandbox: launcher,
            workers,
            version,
        } = deps;
        let now = clock.now();
        let batches = Batches::new(loaded.config.batches.concurrency.get());
        let deployment = loaded.config.shared_state.deployment.as_str().to_owned();
        let gates = Gates::default();
        let tools = Tools {
            deployment: &deployment,
            secrets: &*secrets,
            dial: &dial,
            metrics: &metrics,
            gates: &gates,
            workers,
            clock: &clock,
            now,
        };
        let snapshot = Snapshot::compile(loaded, &tools, None)?;
        snapshot.warn_of_stale_prices(now);
        metrics.config_current.set(1);
        metrics.show_tier(seaworthy_config::NORMAL);
        Ok(Arc::new(Self {
            keys: KeyRing::new(Arc::clone(&stores.keys), Arc::clone(&clock)),
            issuers_wake: Notify::new(),
            survey: Survey::default(),
            ledger: LedgerQueue::default(),
            intents: Arc::default(),
            counters,
            answers,
            nonces,
            openings,
            flights: Arc::default(),
            held_keys: Arc::default(),
            deployment,
            meanings: Meanings::default(),
            journal,
            known_inputs: Arc::default(),
            spend: Arc::default(),
            batches,
            responses: Arc::default(),
            health: Health::default(),
            degradation: Degradation::new(now),
            deep_health: DeepHealth::default(),
            concurrent: Arc::default(),
            doors: (0..workers.max(1)).map(|_| Arc::default()).collect(),
            screening: Arc::new(Semaphore::new(workers.max(1))),
            gates,
            retry_budget: RetryBudget::default(),
            started_at: now,
            last_reload: Mutex::new(None),
            snapshot: ArcSwap::from_pointee(snapshot),
            retired: Retired::default(),
            clock,
            stores,
            metrics,
            log,
            launcher,
            version,
            secrets,
            dial,
            workers,
        }))
    }

    /// Whether a worker has more to do than it can.
    pub(crate) fn is_overloaded(&self, worker: usize) -> bool {
        let door = self.doors.get(worker);
        door.is_some_and(|door| door.is_closing())
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn tools(&self, now: UnixMillis) -> Tools<'_> {
        Tools {
            deployment: &self.deployment,
            secrets: &*self.secrets,
            dial: &self.dial,
            metrics: &self.metrics,
            gates: &self.gates,
            workers: self.workers,
            clock: &self.clock,
            now,
        }
    }

    /// Reads the values of secrets anew for the requests that come from now on. When one cannot be
    /// used, nothing changes.
    ///
    /// # Errors
    /// When a value cannot be read or used.
    pub fn renew_secrets(&self) -> Result<(), CompileError> {
        let current = self.snapshot();
        let snapshot = Snapshot::compile(
            current.loaded.clone(),
            &self.tools(self.clock.now()),
            Some(&current),
        )?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// What keeps secrets from being fetched again.
    pub(crate) fn secret_troubles(&self) -> Vec<String> {
        self.secrets.troubles()
    }

    pub(crate) fn dial(&self) -> &Arc<dyn Dial> {
        &self.dial
    }

    /// Where the configuration refers to secrets that cannot be read now.
    pub(crate) fn unreadable_secrets(&self, config: &seaworthy_config::Config) -> Vec<String> {
        let mut unreadable = Vec::new();
        for (name, provider) in &config.providers {
            let key = provider.api_key.iter().map(|key| ("api_key", key));
            for (what, reference) in key.chain(provider.headers.iter()) {
                if let Err(error) = self.secrets.resolve(reference) {
                    unreadable.push(format!("providers.{name}.{what}: {error}"));
                }
            }
        }
        unreadable
    }

    /// Records the outcome of an attempt to reload, for status and metrics.
    pub fn note_reload(&self, error: Option<String>) {
        self.metrics.count_reload(error.is_none());
        *self.last_reload.lock() = Some(Reload {
            at: self.clock.now(),
            error,
        });
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<seaworthy_config::Config> {
        Arc::clone(&self.snapshot().loaded.config)
    }

    /// The hash of the configuration in force.
    #[must_use]
    pub fn config_hash(&self) -> String {
        self.snapshot().loaded.hash.clone()
    }

    /// Work that goes on beside requests: keys that changed, settlements that wait to be written.
    /// Runs until the future is dropped.
    pub async fn run_background(self: &Arc<Self>) {
        let keys = async {
            loop {
                let refreshed = self.keys.refresh().await;
                if refreshed.as_ref().is_ok_and(|changed| *changed) {
                    self.survey.ask();
                }
                self.health.note_store(
                    refreshed
                        .err()
                        .map(|error| seaworthy_core::error::chain(&error)),
                );
                tokio::time::sleep(KEY_REFRESH_INTERVAL).await;
            }
        };
        let ledger = Arc::clone(&self.stores.ledger);
        let ledger = self
            .ledger
            .write_to(ledger, |settled| self.note_spend(settled));
        tokio::join!(
            keys,
            ledger,
            keep_house(self),
            crate::reload::count_late(self),
            crate::shared_state::keep(self),
            crate::resilience::hearsay::share(self),
            self.fetch_issuers(),
            self.survey.run(self),
            self.degradation.run(self),
            self.deep_health.run(self),
            self.responses.run(self),
            self.batches.run(self),
            crate::objects::keep_house(self)
        );
    }

    /// Keeps the keys of identity providers fresh.
    async fn fetch_issuers(&self) {
        loop {
            let now = self.clock.now();
            for issuer in &self.snapshot().issuers {
                if issuer.is_due(now) {
                    let issuer = Arc::clone(issuer);
                    // One that does not answer must not hold up the others.
                    tokio::spawn(async move { issuer.fetch(now).await });
                }
            }
            let woken = self.issuers_wake.notified();
            let _either = tokio::time::timeout(ISSUER_POLL_INTERVAL, woken).await;
        }
    }

    /// The value of a secret of the configuration, read anew.
    pub(crate) fn secret(&self, reference: &SecretRef) -> Option<Secret> {
        self.secrets.resolve(reference).ok()
    }

    fn note_spend(&self, settled: &[Settlement]) {
        for unusual in self.spend.note(settled) {
            self.warn_of(&unusual);
        }
    }

    /// Tells of an hour in which a user spends more than twice as much as it usually does.
    fn warn_of(&self, unusual: &Unusual) {
        self.metrics.unusual_spend.inc();
        let Unusual {
            user,
            unit,
            hour,
            baseline,
        } = unusual;
        tracing::warn!(
            user = &**user,
            unit,
            hour,
            baseline,
            "a user spends more in this hour than twice its own baseline"
        );
    }

    /// Raises the budgets to what the ledger knows was spent. Called before the first request, and
    /// after a reload, which may have added budgets. It never lowers one.
    ///
    /// # Errors
    /// When the ledger or the counters do not answer.
    pub async fn restore_budgets(&self) -> store::Result<()> {
        self.restore_budgets_of(&self.snapshot()).await
    }

    /// The same for a configuration that is not in force yet.
    pub(crate) async fn restore_budgets_of(&self, snapshot: &Snapshot) -> store::Result<()> {
        let (policy, counters) = (&snapshot.limits.policy, &*self.counters);
        let gives_up_at = Instant::now() + RESTORE_TIMEOUT;
        let books = crate::budgets::Books {
            ledger: &*self.stores.ledger,
            keys: &*self.stores.keys,
        };
        loop {
            let now = self.clock.now();
            let known = (now, &**self.metrics.fullest_budgets());
            crate::budgets::restore(policy, books, counters, known).await?;
            // Shared ones that have lost their memory may not be ready to be told.
            if counters.ledger_counts_until().is_none() || Instant::now() >= gives_up_at {
                return Ok(());
            }
            tokio::time::sleep(IDLE_POLL_INTERVAL).await;
        }
    }

    /// Model calls that are being worked on.
    #[must_use]
    pub fn running_calls(&self) -> usize {
        self.concurrent.load(Ordering::Relaxed)
    }

    /// Workers that have more to do than they can.
    pub(crate) fn overloaded_workers(&self) -> usize {
        let doors = self.doors.iter();
        doors.filter(|door| door.is_overloaded()).count()
    }

    /// Waits until no model call is being worked on.
    pub async fn wait_until_idle(&self) {
        while self.running_calls() > 0 {
            tokio::time::sleep(IDLE_POLL_INTERVAL).await;
        }
    }

    /// Changes what the lines of requests look like.
    pub fn set_log_style(&self, style: Style) {
        self.log.set_style(style);
    }

    /// The ledger, with every call that this process has ended before it was asked.
    pub(crate) async fn ledger_of_all_ended(&self) -> &dyn Ledger {
        let ledger = &self.stores.ledger;
        self.ledger
            .catch_up(ledger, CATCH_UP_TIMEOUT, |settled| self.note_spend(settled))
            .await;
        &**ledger
    }

    /// Writes what the ledger does not have yet. Returns how many settlements could not be written.
    pub async fn flush(&self, timeout: Duration) -> usize {
        let unwritten = self
            .ledger
            .flush(&self.stores.ledger, timeout, |settled| {
                self.note_spend(settled);
            })
            .await;
        // What cannot be told now is settled by the other replicas, from the ledger.
        if let Err(error) = self.counters.flush().await {
            let cause = seaworthy_core::error::chain(&error);
            tracing::warn!(
                cause,
                "the shared state could not be told of the last calls"
            );
        }
        unwritten
    }
}

/// Who asks for usage waits this long for calls that have ended and are not written yet.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// A revoked key stops working within this time in every process that shares the store.
const KEY_REFRESH_INTERVAL: Duration = Duration::from_millis(200);
/// How often it is looked whether an issuer's keys are due.
const ISSUER_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a start waits for shared counters that have lost their memory.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a drain looks whether the last call has ended.
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(10);
