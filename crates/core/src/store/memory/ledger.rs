//! A ledger in memory, which is bounded: the last calls one by one, and sums of those before them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::budget::Amount;
use crate::clock::UnixMillis;
use crate::ledger::{Coordinates, GroupBy, Only, Outcome, Settlement, UsageTotal};
use crate::store::{Fate, Ledger, Result, UsageQuery};

/// Calls that are known one by one, about 700 bytes each. A call is settled again, and its fate asked
/// for, within moments.
const MOST_CALLS: usize = 10_000;
/// Sums of the calls before them, about 350 bytes each.
const MOST_SUMS: usize = 20_000;
/// What is settled within a minute is summed together.
const MINUTE: i64 = 60_000;

/// A ledger in memory.
#[derive(Debug)]
pub struct MemoryLedger {
    settled: Mutex<Settled>,
    most_calls: usize,
    most_sums: usize,
}

#[derive(Debug, Default)]
struct Settled {
    calls: HashMap<Arc<str>, Settlement>,
    /// Their IDs, in the order in which they were settled first.
    order: VecDeque<Arc<str>>,
    /// The oldest first.
    sums: BTreeMap<Summed, UsageTotal>,
}

/// What calls have in common that are summed together. Sessions are left out: there are as many as
/// callers say there are.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Summed {
    minute: i64,
    user: Arc<str>,
    model: Arc<str>,
    operation: Cow<'static, str>,
    key: Arc<str>,
    team: Option<Arc<str>>,
    agent: Option<Arc<str>>,
    target: Arc<str>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::holding(MOST_CALLS, MOST_SUMS)
    }
}

impl MemoryLedger {
    /// An empty ledger that holds so many calls, and so many sums.
    fn holding(most_calls: usize, most_sums: usize) -> Self {
        Self {
            settled: Mutex::default(),
            most_calls,
            most_sums,
        }
    }
}

impl Settled {
    fn add(&mut self, settlement: &Settlement) {
        if let Some(known) = self.calls.get_mut(&*settlement.call_id) {
            if known.outcome == Outcome::Interrupted && settlement.outcome != Outcome::Interrupted {
                *known = settlement.clone();
            }
            return;
        }
        let id: Arc<str> = Arc::from(&*settlement.call_id);
        self.order.push_back(Arc::clone(&id));
        self.calls.insert(id, settlement.clone());
    }

    /// Sums up the oldest calls, and forgets the oldest sums, until no more of them are left.
    fn shrink_to(&mut self, calls: usize, sums: usize) {
        while self.order.len() > calls
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(call) = self.calls.remove(&oldest) {
                let sum = self.sums.entry(Summed::of(&call)).or_default();
                sum.add(&call);
            }
        }
        while self.sums.len() > sums {
            self.sums.pop_first();
        }
    }
}

impl Summed {
    fn of(call: &Settlement) -> Self {
        Self {
            minute: call.settled_at.0.div_euclid(MINUTE),
            user: Arc::clone(&call.user_id),
            model: Arc::clone(&call.model),
            operation: call.operation.clone(),
            key: Arc::clone(&call.key_id),
            team: call.attribution.team.clone(),
            agent: call.attribution.agent.clone(),
            target: Arc::clone(&call.target),
        }
    }

    /// When the minute began.
    fn at(&self) -> UnixMillis {
        UnixMillis(self.minute.saturating_mul(MINUTE))
    }

    fn coordinates(&self, by: GroupBy) -> Coordinates<'_> {
        let text = match by {
            GroupBy::User => &*self.user,
            GroupBy::Model => &*self.model,
            GroupBy::Operation => &self.operation,
            GroupBy::Key => &*self.key,
            GroupBy::Team => self.team.as_deref().unwrap_or_default(),
            GroupBy::Agent => self.agent.as_deref().unwrap_or_default(),
            GroupBy::Target => &*self.target,
            GroupBy::Session | GroupBy::Hour | GroupBy::Day => "",
        };
        let settled_at = self.at();
        Coordinates { settled_at, text }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()> {
        let mut settled = self.settled.lock();
        for settlement in batch.iter() {
            settled.add(settlement);
        }
        settled.shrink_to(self.most_calls, self.most_sums);
        Ok(())
    }

