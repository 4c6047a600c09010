//! Holds what the system says against what the oracle counts.

use std::sync::Arc;

use seaworthy_core::counters::{AccountKey, BudgetClaim, Claim};

use super::{Check, World};

impl World {
    pub(super) fn compare_known(&mut self, id: &Arc<str>) -> Check {
        match self.ledger.claim(id) {
            Some(claim) => self.compare(&claim),
            None => self.compare_all(),
        }
    }

    /// Compares what a claim touches.
    pub(super) fn compare(&self, claim: &Claim) -> Check {
        let key = |budget: &BudgetClaim| AccountKey {
            key: budget.key.clone(),
            window: budget.window,
        };
        self.compare_accounts(&claim.budgets.iter().map(key).collect::<Vec<_>>())?;
        for slot in &claim.slots {
            let (found, expected) = (
                self.system.running(&slot.key),
                self.oracle.running(&slot.key),
            );
            if found != expected {
                let key = slot.key.as_str();
                return Err(format!("{key}: {expected} are running, found {found}"));
            }
        }
        Ok(())
    }

    pub(super) fn compare_all(&self) -> Check {
        let keys: Vec<AccountKey> = self.accounts.values().cloned().collect();
        self.compare_accounts(&keys)
    }

    /// Every account is what the history says, and the provider has billed no more than its limit.
    pub(super) fn compare_accounts(&self, keys: &[AccountKey]) -> Check {
        for (key, account) in keys.iter().zip(self.system.snapshot(keys)) {
            self.oracle.agrees(key, &account)?;
            let limit = self.limits.get(&key.key).copied().unwrap_or(0);
            let (billed, excess) = self.ledger.billed(key);
            if billed > limit + excess {
                let name = key.key.as_str();
                return Err(format!(
                    "{name}: {billed} billed of {limit} and {excess} unforeseen"
                ));
            }
            let parts = account.remaining() + account.reserved + account.spent;
            if account.limit + account.overdraft() != parts {
                return Err(format!("{account:?} does not add up"));
            }
        }
        Ok(())
    }
}
