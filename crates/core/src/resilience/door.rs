//! The door of a worker: how many calls may be begun, so that those that are under way get on.
//!
//! A worker is one thread, and what is ready to run on it runs in turn. A lap is once round everything
//! that is ready; so many calls are begun in each lap that it stays short, and the others wait outside
//! in a line by priority. A lap in which there is little to do is over at once. A line that stands is
//! bearable while all who are in it get in before they could come back; so do as many callers as there
//! may be, each of whom waits for its answer. Where even more come, calls wait for a moment only and are
//! told at once when that is not enough, which needs no figure of what the machine can do: the laps
//! themselves say it.

use super::line::{Joined, Line, Place, Priority};
use super::pressure::{Pace, Pressure};

/// A lap in which the thread works for longer than this makes what is under way wait noticeably, in µs.
/// Time that the thread is not let run says nothing of what there is to do.
const LONG_LAP: u64 = 5_000;
/// The most calls that are begun in one lap.
const MOST_TURNS: u32 = 16;
/// A line of calls that were held up for so long may stand, in µs.
const STANDING: u64 = 250_000;
/// Who is refused is told to come back after so long, in µs: nobody is while all of them could be let in
/// by then.
const BEARABLE_WAIT: u64 = 1_000_000;
/// Each of those who wait holds a connection and what its call begins with.
const BEARABLE_LINE: usize = 1_000;
/// How long a call may wait once calls are refused, in µs.
const LONGEST_WAIT: u64 = 100_000;
/// How long a critical one may: it should go through, but where more of them come than can be done, one
/// that is told so after a moment is better off than one whose caller has left.
const LONGEST_CRITICAL_WAIT: u64 = 2_000_000;
/// So many may wait in any case, or a lap would have nobody to let in.
const SHORT_LINE: u64 = 4;
/// In so many parts one call is counted, where a few calls are averaged.
const PARTS: u64 = 1_024;
/// Who waits is held in memory.
const LONGEST_LINE: usize = 10_000;

/// Who waits at the door, and how quickly they are let in. Times are microseconds of one clock.
#[derive(Debug)]
pub struct Door<T> {
    line: Line<Waiting<T>>,
    /// How many may still be let in during this lap, and in each one.
    turns: u32,
    turns_a_lap: u32,
    /// How long the thread had worked when this lap began.
    lap_began: Option<u64>,
    pressure: Pressure,
    /// How many were let in, in parts of one, and in what time; the last windows count most.
    pace: Pace,
    /// Whether more waited than could be let in while it is bearable, since the line stands.
    is_unbearable: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    since: u64,
    who: T,
}

/// What one finds at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It may come in.
    Open,
    /// It has to wait for its turn.
    Line,
    /// It would wait too long.
    Hopeless,
}

/// Those who wait no longer after a lap.
#[derive(Debug)]
pub struct Called<T> {
    /// It is their turn.
    pub let_in: Vec<T>,
    /// They have waited too long.
    pub sent_away: Vec<T>,
}

impl<T> Default for Door<T> {
    fn default() -> Self {
        Self {
            line: Line::default(),
            turns: MOST_TURNS,
            turns_a_lap: MOST_TURNS,
            lap_began: None,
            pressure: Pressure::default(),
            pace: Pace { took: 0, served: 0 },
            is_unbearable: false,
        }
    }
}

impl<T> Door<T> {
    /// Somebody wants to come in, who can wait for at most so long.
    pub fn knock(&mut self, priority: Priority, patience: Option<u64>, now: u64) -> Found {
        self.pressure.came();
        self.note(now);
        if self.line.is_empty() && self.turns > 0 {
            self.turns -= 1;
            self.pressure.served();
            return Found::Open;
        }
        if self.is_hopeless(priority, patience, now) {
            self.pressure.sent_away();
            return Found::Hopeless;
        }
        Found::Line
    }

    /// Whether somebody would be sent away, without coming near.
    #[must_use]
    pub fn is_hopeless(&self, priority: Priority, patience: Option<u64>, now: u64) -> bool {
        if !self.pressure.is_standing(now) {
            return false;
        }
        let ahead = u64::try_from(self.line.ahead_of(priority)).unwrap_or(u64::MAX);
        let wait = self.wait(ahead);
        let is_long = self.is_unbearable && wait >= hopeless_wait(priority) && ahead >= SHORT_LINE;
        is_long || patience.is_some_and(|patience| wait >= patience)
    }

    /// Counts somebody who was sent away without coming near.
    pub fn note_sent_away(&mut self, now: u64) {
        self.pressure.came();
        self.pressure.sent_away();
        self.note(now);
    }

