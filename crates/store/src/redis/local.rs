//! What a replica may give out while it cannot ask: its share of every limit, and of what it last
//! knew to be left of every budget.

use std::collections::HashMap;

use seaworthy_core::budget::{self, Account};
use seaworthy_core::counters::memory::{MemoryCounters, budget_wait};
use seaworthy_core::counters::{Claim, Outcome, Reason, Refusal};

use super::encode::account_key;

/// Most accounts that are remembered for the time without a server.
const MAX_VIEWS: usize = 100_000;

/// The accounts as the server described them last, by their name there.
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

    fn get(&self, key: &str) -> Account {
        self.0.get(key).copied().unwrap_or_default()
    }
}

/// One time without a server.
#[derive(Debug, Default)]
pub(super) struct Alone {
    counters: MemoryCounters,
    /// What may be given out of an account during it.
    allowances: HashMap<String, u64>,
}

/// The answer to a claim without a server.
#[derive(Debug)]
pub(super) enum Answer {
    /// Decided as far as this replica can.
    Decided(Outcome),
    /// This replica's share of a budget is used up; nobody knows whether there is more.
    Unknown,
}

impl Alone {
    pub(super) fn counters(&self) -> &MemoryCounters {
        &self.counters
    }

    /// Decides a claim for one of `replicas`.
    pub(super) fn take(&mut self, claim: &Claim, replicas: u64, views: &Views) -> Answer {
        let mut share = claim.clone();
        for rate in &mut share.rates {
            rate.quota = rate.quota.share(replicas);
        }
        for slot in &mut share.slots {
            if slot.max > 0 {
                slot.max = (slot.max / replicas).max(1);
            }
        }
        for (index, budget) in share.budgets.iter_mut().enumerate() {
            let key = account_key(&budget.key, budget.window);
            let known = views.get(&key);
            let (limit, amount) = (budget.limit, budget.amount);
            if let Err(refusal) = known.reserve(limit, amount)
                && refusal != budget::Refusal::Held
            {
                let reason = Reason::Budget {
                    index,
                    refusal,
                    remaining: Account { limit, ..known }.remaining(),
                };
                let retry_after_ms = budget_wait(refusal, budget.window, claim.at);
                let refusal = Refusal {
                    reason,
                    retry_after_ms,
                };
                return Answer::Decided(Outcome::Refused(refusal, Vec::new()));
            }
            let left = Account { limit, ..known }.remaining() / replicas;
            budget.limit = *self.allowances.entry(key).or_insert(left);
        }
        match self.counters.take_now(share) {
            Outcome::Refused(
                Refusal {
                    reason: Reason::Budget { .. },
                    ..
                },
                _,
            ) => Answer::Unknown,
            outcome => Answer::Decided(outcome),
        }
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

    fn taken(alone: &mut Alone, views: &Views, of: impl Fn(usize) -> Claim) -> usize {
        let answers = (0..1_000).map(|id| alone.take(&of(id), 3, views));
        answers
            .filter(|answer| matches!(answer, Answer::Decided(Outcome::Taken(_))))
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
        assert_eq!(taken(&mut Alone::default(), &Views::default(), with), 100);
        let with = |id| Claim {
            slots: vec![SlotClaim {
                key: Key::new("s"),
                max: 31,
            }],
            ..claim(id)
        };
        assert_eq!(taken(&mut Alone::default(), &Views::default(), with), 10);
    }

    #[test]
    fn a_third_of_what_was_left_of_a_budget_is_given_out_by_each_of_three() {
        let with = |id| Claim {
            budgets: vec![BudgetClaim {
                key: Key::new("b"),
                window: Window::TOTAL,
                limit: 1_000,
                unit: budget::Unit::Micros,
                amount: 10,
            }],
            ..claim(id)
        };
        let mut views = Views::default();
        let account = Account {
            limit: 1_000,
            spent: 300,
            reserved: 100,
        };
        views.note(account_key(&Key::new("b"), Window::TOTAL), account);
        let mut alone = Alone::default();
        assert_eq!(taken(&mut alone, &views, with), 20);
        assert!(matches!(
            alone.take(&with(2_000), 3, &views),
            Answer::Unknown
        ));
        let spent = Account {
            spent: 995,
            ..account
        };
        views.note(account_key(&Key::new("b"), Window::TOTAL), spent);
        let answer = alone.take(&with(2_001), 3, &views);
        assert!(
            matches!(answer, Answer::Decided(Outcome::Refused(..))),
            "{answer:?}"
        );
    }
}
