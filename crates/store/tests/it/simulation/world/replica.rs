//! One process: what a gateway does around the counters, as far as they are concerned.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use seaworthy_core::clock::Clock as _;
use seaworthy_core::counters::{Claim, Close, Counters as _, Key, Outcome, RateClaim, Reason};
use seaworthy_core::limit::{Period, Quota};
use seaworthy_core::{budget, limit, store};
use seaworthy_store::observe::Observer;
use seaworthy_store::redis::{Link, OnLoss, RedisCounters, SharedCounters, SharedOptions};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::{Shared, Way, Weather};
use crate::simulation::clock::Shifted;
use crate::simulation::ledger::used;
use crate::simulation::planted::Mistake;
use crate::simulation::process::{Gate, Within};
use crate::simulation::registry::{Decisions, Registry};

/// The most that a caller may be kept waiting, whatever happens to the server.
const MOST_ADDED: Duration = Duration::from_millis(150);
const RESTORE_POLL: Duration = Duration::from_millis(100);
const REAP_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Replica {
    pub(super) name: String,
    pub(super) counters: Arc<SharedCounters>,
    pub(super) clock: Arc<Shifted>,
    pub(super) gate: Arc<Gate>,
    pub(super) registry: Arc<Registry>,
    shared: Rc<Shared>,
    work: std::cell::RefCell<Vec<AbortHandle>>,
}

impl Replica {
    pub(super) fn start(
        shared: &Rc<Shared>,
        name: String,
        way: &Arc<Way>,
        decisions: &Arc<Decisions>,
    ) -> Self {
        // Clocks that somebody looks after.
        let clock = shared.time.clock(shared.below(200) as i64 - 100);
        let registry = Arc::new(Registry {
            decisions: Arc::clone(decisions),
            is_lost: AtomicBool::new(false),
            random: Arc::clone(&shared.random),
        });
        let link = Link::new("redis://server", None, None).unwrap();
        let link = link.through(Arc::clone(way) as Arc<_>);
        let options = SharedOptions {
            on_loss: OnLoss::Local,
            replicas: 1,
            replica: name.clone(),
            registry: Some(Arc::clone(&registry) as Arc<_>),
            clock: Arc::clone(&clock) as Arc<_>,
            observer: Observer::default(),
        };
        let server = RedisCounters::new(Arc::new(link), "x");
        let replica = Self {
            counters: Arc::new(SharedCounters::new(server, options)),
            name,
            clock,
            gate: Arc::default(),
            registry,
            shared: Rc::clone(shared),
            work: std::cell::RefCell::default(),
        };
        replica.begin();
        replica
    }

    /// Carries on something until it ends or the process dies.
    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let task = tokio::task::spawn_local(Within::new(&self.gate, work));
        let mut running = self.work.borrow_mut();
        running.retain(|task| !task.is_finished());
        running.push(task.abort_handle());
    }

    /// The process dies.
    pub(super) fn kill(self) {
        self.work.borrow().iter().for_each(AbortHandle::abort);
    }

    fn begin(&self) {
        let counters = Arc::clone(&self.counters);
        self.spawn(async move { counters.tend().await });
        let (counters, shared) = (Arc::clone(&self.counters), Rc::clone(&self.shared));
        self.spawn(async move {
            restore(&shared, &counters).await;
            loop {
                sleep(RESTORE_POLL).await;
                if counters.needs_restore() {
                    restore(&shared, &counters).await;
                }
            }
        });
        let (counters, shared) = (Arc::clone(&self.counters), Rc::clone(&self.shared));
        let (name, clock) = (self.name.clone(), Arc::clone(&self.clock));
        self.spawn(async move {
            loop {
                let now_ms = shared.time.elapsed_ms();
                shared.ledger.borrow_mut().hear_of(&name, now_ms);
                shared.ledger.borrow_mut().bury(now_ms);
                // What cannot be done now is done the next time.
                let _later = reap(&shared, &counters, &clock).await;
                sleep(REAP_INTERVAL).await;
            }
        });
    }

    /// A call, from its claim to its settlement.
    pub(super) fn call(&self, id: &str, session: Option<usize>, amount: u64, takes: Duration) {
        let call = self.making(id);
        self.spawn(call.run(session, amount, takes));
    }

    /// A call under a limit alone, of which the ledger says nothing here.
    pub(super) fn call_under_limits(&self, id: &str, takes: Duration) {
        let call = self.making(id);
        self.spawn(call.run_under_limits(takes));
    }

    fn making(&self, id: &str) -> Call {
        Call {
            shared: Rc::clone(&self.shared),
            counters: Arc::clone(&self.counters),
            clock: Arc::clone(&self.clock),
            gate: Arc::clone(&self.gate),
            replica: self.name.clone(),
            id: id.to_owned(),
        }
    }

    /// Whether it asks the server.
    pub(super) fn is_back(&self) -> bool {
        self.counters.status().is_some_and(|status| status.is_up)
    }

    /// A call that is over at once, for somebody who waits for it.
    pub(super) async fn call_now(&self, id: &str, amount: u64) -> store::Result<Outcome> {
        let claim = self.shared.claim(id, self.clock.now(), None, amount);
        let outcome = self.counters.take(claim.clone()).await?;
        if let Outcome::Taken(_) = outcome {
            let now = self.clock.now();
            self.shared.bill(&claim, amount);
            {
                let mut ledger = self.shared.ledger.borrow_mut();
                ledger.open(&self.name, &Arc::new(claim), now);
                ledger.end(id, now, amount);
                ledger.settle(id);
            }
            self.counters.note(id, now, used(amount));
            self.counters.settle(id, now, used(amount)).await?;
        }
        Ok(outcome)
    }
}

