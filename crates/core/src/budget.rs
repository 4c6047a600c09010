//! What may be spent in a time: accounts that are reserved from before a call and settled after it.
//!
//! For each account `limit + overdraft = remaining + reserved + spent` at every moment. An overdraft
//! comes only from a settlement above its reservation or from a limit that was lowered: no
//! reservation makes one.

pub mod watch;
mod window;

pub use window::{Calendar, Window, WindowKind};

use crate::money::Micros;

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Tokens, in and out.
    Tokens,
    /// Micro-dollars.
    Micros,
}

impl Unit {
    /// The name in keys, metrics and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Micros => "micros",
        }
    }
}

/// Tokens and money together: what a call may use at most, or what it did use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Money.
    pub cost: Micros,
}

impl Amount {
    /// The part that a budget of this unit counts.
    #[must_use]
    pub fn in_unit(self, unit: Unit) -> u64 {
        match unit {
            Unit::Tokens => self.tokens,
            Unit::Micros => self.cost.0,
        }
    }
}

/// One budget of one subject in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// What may be spent.
    pub limit: u64,
    /// What was spent by calls that are settled.
    pub spent: u64,
    /// What calls in flight may still spend.
    pub reserved: u64,
}

/// Why a reservation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is larger than the whole limit.
    NeverFits,
    /// What was spent leaves too little: it fits in the next window.
    Exhausted,
    /// Calls in flight hold what is left: some of it may come back when they are settled.
    Held,
}

impl Account {
    /// What can still be reserved.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit
            .saturating_sub(self.spent)
            .saturating_sub(self.reserved)
    }

    /// By how much spent and reserved exceed the limit.
    #[must_use]
    pub fn overdraft(&self) -> u64 {
        self.spent
            .saturating_add(self.reserved)
            .saturating_sub(self.limit)
    }

    /// The account after `amount` is reserved under `limit`, which may differ from the limit before.
    pub fn reserve(self, limit: u64, amount: u64) -> Result<Self, Refusal> {
        let account = Self { limit, ..self };
        if amount <= account.remaining() {
            let reserved = account.reserved.saturating_add(amount);
            return Ok(Self {
                reserved,
                ..account
            });
        }
        Err(if amount > limit {
            Refusal::NeverFits
        } else if amount > limit.saturating_sub(account.spent) {
            Refusal::Exhausted
        } else {
            Refusal::Held
        })
    }

    /// The account after `reserved` has come to an end with `actual` being spent, which may be more.
    #[must_use]
    pub fn settle(self, reserved: u64, actual: u64) -> Self {
        Self {
            spent: self.spent.saturating_add(actual),
            reserved: self.reserved.saturating_sub(reserved),
            ..self
        }
    }

    /// The account after it has become known that at least `spent` was spent. Doing so twice changes
    /// nothing.
    #[must_use]
    pub fn restore(self, spent: u64) -> Self {
        Self {
            spent: self.spent.max(spent),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
