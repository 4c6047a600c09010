//! Replicas, their calls, the network, the clock and the ledger, driven by chance.

mod compare;
mod ledger;
mod setting;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use seaworthy_core::budget::watch::crossed;
use seaworthy_core::budget::{self, Amount, WindowKind};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Claim, Close, Key, Outcome, Reason, Refusal, Settled};
use seaworthy_core::ledger::attempts;
use seaworthy_core::limit::policy::{Demand, Policy};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Price;
use seaworthy_core::usage::Usage;

use self::ledger::Ledger;
use super::oracle::{self, Oracle};
use super::random::{Random, Trace};
use super::system::System;

const STEPS: usize = 80;
const REPLICAS: usize = 3;
const LEASE_MS: i64 = 60_000;

type Check = Result<(), String>;

pub(super) struct World {
    random: Random,
    trace: Trace,
    system: Box<dyn System>,
    oracle: Oracle,
    ledger: Ledger,
    policy: Arc<Policy>,
    price: Price,
    now: UnixMillis,
    replicas: Vec<Vec<Running>>,
    /// Settlements under way to the counters.
    network: Vec<(Arc<str>, Close)>,
    accounts: BTreeMap<(String, i64), AccountKey>,
    limits: HashMap<Key, u64>,
    reported: HashSet<(String, i64, u32)>,
    has_forgotten: bool,
    calls: u64,
    seen: BTreeSet<&'static str>,
}

/// A run without a violation.
pub(super) struct Run {
    /// The hash of everything that happened, in order.
    pub trace: u64,
    /// The kinds of things that happened.
    pub seen: BTreeSet<&'static str>,
}

/// What a caller wants, and what the provider is going to use for it.
#[derive(Clone)]
struct Asked {
    names: setting::Names,
    demand: Demand,
    usage: Usage,
}

/// A call on a replica.
struct Running {
    id: Arc<str>,
    /// Which one under its claim.
    attempt: u32,
    claim: Claim,
    has_left: bool,
    asked: Asked,
}

fn used(amount: Amount) -> Close {
    Close::Used {
        amount,
        rate_tokens: amount.tokens,
    }
}

impl World {
    pub(super) fn new(seed: u64, system: Box<dyn System>) -> Self {
        let mut random = Random::seeded(seed);
        let setting = setting::draw(&mut random);
        Self {
            random,
            trace: Trace::new(),
            system,
            oracle: Oracle::default(),
            ledger: Ledger::default(),
            policy: setting.policy,
            price: setting.price,
            now: setting.start,
            replicas: (0..REPLICAS).map(|_| Vec::new()).collect(),
            network: Vec::new(),
            accounts: BTreeMap::new(),
            limits: HashMap::new(),
            reported: HashSet::new(),
            has_forgotten: false,
            calls: 0,
            seen: BTreeSet::new(),
        }
    }

    /// What happened, or the first violation.
    pub(super) fn run(mut self) -> Result<Run, String> {
        for step in 0..STEPS {
            let outcome = self.step();
            let outcome = outcome.and_then(|()| {
                if step % 8 == 0 {
                    self.compare_all()
                } else {
                    Ok(())
                }
            });
            outcome.map_err(|violation| format!("step {step}: {violation}"))?;
        }
        self.drain()
            .map_err(|violation| format!("drain: {violation}"))?;
        Ok(Run {
            trace: self.trace.hash(),
            seen: self.seen,
        })
    }

    fn step(&mut self) -> Check {
        self.now.0 += self.random.below(1_500) as i64;
        match self.random.below(100) {
            0..38 => self.start(),
            38..68 => self.advance(),
            68..82 => self.deliver(),
            82..89 => self.jump(),
            89..91 => self.roll_over(),
            91..93 => self.crash(),
            93..96 => self.sweep(),
            96..98 => self.renew(),
            98 => self.forget(),
            _ => self.restart(),
        }
    }

