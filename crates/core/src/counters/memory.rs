//! The executable meaning of [`Counters`]: everything behind one lock, in one process.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    AccountKey, BudgetClaim, Change, Claim, Close, Counters, HELD_RETRY_MS, Key, Outcome,
    RateClaim, Reason, Refusal, Settled, SlotClaim,
};
use crate::budget::{self, Account, Window};
use crate::clock::UnixMillis;
use crate::limit::{self, Bucket, Quota, Standing};
use crate::store::Result;

/// Counters in memory.
#[derive(Debug, Default)]
pub struct MemoryCounters(Mutex<State>);

/// Its hashes are quick, and random for each process: nobody can choose names that collide.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

#[derive(Debug, Default)]
struct State {
    buckets: Map<Key, Metered>,
    slots: Map<Key, u64>,
    accounts: Map<(Key, UnixMillis), Held>,
    open: Map<Arc<str>, Open>,
    expiries: BTreeSet<(UnixMillis, Arc<str>)>,
    /// How many buckets and accounts there may be before the stale ones are looked for.
    clean_above: usize,
}

/// A bucket with the quota that it was used under last.
#[derive(Debug, Clone, Copy)]
struct Metered {
    bucket: Bucket,
    quota: Quota,
}

/// An account with what is needed to forget it in time.
#[derive(Debug, Clone, Copy)]
struct Held {
    account: Account,
    window: Window,
    used_at: UnixMillis,
}

/// A claim that is not settled.
#[derive(Debug)]
struct Open {
    at: UnixMillis,
    expires_at: UnixMillis,
    rates: Vec<(RateClaim, u64)>,
    slots: Vec<SlotClaim>,
    budgets: Vec<BudgetClaim>,
}

/// An account is kept this long after its window, for reports and late settlements.
const KEPT_AFTER_WINDOW_MS: i64 = 86_400_000;
/// An account without an end is kept this long after its last use.
const KEPT_UNUSED_MS: i64 = 90 * 86_400_000;
/// Below so many entries nothing is ever cleaned.
const FEW: usize = 4_096;

impl MemoryCounters {
    /// [`Counters::take`].
    pub fn take_now(&self, claim: Claim) -> Outcome {
        self.0.lock().take(claim)
    }

    /// [`Counters::settle`].
    pub fn settle_now(&self, id: &str, at: UnixMillis, close: Close) -> Settled {
        self.0.lock().settle(id, at, close)
    }

    /// [`Counters::renew`].
    pub fn renew_now(&self, ids: &[Arc<str>], expires_at: UnixMillis) {
        let state = &mut *self.0.lock();
        for id in ids {
            if let Some(open) = state.open.get_mut(id) {
                state.expiries.remove(&(open.expires_at, Arc::clone(id)));
                open.expires_at = open.expires_at.max(expires_at);
                state.expiries.insert((open.expires_at, Arc::clone(id)));
            }
        }
    }

    /// [`Counters::overdue`].
    pub fn overdue_now(&self, now: UnixMillis, max: usize) -> Vec<Arc<str>> {
        let state = self.0.lock();
        let expired = state.expiries.iter().take_while(|(at, _)| *at <= now);
        expired.take(max).map(|(_, id)| Arc::clone(id)).collect()
    }

    /// [`Counters::snapshot`].
    pub fn snapshot_now(&self, accounts: &[AccountKey]) -> Vec<Account> {
        let state = self.0.lock();
        accounts
            .iter()
            .map(|at| state.account(&at.key, at.window))
            .collect()
    }

    /// [`Counters::restore`].
    pub fn restore_now(&self, spent: &[(AccountKey, u64)]) {
        let mut state = self.0.lock();
        for (at, spent) in spent {
            let restored = |account: Account| account.restore(*spent);
            state.change_account(&at.key, at.window, at.window.start, restored);
        }
    }

    /// How many claims are open.
    pub fn open_claims(&self) -> usize {
        self.0.lock().open.len()
    }

    /// How many requests run under a limit of requests at the same time.
    pub fn running(&self, key: &Key) -> u64 {
        self.0.lock().slots.get(key).copied().unwrap_or(0)
    }
}

impl State {
    fn take(&mut self, claim: Claim) -> Outcome {
        if self.open.contains_key(&claim.id) {
            return Outcome::Taken(self.standings(&claim.rates, claim.at));
        }
        if let Some(refusal) = self.refusal(&claim) {
            return Outcome::Refused(refusal, self.standings(&claim.rates, claim.at));
        }
        self.clean_if_large(claim.at);
        self.commit(claim)
    }

