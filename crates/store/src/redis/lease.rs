//! How long what this replica has taken is certain to be its own. Others settle the claims of a replica
//! that was not heard of for a while; one that merely stood still does not notice by itself.

use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use tokio::time::Instant;

/// So long after a claim was taken, or after its lease was kept, it is certain to be held. Shorter than
/// any time after which others take this replica for dead.
const CERTAIN: Duration = Duration::from_secs(15);

/// How far a clock that nobody sets may seem to be off between two looks: answers take a while.
const STEADY: Duration = Duration::from_secs(1);

/// Whether a clock that showed one moment and so much later another went its way in between. Claims whose end
/// was written by it before it was set end earlier than their owners know.
pub(super) fn is_steady(before: UnixMillis, elapsed: Duration, now: UnixMillis) -> bool {
    let expected = before.plus(elapsed);
    now.since(expected).max(expected.since(now)) <= STEADY
}

/// How the clock on the wall of this replica and that of the server go together. Replicas tell a server that
/// has lost its memory apart what the ledger knows by their own clocks.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    are_apart: bool,
}

impl Clocks {
    /// Compares what both show, of which the server's took up to this long to get here. How far they are
    /// apart, when that is new.
    pub(super) fn compare(
        &mut self,
        own: UnixMillis,
        server: UnixMillis,
        took: Duration,
    ) -> Option<Duration> {
        let apart = own.since(server).max(server.since(own));
        let were_apart = std::mem::replace(&mut self.are_apart, apart > STEADY + took);
        (self.are_apart && !were_apart).then_some(apart)
    }
}

/// A moment by the clock of the process, and by the wall's: the first one does not move while a
/// machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) wall: UnixMillis,
}

impl Moment {
    pub(super) fn since(self, earlier: Self) -> Duration {
        let passed = self.at.saturating_duration_since(earlier.at);
        passed.max(self.wall.since(earlier.wall))
    }
}

/// One way in which claims of this replica are kept.
#[derive(Debug, Default)]
pub(super) struct Lease {
    kept: Option<Moment>,
    /// What was taken before may have been settled by others in the meantime.
    lapsed: Option<Instant>,
}

impl Lease {
    /// Others have heard of this replica; it began to tell them at this moment.
    pub(super) fn keep(&mut self, now: Moment) {
        if self.kept.is_some_and(|kept| now.since(kept) >= CERTAIN) {
            self.lapsed = Some(now.at);
        }
        self.kept = Some(now);
    }

    /// Whether what was taken at a moment is certain to be held.
    pub(super) fn holds(&self, taken: Moment, now: Moment) -> bool {
        let has_lapsed = self.lapsed.is_some_and(|at| taken.at <= at);
        let is_fresh = |proof: Moment| now.since(proof) < CERTAIN;
        !has_lapsed && (is_fresh(taken) || self.kept.is_some_and(is_fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_certain_for_a_while_and_as_long_as_others_hear_of_the_replica() {
        let start = Instant::now();
        let at = |seconds: u64| Moment {
            at: start + Duration::from_secs(seconds),
            wall: UnixMillis(i64::try_from(seconds).unwrap() * 1_000),
        };
        let mut lease = Lease::default();
        assert!(lease.holds(at(0), at(14)));
        assert!(!lease.holds(at(0), at(15)));
        for second in [5, 10, 20, 30] {
            lease.keep(at(second));
        }
        assert!(lease.holds(at(0), at(40)));
        assert!(!lease.holds(at(0), at(45)));
        // It stood still, and is heard of again: somebody may have settled what it had.
        lease.keep(at(46));
        assert!(!lease.holds(at(0), at(46)));
        assert!(lease.holds(at(47), at(48)));
    }

    #[test]
    fn a_machine_that_slept_is_noticed_by_the_clock_on_the_wall() {
        let start = Instant::now();
        let at = |wall| Moment {
            at: start,
            wall: UnixMillis(wall),
        };
        assert!(!Lease::default().holds(at(0), at(3_600_000)));
    }

    #[test]
    fn clocks_that_come_apart_are_told_of_once() {
        let mut clocks = Clocks::default();
        let mut compare = |own_ms, took_ms| {
            let took = Duration::from_millis(took_ms);
            let apart = clocks.compare(UnixMillis(own_ms), UnixMillis(60_000), took);
            apart.map(|apart| apart.as_millis())
        };
        assert_eq!(compare(61_000, 0), None);
        assert_eq!(compare(61_800, 900), None, "the answer was slow");
        assert_eq!(compare(61_800, 10), Some(1_800));
        assert_eq!(compare(61_800, 10), None);
        assert_eq!(compare(60_100, 10), None);
        assert_eq!(compare(0, 10), Some(60_000));
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_whichever_way_it_was_set() {
        let (noon, minute) = (UnixMillis(43_200_000), Duration::from_secs(60));
        let shows = |off_ms: i64| is_steady(noon, minute, UnixMillis(noon.0 + 60_000 + off_ms));
        assert!(shows(0) && shows(800) && shows(-800));
        assert!(!shows(5_000) && !shows(-5_000) && !shows(-7_200_000));
    }
}
