//! What a replica may let pass while it cannot ask: its part of every limit, and of budgets what was
//! set aside for it.

use std::collections::HashMap;

use seaworthy_core::budget::{self, Account};
use seaworthy_core::counters::memory::{MemoryCounters, budget_wait};
use seaworthy_core::counters::{Claim, Outcome, Reason, Refusal};

use super::encode::account_key;
use super::shares::{Shares, Touched};

/// Most accounts that are remembered for the time without a server.
const MAX_VIEWS: usize = 100_000;

/// The accounts as the server described them last, by their name there. What was spent stays spent,
/// so they tell what is certain to be refused; what may pass is not for them to say.
#[derive(Debug, Default)]
pub(super) struct Views(HashMap<String, Account>);

impl Views {
    pub(super) fn note(&mut self, key: String, account: Account) {
        if self.0.len() >= MAX_VIEWS {
            // Those that are still used come back with the next claim or beat.
            self.0.clear();
        }
        self.0.insert(key, account);
    }

    pub(super) fn note_claim(&mut self, claim: &Claim, accounts: &[Account]) {
        for (budget, account) in claim.budgets.iter().zip(accounts) {
            self.note(account_key(&budget.key, budget.window), *account);
        }
    }

    pub(super) fn note_spent(&mut self, key: String, spent: u64) {
        let account = self.0.entry(key).or_default();
        *account = account.restore(spent);
    }

    /// An account as it was last, as if it had just changed.
    pub(super) fn touched(&self, key: String) -> Option<Touched> {
        let account = *self.0.get(&key)?;
        Some(Touched {
            key,
            account,
            is_wanted: false,
        })
    }

    /// The refusal of a claim that no server would let pass any more.
    pub(super) fn refusal(&self, claim: &Claim) -> Option<Refusal> {
        let mut budgets = claim.budgets.iter().enumerate();
        budgets.find_map(|(index, wanted)| {
            let key = account_key(&wanted.key, wanted.window);
            let known = self.0.get(&key).copied().unwrap_or_default();
            let refusal = known.reserve(wanted.limit, wanted.amount).err()?;
            let limit = wanted.limit;
            (refusal != budget::Refusal::Held).then(|| Refusal {
                reason: Reason::Budget {
                    index,
                    refusal,
                    remaining: Account { limit, ..known }.remaining(),
                },
                retry_after_ms: budget_wait(refusal, wanted.window, claim.at),
            })
        })
    }
}

/// One time without a server: the limits of requests and tokens in a time, and of requests at the
/// same time, divided by the replicas.
#[derive(Debug, Default)]
pub(super) struct Alone(MemoryCounters);

impl Alone {
    pub(super) fn counters(&self) -> &MemoryCounters {
        &self.0
    }

    /// Decides a claim for one of `replicas`. `None`: it does not fit into what was set aside, and
    /// nobody knows whether there is more.
    pub(super) fn take(
        &self,
        claim: &Claim,
        replicas: u64,
        shares: &mut Shares,
    ) -> Option<Outcome> {
        if !shares.take(claim) {
            return None;
        }
        let mut part = claim.clone();
        part.budgets.clear();
        for rate in &mut part.rates {
            rate.quota = rate.quota.share(replicas);
        }
        for slot in &mut part.slots {
            if slot.max > 0 {
                slot.max = (slot.max / replicas).max(1);
            }
        }
        let outcome = self.0.take_now(part);
        if let Outcome::Refused(..) = outcome {
            shares.put_back(claim, seaworthy_core::counters::Close::Unused);
        }
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seaworthy_core::budget::Window;
    use seaworthy_core::clock::UnixMillis;
    use seaworthy_core::counters::{BudgetClaim, Key, RateClaim, SlotClaim};
    use seaworthy_core::limit::{Period, Quota, Unit};

    use super::*;

    fn claim(id: usize) -> Claim {
        Claim {
            id: Arc::from(id.to_string()),
            at: UnixMillis(0),
            expires_at: UnixMillis(60_000),
            rates: Vec::new(),
            slots: Vec::new(),
            budgets: Vec::new(),
        }
    }

    fn taken(of: impl Fn(usize) -> Claim) -> usize {
        let alone = Alone::default();
        let answers = (0..1_000).map(|id| alone.take(&of(id), 3, &mut Shares::default()));
        answers
            .filter(|answer| matches!(answer, Some(Outcome::Taken(_))))
            .count()
    }

    #[test]
    fn a_third_of_a_limit_is_given_out_by_each_of_three() {
        let with = |id| Claim {
            rates: vec![RateClaim {
                key: Key::new("r"),
                quota: Quota::new(300, Period::Minute).unwrap(),
                unit: Unit::Requests,
                cost: 1,
            }],
            ..claim(id)
        };
        assert_eq!(taken(with), 100);
        let with = |id| Claim {
            slots: vec![SlotClaim {
                key: Key::new("s"),
                max: 31,
            }],
            ..claim(id)
        };
        assert_eq!(taken(with), 10);
    }

    #[test]
    fn of_a_budget_nothing_is_given_out_that_was_not_set_aside() {
        let with = |id, amount| Claim {
            budgets: vec![BudgetClaim {
                key: Key::new("b"),
                window: Window::TOTAL,
                limit: 1_000,
                unit: budget::Unit::Micros,
                amount,
            }],
            ..claim(id)
        };
        assert_eq!(taken(|id| with(id, 1)), 0);
        let mut views = Views::default();
        assert_eq!(views.refusal(&with(0, 10)), None);
        let spent = Account {
            limit: 1_000,
            spent: 995,
            reserved: 0,
        };
        views.note(account_key(&Key::new("b"), Window::TOTAL), spent);
        assert!(views.refusal(&with(0, 10)).is_some(), "it is used up");
    }
}
