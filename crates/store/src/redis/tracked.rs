//! The claims of this replica that are open, and what it spent on its own: what has to be told to a
//! server that comes back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Claim, Close};

use super::counters::Epoch;
use super::lease::Moment;

/// How long it is remembered what has ended: longer than a loss of memory goes unnoticed.
const KEPT_AFTER_END: Duration = Duration::from_secs(10);
/// Above so many entries, moments are not kept apart any more.
const MAX_ENTRIES: usize = 50_000;

/// Where a claim is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By the server.
    Server,
    /// By this replica, which was alone when it was taken.
    Here,
    /// On the way from here to the server: what was taken here is over, or the server is back.
    Moving,
}

/// A claim that is not settled, as far as the server knows.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    pub(super) claim: Arc<Claim>,
    pub(super) taken: Moment,
    pub(super) place: Place,
    /// How it ended, if the server does not know yet.
    pub(super) closed: Option<(UnixMillis, Close)>,
    /// Whether a server that has lost its memory was told of it again.
    pub(super) is_restated: bool,
    /// Whether the server, as long as it keeps its memory, may hear of it later than now: something
    /// that was sent was not answered.
    pub(super) in_doubt: bool,
}

impl Tracked {
    /// Whether a server that has lost its memory knows nothing of it, and what is here is all.
    pub(super) fn is_untold(&self) -> bool {
        self.place != Place::Here && !self.is_restated && !self.in_doubt
    }

    /// Whether the server knows of it, which may have lost its memory.
    pub(super) fn is_known(&self, has_lost: bool) -> bool {
        self.place == Place::Server && (self.is_restated || !has_lost)
    }

    /// Whether a server that takes no claims yet need not hear of it before it does. Calls under limits alone
    /// pass here all the time until then: it would never have heard of all of them.
    pub(super) fn can_wait(&self) -> bool {
        self.place == Place::Here && self.claim.budgets.is_empty()
    }
}

/// Claims that have ended lately. Whether a server that has lost its memory hears of them from the
/// ledger or from here is decided by the moment that stands in both.
#[derive(Debug, Default)]
pub(super) struct EndedLately(VecDeque<(UnixMillis, Arc<Claim>, Close)>);

impl EndedLately {
    pub(super) fn note(&mut self, claim: Arc<Claim>, at: UnixMillis, close: Close) {
        let is_old = |(ended, ..): &(UnixMillis, _, _)| at.since(*ended) > KEPT_AFTER_END;
        while self.0.len() >= MAX_ENTRIES || self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.push_back((at, claim, close));
    }

    /// Takes out what ended from a moment on. What ended before stays: a server that loses its memory once
    /// more may be restored until an earlier moment.
    pub(super) fn drain(&mut self, from: UnixMillis) -> Vec<(UnixMillis, Arc<Claim>, Close)> {
        let all = std::mem::take(&mut self.0);
        let (late, early): (Vec<_>, Vec<_>) = all.into_iter().partition(|(at, ..)| *at >= from);
        self.0.extend(early);
        late
    }
}

/// What was spent of accounts without the server's knowledge, by the moment.
#[derive(Debug, Default)]
pub(super) struct SpentAlone(HashMap<(i64, AccountKey), u64>);

impl SpentAlone {
    /// Notes what a claim came to.
    pub(super) fn add(&mut self, claim: &Claim, at: UnixMillis, close: Close) {
        for budget in &claim.budgets {
            let amount = match close {
                Close::Used { amount, .. } => amount.in_unit(budget.unit),
                Close::Unused => 0,
                Close::Reserved => budget.amount,
            };
            if amount == 0 {
                continue;
            }
            // One that is late is told in any case, so the latest moment is the careful one.
            let is_full = self.0.len() >= MAX_ENTRIES;
            let moment = if is_full { i64::MAX } else { at.0 };
            let account = AccountKey {
                key: budget.key.clone(),
                window: budget.window,
            };
            let spent = self.0.entry((moment, account)).or_default();
            *spent = spent.saturating_add(amount);
        }
    }