/// Tells counters that have lost their memory what the ledger says.
async fn restore(shared: &Shared, counters: &SharedCounters) {
    let until = counters.ledger_counts_until();
    let until = until.filter(|_| !shared.makes(Mistake::TheLedgerIsReadToItsEnd));
    let spent = shared.ledger.borrow().says(until);
    sleep(shared.millis(10)).await;
    // What cannot be told now is told the next time.
    let _later = counters.restore(&spent).await;
}

/// Settles the claims of replicas that are gone.
async fn reap(shared: &Shared, counters: &SharedCounters, clock: &Shifted) -> store::Result<()> {
    let now = clock.now();
    let overdue = match shared.makes(Mistake::AClockThatWasSetIsBelieved) {
        true => shared.server.expired(),
        false => counters.overdue(now, 200).await?,
    };
    for id in overdue {
        if counters.is_held(&id) {
            continue;
        }
        let fate = shared.ledger.borrow().fate(&id);
        let fate = match fate {
            None if shared.makes(Mistake::OpenCallsAreForgotten) => Some(Close::Unused),
            fate => fate,
        };
        if let Some(close) = fate {
            shared.see("a claim was settled for somebody who is gone");
            shared.note(&("reap", &id, close));
            counters.settle(&id, now, close).await?;
        }
    }
    Ok(())
}

struct Call {
    shared: Rc<Shared>,
    counters: Arc<SharedCounters>,
    clock: Arc<Shifted>,
    gate: Arc<Gate>,
    replica: String,
    id: String,
}

impl Call {
    async fn run(self, session: Option<usize>, amount: u64, takes: Duration) {
        let (shared, id) = (&self.shared, &*self.id);
        let claim = shared.claim(id, self.clock.now(), session, amount);
        if !self.is_taken(claim.clone()).await {
            return;
        }
        shared.absence.borrow_mut().take(&self.replica, &claim);
        // The intent, before it leaves.
        sleep(shared.millis(20)).await;
        let now = self.clock.now();
        let claim = Arc::new(claim);
        shared.ledger.borrow_mut().open(&self.replica, &claim, now);
        if !self.counters.is_held(id) && !shared.makes(Mistake::NobodyLooksBeforeSending) {
            shared.see("not certain to be held before it left");
            shared.ledger.borrow_mut().void(id);
            shared
                .absence
                .borrow_mut()
                .end(id, shared.time.elapsed_ms());
            return self.close(Close::Unused).await;
        }
        // What it is going to use, of all that was reserved.
        let uses = match shared.below(3) {
            0 => amount,
            // Where all is used, nothing that others gave back hides what nobody was told of.
            _ if shared.weather == Weather::Loss => amount,
            _ => shared.below(amount + 1),
        };
        shared.note(&("leaves", &self.replica, id, uses));
        shared.bill(&claim, uses);
        sleep(takes).await;
        let now = self.clock.now();
        shared.ledger.borrow_mut().end(id, now, uses);
        shared
            .absence
            .borrow_mut()
            .end(id, shared.time.elapsed_ms());
        let write = async {
            sleep(Duration::from_millis(20) + shared.millis(300)).await;
            shared.ledger.borrow_mut().settle(id);
        };
        tokio::join!(self.close(used(uses)), write);
    }

    async fn run_under_limits(self, takes: Duration) {
        let rate = RateClaim {
            key: Key::new("sw:{x}:rate:all"),
            quota: Quota::new(1_000_000, Period::Minute).unwrap(),
            unit: limit::Unit::Requests,
            cost: 1,
        };
        let claim = Claim {
            rates: vec![rate],
            budgets: Vec::new(),
            ..self.shared.claim(&self.id, self.clock.now(), None, 0)
        };
        if self.is_taken(claim).await {
            sleep(takes).await;
            self.close(used(0)).await;
        }
    }

    async fn close(&self, close: Close) {
        let now = self.clock.now();
        self.counters.note(&self.id, now, close);
        // A claim that cannot be settled expires.
        let settled = self.counters.settle(&self.id, now, close).await;
        self.shared
            .note(&("close", &self.replica, &self.id, settled.is_ok()));
    }

    /// Whether the call may leave. It is answered quickly, whatever happens.
    async fn is_taken(&self, claim: Claim) -> bool {
        let (asked, stood_still) = (Instant::now(), self.gate.times());
        let outcome = self.counters.take(claim).await;
        let took = asked.elapsed();
        self.shared
            .note(&("take", &self.replica, &self.id, &outcome));
        if took > MOST_ADDED && self.gate.times() == stood_still {
            let id = &self.id;
            self.shared
                .violate(format!("{id} was kept waiting for {took:?}"));
        }
        let is_alone = self.counters.status().is_some_and(|status| !status.is_up);
        let (what, is_taken) = match outcome {
            Ok(Outcome::Taken(_)) if is_alone => ("taken without the server", true),
            Ok(Outcome::Taken(_)) => ("taken", true),
            Ok(Outcome::Refused(refusal, _)) => (refused(refusal.reason), false),
            Err(_) => ("nobody could say", false),
        };
        self.shared.see(what);
        is_taken
    }
}

pub(super) fn refused(reason: Reason) -> &'static str {
    match reason {
        Reason::Budget {
            refusal: budget::Refusal::Held,
            ..
        } => "held",
        Reason::Budget {
            refusal: budget::Refusal::Exhausted,
            ..
        } => "exhausted",
        _ => "refused for another reason",
    }
}
