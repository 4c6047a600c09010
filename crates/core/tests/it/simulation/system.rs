//! What is simulated: counters and prices, as they are or with a bug.

use std::sync::Arc;

use seaworthy_core::budget::Account;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::counters::{AccountKey, Claim, Close, Key, Outcome, Settled};
use seaworthy_core::ledger::attempts;
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Price};
use seaworthy_core::usage::Usage;

pub(super) trait System {
    fn take(&mut self, claim: Claim) -> Outcome;
    fn settle(&mut self, id: &Arc<str>, at: UnixMillis, close: Close) -> Settled;
    fn renew(&mut self, ids: &[Arc<str>], expires_at: UnixMillis);
    fn overdue(&mut self, now: UnixMillis) -> Vec<Arc<str>>;
    fn snapshot(&self, accounts: &[AccountKey]) -> Vec<Account>;
    fn restore(&mut self, spent: &[(AccountKey, u64)]);
    fn running(&self, key: &Key) -> u64;
    /// The store is killed and comes back empty.
    fn forget(&mut self);
    /// The ID of a further call under a claim.
    fn call_id(&self, claim: &Arc<str>, attempt: u32) -> Arc<str> {
        attempts::call_id(claim, attempt).into()
    }
    fn cost(&self, usage: &Usage, price: &Price) -> Micros {
        price::cost(usage, price)
    }
}

/// The memory model as it is.
#[derive(Default)]
pub(super) struct Honest(pub MemoryCounters);

impl System for Honest {
    fn take(&mut self, claim: Claim) -> Outcome {
        self.0.take_now(claim)
    }

    fn settle(&mut self, id: &Arc<str>, at: UnixMillis, close: Close) -> Settled {
        self.0.settle_now(id, at, close)
    }

    fn renew(&mut self, ids: &[Arc<str>], expires_at: UnixMillis) {
        self.0.renew_now(ids, expires_at);
    }

    fn overdue(&mut self, now: UnixMillis) -> Vec<Arc<str>> {
        self.0.overdue_now(now, 5)
    }

    fn snapshot(&self, accounts: &[AccountKey]) -> Vec<Account> {
        self.0.snapshot_now(accounts)
    }

    fn restore(&mut self, spent: &[(AccountKey, u64)]) {
        self.0.restore_now(spent);
    }

    fn running(&self, key: &Key) -> u64 {
        self.0.running(key)
    }

    fn forget(&mut self) {
        self.0 = MemoryCounters::default();
    }
}
