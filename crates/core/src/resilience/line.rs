//! A waiting line with an end: who matters more goes first, and when the line is full the one who
//! matters least and came last is sent away.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How much a call matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Work that can wait: batches, evaluations.
    Low,
    /// Anything else.
    #[default]
    Normal,
    /// A person waits for it.
    High,
    /// It must go through.
    Critical,
}

impl Priority {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The name in headers, configuration and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The priority of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str().eq_ignore_ascii_case(name))
    }
}

/// A place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Reverse<Priority>, u64);

/// Those who wait, with what is needed to call them.
#[derive(Debug)]
pub struct Line<T> {
    waiting: BTreeMap<Place, T>,
    /// How many of each priority.
    counts: [usize; Priority::ALL.len()],
    next: u64,
}

/// What became of one who wanted to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    /// It waits here.
    Waiting(Place),
    /// It waits here, and this one was sent away for it.
    InsteadOf(Place, T),
    /// The line is full of others who matter as much.
    Full(T),
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            counts: [0; Priority::ALL.len()],
            next: 0,
        }
    }
}

impl<T> Line<T> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many wait who matter at least as much.
    #[must_use]
    pub fn ahead_of(&self, priority: Priority) -> usize {
        let at_least = self.counts.iter().skip(priority as usize);
        at_least.sum()
    }

    /// The one among those of this priority who came first.
    #[must_use]
    pub fn first_of(&self, priority: Priority) -> Option<&T> {
        let (first, last) = (
            Place(Reverse(priority), 0),
            Place(Reverse(priority), u64::MAX),
        );
        self.waiting.range(first..=last).next().map(|(_, who)| who)
    }

    /// Takes out the one among those of this priority who came first.
    pub fn pop_of(&mut self, priority: Priority) -> Option<T> {
        let (first, last) = (
            Place(Reverse(priority), 0),
            Place(Reverse(priority), u64::MAX),
        );
        let place = *self.waiting.range(first..=last).next()?.0;
        self.leave(place)
    }

    /// Joins the line, in which at most `max` may wait.
    pub fn join(&mut self, priority: Priority, max: usize, who: T) -> Joined<T> {
        if self.waiting.len() < max {
            return Joined::Waiting(self.append(priority, who));
        }
        match self.waiting.last_key_value() {
            Some((Place(Reverse(least), _), _)) if *least < priority => {}
            _ => return Joined::Full(who),
        }
        let last = self.waiting.last_key_value().map(|(place, _)| *place);
        let Some(sent_away) = last.and_then(|place| self.leave(place)) else {
            return Joined::Full(who);
        };
        Joined::InsteadOf(self.append(priority, who), sent_away)
    }

    fn append(&mut self, priority: Priority, who: T) -> Place {
        let place = Place(Reverse(priority), self.next);
        self.next += 1;
        self.counts[priority as usize] += 1;
        self.waiting.insert(place, who);
        place
    }

    /// Takes out the one whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let place = *self.waiting.first_key_value()?.0;
        self.leave(place)
    }

    /// Leaves the line.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        let who = self.waiting.remove(&place)?;
        self.counts[place.0.0 as usize] -= 1;
        Some(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_matters_more_goes_first_and_equals_go_in_order() {
        let mut line = Line::default();
        for (priority, who) in [
            (Priority::Low, 1),
            (Priority::Critical, 2),
            (Priority::Normal, 3),
            (Priority::Critical, 4),
        ] {
            line.join(priority, 10, who);
        }
        assert_eq!(line.ahead_of(Priority::Normal), 3);
        let order: Vec<i32> = std::iter::from_fn(|| line.pop()).collect();
        assert_eq!(order, [2, 4, 3, 1]);
    }

    #[test]
    fn a_full_line_sends_away_whoever_matters_least_and_came_last() {
        let mut line = Line::default();
        line.join(Priority::Low, 2, 'a');
        line.join(Priority::Low, 2, 'b');
        assert_eq!(line.join(Priority::Low, 2, 'c'), Joined::Full('c'));
        let joined = line.join(Priority::High, 2, 'd');
        assert!(matches!(joined, Joined::InsteadOf(_, 'b')), "{joined:?}");
        assert_eq!(line.len(), 2);
    }

    #[test]
    fn whoever_leaves_is_not_called() {
        let mut line = Line::default();
        let Joined::Waiting(place) = line.join(Priority::Normal, 2, 'a') else {
            panic!("there is room");
        };
        line.join(Priority::Normal, 2, 'b');
        assert_eq!(line.leave(place), Some('a'));
        assert_eq!(line.leave(place), None);
        assert_eq!(line.pop(), Some('b'));
        assert!(line.is_empty());
    }

    #[test]
    fn priorities_have_names() {
        for priority in Priority::ALL {
            assert_eq!(Priority::named(priority.as_str()), Some(priority));
        }
        assert_eq!(Priority::named("CRITICAL"), Some(Priority::Critical));
        assert_eq!(Priority::named("urgent"), None);
    }
}
