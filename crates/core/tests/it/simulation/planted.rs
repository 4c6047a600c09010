//! The mistakes that systems of this kind are known for, each planted into the memory model from
//! outside. The simulation is worth something only as long as it finds every one of them.

use std::collections::HashMap;
use std::sync::Arc;

use seaworthy_core::budget::{Account, Calendar, Window, WindowKind};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, BudgetClaim, Claim, Close, Key, Outcome, Settled};
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Price};
use seaworthy_core::usage::Usage;

use super::system::{Honest, System};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    SettlingTwiceCountsTwice,
    FirstRequestIsNotChecked,
    UnusedIsNotReturned,
    ReservationsAreNotSummed,
    WindowsAreCutInUtc,
    CachedReadIsPricedAsInput,
    RefusalKeepsTheFirstBudget,
    RefusalIsCountedByTheRateLimit,
    ExpiryReleasesTwice,
    SettledInTheWindowOfToday,
    ClaimingTwiceReservesTwice,
    FailureKeepsItsSlot,
    ClockGoingBackRefills,
    RestoringAddsUp,
    TokensAreNotCorrected,
    UnknownOutcomeIsForgotten,
    RenewalIsIgnored,
    SessionsAreCountedTogether,
    AgentsAreNotCounted,
    FurtherAttemptsReserveNothing,
    CallsUnderAClaimAreNotFound,
}

impl Bug {
    pub(super) const ALL: &[Self] = &[
        Self::SettlingTwiceCountsTwice,
        Self::FirstRequestIsNotChecked,
        Self::UnusedIsNotReturned,
        Self::ReservationsAreNotSummed,
        Self::WindowsAreCutInUtc,
        Self::CachedReadIsPricedAsInput,
        Self::RefusalKeepsTheFirstBudget,
        Self::RefusalIsCountedByTheRateLimit,
        Self::ExpiryReleasesTwice,
        Self::SettledInTheWindowOfToday,
        Self::ClaimingTwiceReservesTwice,
        Self::FailureKeepsItsSlot,
        Self::ClockGoingBackRefills,
        Self::RestoringAddsUp,
        Self::TokensAreNotCorrected,
        Self::UnknownOutcomeIsForgotten,
        Self::RenewalIsIgnored,
        Self::SessionsAreCountedTogether,
        Self::AgentsAreNotCounted,
        Self::FurtherAttemptsReserveNothing,
        Self::CallsUnderAClaimAreNotFound,
    ];
}

/// The memory model with a bug.
pub(super) struct Planted {
    bug: Bug,
    inner: Honest,
    /// Every claim that was taken, with how it was closed.
    claims: HashMap<Arc<str>, (Claim, Option<Close>)>,
    ghosts: u64,
    latest: UnixMillis,
    utc: Calendar,
}

/// A claim made behind the back of the simulation never expires in it.
const NEVER: UnixMillis = UnixMillis(i64::MAX);

impl Planted {
    pub(super) fn new(bug: Bug) -> Self {
        Self {
            bug,
            inner: Honest::default(),
            claims: HashMap::new(),
            ghosts: 0,
            latest: UnixMillis(0),
            utc: Calendar::utc(),
        }
    }

    /// Takes a part of a claim under another ID, and closes it if told how.
    fn ghost(&mut self, mut part: Claim, close: Option<Close>) {
        self.ghosts += 1;
        part.id = format!("ghost-{}", self.ghosts).into();
        part.expires_at = NEVER;
        let (id, at) = (Arc::clone(&part.id), part.at);
        for budget in &mut part.budgets {
            budget.limit = u64::MAX;
        }
        self.inner.take(part);
        if let Some(close) = close {
            self.inner.settle(&id, at, close);
        }
    }

    fn accounts(&self, claim: &Claim) -> Vec<Account> {
        let key = |budget: &BudgetClaim| AccountKey {
            key: budget.key.clone(),
            window: budget.window,
        };
        self.inner
            .snapshot(&claim.budgets.iter().map(key).collect::<Vec<_>>())
    }

    /// The window of the same length that UTC has.
    fn in_utc(&self, window: Window) -> Window {
        let kind = match (window.end.0 - window.start.0) / 3_600_000 {
            ..=1 => WindowKind::Hour,
            2..=25 => WindowKind::Day,
            _ => WindowKind::Month,
        };
        self.utc.window(kind, self.latest)
    }

    fn spoil(&mut self, claim: &mut Claim) {
        match self.bug {
            Bug::FirstRequestIsNotChecked => {
                let accounts = self.accounts(claim);
                for (budget, account) in claim.budgets.iter_mut().zip(accounts) {
                    if account == Account::default() {
                        budget.limit = u64::MAX;
                    }
                }
            }
            Bug::ReservationsAreNotSummed => {
                let accounts = self.accounts(claim);
                for (budget, account) in claim.budgets.iter_mut().zip(accounts) {
                    budget.limit += account.reserved;
                }
            }
            Bug::WindowsAreCutInUtc => {
                for budget in &mut claim.budgets {
                    budget.window = self.in_utc(budget.window);
                }
            }
            Bug::ClockGoingBackRefills if claim.at < self.latest => {
                claim.at = UnixMillis(2 * self.latest.0 - claim.at.0);
            }
            Bug::ClaimingTwiceReservesTwice if self.claims.contains_key(&claim.id) => {
                let again = Claim {
                    rates: Vec::new(),
                    slots: Vec::new(),
                    ..claim.clone()
                };
                self.ghost(again, None);
            }
            Bug::SessionsAreCountedTogether => {
                for budget in &mut claim.budgets {
                    if let Some((rule, _)) = budget.key.as_str().split_once(":session-") {
                        budget.key = Key::new(&format!("{rule}:session-0"));
                    }
                }
            }
            Bug::AgentsAreNotCounted => {
                claim
                    .budgets
                    .retain(|budget| !budget.key.as_str().contains(":agent-"));
            }
            Bug::FurtherAttemptsReserveNothing if claim.rates.is_empty() => claim.budgets.clear(),
            _ => {}
        }
    }
}