    /// Everything that ended from `counted_until` on; the rest is left.
    pub(super) fn drain(&mut self, counted_until: Option<UnixMillis>) -> Self {
        let mut all = std::mem::take(&mut self.0);
        if let Some(until) = counted_until {
            let early = all.extract_if(|(moment, _), _| *moment < until.0);
            self.0.extend(early);
        }
        Self(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps what the server or the ledger knows, as long as it is not long over.
    pub(super) fn keep_lately(&mut self, told: Self, now: UnixMillis) {
        self.take_back(told);
        let ages = |moment| {
            now.since(UnixMillis(moment))
                .max(UnixMillis(moment).since(now))
        };
        self.0
            .retain(|(moment, _), _| ages(*moment) <= KEPT_AFTER_END);
    }

    /// Takes back what was not told after all.
    pub(super) fn take_back(&mut self, others: Self) {
        for (at, amount) in others.0 {
            let spent = self.0.entry(at).or_default();
            *spent = spent.saturating_add(amount);
        }
    }

    /// By account.
    fn sums(&self) -> Vec<(AccountKey, u64)> {
        let mut sums: HashMap<&AccountKey, u64> = HashMap::new();
        for ((_, account), amount) in &self.0 {
            let sum = sums.entry(account).or_default();
            *sum = sum.saturating_add(*amount);
        }
        let mut sums: Vec<_> = sums
            .into_iter()
            .map(|(account, sum)| (account.clone(), sum))
            .collect();
        sums.sort_by(|(a, _), (b, _)| {
            let place = |at: &AccountKey| (at.key.clone(), at.window.start);
            place(a).cmp(&place(b))
        });
        sums
    }
}

/// What was spent without the server, on its way to it. It stays as it is until the server says that
/// it has it: told twice under one name, it counts once.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) name: String,
    /// What the server is that it is told. One that has lost its memory does not know the name any more.
    epoch: Option<Epoch>,
    pub(super) spent: SpentAlone,
}

impl Report {
    /// What is to be told next, if anything, under `fresh_name` unless it is on its way already, and what
    /// the ledger knows. It was read until `counted_until` for a server that has lost its memory: what was
    /// on its way to the one before may be in the ledger as well.
    pub(super) fn next(
        pending: Option<Self>,
        spent: &mut SpentAlone,
        epoch: Option<&Epoch>,
        counted_until: Option<UnixMillis>,
        fresh_name: impl FnOnce() -> String,
    ) -> (Option<Self>, SpentAlone) {
        match pending {
            Some(report) if report.epoch.as_ref() == epoch => {
                return (Some(report), SpentAlone::default());
            }
            Some(report) => spent.take_back(report.spent),
            None => {}
        }
        let next = spent.drain(counted_until);
        let next = (!next.is_empty()).then(|| Self {
            name: fresh_name(),
            epoch: epoch.cloned(),
            spent: next,
        });
        (next, std::mem::take(spent))
    }

    pub(super) fn sums(&self) -> Vec<(AccountKey, u64)> {
        self.spent.sums()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, used};
    use super::*;

    fn claim(key: &str) -> Claim {
        testing::claim("1", (key, 10))
    }

    #[test]
    fn what_was_spent_alone_is_summed_by_account_and_told_once() {
        let mut spent = SpentAlone::default();
        spent.add(&claim("a"), UnixMillis(1_000), used(3));
        spent.add(&claim("a"), UnixMillis(9_000), used(4));
        spent.add(&claim("b"), UnixMillis(9_000), Close::Reserved);
        spent.add(&claim("c"), UnixMillis(9_000), Close::Unused);
        let mut sums = spent.drain(None).sums();
        sums.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        let sums: Vec<_> = sums
            .iter()
            .map(|(at, sum)| (at.key.as_str(), *sum))
            .collect();
        assert_eq!(sums, [("a", 7), ("b", 10)]);
        assert!(spent.drain(None).sums().is_empty());
    }

    #[test]
    fn what_the_ledger_has_counted_already_is_not_told_again() {
        let mut spent = SpentAlone::default();
        spent.add(&claim("a"), UnixMillis(1_000), used(3));
        spent.add(&claim("a"), UnixMillis(9_000), used(4));
        let sums = spent.drain(Some(UnixMillis(5_000))).sums();
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[0].1, 4);
    }

    #[test]
    fn what_was_told_is_known_for_a_while_to_a_server_that_forgets_it() {
        let mut told = SpentAlone::default();
        let mut keep = |key, at, micros, now| {
            let mut spent = SpentAlone::default();
            spent.add(&claim(key), UnixMillis(at), used(micros));
            told.keep_lately(spent, UnixMillis(now));
        };
        keep("a", 1_000, 3, 1_500);
        keep("a", 9_000, 4, 11_500);
        keep("a", i64::MAX, 5, 11_500);
        keep("b", 9_500, 2, 11_500);
        // The ledger was read until this moment by another clock.
        let again = told.drain(Some(UnixMillis(9_200))).sums();
        assert_eq!((again.len(), again[0].1), (1, 2));
        // Now until an earlier one.
        let again = told.drain(Some(UnixMillis(2_000))).sums();
        assert_eq!((again.len(), again[0].1), (1, 4));
        let mut spent = SpentAlone::default();
        spent.add(&claim("a"), UnixMillis(1_000), used(3));
        told.keep_lately(spent, UnixMillis(1_500));
        told.keep_lately(SpentAlone::default(), UnixMillis(11_001));
        assert!(told.is_empty());
    }

    #[test]
    fn a_report_to_a_server_that_forgot_it_leaves_out_what_the_ledger_has_counted() {
        let mut spent = SpentAlone::default();
        spent.add(&claim("a"), UnixMillis(1_000), used(3));
        let (before, after) = (Epoch("1".to_owned()), Epoch("2".to_owned()));
        let next = |pending, spent: &mut SpentAlone, epoch, until: Option<i64>, name: &str| {
            let until = until.map(UnixMillis);
            Report::next(pending, spent, Some(epoch), until, || name.to_owned())
        };
        let (report, _) = next(None, &mut spent, &before, None, "first");
        // Nobody knows whether it arrived; meanwhile more was spent.
        spent.add(&claim("a"), UnixMillis(9_000), used(4));
        let (again, _) = next(report, &mut spent, &before, None, "second");
        let again = again.unwrap();
        assert_eq!((again.name.as_str(), again.sums()[0].1), ("first", 3));
        let (new, known) = next(Some(again), &mut spent, &after, Some(5_000), "third");
        let new = new.unwrap();
        assert_eq!((new.name.as_str(), new.sums()[0].1), ("third", 4));
        assert_eq!(known.sums()[0].1, 3);
        assert!(next(None, &mut spent, &after, None, "fourth").0.is_none());
    }
}