    /// A pause, a clock that is a little behind, or one that is set back.
    fn jump(&mut self) -> Check {
        let longest = [3_000, 90_000, 900_000, 30_000_000][self.random.index(4)];
        let millis = match self.random.below(7) {
            0..4 => self.random.below(longest) as i64,
            4..6 => -(self.random.below(5_000) as i64),
            _ => -3_600_000 - self.random.below(3_600_000) as i64,
        };
        self.now.0 += millis;
        self.trace.note(&self.now);
        Ok(())
    }

    /// To just before or just after the end of a window.
    fn roll_over(&mut self) -> Check {
        let kinds = [WindowKind::Hour, WindowKind::Day, WindowKind::Month];
        let kind = kinds[self.random.index(3)];
        let end = self.policy.calendar.window(kind, self.now).end;
        self.now = UnixMillis(end.0 - 2 + self.random.below(4) as i64);
        self.trace.note(&self.now);
        Ok(())
    }

    fn start(&mut self) -> Check {
        let replica = self.random.index(REPLICAS);
        let (demand, usage) = setting::call(&mut self.random, &self.price);
        let asked = Asked {
            names: setting::names(&mut self.random),
            demand,
            usage,
        };
        let is_taken = self.attempt(replica, &asked, true)?;
        if is_taken && self.random.percent(8) {
            // The first target takes long, and a second one is asked as well.
            self.seen.insert("hedged");
            self.attempt(replica, &asked, false)?;
        }
        Ok(())
    }

    /// Claims for one call of a request. Only the first one of a request counts under its rate limits.
    fn attempt(&mut self, replica: usize, asked: &Asked, is_first: bool) -> Result<bool, String> {
        self.calls += 1;
        let bound = self.policy.bind(&asked.names.attributes());
        let id: Arc<str> = format!("call-{:04}", self.calls).into();
        let expires_at = UnixMillis(self.now.0 + LEASE_MS);
        let mut claim = bound.claim(Arc::clone(&id), self.now, expires_at, asked.demand);
        if !is_first {
            claim.rates.clear();
        }
        let is_taken = self.take(&claim)?;
        if is_taken {
            self.replicas[replica].push(Running {
                id,
                attempt: 1,
                claim: claim.clone(),
                has_left: false,
                asked: asked.clone(),
            });
        }
        if is_taken && self.random.percent(10) {
            // The answer got lost and the replica asks again.
            self.take(&claim)?;
        }
        Ok(is_taken)
    }

    fn take(&mut self, claim: &Claim) -> Result<bool, String> {
        for budget in &claim.budgets {
            self.limits.insert(budget.key.clone(), budget.limit);
            let at = (budget.key.as_str().to_owned(), budget.window.start.0);
            self.accounts.entry(at).or_insert_with(|| AccountKey {
                key: budget.key.clone(),
                window: budget.window,
            });
        }
        let outcome = self.system.take(claim.clone());
        self.trace.note(&outcome);
        let expected = self.oracle.take(claim);
        let (refusal, standings) = match &outcome {
            Outcome::Taken(standings) => (None, standings),
            Outcome::Refused(refusal, standings) => (Some(*refusal), standings),
        };
        self.seen.insert(kind(refusal));
        if refusal != expected {
            let id = &claim.id;
            return Err(format!("{id}: expected {expected:?}, found {refusal:?}"));
        }
        for (rate, found) in claim.rates.iter().zip(standings) {
            let expected = self.oracle.standing(rate, claim.at);
            if *found != expected {
                let key = rate.key.as_str();
                return Err(format!("{key}: expected {expected:?}, found {found:?}"));
            }
        }
        self.compare(claim)?;
        Ok(refusal.is_none())
    }

