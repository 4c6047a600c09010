//! Replicas, their calls, the network, the servers, the clocks and a provider that counts, driven by
//! chance.

mod absent;
mod drain;
mod faults;
mod loss;
mod partition;
mod replica;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seaworthy_core::budget::{Unit, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::shares::MemoryRegistry;
use seaworthy_core::counters::{BudgetClaim, Claim, Key};
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::absent::Absence;
use self::replica::Replica;
use super::clock::Time;
use super::ledger::Ledger;
use super::network::{self, Condition, Way};
use super::planted::Mistake;
use super::random::{Random, Trace};
use super::registry::Decisions;
use super::server::Server;

const REPLICAS: usize = 3;
const STEPS: u64 = 80;
const LONGEST_PAUSE_MS: u64 = 250;
const LONGEST_CALL_MS: u64 = 3_000;
const LEAST_CALL: u64 = 5;
const LARGEST_CALL: u64 = 55;

/// What can go wrong together in one run, so that nothing may be lost. What two independent faults at
/// once can come to is another question, and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Replicas die, stand still and are cut off, one by one or all at once; the server keeps its memory.
    Replicas,
    /// The server forgets, and comes back with old data; replicas live and reach it.
    Server,
    /// Replicas are cut off from the server one after the other, for long, with calls in bursts.
    Partition,
    /// The way of one replica is slow for moments, and cut in between.
    Flapping,
    /// A replica stands still between its claim and its call, until others have settled the claim.
    Standstill,
    /// The server forgets while a replica is cut off from it.
    Absence,
    /// The server forgets while calls end everywhere, and everybody asks for what is left.
    Loss,
    /// Everything at once: nobody may be stuck or kept waiting.
    Everything,
}

impl Weather {
    const ALL: [Self; 8] = [
        Self::Replicas,
        Self::Server,
        Self::Partition,
        Self::Flapping,
        Self::Standstill,
        Self::Absence,
        Self::Loss,
        Self::Everything,
    ];

    /// What a seed brings.
    fn of(seed: u64) -> Self {
        Self::ALL[Random::seeded(seed).index(Self::ALL.len())]
    }
}

/// What a provider has billed of each budget, and what of it was more than the budget.
#[derive(Default)]
struct Provider {
    billed: BTreeMap<String, u64>,
}

/// What all tasks of a run share.
struct Shared {
    random: Arc<Mutex<Random>>,
    trace: RefCell<Trace>,
    time: Time,
    ledger: RefCell<Ledger>,
    provider: RefCell<Provider>,
    limits: [(Key, u64); 3],
    mistake: Option<Mistake>,
    weather: Weather,
    server: Rc<Server>,
    /// What a replica that is cut off holds.
    absence: RefCell<Absence>,
    violation: RefCell<Option<String>>,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl Shared {
    fn below(&self, bound: u64) -> u64 {
        self.random.lock().unwrap().below(bound)
    }

    fn percent(&self, chance: u64) -> bool {
        self.random.lock().unwrap().percent(chance)
    }

    fn millis(&self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    fn note(&self, event: &dyn std::fmt::Debug) {
        let at = self.time.elapsed_ms();
        self.trace.borrow_mut().note(&(at, event));
    }

    fn see(&self, what: &'static str) {
        self.seen.borrow_mut().insert(what);
    }

    /// The first one counts.
    fn violate(&self, what: String) {
        let at = self.time.elapsed_ms();
        let mut violation = self.violation.borrow_mut();
        violation.get_or_insert_with(|| format!("after {at} ms: {what}"));
    }

    fn is_violated(&self) -> bool {
        self.violation.borrow().is_some()
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn is_strict(&self) -> bool {
        self.weather != Weather::Everything
    }

    /// A call leaves, and the provider counts what it is going to use.
    fn bill(&self, claim: &Claim, used: u64) {
        let mut provider = self.provider.borrow_mut();
        for budget in &claim.budgets {
            let key = budget.key.as_str();
            let billed = provider.billed.entry(key.to_owned()).or_default();
            *billed += used;
            let unsaid = self.absence.borrow().unsaid(key);
            if *billed > budget.limit + unsaid && self.is_strict() {
                self.violate(format!(
                    "{key}: {billed} billed of {}, and {unsaid} that nobody could say",
                    budget.limit
                ));
            }
        }
    }

    /// A claim of one or two budgets.
    fn claim(&self, id: &str, at: UnixMillis, session: Option<usize>, amount: u64) -> Claim {
        let budget = |(key, limit): &(Key, u64)| BudgetClaim {
            key: key.clone(),
            window: Window::TOTAL,
            limit: *limit,
            unit: Unit::Micros,
            amount,
        };
        let session = session.and_then(|session| self.limits.get(1 + session));
        Claim {
            id: Arc::from(id),
            at,
            expires_at: at,
            rates: Vec::new(),
            slots: Vec::new(),
            budgets: self
                .limits
                .iter()
                .take(1)
                .chain(session)
                .map(budget)
                .collect(),
        }
    }
}

/// A run without a violation.
pub(super) struct Run {
    /// The hash of everything that happened, in order.
    pub(super) trace: u64,
    /// The kinds of things that happened.
    pub(super) seen: BTreeSet<&'static str>,
}

pub(super) struct World {
    shared: Rc<Shared>,
    decisions: Arc<Decisions>,
    ways: [Arc<Way>; REPLICAS],
    replicas: [Option<Replica>; REPLICAS],
    /// Names that there were, for others that no process had.
    names: u64,
    calls: u64,
    is_server_lost: bool,
}

/// Whether a mistake can show with a seed.
pub(super) fn can_show(seed: u64, mistake: Mistake) -> bool {
    Weather::of(seed) == mistake.shows_in()
}

/// Runs one seed.
pub(super) fn run(seed: u64, mistake: Option<Mistake>) -> Result<Run, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        World::begin(seed, mistake).await.run().await
    })
}

