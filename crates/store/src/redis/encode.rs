//! Claims on their way to the scripts, and their answers on the way back.

use std::sync::Arc;

use redis::ScriptInvocation;
use seaworthy_core::budget::{self, Account, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Change, Claim, Key, Outcome, Reason, Refusal, Settled};
use seaworthy_core::limit::{MAX_EXACT, Standing};

/// Where an account lies.
pub(super) fn account_key(key: &Key, window: Window) -> String {
    format!("{}@{}", key.as_str(), window.start.0)
}

/// The end of a window as scripts know it; empty for one without an end.
pub(super) fn window_end(window: Window) -> String {
    if window == Window::TOTAL {
        return String::new();
    }
    window.end.0.to_string()
}

/// A limit as scripts know it: exact below 2^53, and below any amount that is not.
pub(super) fn limit(limit: u64) -> u64 {
    limit.min(MAX_EXACT - 1)
}

/// An amount as scripts know it.
pub(super) fn amount(amount: u64) -> u64 {
    amount.min(MAX_EXACT)
}

/// Adds what a claim asks for, after the fixed arguments.
pub(super) fn claim(call: &mut ScriptInvocation<'_>, claim: &Claim) {
    for rate in &claim.rates {
        call.key(rate.key.as_str());
    }
    for slot in &claim.slots {
        call.key(slot.key.as_str());
    }
    for budget in &claim.budgets {
        call.key(account_key(&budget.key, budget.window));
    }
    for rate in &claim.rates {
        call.arg(rate.quota.limit())
            .arg(rate.quota.period().millis())
            .arg(rate.quota.burst())
            .arg(rate.unit.as_str())
            .arg(amount(rate.cost));
    }
    for slot in &claim.slots {
        call.arg(slot.max);
    }
    for budget in &claim.budgets {
        call.arg(budget.key.as_str())
            .arg(budget.window.start.0)
            .arg(window_end(budget.window))
            .arg(limit(budget.limit))
            .arg(budget.unit.as_str())
            .arg(amount(budget.amount));
    }
}

/// The words of an answer, read from left to right.
pub(super) struct Words(std::vec::IntoIter<String>);

impl Words {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self(words.into_iter())
    }

    pub(super) fn text(&mut self) -> String {
        self.0.next().unwrap_or_default()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.text().parse().unwrap_or(0)
    }

    pub(super) fn moment(&mut self) -> UnixMillis {
        UnixMillis(self.text().parse().unwrap_or(0))
    }

    pub(super) fn account(&mut self) -> Account {
        Account {
            limit: self.number(),
            spent: self.number(),
            reserved: self.number(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The outcome of a claim and the accounts that it names, in its order.
    pub(super) fn outcome(mut self, claim: &Claim, is_taken: bool) -> (Outcome, Vec<Account>) {
        let refusal = (!is_taken).then(|| self.refusal());
        let standings = claim.rates.iter().map(|_| Standing {
            remaining: self.number(),
            reset_ms: self.number(),
        });
        let standings: Vec<_> = standings.collect();
        let accounts = claim.budgets.iter().map(|_| self.account()).collect();
        let outcome = match refusal {
            None => Outcome::Taken(standings),
            Some(refusal) => Outcome::Refused(refusal, standings),
        };
        (outcome, accounts)
    }

    fn refusal(&mut self) -> Refusal {
        let kind = self.text();
        let index = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let retry_after_ms = self.text().parse().ok();
        let why = self.text();
        let remaining = self.number();
        let reason = match kind.as_str() {
            "rate" => Reason::Rate(index),
            "slot" => Reason::Slot(index),
            _ => Reason::Budget {
                index,
                refusal: match why.as_str() {
                    "never" => budget::Refusal::NeverFits,
                    "exhausted" => budget::Refusal::Exhausted,
                    _ => budget::Refusal::Held,
                },
                remaining,
            },
        };
        Refusal {
            reason,
            retry_after_ms,
        }
    }

    pub(super) fn settled(mut self) -> Settled {
        if self.text() != "closed" {
            return Settled::Unknown;
        }
        let mut changes = Vec::new();
        while !self.is_empty() {
            let key = Key::new(&self.text());
            let start = self.moment();
            let end = self.text().parse().map_or(Window::TOTAL.end, UnixMillis);
            changes.push(Change {
                key,
                window: Window { start, end },
                spent_before: self.number(),
                account: self.account(),
            });
        }
        Settled::Closed(changes)
    }
}

/// Accounts with their names in the server, for what is said about them.
pub(super) fn accounts(spent: &[(AccountKey, u64)]) -> impl Iterator<Item = (String, String, u64)> {
    let of = |(at, spent): &(AccountKey, u64)| {
        (
            account_key(&at.key, at.window),
            window_end(at.window),
            amount(*spent),
        )
    };
    spent.iter().map(of)
}

/// An ID that is kept as text.
pub(super) fn shared(text: String) -> Arc<str> {
    Arc::from(text)
}
