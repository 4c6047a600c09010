//! Whether a line of those who wait stands: more come than can be served, and that is no burst.
//!
//! A burst comes once and is worked off. Where in one stretch of time after the other as many come as
//! are served, and somebody waits all that time, it will not be over by itself.

/// Those who come are counted together for so long at least, in µs, …
const WINDOW: u64 = 100_000;
/// … and, while somebody waits, until there are so many, …
const ENOUGH: u64 = 8;
/// … but for no longer than this.
const LONGEST_WINDOW: u64 = 1_000_000;
/// In so many windows in a row as many have to come as are served.
const PRESSED_WINDOWS: u32 = 2;
/// After so many windows in a row in which nobody was sent away and the line was empty, it is over.
const CALM_WINDOWS: u32 = 3;

/// What is known of a line. Times are microseconds of one clock.
#[derive(Debug, Default)]
pub struct Pressure {
    window: Window,
    /// Since when somebody has waited at any time.
    waiting_since: Option<u64>,
    pressed: u32,
    calm: u32,
    is_standing: bool,
    noted_at: u64,
}

#[derive(Debug, Default)]
struct Window {
    began: u64,
    came: u64,
    served: u64,
    sent_away: u64,
    was_empty: bool,
}

/// What one window has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long it was, in µs.
    pub took: u64,
    /// How many were served.
    pub served: u64,
}

impl Pressure {
    /// Somebody has come.
    pub fn came(&mut self) {
        self.window.came += 1;
    }

    /// Somebody is served.
    pub fn served(&mut self) {
        self.window.served += 1;
    }

    /// Somebody was sent away.
    pub fn sent_away(&mut self) {
        self.window.sent_away += 1;
    }

    /// Notes whether nobody waits. A line stands once somebody has waited for `standing_after` without
    /// a break. Returns what the last window has shown, if one is over.
    pub fn note(&mut self, is_empty: bool, standing_after: u64, now: u64) -> Option<Pace> {
        self.noted_at = now;
        let pace = self.roll(now);
        if is_empty {
            self.waiting_since = None;
            self.window.was_empty = true;
            return pace;
        }
        let since = *self.waiting_since.get_or_insert(now);
        let has_waited = now.saturating_sub(since) >= standing_after;
        self.is_standing |= has_waited && self.pressed >= PRESSED_WINDOWS;
        pace
    }

    /// Whether more comes than can be done. Where nobody came or left for long, that is over.
    #[must_use]
    pub fn is_standing(&self, now: u64) -> bool {
        let is_recent = now.saturating_sub(self.noted_at) < LONGEST_WINDOW;
        self.is_standing && (is_recent || self.waiting_since.is_some())
    }

    /// Begins another window when this one is over.
    fn roll(&mut self, now: u64) -> Option<Pace> {
        let took = now.saturating_sub(self.window.began);
        let is_idle = self.waiting_since.is_none();
        let has_enough = is_idle || self.window.came + self.window.served >= ENOUGH;
        if took < WINDOW || (took < LONGEST_WINDOW && !has_enough) {
            return None;
        }
        let next = Window {
            began: now,
            was_empty: is_idle,
            ..Window::default()
        };
        let over = std::mem::replace(&mut self.window, next);
        let is_pressed = over.came > 0 && over.came.saturating_mul(10) >= over.served * 9;
        let is_calm = over.sent_away == 0 && over.was_empty;
        self.pressed = in_a_row(self.pressed, is_pressed);
        self.calm = in_a_row(self.calm, is_calm);
        self.is_standing &= self.calm < CALM_WINDOWS;
        let served = over.served;
        Some(Pace { took, served })
    }
}

fn in_a_row(count: u32, one_more: bool) -> u32 {
    match one_more {
        true => count.saturating_add(1),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;
    const AFTER: u64 = 250 * MS;

    /// So many come and are served each 10 ms, while somebody waits or nobody does.
    fn drive(
        pressure: &mut Pressure,
        now: &mut u64,
        ms: u64,
        (came, served): (u64, u64),
        is_empty: bool,
    ) {
        for _ in 0..ms / 10 {
            (0..came).for_each(|_| pressure.came());
            (0..served).for_each(|_| pressure.served());
            *now += 10 * MS;
            pressure.note(is_empty, AFTER, *now);
        }
    }

    #[test]
    fn more_than_can_be_done_is_known_within_half_a_second_and_over_as_soon() {
        let (mut pressure, mut now) = (Pressure::default(), 0);
        drive(&mut pressure, &mut now, 1_000, (2, 2), true);
        assert!(!pressure.is_standing(now));
        drive(&mut pressure, &mut now, 400, (6, 2), false);
        assert!(pressure.is_standing(now));
        drive(&mut pressure, &mut now, 500, (1, 1), true);
        assert!(!pressure.is_standing(now));
    }

    #[test]
    fn a_burst_and_slow_work_are_no_pressure() {
        let (mut pressure, mut now) = (Pressure::default(), 0);
        drive(&mut pressure, &mut now, 50, (100, 2), false);
        drive(&mut pressure, &mut now, 2_400, (0, 2), false);
        assert!(!pressure.is_standing(now));
        // One call in ten seconds, of which each takes that long.
        for _ in 0..10 {
            pressure.came();
            now += 10_000 * MS;
            pressure.note(true, AFTER, now);
            pressure.served();
        }
        assert!(!pressure.is_standing(now));
    }

    #[test]
    fn who_is_sent_away_is_pressure_even_where_the_line_is_short() {
        let (mut pressure, mut now) = (Pressure::default(), 0);
        drive(&mut pressure, &mut now, 500, (6, 2), false);
        for _ in 0..100 {
            pressure.sent_away();
            drive(&mut pressure, &mut now, 10, (6, 2), true);
        }
        assert!(pressure.is_standing(now));
        now += 2_000 * MS;
        assert!(!pressure.is_standing(now));
    }
}