impl World {
    async fn begin(seed: u64, mistake: Option<Mistake>) -> Self {
        let mut random = Random::seeded(seed);
        let limits = [
            (Key::new("sw:{x}:budget:all"), 300 + random.below(1_500)),
            (Key::new("sw:{x}:budget:session-0"), 200 + random.below(800)),
            (Key::new("sw:{x}:budget:session-1"), 200 + random.below(800)),
        ];
        let weather = Weather::of(seed);
        let time = Time::begin();
        let random = Arc::new(Mutex::new(random));
        let server = Rc::new(Server::start(time.clone(), mistake));
        let shared = Rc::new(Shared {
            random: Arc::clone(&random),
            trace: RefCell::new(Trace::new()),
            time: time.clone(),
            ledger: RefCell::default(),
            provider: RefCell::default(),
            limits,
            mistake,
            weather,
            server: Rc::clone(&server),
            absence: RefCell::default(),
            violation: RefCell::default(),
            seen: RefCell::default(),
        });
        let noted = Rc::downgrade(&shared);
        server.when_restored(move || {
            if let Some(noted) = noted.upgrade() {
                noted.absence.borrow_mut().note_restored();
            }
        });
        let (arrivals, arrived) = mpsc::unbounded_channel();
        tokio::task::spawn_local(network::serve(Rc::clone(&server), arrived));
        let decisions = Arc::new(Decisions {
            registry: MemoryRegistry::by(time.clock(0)),
            died_spending: AtomicU64::new(0),
            mistake,
        });
        let mut world = Self {
            shared,
            decisions,
            ways: std::array::from_fn(|_| Way::new(&arrivals, &random)),
            replicas: [None, None, None],
            names: 0,
            calls: 0,
            is_server_lost: false,
        };
        for slot in 0..REPLICAS {
            world.start(slot).await;
        }
        world
    }

    /// What happened, or the first violation.
    async fn run(mut self) -> Result<Run, String> {
        match self.shared.weather {
            Weather::Partition => self.cut_off_one_after_the_other().await?,
            Weather::Flapping => self.flap().await?,
            Weather::Standstill => self.stand_still_before_sending().await?,
            Weather::Absence => self.forget_while_one_is_cut_off().await?,
            Weather::Loss => self.forget_while_calls_end().await?,
            Weather::Replicas | Weather::Server | Weather::Everything => self.stumble().await?,
        }
        self.heal().await;
        self.drain().await;
        self.check()?;
        let trace = self.shared.trace.borrow().hash();
        let seen = self.shared.seen.take();
        Ok(Run { trace, seen })
    }

    /// Calls, and now and then something goes wrong.
    async fn stumble(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
            match self.shared.below(100) {
                0..70 => self.call(),
                _ => self.fault().await,
            }
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        match self.shared.violation.take() {
            Some(violation) => Err(format!("{:?}: {violation}", self.shared.weather)),
            None => Ok(()),
        }
    }

    /// Some calls at one replica, at the same time.
    fn call(&mut self) {
        let slot = self.shared.below(REPLICAS as u64) as usize;
        self.call_at(slot, LONGEST_CALL_MS, LARGEST_CALL);
    }

    /// Some calls at this replica, which take this long and need this much at most.
    fn call_at(&mut self, slot: usize, longest_ms: u64, largest: u64) {
        let Some(replica) = &self.replicas[slot] else {
            return;
        };
        for _ in 0..=self.shared.below(4) {
            self.calls += 1;
            let session = [None, Some(0), Some(1)][self.shared.below(3) as usize];
            let amount = LEAST_CALL + self.shared.below(largest - LEAST_CALL);
            let takes = self.shared.millis(longest_ms);
            replica.call(&format!("call-{:04}", self.calls), session, amount, takes);
        }
    }

    /// A call at this replica that is under no budget, only under a limit, which is never reached: nobody has
    /// to be asked about it for it to pass.
    fn call_under_limits_at(&mut self, slot: usize, longest_ms: u64) {
        if let Some(replica) = &self.replicas[slot] {
            self.calls += 1;
            let takes = self.shared.millis(longest_ms);
            replica.call_under_limits(&format!("limited-{:04}", self.calls), takes);
        }
    }

    /// Starts a process in a place, with a name that no other had.
    async fn start(&mut self, slot: usize) {
        self.names += 1;
        let name = format!("{slot}-{}", self.names);
        let replica = Replica::start(&self.shared, name, &self.ways[slot], &self.decisions);
        self.replicas[slot] = Some(replica);
    }
}
