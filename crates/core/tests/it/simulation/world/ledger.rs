//! The durable side: intents before calls leave, one settlement for each, and what the provider
//! billed.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaworthy_core::budget::Amount;
use seaworthy_core::counters::{AccountKey, BudgetClaim, Claim, Close};

#[derive(Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Arc<str>, Entry>,
    billed: Vec<(Claim, Amount)>,
}

struct Entry {
    /// `None` if the call was closed before it left.
    claim: Option<Claim>,
    close: Option<Close>,
}

fn charged(claim: &BudgetClaim, close: Option<Close>) -> u64 {
    match close {
        Some(Close::Used { amount, .. }) => amount.in_unit(claim.unit),
        Some(Close::Unused) => 0,
        Some(Close::Reserved) | None => claim.amount,
    }
}

impl Ledger {
    /// Records that a call is going to leave; false if it has been closed, and must not.
    pub(super) fn intend(&mut self, claim: &Claim) -> bool {
        if self.entries.contains_key(&claim.id) {
            return false;
        }
        let entry = Entry {
            claim: Some(claim.clone()),
            close: None,
        };
        self.entries.insert(Arc::clone(&claim.id), entry);
        true
    }

    /// Settles a call that has left. The first settlement counts.
    pub(super) fn settle(&mut self, id: &Arc<str>, close: Close) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.close.get_or_insert(close);
        }
    }

    /// Closes a call that nobody looks after: at its worst case if it has left, and otherwise so
    /// that it cannot leave any more.
    pub(super) fn close(&mut self, id: &Arc<str>) -> Close {
        let never_left = || Entry {
            claim: None,
            close: Some(Close::Unused),
        };
        let entry = self
            .entries
            .entry(Arc::clone(id))
            .or_insert_with(never_left);
        *entry.close.get_or_insert(Close::Reserved)
    }

    pub(super) fn close_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.close.get_or_insert(Close::Reserved);
        }
    }

    pub(super) fn claim(&self, id: &Arc<str>) -> Option<Claim> {
        self.entries.get(id)?.claim.clone()
    }

    /// What is spent of every account, open calls at their worst case.
    pub(super) fn spent(&self) -> Vec<(AccountKey, u64)> {
        let mut sums: BTreeMap<(String, i64), (AccountKey, u64)> = BTreeMap::new();
        for entry in self.entries.values() {
            for budget in entry.claim.iter().flat_map(|claim| &claim.budgets) {
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