impl System for Planted {
    fn take(&mut self, mut claim: Claim) -> Outcome {
        self.latest = self.latest.max(claim.at);
        self.spoil(&mut claim);
        let outcome = self.inner.take(claim.clone());
        match (&outcome, self.bug) {
            (Outcome::Taken(_), _) => {
                self.claims.insert(Arc::clone(&claim.id), (claim, None));
            }
            (Outcome::Refused(..), Bug::RefusalKeepsTheFirstBudget) => {
                claim.rates.clear();
                claim.slots.clear();
                claim.budgets.truncate(1);
                self.ghost(claim, None);
            }
            (Outcome::Refused(..), Bug::RefusalIsCountedByTheRateLimit) => {
                claim.slots.clear();
                claim.budgets.clear();
                self.ghost(claim, Some(Close::Reserved));
            }
            _ => {}
        }
        outcome
    }

    fn settle(&mut self, id: &Arc<str>, at: UnixMillis, close: Close) -> Settled {
        let known = self.claims.get(id).cloned();
        let was_open = matches!(known, Some((_, None)));
        let mut close = close;
        match (self.bug, close) {
            (Bug::UnusedIsNotReturned, Close::Unused) => close = Close::Reserved,
            (Bug::UnknownOutcomeIsForgotten, Close::Reserved) => close = Close::Unused,
            (Bug::TokensAreNotCorrected, Close::Used { amount, .. }) => {
                close = Close::Used {
                    amount,
                    rate_tokens: known.as_ref().map_or(0, |(claim, _)| {
                        claim.rates.iter().map(|rate| rate.cost).max().unwrap_or(0)
                    }),
                };
            }
            _ => {}
        }
        if let (Some((claim, closed)), Bug::SettlingTwiceCountsTwice) = (&known, self.bug)
            && closed.is_some()
        {
            let again = Claim {
                rates: Vec::new(),
                slots: Vec::new(),
                ..claim.clone()
            };
            self.ghost(again, Some(close));
        }
        if let Some((claim, closed)) = self.claims.get_mut(id) {
            closed.get_or_insert(close);
            if self.bug == Bug::FailureKeepsItsSlot && was_open && close == Close::Unused {
                let kept = Claim {
                    rates: Vec::new(),
                    budgets: Vec::new(),
                    ..claim.clone()
                };
                let settled = self.inner.settle(id, at, close);
                self.ghost(kept, None);
                return settled;
            }
            if self.bug == Bug::SettledInTheWindowOfToday && was_open {
                let mut today = claim.clone();
                today.rates.clear();
                today.slots.clear();
                for budget in &mut today.budgets {
                    let length = budget.window.end.0 - budget.window.start.0;
                    let passed = (at.0 - budget.window.start.0).div_euclid(length);
                    budget.window.start.0 += passed * length;
                    budget.window.end.0 += passed * length;
                }
                self.inner.settle(id, at, Close::Unused);
                self.ghost(today, Some(close));
                return Settled::Closed(Vec::new());
            }
        }
        self.inner.settle(id, at, close)
    }

    fn renew(&mut self, ids: &[Arc<str>], expires_at: UnixMillis) {
        if self.bug != Bug::RenewalIsIgnored {
            self.inner.renew(ids, expires_at);
        }
    }

    fn overdue(&mut self, now: UnixMillis) -> Vec<Arc<str>> {
        let overdue = self.inner.overdue(now);
        if self.bug == Bug::ExpiryReleasesTwice && !overdue.is_empty() {
            let is_open = |(id, (_, close)): &(&Arc<str>, &(Claim, Option<Close>))| {
                close.is_none() && !overdue.contains(id)
            };
            let mut others: Vec<_> = self
                .claims
                .iter()
                .filter(is_open)
                .map(|(id, _)| id)
                .collect();
            others.sort();
            if let Some(other) = others.first() {
                self.inner.settle(other, now, Close::Unused);
            }
        }
        overdue
    }

    fn snapshot(&self, accounts: &[AccountKey]) -> Vec<Account> {
        self.inner.snapshot(accounts)
    }

    fn restore(&mut self, spent: &[(AccountKey, u64)]) {
        let mut spent = spent.to_vec();
        if self.bug == Bug::RestoringAddsUp {
            for (account, spent) in &mut spent {
                *spent += self.inner.snapshot(std::slice::from_ref(account))[0].spent;
            }
        }
        self.inner.restore(&spent);
    }

    fn running(&self, key: &Key) -> u64 {
        self.inner.running(key)
    }

    fn forget(&mut self) {
        self.inner.forget();
        self.claims.clear();
    }

    fn call_id(&self, claim: &Arc<str>, attempt: u32) -> Arc<str> {
        match self.bug {
            Bug::CallsUnderAClaimAreNotFound => format!("{claim}/{attempt}").into(),
            _ => self.inner.call_id(claim, attempt),
        }
    }

    fn cost(&self, usage: &Usage, price: &Price) -> Micros {
        let mut usage = *usage;
        if self.bug == Bug::CachedReadIsPricedAsInput {
            usage.input_tokens += std::mem::take(&mut usage.cached_read_tokens);
        }
        price::cost(&usage, price)
    }
}