    /// Waits in line.
    pub fn join(&mut self, priority: Priority, who: T, now: u64) -> Joined<T> {
        let who = Waiting { since: now, who };
        let joined = match self.line.join(priority, LONGEST_LINE, who) {
            Joined::Waiting(place) => Joined::Waiting(place),
            Joined::InsteadOf(place, sent_away) => Joined::InsteadOf(place, sent_away.who),
            Joined::Full(who) => Joined::Full(who.who),
        };
        self.note(now);
        joined
    }

    /// Leaves the line.
    pub fn leave(&mut self, place: Place, now: u64) -> Option<T> {
        let left = self.line.leave(place);
        self.note(now);
        left.map(|waiting| waiting.who)
    }

    /// A lap has ended, and the next one begins. `worked` is how long the thread has worked by now, in
    /// all laps together.
    pub fn lap(&mut self, worked: u64, now: u64) -> Called<T> {
        self.note(now);
        if let Some(began) = self.lap_began.replace(worked) {
            self.turns_a_lap = paced(self.turns_a_lap, worked.saturating_sub(began));
        }
        self.turns = self.turns_a_lap;
        let mut called = Called {
            let_in: Vec::new(),
            sent_away: Vec::new(),
        };
        if self.is_closing(now) {
            self.send_away(now, &mut called.sent_away);
        }
        while self.turns > 0
            && let Some(waiting) = self.line.pop()
        {
            self.turns -= 1;
            self.pressure.served();
            called.let_in.push(waiting.who);
        }
        self.note(now);
        called
    }

    /// Whether somebody has to go round: somebody waits, or laps are not known to be short.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.line.is_empty() || self.turns <= MOST_TURNS / 2
    }

    /// Nobody goes round any more.
    pub fn rest(&mut self) {
        self.lap_began = None;
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Whether there has been more to do than can be done for a while, and calls are refused.
    #[must_use]
    pub fn is_closing(&self, now: u64) -> bool {
        self.is_unbearable && self.pressure.is_standing(now)
    }

    /// Those who have waited too long, of each priority the first ones.
    fn send_away(&mut self, now: u64, sent_away: &mut Vec<T>) {
        for priority in Priority::ALL {
            let longest = longest_wait(priority);
            let is_late = |waiting: &Waiting<T>| now.saturating_sub(waiting.since) > longest;
            while self.line.first_of(priority).is_some_and(is_late)
                && let Some(late) = self.line.pop_of(priority)
            {
                self.pressure.sent_away();
                sent_away.push(late.who);
            }
        }
    }

    fn note(&mut self, now: u64) {
        let is_empty = self.line.is_empty();
        if let Some(pace) = self.pressure.note(is_empty, STANDING, now) {
            self.pace = smoothed(self.pace, pace);
        }
        let is_standing = self.pressure.is_standing(now);
        self.is_unbearable = is_standing && (self.is_unbearable || self.is_too_long());
    }

    /// About how long one waits behind so many.
    fn wait(&self, ahead: u64) -> u64 {
        let parts = ahead.saturating_mul(PARTS);
        let wait = parts.saturating_mul(self.pace.took);
        wait.checked_div(self.pace.served).unwrap_or_default()
    }

    fn is_too_long(&self) -> bool {
        let waiting = self.line.len();
        let ahead = u64::try_from(waiting).unwrap_or(u64::MAX);
        waiting >= BEARABLE_LINE || self.wait(ahead) >= BEARABLE_WAIT
    }
}

/// How long a call that matters so much waits at most, once calls are refused.
fn longest_wait(priority: Priority) -> u64 {
    match priority {
        Priority::Critical => LONGEST_CRITICAL_WAIT,
        Priority::Low | Priority::Normal | Priority::High => LONGEST_WAIT,
    }
}

/// One that would wait longer is told at once: those who matter more may still come before it.
fn hopeless_wait(priority: Priority) -> u64 {
    longest_wait(priority) / 2
}

/// What is known after another window, of which one says little: those who are let in come in bunches.
fn smoothed(known: Pace, window: Pace) -> Pace {
    Pace {
        took: known.took / 4 * 3 + window.took,
        served: known.served / 4 * 3 + window.served * PARTS,
    }
}

/// How many are let in each lap, after one that took so long.
fn paced(turns: u32, took: u64) -> u32 {
    if took > LONG_LAP {
        (turns / 2).max(1)
    } else if took < LONG_LAP / 2 {
        (turns * 2).min(MOST_TURNS)
    } else {
        turns
    }
}

#[cfg(test)]
mod tests;
