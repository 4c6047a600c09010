//! The obviously correct counterpart: it keeps the whole history and counts it anew for every
//! question.

use std::collections::HashMap;
use std::sync::Arc;

use seaworthy_core::budget::{self, Account, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{
    AccountKey, BudgetClaim, Claim, Close, HELD_RETRY_MS, Key, RateClaim, Reason, Refusal,
};
use seaworthy_core::limit::{Quota, Standing, TOLERATED_SKEW_MS, Unit};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Price;
use seaworthy_core::usage::Usage;

#[derive(Default)]
pub(super) struct Oracle {
    claims: Vec<Past>,
    open: HashMap<Arc<str>, usize>,
    /// What the ledger said was spent when the store was restored.
    restored: HashMap<AccountKey, u64>,
    rates: HashMap<Key, Vec<Event>>,
}

/// A claim that was taken, and how it ended.
struct Past {
    claim: Claim,
    expires_at: UnixMillis,
    close: Option<Close>,
}

/// Something that changed a rate limit.
enum Event {
    Took {
        at: i64,
        cost: u64,
        call: Arc<str>,
    },
    Corrected {
        at: i64,
        call: Arc<str>,
        cost: u64,
        actual: u64,
    },
}

impl Oracle {
    /// Takes the claim if nothing is in the way, and says what is.
    pub(super) fn take(&mut self, claim: &Claim) -> Option<Refusal> {
        if self.open.contains_key(&claim.id) {
            return None;
        }
        let mut ways: Vec<(Reason, Option<u64>)> = Vec::new();
        for (index, rate) in claim.rates.iter().enumerate() {
            if let Some(wait) = self.rate_wait(rate, claim.at) {
                ways.push((Reason::Rate(index), wait));
            }
        }
        for (index, slot) in claim.slots.iter().enumerate() {
            if self.running(&slot.key) >= slot.max {
                ways.push((Reason::Slot(index), Some(HELD_RETRY_MS)));
            }
        }
        for (index, wanted) in claim.budgets.iter().enumerate() {
            ways.extend(self.budget_way(index, wanted, claim.at));
        }
        let longest = ways.iter().map(|(_, wait)| wait.unwrap_or(u64::MAX)).max();
        if let Some(longest) = longest {
            let first = ways
                .iter()
                .find(|(_, wait)| wait.unwrap_or(u64::MAX) == longest);
            return first.map(|(reason, retry_after_ms)| Refusal {
                reason: *reason,
                retry_after_ms: *retry_after_ms,
            });
        }
        for rate in &claim.rates {
            let events = self.rates.entry(rate.key.clone()).or_default();
            events.push(Event::Took {
                at: claim.at.0,
                cost: rate.cost,
                call: Arc::clone(&claim.id),
            });
        }
        self.open.insert(Arc::clone(&claim.id), self.claims.len());
        self.claims.push(Past {
            claim: claim.clone(),
            expires_at: claim.expires_at,
            close: None,
        });
        None
    }

    fn budget_way(
        &self,
        index: usize,
        wanted: &BudgetClaim,
        now: UnixMillis,
    ) -> Option<(Reason, Option<u64>)> {
        let (spent, reserved) = self.spent_and_reserved(&wanted.key, wanted.window);
        let (limit, amount) = (i128::from(wanted.limit), i128::from(wanted.amount));
        let left = limit - i128::from(spent) - i128::from(reserved);
        if amount <= left.max(0) {
            return None;
        }
        let (refusal, wait) = if amount > limit {
            (budget::Refusal::NeverFits, None)
        } else if amount > limit - i128::from(spent) {
            let end = wanted.window.end.0 - now.0;
            (budget::Refusal::Exhausted, u64::try_from(end).ok())
        } else {
            (budget::Refusal::Held, Some(HELD_RETRY_MS))
        };
        let reason = Reason::Budget {
            index,
            refusal,
            remaining: left.max(0) as u64,
        };
        Some((reason, wait))
    }

    /// Whether a claim was open; it is not any more.
    pub(super) fn settle(&mut self, id: &Arc<str>, at: UnixMillis, close: Close) -> bool {
        let Some(past) = self
            .open
            .remove(id)
            .and_then(|index| self.claims.get_mut(index))
        else {
            return false;
        };
        past.close = Some(close);
        let actual = match close {
            Close::Used { rate_tokens, .. } => rate_tokens,
            Close::Unused => 0,
            Close::Reserved => return true,
        };
        for rate in past
            .claim
            .rates
            .iter()
            .filter(|rate| rate.unit == Unit::Tokens)
        {
            let events = self.rates.entry(rate.key.clone()).or_default();
            events.push(Event::Corrected {
                at: at.0,
                call: Arc::clone(id),
                cost: rate.cost,
                actual,
            });
        }
        true
    }

    pub(super) fn renew(&mut self, ids: &[Arc<str>], expires_at: UnixMillis) {
        for id in ids {
            if let Some(index) = self.open.get(id) {
                let ends = &mut self.claims[*index].expires_at;
                *ends = expires_at.max(*ends);
            }
        }
    }

    /// The open claims that have expired, longest ago first.
    pub(super) fn overdue(&self, now: UnixMillis, max: usize) -> Vec<Arc<str>> {
        let open = self.claims.iter().filter(|past| self.is_open(past));
        let expired = open.filter(|past| past.expires_at <= now);
        let mut expired: Vec<_> = expired
            .map(|past| (past.expires_at, &past.claim.id))
            .collect();
        expired.sort();
        expired
            .into_iter()
            .take(max)
            .map(|(_, id)| Arc::clone(id))
            .collect()
    }

    /// The store has lost everything; `spent` is what the ledger knows.
    pub(super) fn forget(&mut self, spent: &[(AccountKey, u64)]) {
        *self = Self {
            restored: spent.iter().cloned().collect(),
            ..Self::default()
        };
    }

    fn is_open(&self, past: &Past) -> bool {
        past.close.is_none()
    }

    pub(super) fn open_claims(&self) -> usize {
        self.open.len()
    }

    pub(super) fn running(&self, key: &Key) -> u64 {
        let open = self.claims.iter().filter(|past| self.is_open(past));
        open.filter(|past| past.claim.slots.iter().any(|slot| slot.key == *key))
            .count() as u64
    }

    /// The account, counted from all claims that there ever were.
    pub(super) fn spent_and_reserved(&self, key: &Key, window: Window) -> (u64, u64) {
        let account = AccountKey {
            key: key.clone(),
            window,
        };
        let mut spent = self.restored.get(&account).copied().unwrap_or(0);
        let mut reserved = 0;
        for past in &self.claims {
            for claim in &past.claim.budgets {
                if claim.window != window || claim.key != *key {
                    continue;
                }
                match past.close {
                    None => reserved += claim.amount,
                    Some(Close::Used { amount, .. }) => spent += amount.in_unit(claim.unit),
                    Some(Close::Reserved) => spent += claim.amount,
                    Some(Close::Unused) => {}
                }
            }
        }
        (spent, reserved)
    }

    pub(super) fn agrees(&self, at: &AccountKey, found: &Account) -> Result<(), String> {
        let (spent, reserved) = self.spent_and_reserved(&at.key, at.window);
        if (found.spent, found.reserved) == (spent, reserved) {
            return Ok(());
        }
        Err(format!(
            "{} of {}: spent {spent} and reserved {reserved} expected, found {} and {}",
            at.key.as_str(),
            at.window.start,
            found.spent,
            found.reserved
        ))
    }

    /// The debt of a limit, in units of `1 / period`, from the beginning of time.
    fn debt(&self, key: &Key, quota: Quota, now: i64) -> (i128, i64) {
        let period = i128::from(quota.period().millis());
        let (mut debt, mut clock) = (0_i128, 0_i64);
        let mut before: HashMap<&str, (i128, i64)> = HashMap::new();
        let pass = |debt: &mut i128, clock: &mut i64, at: i64| {
            if at >= *clock {
                *debt = (*debt - i128::from(at - *clock) * i128::from(quota.limit())).max(0);
                *clock = at;
            } else if *clock - at > TOLERATED_SKEW_MS {
                *clock = at;
            }
        };
        for event in self.rates.get(key).into_iter().flatten() {
            match event {
                Event::Took { at, cost, call } => {
                    pass(&mut debt, &mut clock, *at);
                    before.insert(call, (debt, *at));
                    debt += i128::from(*cost) * period;
                }
                Event::Corrected {
                    at,
                    call,
                    cost,
                    actual,
                } => {
                    pass(&mut debt, &mut clock, *at);
                    let (debt_before, taken_at) = before[&**call];
                    let (cost, actual) = (i128::from(*cost) * period, i128::from(*actual) * period);
                    let elapsed = i128::from((at - taken_at).max(0)) * i128::from(quota.limit());
                    let idle = (elapsed - debt_before - actual).max(0);
                    let change = if actual >= cost {
                        actual - cost
                    } else {
                        -(cost - actual - idle).max(0)
                    };
                    debt = (debt + change).max(0);
                }
            }
        }
        pass(&mut debt, &mut clock, now);
        (debt, clock)
    }

    fn rate_wait(&self, rate: &RateClaim, now: UnixMillis) -> Option<Option<u64>> {
        let quota = rate.quota;
        let period = i128::from(quota.period().millis());
        let (debt, clock) = self.debt(&rate.key, quota, now.0);
        let (cost, capacity) = (
            i128::from(rate.cost) * period,
            i128::from(quota.burst()) * period,
        );
        let excess = debt + cost - capacity;
        if excess <= 0 {
            return None;
        }
        let limit = i128::from(quota.limit());
        let wait = (excess + limit - 1) / limit + i128::from((clock - now.0).max(0));
        Some((cost <= capacity).then_some(wait as u64))
    }

    pub(super) fn standing(&self, rate: &RateClaim, now: UnixMillis) -> Standing {
        let period = i128::from(rate.quota.period().millis());
        let (debt, _) = self.debt(&rate.key, rate.quota, now.0);
        let free = i128::from(rate.quota.burst()) * period - debt;
        let limit = i128::from(rate.quota.limit());
        Standing {
            remaining: (free.max(0) / period) as u64,
            reset_ms: ((debt + limit - 1) / limit) as u64,
        }
    }
}

/// What a call costs, class by class as the price list reads.
pub(super) fn cost(usage: &Usage, price: &Price) -> Micros {
    let rates = price.rates;
    let plain = usage.output_tokens - usage.reasoning_tokens;
    let millionths = u128::from(usage.input_tokens) * u128::from(rates.input.0)
        + u128::from(usage.cached_read_tokens) * u128::from(rates.cached_read.0)
        + u128::from(usage.cache_write_5m_tokens) * u128::from(rates.cache_write_5m.0)
        + u128::from(plain) * u128::from(rates.output.0)
        + u128::from(usage.reasoning_tokens) * u128::from(rates.reasoning.0);
    Micros(millionths.div_ceil(1_000_000) as u64)
}
