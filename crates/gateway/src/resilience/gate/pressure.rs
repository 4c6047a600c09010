//! When the line of a gate stands, and who waits in it then.

use std::time::Duration;

use seaworthy_core::resilience::line::Priority;

use super::Inner;
use crate::resilience::Resilience;

/// A line that was not empty for as long as a call takes, within these bounds, may be no burst.
const STANDING_LINE_MS: (f64, f64) = (250.0, 1_000.0);
/// How long a call may wait in a line that stands at least, and so many may wait in any case.
const SHORTEST_WAIT_MS: f64 = 20.0;
const SHORT_LINE: u32 = 2;
/// A line that stands holds no more than those who are called in this part of the time a call takes.
const LINE_OF_CALL: u32 = 8;

impl Inner {
    /// Notes whether anybody waits for a place, and not for a provider that asked for a pause.
    pub(super) fn note_line(&mut self, now: u64) {
        let standing_after = self
            .usual_ms()
            .clamp(STANDING_LINE_MS.0, STANDING_LINE_MS.1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds of the line above"
        )]
        let standing_after = standing_after as u64 * 1_000;
        let is_empty = self.line.is_empty() || self.breaker.is_paused();
        let _pace = self.pressure.note(is_empty, standing_after, now * 1_000);
    }

    /// Whether there has been more to do than can be done for a while. Nobody knows what can be done
    /// while the limit is still growing.
    pub(super) fn is_standing(&self, settings: &Resilience, now: u64) -> bool {
        !self.gradient.is_exploring(&settings.concurrency) && self.pressure.is_standing(now * 1_000)
    }

    fn usual_ms(&self) -> f64 {
        self.gradient
            .usual_ms()
            .unwrap_or(0.0)
            .max(SHORTEST_WAIT_MS)
    }

    /// Whether a call would wait too long in a line that stands, so that it is better told at once.
    pub(super) fn is_hopeless(&self, settings: &Resilience, priority: Priority, now: u64) -> bool {
        if priority == Priority::Critical
            || self.breaker.is_paused()
            || !self.is_standing(settings, now)
        {
            return false;
        }
        // As many leave the line in the time of a call as may be under way.
        let most = self.gradient.limit(&settings.concurrency) / LINE_OF_CALL;
        let most = most.max(SHORT_LINE);
        self.line.ahead_of(priority) >= usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// How long a call may wait in a line that stands: half as long again as a call takes.
    pub(super) fn longest_wait(&self) -> Duration {
        Duration::from_secs_f64((self.usual_ms() / 2.0).max(SHORTEST_WAIT_MS) / 1000.0)
    }
}