    async fn fates(&self, call_ids: Arc<Vec<Arc<str>>>) -> Result<Vec<Fate>> {
        let settled = self.settled.lock();
        let fate = |id: &Arc<str>| match settled.calls.get(&**id) {
            Some(settlement) => Fate::Settled(Amount {
                tokens: settlement.usage.total(),
                cost: settlement.cost,
            }),
            None => Fate::Unknown,
        };
        Ok(call_ids.iter().map(fate).collect())
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>> {
        let settled = self.settled.lock();
        let in_range = |at: UnixMillis| {
            query.since.is_none_or(|since| at >= since)
                && query.until.is_none_or(|until| at < until)
        };
        let mut totals: BTreeMap<Cow<'_, str>, UsageTotal> = BTreeMap::new();
        for (summed, sum) in &settled.sums {
            let is_meant = |only: &Only| summed.coordinates(only.by()).text == only.name();
            if in_range(summed.at()) && query.only.iter().all(is_meant) {
                let group = summed.coordinates(query.by).group(query.by);
                totals.entry(group).or_default().add_sum(sum);
            }
        }
        for call in settled.calls.values() {
            if in_range(call.settled_at) && query.only.iter().all(|only| only.is_true_of(call)) {
                let group = Coordinates::of(call, query.by).group(query.by);
                totals.entry(group).or_default().add(call);
            }
        }
        let mut totals: Vec<UsageTotal> = totals
            .into_iter()
            .map(|(group, total)| UsageTotal {
                group: group.into_owned(),
                ..total
            })
            .collect();
        totals.sort_by_key(|total| std::cmp::Reverse(total.tokens()));
        Ok(totals)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::ledger::{Attribution, Flags};
    use crate::money::Micros;
    use crate::price::Extras;
    use crate::usage::Usage;

    /// What memory says, which waits for nothing.
    fn at_once<T>(asked: impl Future<Output = Result<T>>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(asked).poll(&mut cx) {
            Poll::Ready(said) => said.unwrap(),
            Poll::Pending => panic!("memory waits for something"),
        }
    }

    /// The call of this number, by one of two users, a second after the one before it.
    fn call(number: u32) -> Settlement {
        Settlement {
            call_id: format!("call_{number}"),
            request_id: String::new(),
            settled_at: UnixMillis(i64::from(number) * 1_000),
            duration_ms: 1,
            key_id: Arc::from("key_1"),
            user_id: Arc::from(if number.is_multiple_of(2) {
                "ada"
            } else {
                "bob"
            }),
            attribution: Attribution {
                session: Some(Arc::from(format!("session_{number}"))),
                ..Attribution::default()
            },
            attempt: 1,
            operation: "chat".into(),
            model: Arc::from("gpt"),
            target: Arc::from("p/gpt"),
            stream: false,
            outcome: Outcome::Failure,
            status: 500,
            usage: Usage {
                input_tokens: 1,
                cached_read_tokens: 2,
                cache_write_5m_tokens: 3,
                cache_write_1h_tokens: 4,
                output_tokens: 5,
                reasoning_tokens: 6,
                estimated: true,
                ..Usage::default()
            },
            extras: Extras {
                images: 7,
                tool_calls: 8,
            },
            cost: Micros(9),
            flags: Flags {
                unpriced: true,
                over_reserved: true,
            },
        }
    }

    fn settle(ledger: &MemoryLedger, numbers: std::ops::Range<u32>) {
        for number in numbers {
            at_once(ledger.settle(Arc::new(vec![call(number)])));
        }
    }

    fn usage(
        ledger: &MemoryLedger,
        by: GroupBy,
        (since, until): (Option<i64>, Option<i64>),
        only: &[&str],
    ) -> Vec<UsageTotal> {
        let query = UsageQuery {
            by,
            since: since.map(UnixMillis),
            until: until.map(UnixMillis),
            only: only.iter().map(|only| only.parse().unwrap()).collect(),
        };
        at_once(ledger.usage(query))
    }

    #[test]
    fn sums_are_the_same_however_few_calls_are_known_one_by_one() {
        let (few, all) = (MemoryLedger::holding(10, 1_000), MemoryLedger::default());
        for ledger in [&few, &all] {
            settle(ledger, 0..7_300);
        }
        assert_eq!(few.settled.lock().calls.len(), 10);
        let minutes = [(None, None), (Some(120_000), None), (None, Some(3_600_000))];
        for by in GroupBy::ALL
            .into_iter()
            .filter(|by| *by != GroupBy::Session)
        {
            for range in minutes {
                for only in [&[][..], &["user=ada", "agent="][..], &["user=eve"][..]] {
                    let expected = usage(&all, by, range, only);
                    assert_eq!(usage(&few, by, range, only), expected, "{by:?} {range:?}");
                }
            }
        }
        let sessions = usage(&few, GroupBy::Session, (None, None), &[]);
        assert_eq!((sessions.len(), sessions[0].calls), (11, 7_290));
    }

    #[test]
    fn what_is_held_is_bounded_and_the_oldest_goes() {
        let ledger = MemoryLedger::holding(10, 4);
        settle(&ledger, 0..600);
        let settled = ledger.settled.lock();
        let held = (settled.calls.len(), settled.order.len(), settled.sums.len());
        assert_eq!(held, (10, 10, 4));
        drop(settled);
        let hour = &usage(&ledger, GroupBy::Hour, (None, None), &[])[0];
        // The last ten, 50 of their minute, and the whole minute before that, by two users.
        assert_eq!(hour.calls, 10 + 50 + 60);
    }

    #[test]
    fn a_call_that_is_settled_again_counts_once_and_its_fate_is_known() {
        let ledger = MemoryLedger::holding(2, 4);
        settle(&ledger, 0..3);
        settle(&ledger, 1..3);
        assert_eq!(
            usage(&ledger, GroupBy::Model, (None, None), &[])[0].calls,
            3
        );
        let ids = ["call_0", "call_2"].map(Arc::from).to_vec();
        let fates = at_once(ledger.fates(Arc::new(ids)));
        assert!(matches!(fates[..], [Fate::Unknown, Fate::Settled(_)]));
    }
}
