//! What the server has set aside of budgets for this replica: all that it may spend while it cannot
//! ask. The sum of all shares, of what is reserved and of what is spent is never above the limit, so
//! a replica that takes the server for lost, rightly or not, exceeds nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use seaworthy_core::budget::Account;
use seaworthy_core::counters::{Claim, Close};
use tokio::time::Instant;

use super::encode::account_key;

/// Most accounts of which a replica holds shares.
const MAX_ACCOUNTS: usize = 20_000;
/// Most of them that are asked about at once: a script keeps everybody else waiting.
const MAX_ASKED: usize = 500;
/// A share that was not used for so long is given back.
const IDLE: Duration = Duration::from_secs(600);

/// The shares of one replica.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Under which name they are held; `None` while nothing may be.
    holder: Option<String>,
    /// Whether they are let go of, as soon as the server knows what was spent of them.
    is_ending: bool,
    /// Questions that were asked under that name.
    asked: u64,
    accounts: HashMap<String, Share>,
    /// Until when they may be spent without asking.
    may_spend_until: Option<Instant>,
}

#[derive(Debug)]
struct Share {
    limit: u64,
    /// What the last call needed: less is of no use.
    least: u64,
    left: u64,
    used_at: Instant,
}

/// What is asked of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) key: String,
    pub(super) limit: u64,
    pub(super) least: u64,
    /// What is left of the share, and is certain to be enough from now on.
    pub(super) held: u64,
}

/// One question to the server.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) holder: String,
    pub(super) number: u64,
    pub(super) parts: u64,
    pub(super) accounts: Vec<Ask>,
}

/// An account of which the server says that something has changed.
#[derive(Debug)]
pub struct Touched {
    /// Its name there.
    pub key: String,
    /// How it stands.
    pub account: Account,
    /// Whether somebody needs what is set aside of it.
    pub is_wanted: bool,
}

/// The part of an account that each holder may have, of as many parts. What is too little for a call
/// is nothing, and goes to whoever asks.
fn part(account: Account, limit: u64, least: u64, parts: u64) -> u64 {
    let left = Account { limit, ..account }.remaining();
    let part = left / parts.max(1);
    if part < least { 0 } else { part }
}

impl Shares {
    /// The holder, if there is one.
    pub(super) fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// Begins to hold under a name that is new.
    pub(super) fn begin(&mut self, holder: String) {
        self.holder = Some(holder);
        self.is_ending = false;
        self.asked = 0;
    }

    /// Accounts to ask about under a name that nothing was asked under yet: all that are in use.
    pub(super) fn to_begin_with(&self) -> Vec<String> {
        match self.holder.is_some() && self.asked == 0 && !self.is_ending {
            true => {
                let mut keys: Vec<_> = self.accounts.keys().take(MAX_ASKED).cloned().collect();
                keys.sort();
                keys
            }
            false => Vec::new(),
        }
    }

    /// Lets go of everything. Returns the name that it was held under.
    pub(super) fn end(&mut self) -> Option<String> {
        self.stop();
        self.is_ending = false;
        self.holder.take()
    }

    /// Lets go of everything for a server that knows what was set aside. Returns the name that it was
    /// held under, unless something was spent of it that the server has not heard of: whoever finds
    /// the name given up takes all of it for unspent, and gives it to others.
    pub(super) fn let_go(&mut self, is_all_told: bool) -> Option<String> {
        if is_all_told {
            return self.end();
        }
        self.stop();
        self.is_ending = self.holder.is_some();
        None
    }

    /// Lets go of what was to be let go of, if it may be by now.
    pub(super) fn go_on_letting_go(&mut self, is_all_told: bool) -> Option<String> {
        match self.is_ending {
            true => self.let_go(is_all_told),
            false => None,
        }
    }

    fn stop(&mut self) {
        self.may_spend_until = None;
        for share in self.accounts.values_mut() {
            share.left = 0;
        }
    }

    /// Notes which accounts calls are paid from.
    pub(super) fn note_use(&mut self, claim: &Claim) {
        let used_at = Instant::now();
        for budget in &claim.budgets {
            let key = account_key(&budget.key, budget.window);
            if let Some(share) = self.accounts.get_mut(&key) {
                (share.limit, share.least, share.used_at) = (budget.limit, budget.amount, used_at);
            } else if self.accounts.len() < MAX_ACCOUNTS {
                let share = Share {
                    limit: budget.limit,
                    least: budget.amount,
                    left: 0,
                    used_at,
                };
                self.accounts.insert(key, share);
            }
        }
    }