    /// Lets one call go on: leave, be cancelled before that, or come to its end.
    fn advance(&mut self) -> Check {
        let replica = self.random.index(REPLICAS);
        if self.replicas[replica].is_empty() {
            return Ok(());
        }
        let index = self.random.index(self.replicas[replica].len());
        let mut call = self.replicas[replica].swap_remove(index);
        let claim = Arc::clone(&call.claim.id);
        if !call.has_left {
            call.has_left = self.random.percent(80) && self.ledger.intend(&call.id, &call.claim);
            if call.has_left {
                self.replicas[replica].push(call);
            } else if call.attempt == 1 {
                self.send(claim, Close::Unused);
            } else {
                // The attempts before it have used nothing.
                self.send(claim, used(Amount::default()));
            }
            return Ok(());
        }
        let usage = &call.asked.usage;
        let cost = self.system.cost(usage, &self.price);
        let expected = oracle::cost(usage, &self.price);
        if cost != expected {
            return Err(format!("{claim}: costs {expected}, charged {cost}"));
        }
        let amount = Amount {
            tokens: usage.total(),
            cost,
        };
        match self.random.below(100) {
            0..10 => self.refused(replica, call),
            10..16 => return self.broke_off(replica, &call, amount),
            16..91 => {
                self.ledger.bill(&call.claim, amount);
                self.ledger.settle(&call.id, used(amount));
                self.send(claim, used(amount));
            }
            // The replica loses the call after the provider has billed it.
            _ => self.ledger.bill(&call.claim, amount),
        }
        Ok(())
    }

    /// The provider refuses the call, which costs nothing; another attempt goes on with its claim.
    fn refused(&mut self, replica: usize, call: Running) {
        self.ledger.settle(&call.id, used(Amount::default()));
        self.seen.insert("refused and tried again");
        let attempt = call.attempt + 1;
        if attempt > attempts::LAST {
            return self.send(Arc::clone(&call.claim.id), used(Amount::default()));
        }
        self.replicas[replica].push(Running {
            id: self.system.call_id(&call.claim.id, attempt),
            attempt,
            has_left: false,
            ..call
        });
    }

    /// The provider breaks off and is paid for what it has done; another attempt claims anew.
    fn broke_off(&mut self, replica: usize, call: &Running, whole: Amount) -> Check {
        let part = Amount {
            tokens: whole.tokens / 2,
            cost: Micros(whole.cost.0 / 2),
        };
        self.ledger.bill(&call.claim, part);
        self.ledger.settle(&call.id, used(part));
        self.send(Arc::clone(&call.claim.id), used(part));
        self.seen.insert("broke off and tried again");
        self.attempt(replica, &call.asked, false).map(drop)
    }

    fn send(&mut self, id: Arc<str>, close: Close) {
        self.network.push((id, close));
    }

    /// One of the messages under way arrives, perhaps not for the last time.
    fn deliver(&mut self) -> Check {
        if self.network.is_empty() {
            return Ok(());
        }
        let index = self.random.index(self.network.len());
        let (id, close) = self.network.swap_remove(index);
        if self.random.percent(25) {
            self.send(Arc::clone(&id), close);
        }
        self.settle(&id, close)
    }

    fn settle(&mut self, id: &Arc<str>, close: Close) -> Check {
        let settled = self.system.settle(id, self.now, close);
        self.trace.note(&(id, &settled));
        let was_open = self.oracle.settle(id, self.now, close);
        let Settled::Closed(changes) = settled else {
            self.seen.insert("closed again");
            return if was_open {
                Err(format!("{id}: was open, and is said to be unknown"))
            } else {
                self.compare_known(id)
            };
        };
        if !was_open {
            return Err(format!("{id}: was not open, and is said to be closed now"));
        }
        for change in changes {
            let thresholds = &self
                .policy
                .budget_of(&change.key)
                .map(|(rule, _)| rule.thresholds.clone());
            let thresholds = thresholds.as_deref().unwrap_or_default();
            let (before, now) = (change.spent_before, change.account);
            for share in crossed(thresholds, now.limit, before, now.spent) {
                self.seen.insert("threshold");
                let key = change.key.as_str().to_owned();
                let report = (key, change.window.start.0, share.ten_thousandths());
                if !self.reported.insert(report.clone()) {
                    return Err(format!("{report:?} is reported twice"));
                }
            }
        }
        self.compare_known(id)
    }

