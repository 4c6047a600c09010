//! What is worth telling of spend: thresholds that were crossed, where a window is heading, and an
//! hour that is unlike the ones before.

use super::Window;
use crate::clock::UnixMillis;

/// A part of a whole in ten-thousandths: 80 % is 8000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// 80 %.
    pub const EIGHTY_PERCENT: Self = Self(8_000);
    /// 95 %.
    pub const NINETY_FIVE_PERCENT: Self = Self(9_500);

    /// So many ten-thousandths; `None` above the whole.
    #[must_use]
    pub fn from_ten_thousandths(parts: u32) -> Option<Self> {
        (parts <= 10_000).then_some(Self(parts))
    }

    /// The ten-thousandths.
    #[must_use]
    pub fn ten_thousandths(self) -> u32 {
        self.0
    }

    /// The smallest amount that is at least this part of `whole`.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        let part = (u128::from(whole) * u128::from(self.0)).div_ceil(10_000);
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

/// The thresholds that the step from `before` to `after` has reached. Spend only grows and each
/// settlement is applied in one step, so over a window each threshold is reported exactly once,
/// whichever replica settles.
pub fn crossed(
    thresholds: &[Share],
    limit: u64,
    before: u64,
    after: u64,
) -> impl Iterator<Item = Share> {
    thresholds.iter().copied().filter(move |threshold| {
        let mark = threshold.of(limit);
        mark > before && mark <= after
    })
}

/// What will have been spent at the end of the window if it goes on as until now. `None` before the
/// window has begun.
#[must_use]
pub fn projection(spent: u64, window: Window, now: UnixMillis) -> Option<u64> {
    let now = now.min(window.end);
    let elapsed = u128::from(now.0.checked_sub(window.start.0)?.max(0).unsigned_abs());
    let length = u128::from(window.end.0.saturating_sub(window.start.0).unsigned_abs());
    let projected = u128::from(spent)
        .saturating_mul(length)
        .checked_div(elapsed)?;
    Some(u64::try_from(projected).unwrap_or(u64::MAX))
}

/// An hour can be judged once so many hours with spend lie before it.
pub const HOURS_OF_A_BASELINE: usize = 3;

/// The mean of the hours in which anything was spent: what an active hour of this caller costs.
/// `None` while there are fewer than [`HOURS_OF_A_BASELINE`].
#[must_use]
pub fn baseline(completed_hours: &[u64]) -> Option<u64> {
    let active = || completed_hours.iter().filter(|spent| **spent > 0);
    let count = active().count();
    if count < HOURS_OF_A_BASELINE {
        return None;
    }
    let sum: u128 = active().map(|spent| u128::from(*spent)).sum();
    u64::try_from(sum / count as u128).ok()
}

/// Whether the spend of an hour is more than `factor` times the caller's own baseline.
#[must_use]
pub fn is_unusual(hour: u64, completed_hours: &[u64], factor: u64) -> bool {
    baseline(completed_hours).is_some_and(|usual| hour > usual.saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: [Share; 2] = [Share::EIGHTY_PERCENT, Share::NINETY_FIVE_PERCENT];

    #[test]
    fn a_threshold_is_reported_by_the_step_that_reaches_it_and_by_no_other() {
        let mut reports = Vec::new();
        let mut spent = 0;
        for step in [7_999, 1, 0, 1_499, 1, 500, 300] {
            let found = crossed(&THRESHOLDS, 10_000, spent, spent + step);
            reports.extend(found.map(|share| (share.ten_thousandths(), spent + step)));
            spent += step;
        }
        assert_eq!(reports, [(8_000, 8_000), (9_500, 9_500)]);
    }

    #[test]
    fn one_large_step_reaches_both_thresholds() {
        assert_eq!(crossed(&THRESHOLDS, 15, 0, 15).count(), 2);
        assert_eq!(crossed(&THRESHOLDS, 15, 0, 11).count(), 0);
        assert_eq!(crossed(&THRESHOLDS, 15, 0, 12).count(), 1);
    }

    #[test]
    fn a_projection_goes_on_as_until_now() {
        let window = Window {
            start: UnixMillis(1_000),
            end: UnixMillis(11_000),
        };
        assert_eq!(projection(30, window, UnixMillis(4_000)), Some(100));
        assert_eq!(projection(30, window, UnixMillis(99_000)), Some(30));
        assert_eq!(projection(30, window, UnixMillis(1_000)), None);
        assert_eq!(projection(30, window, UnixMillis(0)), None);
    }

    #[test]
    fn an_hour_is_unusual_beside_the_callers_own_active_hours() {
        let hours = [0, 100, 0, 90, 110, 0];
        assert_eq!(baseline(&hours), Some(100));
        assert!(!is_unusual(200, &hours, 2));
        assert!(is_unusual(201, &hours, 2));
        assert!(
            !is_unusual(1_000_000, &[100, 100], 2),
            "too little is known"
        );
    }
}
