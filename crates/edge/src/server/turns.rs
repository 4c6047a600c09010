//! Turns to begin a request, where a worker has more to do than it can.
//!
//! What was received and has no turn stays unparsed, so that refusing does not take the time of what
//! is under way. Those who came last go first: who came earlier is about to give up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// Turns of one worker. As long as nobody counts them out, there are as many as are wanted.
#[derive(Debug)]
pub struct Turns {
    /// Whether what begins like this needs no turn.
    is_urgent: fn(&[u8]) -> bool,
    are_counted: AtomicBool,
    /// Whether requests without a turn are refused in the end.
    may_refuse: AtomicBool,
    state: Mutex<State>,
    refused: AtomicU64,
    /// Requests that were received and not read.
    held: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    left: u32,
    waiting: VecDeque<Waker>,
}

/// Who is forgotten beyond that is refused when its time is over.
const MOST_WAITING: usize = 4096;

impl Turns {
    /// Turns for all requests but those that begin urgently.
    #[must_use]
    pub fn new(is_urgent: fn(&[u8]) -> bool) -> Self {
        Self {
            is_urgent,
            are_counted: AtomicBool::new(false),
            may_refuse: AtomicBool::new(false),
            state: Mutex::default(),
            refused: AtomicU64::new(0),
            held: AtomicU64::new(0),
        }
    }

    /// Whether a request that begins like this may be read now; if not, who is to be woken is noted.
    pub(super) fn begin(&self, received: &[u8], waker: &Waker) -> bool {
        self.take(waker) || (self.is_urgent)(received)
    }

    /// Gives so many turns, instead of what is left of the last ones; `None`: as many as are wanted.
    /// `may_refuse`: whoever gets none for too long is refused.
    pub fn give(&self, turns: Option<u32>, may_refuse: bool) {
        self.may_refuse.store(may_refuse, Ordering::Relaxed);
        if turns.is_none() && !self.are_counted.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        self.are_counted.store(turns.is_some(), Ordering::Relaxed);
        state.left = turns.unwrap_or_default();
        let woken = turns.map_or(usize::MAX, |turns| {
            usize::try_from(turns).unwrap_or(usize::MAX)
        });
        let first = state.waiting.len().saturating_sub(woken);
        let woken = state.waiting.split_off(first);
        drop(state);
        woken.into_iter().rev().for_each(Waker::wake);
    }

    /// Takes a turn, or notes who is to be woken for the next one.
    pub(super) fn take(&self, waker: &Waker) -> bool {
        if !self.are_counted.load(Ordering::Relaxed) {
            return true;
        }
        let mut state = self.state.lock();
        if state.left > 0 {
            state.left -= 1;
            return true;
        }
        if state.waiting.len() >= MOST_WAITING {
            state.waiting.pop_front();
        }
        state.waiting.push_back(waker.clone());
        false
    }

    /// Whether a request that got no turn for too long is refused, which is noted.
    pub(super) fn refuses(&self) -> bool {
        let refuses = self.may_refuse.load(Ordering::Relaxed);
        self.refused
            .fetch_add(u64::from(refuses), Ordering::Relaxed);
        refuses
    }

    /// How many requests were received and wait to be read.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts a request that waits to be read, until that is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> Holding {
        self.held.fetch_add(1, Ordering::Relaxed);
        Holding(Arc::clone(self))
    }

    /// How many requests got no turn since this was asked last.
    pub fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }
}

/// A request that waits to be read.
#[derive(Debug)]
pub(super) struct Holding(Arc<Turns>);

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn turns_are_counted_only_when_somebody_gives_them() {
        let (turns, woken) = (Turns::new(|_| false), Arc::<Woken>::default());
        let waker = Waker::from(Arc::clone(&woken));
        let is_woken = || woken.0.swap(0, Ordering::Relaxed);
        assert!(turns.take(&waker));
        turns.give(Some(1), false);
        assert!(!turns.refuses());
        assert!(turns.take(&waker));
        for _ in 0..3 {
            assert!(!turns.take(&waker));
        }
        assert_eq!(is_woken(), 0);
        turns.give(Some(2), true);
        assert!(turns.refuses());
        assert_eq!(turns.take_refused(), 1);
        assert_eq!(is_woken(), 2);
        turns.give(None, false);
        assert_eq!(is_woken(), 1);
        assert!((0..100).all(|_| turns.take(&waker)));
    }
}