    /// A replica dies with all of its calls; the provider may go on with those that have left.
    fn crash(&mut self) -> Check {
        let replica = self.random.index(REPLICAS);
        self.trace.note(&("crash", replica));
        for call in std::mem::take(&mut self.replicas[replica]) {
            if call.has_left && self.random.percent(70) {
                let cost = oracle::cost(&call.asked.usage, &self.price);
                let tokens = call.asked.usage.total();
                self.ledger.bill(&call.claim, Amount { tokens, cost });
            }
        }
        Ok(())
    }

    /// Somebody closes what nobody has renewed, as the ledger knows it.
    fn sweep(&mut self) -> Check {
        let found = self.system.overdue(self.now);
        self.trace.note(&found);
        let expected = self.oracle.overdue(self.now, 5);
        if found != expected {
            return Err(format!("overdue are {expected:?}, found {found:?}"));
        }
        for id in found {
            let close = self.ledger.close(&id);
            self.seen.insert(match close {
                Close::Used { .. } => "abandoned after its settlement",
                Close::Unused => "abandoned before it left",
                Close::Reserved => "abandoned after it left",
            });
            self.settle(&id, close)?;
        }
        self.compare_all()
    }

    fn renew(&mut self) -> Check {
        let replica = self.random.index(REPLICAS);
        let ids = self.replicas[replica]
            .iter()
            .map(|call| Arc::clone(&call.claim.id));
        let ids: Vec<_> = ids.collect();
        let expires_at = UnixMillis(self.now.0 + LEASE_MS);
        self.system.renew(&ids, expires_at);
        self.oracle.renew(&ids, expires_at);
        Ok(())
    }

    /// The store is lost and restored from the ledger, by one replica or by two at once. Calls that
    /// have a claim but no intent yet have to claim again.
    fn forget(&mut self) -> Check {
        for calls in &mut self.replicas {
            calls.retain(|call| call.has_left);
        }
        let spent = self.ledger.spent();
        self.system.forget();
        for _ in 0..=self.random.below(2) {
            self.system.restore(&spent);
        }
        self.oracle.forget(&spent);
        self.reported.clear();
        self.has_forgotten = true;
        self.trace.note(&("forget", spent));
        self.compare_all()
    }

    /// Everything dies and starts anew: what is open in the ledger is settled at its worst case.
    fn restart(&mut self) -> Check {
        for _ in 0..REPLICAS * 2 {
            self.crash()?;
        }
        self.replicas.iter_mut().for_each(Vec::clear);
        self.network.clear();
        self.ledger.close_all();
        self.forget()
    }

    /// Everything comes to an end: nothing may be left reserved, and nothing may be lost.
    fn drain(&mut self) -> Check {
        while self.replicas.iter().any(|calls| !calls.is_empty()) {
            self.advance()?;
        }
        while !self.network.is_empty() {
            self.deliver()?;
        }
        self.now.0 += 40 * 86_400_000;
        while self.oracle.open_claims() > 0 {
            self.sweep()?;
        }
        self.compare_all()?;
        let keys: Vec<AccountKey> = self.accounts.values().cloned().collect();
        for (key, account) in keys.iter().zip(self.system.snapshot(&keys)) {
            let known = self.ledger.spent_of(key);
            // What a call in flight uses beyond its reservation is not known to a restored store.
            let is_right = if self.has_forgotten {
                account.spent + self.ledger.billed(key).1 >= known
            } else {
                account.spent == known
            };
            if account.reserved != 0 || !is_right {
                let name = key.key.as_str();
                return Err(format!(
                    "{name}: {account:?} at the end, the ledger says {known}"
                ));
            }
        }
        Ok(())
    }
}

fn kind(refusal: Option<Refusal>) -> &'static str {
    match refusal.map(|refusal| refusal.reason) {
        None => "taken",
        Some(Reason::Rate(_)) => "rate",
        Some(Reason::Slot(_)) => "slot",
        Some(Reason::Budget { refusal, .. }) => match refusal {
            budget::Refusal::NeverFits => "never fits",
            budget::Refusal::Exhausted => "exhausted",
            budget::Refusal::Held => "held",
        },
    }
}