    /// What to ask for after these accounts have changed. What is more than this replica's part is
    /// let go of here before the server hears of it.
    pub(super) fn question(&mut self, touched: &[Touched], replicas: u64) -> Option<Question> {
        let holder = self.holder.clone().filter(|_| !self.is_ending)?;
        let parts = replicas.saturating_add(1);
        // Each account once: what is granted is added.
        let mut asks = BTreeMap::new();
        for Touched {
            key,
            account,
            is_wanted,
        } in touched
        {
            let Some(share) = self.accounts.get_mut(key) else {
                continue;
            };
            let most = match is_wanted {
                true => 0,
                false => part(*account, share.limit, share.least, parts),
            };
            share.left = share.left.min(most);
            asks.insert(key.clone(), share.ask(key));
        }
        self.forget_idle(&mut asks);
        let accounts: Vec<Ask> = asks.into_values().take(MAX_ASKED).collect();
        if accounts.is_empty() {
            return None;
        }
        self.asked += 1;
        Some(Question {
            holder,
            number: self.asked,
            parts,
            accounts,
        })
    }

    /// Lets go of what was not used for long.
    fn forget_idle(&mut self, asks: &mut BTreeMap<String, Ask>) {
        let now = Instant::now();
        self.accounts.retain(|key, share| {
            let is_idle = now.duration_since(share.used_at) >= IDLE;
            if is_idle && share.left > 0 && asks.len() < MAX_ASKED {
                share.left = 0;
                let least = u64::MAX;
                let ask = share.ask(key);
                asks.insert(key.clone(), Ask { least, ..ask });
            }
            !is_idle || share.left > 0
        });
    }

    /// Takes over what the server has set aside, in the order of the question.
    pub(super) fn granted(&mut self, question: &Question, shares: &[u64]) {
        if self.holder.as_ref() != Some(&question.holder) || self.is_ending {
            return;
        }
        for (ask, share) in question.accounts.iter().zip(shares) {
            // Some of what was held may have been spent since.
            if let Some(known) = self.accounts.get_mut(&ask.key) {
                known.left = known.left.saturating_add(share.saturating_sub(ask.held));
            }
        }
    }

    /// Allows to spend without asking for a while.
    pub(super) fn allow(&mut self, until: Option<Instant>) {
        self.may_spend_until = until;
    }

    /// Whether it may be spent without asking.
    pub(super) fn may_be_spent(&self) -> bool {
        let until = self.may_spend_until.filter(|_| self.may_hold());
        until.is_some_and(|until| Instant::now() < until)
    }

    fn may_hold(&self) -> bool {
        self.holder.is_some() && !self.is_ending
    }

    /// Takes all that a claim asks of budgets, or nothing.
    pub(super) fn take(&mut self, claim: &Claim) -> bool {
        let left = |key: &String| self.accounts.get(key).map_or(0, |share| share.left);
        let wanted = claim.budgets.iter();
        let wanted = wanted.map(|of| (account_key(&of.key, of.window), of.amount));
        let wanted: Vec<_> = wanted.collect();
        if wanted.iter().any(|(key, amount)| left(key) < *amount) {
            return false;
        }
        for (key, amount) in &wanted {
            if let Some(share) = self.accounts.get_mut(key) {
                share.left = share.left.saturating_sub(*amount);
            }
        }
        true
    }

    /// Puts back what a call did not use.
    pub(super) fn put_back(&mut self, claim: &Claim, close: Close) {
        if !self.may_hold() {
            return;
        }
        for budget in &claim.budgets {
            let used = match close {
                Close::Used { amount, .. } => amount.in_unit(budget.unit),
                Close::Unused => 0,
                Close::Reserved => budget.amount,
            };
            let key = account_key(&budget.key, budget.window);
            if let Some(share) = self.accounts.get_mut(&key) {
                let whole = share.left.saturating_add(budget.amount);
                share.left = whole.saturating_sub(used);
            }
        }
    }
}

impl Share {
    fn ask(&self, key: &str) -> Ask {
        Ask {
            key: key.to_owned(),
            limit: self.limit,
            least: self.least,
            held: self.left,
        }
    }
}

#[cfg(test)]
mod tests;