    /// The longest lasting thing in the way of the claim.
    fn refusal(&self, claim: &Claim) -> Option<Refusal> {
        let mut worst: Option<Refusal> = None;
        let mut consider = |refusal: Refusal| {
            if worst.is_none_or(|worst| refusal.outlasts(&worst)) {
                worst = Some(refusal);
            }
        };
        for (index, rate) in claim.rates.iter().enumerate() {
            let bucket = self.bucket(&rate.key);
            if let Err(wait) = bucket.take(rate.quota, rate.cost, claim.at) {
                consider(Refusal {
                    reason: Reason::Rate(index),
                    retry_after_ms: wait.millis,
                });
            }
        }
        for (index, slot) in claim.slots.iter().enumerate() {
            let running = self.slots.get(&slot.key).copied().unwrap_or(0);
            if running >= slot.max {
                consider(Refusal {
                    reason: Reason::Slot(index),
                    retry_after_ms: (slot.max > 0).then_some(HELD_RETRY_MS),
                });
            }
        }
        for (index, wanted) in claim.budgets.iter().enumerate() {
            let account = self.account(&wanted.key, wanted.window);
            if let Err(refusal) = account.reserve(wanted.limit, wanted.amount) {
                let limit = wanted.limit;
                let remaining = Account { limit, ..account }.remaining();
                consider(Refusal {
                    reason: Reason::Budget {
                        index,
                        refusal,
                        remaining,
                    },
                    retry_after_ms: budget_wait(refusal, wanted.window, claim.at),
                });
            }
        }
        worst
    }

    /// Takes a claim that nothing is in the way of.
    fn commit(&mut self, claim: Claim) -> Outcome {
        let at = claim.at;
        let mut standings = Vec::with_capacity(claim.rates.len());
        let mut rates = Vec::with_capacity(claim.rates.len());
        for rate in claim.rates {
            let mut debt_before = 0;
            let bucket = self.change_bucket(&rate.key, rate.quota, |bucket| {
                let before = bucket.at(rate.quota, at);
                debt_before = before.debt;
                before.take(rate.quota, rate.cost, at).unwrap_or(before)
            });
            standings.push(bucket.standing(rate.quota, at));
            rates.push((rate, debt_before));
        }
        for slot in &claim.slots {
            match self.slots.get_mut(&slot.key) {
                Some(running) => *running = running.saturating_add(1),
                None => {
                    self.slots.insert(slot.key.clone(), 1);
                }
            }
        }
        for wanted in &claim.budgets {
            self.change_account(&wanted.key, wanted.window, at, |account| {
                let reserved = account.reserve(wanted.limit, wanted.amount);
                reserved.unwrap_or(account)
            });
        }
        let open = Open {
            at,
            expires_at: claim.expires_at,
            rates,
            slots: claim.slots,
            budgets: claim.budgets,
        };
        self.expiries
            .insert((open.expires_at, Arc::clone(&claim.id)));
        self.open.insert(claim.id, open);
        Outcome::Taken(standings)
    }

    fn settle(&mut self, id: &str, at: UnixMillis, close: Close) -> Settled {
        let Some((id, open)) = self.open.remove_entry(id) else {
            return Settled::Unknown;
        };
        self.expiries.remove(&(open.expires_at, id));
        for (rate, debt_before) in &open.rates {
            self.correct(rate, *debt_before, open.at, at, close);
        }
        for slot in &open.slots {
            if let Some(running) = self.slots.get_mut(&slot.key) {
                *running = running.saturating_sub(1);
                if *running == 0 {
                    self.slots.remove(&slot.key);
                }
            }
        }
        let settle = |claim: BudgetClaim| {
            let actual = match close {
                Close::Used { amount, .. } => amount.in_unit(claim.unit),
                Close::Unused => 0,
                Close::Reserved => claim.amount,
            };
            let mut spent_before = 0;
            let account = self.change_account(&claim.key, claim.window, at, |account| {
                spent_before = account.spent;
                account.settle(claim.amount, actual)
            });
            Change {
                key: claim.key,
                window: claim.window,
                spent_before,
                account,
            }
        };
        Settled::Closed(open.budgets.into_iter().map(settle).collect())
    }

