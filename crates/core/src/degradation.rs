//! Degradation tiers: which of them is in force, decided from signals, time and a person's word.
//!
//! Each tier is entered when its trigger has held for as long as it says, and left when the trigger
//! has been over, with room to spare, for a while. A tier that comes back soon after it was left
//! stays longer each time, so that a remedy that works is not taken away every minute.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::condition::{Condition, Watch};
use crate::signals::Signals;

/// When one tier applies. Tiers are ordered: each is worse than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What brings it about.
    pub trigger: Condition,
    /// For how long the trigger must be over before the tier is left.
    pub recover_after: Duration,
}

/// A tier that comes back within this many times its wait has relapsed.
const RELAPSE_WITHIN: u32 = 10;
/// The wait doubles with each relapse, this often at most.
const MOST_DOUBLINGS: u32 = 4;

/// Where one tier stands.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    watch: Watch,
    is_active: bool,
    left_at: Option<UnixMillis>,
    relapses: u32,
}

impl State {
    fn wait(&self, rule: &Rule) -> Duration {
        rule.recover_after
            .saturating_mul(1 << self.relapses.min(MOST_DOUBLINGS))
    }

    fn step(&mut self, rule: &Rule, signals: &Signals, now: UnixMillis) {
        self.watch.look(&rule.trigger, signals, now);
        if self.is_active {
            if self.watch.is_over_for(self.wait(rule), now) {
                self.is_active = false;
                self.left_at = Some(now);
            }
        } else if self.watch.is_met(&rule.trigger, now) {
            let within = rule.recover_after.saturating_mul(RELAPSE_WITHIN);
            let relapsed = self.left_at.is_some_and(|left| now.since(left) < within);
            self.relapses = if relapsed { self.relapses + 1 } else { 0 };
            self.is_active = true;
        }
    }
}

/// The state of all tiers.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    states: Vec<State>,
}

/// Which tiers are in force: indices into the rules, mildest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The tiers whose actions are taken. The last one gives the standing its name; none: normal.
    pub active: Vec<usize>,
    /// Whether a person said so.
    pub is_manual: bool,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manual {
    /// No tier, whatever the signals say.
    Normal,
    /// This tier alone, whatever the signals say.
    Tier(usize),
}

impl Machine {
    /// Looks at the signals and says what is in force from now on. Tiers keep being watched while a
    /// person decides, so that letting go of it finds them where they are.
    pub fn step(
        &mut self,
        rules: &[Rule],
        manual: Option<Manual>,
        signals: &Signals,
        now: UnixMillis,
    ) -> Standing {
        self.states.resize(rules.len(), State::default());
        for (state, rule) in self.states.iter_mut().zip(rules) {
            state.step(rule, signals, now);
        }
        let automatic = || {
            let states = self.states.iter().enumerate();
            states
                .filter(|(_, state)| state.is_active)
                .map(|(at, _)| at)
        };
        match manual {
            Some(Manual::Normal) => Standing {
                active: Vec::new(),
                is_manual: true,
            },
            Some(Manual::Tier(tier)) => Standing {
                active: vec![tier],
                is_manual: true,
            },
            None => Standing {
                active: automatic().collect(),
                is_manual: false,
            },
        }
    }
}

#[cfg(test)]
mod tests;
