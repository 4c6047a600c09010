//! The durable side: intents before calls leave, one settlement for each, and what the provider
//! billed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use seaworthy_core::budget::Amount;
use seaworthy_core::counters::{AccountKey, BudgetClaim, Claim, Close};
use seaworthy_core::ledger::attempts;

#[derive(Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Arc<str>, Entry>,
    /// Claims under which no call may leave any more.
    closed: HashSet<Arc<str>>,
    billed: Vec<(Claim, Amount)>,
}

struct Entry {
    claim: Claim,
    close: Option<Close>,
}

fn charged(claim: &BudgetClaim, close: Option<Close>) -> u64 {
    match close {
        Some(Close::Used { amount, .. }) => amount.in_unit(claim.unit),
        Some(Close::Unused) => 0,
        Some(Close::Reserved) | None => claim.amount,
    }
}

/// What two calls of a claim come to.
fn together(first: Close, second: Close) -> Close {
    match (first, second) {
        (Close::Unused, other) | (other, Close::Unused) => other,
        (Close::Reserved, _) | (_, Close::Reserved) => Close::Reserved,
        (
            Close::Used {
                amount: a,
                rate_tokens: m,
            },
            Close::Used {
                amount: b,
                rate_tokens: n,
            },
        ) => Close::Used {
            amount: Amount {
                tokens: a.tokens + b.tokens,
                cost: a.cost.plus(b.cost),
            },
            rate_tokens: m + n,
        },
    }
}

impl Ledger {
    /// Records that a call is going to leave; false if its claim was closed, and it must not.
    pub(super) fn intend(&mut self, id: &Arc<str>, claim: &Claim) -> bool {
        if self.closed.contains(&claim.id) {
            return false;
        }
        let entry = Entry {
            claim: claim.clone(),
            close: None,
        };
        self.entries.insert(Arc::clone(id), entry);
        true
    }

    /// Settles a call that has left. The first settlement counts.
    pub(super) fn settle(&mut self, id: &Arc<str>, close: Close) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.close.get_or_insert(close);
        }
    }

    /// Closes the calls of a claim that nobody looks after: at its worst case if one has left, and
    /// otherwise so that none can leave any more.
    pub(super) fn close(&mut self, claim: &Arc<str>) -> Close {
        self.closed.insert(Arc::clone(claim));
        let mut sum = Close::Unused;
        for id in attempts::call_ids(claim) {
            if let Some(entry) = self.entries.get_mut(&id) {
                sum = together(sum, *entry.close.get_or_insert(Close::Reserved));
            }
        }
        sum
    }

    pub(super) fn close_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.close.get_or_insert(Close::Reserved);
        }
    }

    pub(super) fn claim(&self, id: &Arc<str>) -> Option<Claim> {
        Some(self.entries.get(id)?.claim.clone())
    }

    /// What is spent of every account, open calls at their worst case.
    pub(super) fn spent(&self) -> Vec<(AccountKey, u64)> {
        let mut sums: BTreeMap<(String, i64), (AccountKey, u64)> = BTreeMap::new();
        for entry in self.entries.values() {
            for budget in &entry.claim.budgets {
                let at = (budget.key.as_str().to_owned(), budget.window.start.0);
                let key = || AccountKey {
                    key: budget.key.clone(),
                    window: budget.window,
                };
                let sum = sums.entry(at).or_insert_with(|| (key(), 0));
                sum.1 += charged(budget, entry.close);
            }
        }
        sums.into_values().collect()
    }

    pub(super) fn spent_of(&self, account: &AccountKey) -> u64 {
        let of_account = |(key, spent): (AccountKey, u64)| (key == *account).then_some(spent);
        self.spent().into_iter().find_map(of_account).unwrap_or(0)
    }

    /// The provider has done its work and wants to be paid.
    pub(super) fn bill(&mut self, claim: &Claim, amount: Amount) {
        self.billed.push((claim.clone(), amount));
    }

    /// What the provider billed to an account, and how much of it was beyond its reservations.
    pub(super) fn billed(&self, account: &AccountKey) -> (u64, u64) {
        let (mut billed, mut excess) = (0, 0);
        for (claim, amount) in &self.billed {
            for budget in &claim.budgets {
                if budget.window == account.window && budget.key == account.key {
                    let amount = amount.in_unit(budget.unit);
                    billed += amount;
                    excess += amount.saturating_sub(budget.amount);
                }
            }
        }
        (billed, excess)
    }
}