    fn correct(
        &mut self,
        rate: &RateClaim,
        debt_before: u64,
        taken_at: UnixMillis,
        now: UnixMillis,
        close: Close,
    ) {
        let actual = match (rate.unit, close) {
            (limit::Unit::Requests, _) | (_, Close::Reserved) => return,
            (limit::Unit::Tokens, Close::Unused) => 0,
            (limit::Unit::Tokens, Close::Used { rate_tokens, .. }) => rate_tokens,
        };
        let taken = limit::Taken {
            cost: rate.cost,
            debt_before,
            at_ms: taken_at.0,
        };
        self.change_bucket(&rate.key, rate.quota, |bucket| {
            bucket.correct(rate.quota, taken, actual, now)
        });
    }

    fn standings(&self, rates: &[RateClaim], at: UnixMillis) -> Vec<Standing> {
        rates
            .iter()
            .map(|rate| self.bucket(&rate.key).standing(rate.quota, at))
            .collect()
    }

    fn bucket(&self, key: &Key) -> Bucket {
        self.buckets
            .get(key)
            .map_or_else(Bucket::default, |metered| metered.bucket)
    }

    fn change_bucket(
        &mut self,
        key: &Key,
        quota: Quota,
        change: impl FnOnce(Bucket) -> Bucket,
    ) -> Bucket {
        let metered = self.buckets.entry(key.clone()).or_insert(Metered {
            bucket: Bucket::default(),
            quota,
        });
        metered.quota = quota;
        metered.bucket = change(metered.bucket);
        metered.bucket
    }

    fn account(&self, key: &Key, window: Window) -> Account {
        self.accounts
            .get(&(key.clone(), window.start))
            .map_or_else(Account::default, |held| held.account)
    }

    fn change_account(
        &mut self,
        key: &Key,
        window: Window,
        used_at: UnixMillis,
        change: impl FnOnce(Account) -> Account,
    ) -> Account {
        let held = self.accounts.entry((key.clone(), window.start));
        let held = held.or_insert(Held {
            account: Account::default(),
            window,
            used_at,
        });
        held.window = window;
        held.used_at = used_at;
        held.account = change(held.account);
        held.account
    }

    /// Forgets what has no influence any more, whenever twice as much is kept as was worth keeping.
    fn clean_if_large(&mut self, now: UnixMillis) {
        let size = self.buckets.len().saturating_add(self.accounts.len());
        if size <= self.clean_above.max(FEW) {
            return;
        }
        self.buckets
            .retain(|_, metered| metered.bucket.at(metered.quota, now).debt > 0);
        self.accounts.retain(|_, held| held.matters(now));
        let kept = self.buckets.len().saturating_add(self.accounts.len());
        self.clean_above = kept.saturating_mul(2);
    }
}

impl Held {
    fn matters(&self, now: UnixMillis) -> bool {
        let keep_until = if self.window == Window::TOTAL {
            self.used_at.0.saturating_add(KEPT_UNUSED_MS)
        } else {
            self.window.end.0.saturating_add(KEPT_AFTER_WINDOW_MS)
        };
        self.account.reserved > 0 || now.0 < keep_until
    }
}

/// How long a refused budget stays in the way.
#[must_use]
pub fn budget_wait(refusal: budget::Refusal, window: Window, now: UnixMillis) -> Option<u64> {
    match refusal {
        budget::Refusal::Held => Some(HELD_RETRY_MS),
        budget::Refusal::Exhausted if window != Window::TOTAL => {
            u64::try_from(window.end.0.saturating_sub(now.0)).ok()
        }
        budget::Refusal::Exhausted | budget::Refusal::NeverFits => None,
    }
}

#[async_trait]
impl Counters for MemoryCounters {
    async fn take(&self, claim: Claim) -> Result<Outcome> {
        Ok(self.take_now(claim))
    }

    async fn settle(&self, id: &str, at: UnixMillis, close: Close) -> Result<Settled> {
        Ok(self.settle_now(id, at, close))
    }

    async fn renew(&self, ids: &[Arc<str>], expires_at: UnixMillis) -> Result<()> {
        self.renew_now(ids, expires_at);
        Ok(())
    }

    async fn overdue(&self, now: UnixMillis, max: usize) -> Result<Vec<Arc<str>>> {
        Ok(self.overdue_now(now, max))
    }

    async fn snapshot(&self, accounts: &[AccountKey]) -> Result<Vec<Account>> {
        Ok(self.snapshot_now(accounts))
    }

    async fn restore(&self, spent: &[(AccountKey, u64)]) -> Result<()> {
        self.restore_now(spent);
        Ok(())
    }

    fn local(&self) -> Option<&MemoryCounters> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
