//! What each caller spends by the hour, beside what it usually does.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use seaworthy_core::budget::watch;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::Settlement;
use serde_json::{Value, json};

/// Hours that are remembered of each caller, the running one included.
const HOURS: usize = 25;
/// An hour is unusual above so many times the caller's own mean.
const FACTOR: u64 = 2;
/// Most callers that are remembered; those beyond are not judged.
const MOST_USERS: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;

/// What users have spent in the hours of the last day. It begins anew with the process.
#[derive(Debug, Default)]
pub(crate) struct Spend(Mutex<HashMap<Arc<str>, Hours>>);

/// The hours of one user, in micro-dollars and in tokens, of which the first says more if there is
/// any price.
#[derive(Debug, Clone, Copy, Default)]
struct Hours {
    /// Number of the newest hour.
    newest: i64,
    cost: [u64; HOURS],
    tokens: [u64; HOURS],
    /// Number of the hour that was told of last.
    told: i64,
}

/// An hour in which a user spends unlike in those before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusual {
    pub(crate) user: Arc<str>,
    pub(crate) unit: &'static str,
    pub(crate) hour: u64,
    pub(crate) baseline: u64,
}

impl Spend {
    /// Adds what was settled. Each hour that becomes unusual by it is returned once.
    pub(crate) fn note(&self, settled: &[Settlement]) -> Vec<Unusual> {
        let mut users = self.0.lock();
        let mut unusual = Vec::new();
        for settlement in settled {
            let user = &settlement.user_id;
            if users.len() >= MOST_USERS && !users.contains_key(user) {
                continue;
            }
            let hours = users.entry(Arc::clone(user)).or_default();
            hours.add(settlement);
            unusual.extend(hours.judge(user));
        }
        unusual
    }

    /// Every user's hour beside its baseline, the largest first.
    pub(crate) fn report(&self, now: UnixMillis) -> Vec<Value> {
        let users = self.0.lock();
        let mut shown: Vec<(u64, Value)> = users
            .iter()
            .map(|(user, hours)| {
                let mut hours = *hours;
                hours.roll_to(now.0.div_euclid(HOUR_MS));
                let (unit, hour, before) = hours.telling();
                let value = json!({
                    "user": &**user,
                    "unit": unit,
                    "hour": hour,
                    "baseline": watch::baseline(before),
                    "unusual": watch::is_unusual(hour, before, FACTOR),
                });
                (hour, value)
            })
            .collect();
        shown.sort_by_key(|(hour, _)| std::cmp::Reverse(*hour));
        shown.into_iter().map(|(_, value)| value).collect()
    }
}

impl Hours {
    fn roll_to(&mut self, hour: i64) {
        let passed = usize::try_from(hour.saturating_sub(self.newest)).unwrap_or(0);
        for hours in [&mut self.cost, &mut self.tokens] {
            let kept = HOURS.saturating_sub(passed);
            hours.copy_within(..kept, HOURS - kept);
            hours[..HOURS - kept].fill(0);
        }
        self.newest = self.newest.max(hour);
    }

    fn add(&mut self, settlement: &Settlement) {
        let hour = settlement.settled_at.0.div_euclid(HOUR_MS);
        self.roll_to(hour);
        let index = usize::try_from(self.newest.saturating_sub(hour)).unwrap_or(HOURS);
        if let (Some(cost), Some(tokens)) = (self.cost.get_mut(index), self.tokens.get_mut(index)) {
            *cost = cost.saturating_add(settlement.cost.0);
            *tokens = tokens.saturating_add(settlement.usage.total());
        }
    }

    /// The unit, the running hour and those before it.
    fn telling(&self) -> (&'static str, u64, &[u64]) {
        let has_cost = self.cost.iter().any(|cost| *cost > 0);
        let (unit, hours) = if has_cost {
            ("micros", &self.cost)
        } else {
            ("tokens", &self.tokens)
        };
        let (hour, before) = hours.split_first().unwrap_or((&0, &[]));
        (unit, *hour, before)
    }

    fn judge(&mut self, user: &Arc<str>) -> Option<Unusual> {
        let (unit, hour, before) = self.telling();
        if self.told == self.newest || !watch::is_unusual(hour, before, FACTOR) {
            return None;
        }
        let unusual = Unusual {
            user: Arc::clone(user),
            unit,
            hour,
            baseline: watch::baseline(before).unwrap_or_default(),
        };
        self.told = self.newest;
        Some(unusual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::ledger::{Attribution, Flags, Outcome};
    use seaworthy_core::money::Micros;
    use seaworthy_core::price::Extras;
    use seaworthy_core::usage::Usage;

    fn call(user: &str, hour: i64, cost: u64) -> Settlement {
        Settlement {
            call_id: String::new(),
            request_id: String::new(),
            settled_at: UnixMillis(hour * HOUR_MS + 5),
            duration_ms: 1,
            key_id: "k".into(),
            user_id: user.into(),
            attribution: Attribution::default(),
            attempt: 1,
            operation: "chat".into(),
            model: "m".into(),
            target: "p/m".into(),
            stream: false,
            outcome: Outcome::Success,
            status: 200,
            usage: Usage {
                input_tokens: cost,
                ..Usage::default()
            },
            extras: Extras::default(),
            cost: Micros(cost),
            flags: Flags::default(),
        }
    }

    #[test]
    fn an_hour_above_twice_the_mean_is_told_once() {
        let spend = Spend::default();
        for hour in 500_000..500_004 {
            assert_eq!(spend.note(&[call("ada", hour, 100)]), []);
        }
        assert_eq!(spend.note(&[call("ada", 500_004, 200)]), []);
        let told = spend.note(&[call("ada", 500_004, 1), call("ada", 500_004, 1)]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].hour, told[0].baseline), (201, 100));
        assert_eq!(spend.note(&[call("bob", 500_004, 9_999)]), []);
        let report = spend.report(UnixMillis(500_004 * HOUR_MS));
        assert_eq!(report[0]["user"], "bob");
        assert_eq!(report[1]["unusual"], true);
    }

    #[test]
    fn what_is_older_than_a_day_is_forgotten() {
        let spend = Spend::default();
        for hour in 500_000..500_004 {
            spend.note(&[call("ada", hour, 100)]);
        }
        assert_eq!(spend.note(&[call("ada", 500_040, 9_999)]), []);
        assert_eq!(
            spend.report(UnixMillis(500_040 * HOUR_MS))[0]["baseline"],
            Value::Null
        );
    }
}
