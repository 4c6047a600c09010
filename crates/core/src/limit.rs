//! How many requests and tokens may pass in a time: the arithmetic of rate limits, without a clock
//! and without state of its own.
//!
//! A limit is GCRA written as a meter. A [`Bucket`] holds a *debt* that each request raises by its
//! cost and that time pays off evenly; a request passes while the debt stays within the quota's
//! burst. All numbers are integers below 2^53 and nothing is ever rounded, so that the same sums
//! come out here, in Lua and in SQL.

pub mod caps;
pub mod headers;
pub mod policy;
mod text;

pub use text::{ParseError, parse};

use crate::clock::UnixMillis;

/// Numbers up to here are exact in every language that a back end computes in.
pub const MAX_EXACT: u64 = 1 << 53;

/// A clock that shows an earlier time than a bucket has seen is taken for skewed up to this, and
/// for set back beyond it: then the bucket goes on from the new time.
pub const TOLERATED_SKEW_MS: i64 = 5_000;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests; each costs 1.
    Requests,
    /// Tokens, in and out.
    Tokens,
}

impl Unit {
    /// The name in headers, keys and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

/// The time that a limit is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// One second.
    Second,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// Twenty-four hours.
    Day,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// So much in a period. `burst` may pass at once; after that, `limit` a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    limit: u64,
    period: Period,
    burst: u64,
}

impl Quota {
    /// A quota whose burst is its limit. `None` when the limit is 0 or above [`Quota::largest`].
    #[must_use]
    pub fn new(limit: u64, period: Period) -> Option<Self> {
        Self::with_burst(limit, period, limit)
    }

    /// A quota of which `burst` may pass at once.
    #[must_use]
    pub fn with_burst(limit: u64, period: Period, burst: u64) -> Option<Self> {
        let possible = 1..=Self::largest(period);
        (possible.contains(&limit) && possible.contains(&burst)).then_some(Self {
            limit,
            period,
            burst,
        })
    }

    /// The largest limit of a period that is computed without rounding.
    #[must_use]
    pub const fn largest(period: Period) -> u64 {
        MAX_EXACT / period.millis()
    }

    /// How much passes in a period.
    #[must_use]
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// The time that the limit is given for.
    #[must_use]
    pub fn period(self) -> Period {
        self.period
    }

    /// How much may pass at once.
    #[must_use]
    pub fn burst(self) -> u64 {
        self.burst
    }

    /// The part of it that one of `replicas` may give out while they cannot agree. It is rounded
    /// down but is never nothing, so together they exceed a limit only if it is below their number.
    #[must_use]
    pub fn share(self, replicas: u64) -> Self {
        let part = |whole: u64| (whole / replicas.max(1)).max(1);
        Self {
            limit: part(self.limit),
            burst: part(self.burst),
            ..self
        }
    }

    /// The debt at which nothing more passes.
    #[must_use]
    pub fn capacity(self) -> u64 {
        self.burst.saturating_mul(self.period.millis())
    }

    /// The debt that a cost makes.
    #[must_use]
    pub fn debt_of(self, cost: u64) -> u64 {
        cost.saturating_mul(self.period.millis()).min(MAX_EXACT)
    }

    /// The debt that a time pays off.
    fn paid_off_in(self, millis: u64) -> u64 {
        millis.saturating_mul(self.limit)
    }

    /// The time in which a debt is paid off.
    fn time_for(self, debt: u64) -> u64 {
        debt.div_ceil(self.limit)
    }
}

/// The state of one limit of one subject. A new one is [`Bucket::default`].
///
/// The debt is counted in units of which one cost makes as many as the period has milliseconds, so
/// it keeps its meaning when a limit is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// What is not paid off yet.
    pub debt: u64,
    /// When the debt was that, in Unix milliseconds.
    pub at_ms: i64,
}

/// What a caller may know about its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How much would pass now.
    pub remaining: u64,
    /// After how many milliseconds everything is available again.
    pub reset_ms: u64,
}

/// A cost that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// After how many milliseconds it passes if nothing else does; `None` if it is larger than the
    /// burst and never will.
    pub millis: Option<u64>,
}

impl Bucket {
    /// The bucket as it is at `now`.
    #[must_use]
    pub fn at(self, quota: Quota, now: UnixMillis) -> Self {
        let elapsed = now.0.saturating_sub(self.at_ms);
        if elapsed < 0 {
            let was_set_back = elapsed < -TOLERATED_SKEW_MS;
            let at_ms = if was_set_back { now.0 } else { self.at_ms };
            return Self { at_ms, ..self };
        }
        let paid_off = quota.paid_off_in(elapsed.unsigned_abs());
        Self {
            debt: self.debt.saturating_sub(paid_off),
            at_ms: now.0,
        }
    }

    /// The bucket after `cost` has passed, or how long it has to wait.
    pub fn take(self, quota: Quota, cost: u64, now: UnixMillis) -> Result<Self, Wait> {
        let current = self.at(quota, now);
        let debt = current.debt.saturating_add(quota.debt_of(cost));
        if debt <= quota.capacity() {
            return Ok(Self { debt, ..current });
        }
        let fits_once = quota.debt_of(cost) <= quota.capacity();
        let excess = debt.saturating_sub(quota.capacity());
        let skew = u64::try_from(current.at_ms.saturating_sub(now.0)).unwrap_or(0);
        Err(Wait {
            millis: fits_once.then(|| quota.time_for(excess).saturating_add(skew)),
        })
    }

    /// The bucket after it has become known that what passed as `taken` was `actual`.
    ///
    /// Too much taken comes back as far as it has not been paid off by time already; what comes
    /// back is never more than would be there had `actual` been taken from the beginning. Too
    /// little taken is added, also above the burst: it has passed.
    #[must_use]
    pub fn correct(self, quota: Quota, taken: Taken, actual: u64, now: UnixMillis) -> Self {
        let current = self.at(quota, now);
        let (reserved, used) = (quota.debt_of(taken.cost), quota.debt_of(actual));
        let debt = if used >= reserved {
            let debt = current.debt.saturating_add(used.saturating_sub(reserved));
            debt.min(MAX_EXACT)
        } else {
            let elapsed = u64::try_from(now.0.saturating_sub(taken.at_ms)).unwrap_or(0);
            let had_to_pay = taken.debt_before.saturating_add(used);
            let idle = quota.paid_off_in(elapsed).saturating_sub(had_to_pay);
            let back = reserved.saturating_sub(used).saturating_sub(idle);
            current.debt.saturating_sub(back)
        };
        Self { debt, ..current }
    }

    /// What a caller may know.
    #[must_use]
    pub fn standing(self, quota: Quota, now: UnixMillis) -> Standing {
        let current = self.at(quota, now);
        let free = quota.capacity().saturating_sub(current.debt);
        Standing {
            remaining: free / quota.period.millis(),
            reset_ms: quota.time_for(current.debt),
        }
    }
}

/// What has to be remembered of a cost that passed, to correct it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The cost.
    pub cost: u64,
    /// The debt before it, at the time it passed.
    pub debt_before: u64,
    /// When it passed, in Unix milliseconds.
    pub at_ms: i64,
}

#[cfg(test)]
mod tests;
