//! The circuit breaker of a target: who keeps failing is left alone for a while, then one call after
//! the other finds out whether it is well again.
//!
//! A provider that asks to be left alone (429) pauses its target in the same way, except that calls
//! wait for the end of a pause, and that its first success ends it.

/// When it opens and how it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether failures open it.
    pub enabled: bool,
    /// How far back calls count.
    pub window_ms: u64,
    /// So many calls have to be in the window before their rate counts.
    pub min_calls: u32,
    /// The share of failures that opens it, in ten thousandths.
    pub failure_rate: u32,
    /// So many failures in a row open it.
    pub consecutive_failures: u32,
    /// A call that takes longer is slow.
    pub slow_call_ms: u64,
    /// The share of slow calls that opens it, in ten thousandths.
    pub slow_call_rate: u32,
    /// How long it stays open the first time; twice as long after each probe that fails.
    pub open_ms: u64,
    /// The longest that it stays open.
    pub max_open_ms: u64,
    /// So many probes in a row have to succeed before it closes.
    pub probes: u32,
}

/// What it does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All pass.
    Closed,
    /// One at a time passes.
    HalfOpen,
    /// None passes.
    Open,
}

impl State {
    /// The name in status and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The answer to a call that wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It passes, and has to [`Breaker::leave`].
    Pass(Pass),
    /// It is worth waiting: for so long, or for the end of the probe that is under way (`None`).
    Wait(Option<u64>),
    /// It is not; how long it takes until it may be.
    Refuse(u64),
}

/// The right of a call to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    era: u64,
    is_probe: bool,
}

/// How a call that passed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The target did its part; what the request itself had wrong does not count against it.
    Succeeded,
    /// It did not.
    Failed,
    /// It wants to be left alone for so long.
    Limited(u64),
    /// Nobody knows: the caller left.
    Unknown,
}

/// The state of one target's breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    phase: Phase,
    /// Calls of an earlier era say nothing about this one.
    era: u64,
    consecutive_failures: u32,
    window: Window,
    /// How often it opened since it was last closed.
    openings: u32,
    /// Whether it opened because of what another replica has found.
    is_hearsay: bool,
    /// Until when it does not listen to other replicas: it has found the target well.
    deaf_until: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: u64,
    },
    Paused {
        until: u64,
    },
    HalfOpen {
        is_probing: bool,
        passed: u32,
        needed: u32,
        after_pause: bool,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            phase: Phase::Closed,
            era: 0,
            consecutive_failures: 0,
            window: Window::default(),
            openings: 0,
            is_hearsay: false,
            deaf_until: 0,
        }
    }
}

impl Breaker {
    /// What it does with calls at this moment.
    #[must_use]
    pub fn state(&self, now: u64) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } | Phase::Paused { until } if now < until => State::Open,
            Phase::Open { .. } | Phase::Paused { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether it waits for the end of a limit that the provider has set.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(
            self.phase,
            Phase::Paused { .. }
                | Phase::HalfOpen {
                    after_pause: true,
                    ..
                }
        )
    }

    /// Whether a call may pass.
    pub fn enter(&mut self, settings: &Settings, now: u64) -> Entry {
        match self.phase {
            Phase::Closed => {}
            Phase::Open { until } if now < until => return Entry::Refuse(until - now),
            Phase::Paused { until } if now < until => return Entry::Wait(Some(until - now)),
            Phase::Open { .. } => self.begin_probing(settings.probes.max(1), false),
            Phase::Paused { .. } => self.begin_probing(1, true),
            Phase::HalfOpen { .. } => {}
        }
        match &mut self.phase {
            Phase::HalfOpen {
                is_probing,
                after_pause,
                ..
            } => {
                if *is_probing {
                    return match *after_pause {
                        true => Entry::Wait(None),
                        false => Entry::Refuse(PROBE_RETRY_MS),
                    };
                }
                *is_probing = true;
                Entry::Pass(Pass {
                    era: self.era,
                    is_probe: true,
                })
            }
            _ => Entry::Pass(Pass {
                era: self.era,
                is_probe: false,
            }),
        }
    }

    /// A call that passed has ended after so long. Whoever passed has to leave once.
    pub fn leave(&mut self, settings: &Settings, pass: Pass, ended: Ended, took: u64, now: u64) {
        if pass.era != self.era {
            return;
        }
        if let Ended::Limited(wait) = ended {
            self.begin(Phase::Paused {
                until: now.saturating_add(wait),
            });
            return;
        }
        match self.phase {
            Phase::HalfOpen { .. } => self.probed(settings, pass, ended, now),
            Phase::Closed => self.counted(settings, ended, took, now),
            Phase::Open { .. } | Phase::Paused { .. } => {}
        }
    }

    /// Opens it, because another replica has found the target failing, and says whether it has. A
    /// breaker that has found the target well after such a word takes none for a while, so that one
    /// replica that reaches nobody cannot keep all others from a target.
    pub fn open_for(&mut self, settings: &Settings, duration_ms: u64, now: u64) -> bool {
        let is_taken = settings.enabled && self.phase == Phase::Closed && now >= self.deaf_until;
        if is_taken {
            self.openings = 1;
            self.begin(Phase::Open {
                until: now.saturating_add(duration_ms.min(settings.max_open_ms)),
            });
            self.is_hearsay = true;
        }
        is_taken
    }

    /// How long a limit of the provider still lasts; `None` when there is none, or when somebody finds
    /// out whether it has ended.
    #[must_use]
    pub fn pause_ms(&self, now: u64) -> Option<u64> {
        match self.phase {
            Phase::Paused { until } => Some(until.saturating_sub(now)),
            _ => None,
        }
    }

    /// An answer that had begun broke off.
    pub fn fail(&mut self, settings: &Settings, now: u64) {
        if self.phase == Phase::Closed {
            self.counted(settings, Ended::Failed, 0, now);
        }
    }

    /// How long it is still open; `None` when it is not.
    #[must_use]
    pub fn open_for_ms(&self, now: u64) -> Option<u64> {
        match self.phase {
            Phase::Open { until } if now < until => Some(until - now),
            _ => None,
        }
    }

    fn probed(&mut self, settings: &Settings, pass: Pass, ended: Ended, now: u64) {
        let Phase::HalfOpen {
            is_probing,
            passed,
            needed,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if !pass.is_probe {
            return;
        }
        *is_probing = false;
        match ended {
            Ended::Succeeded => {
                *passed += 1;
                if *passed >= *needed {
                    self.openings = 0;
                    if self.is_hearsay {
                        self.deaf_until = now.saturating_add(settings.max_open_ms);
                    }
                    self.begin(Phase::Closed);
                    self.is_hearsay = false;
                }
            }
            Ended::Failed if settings.enabled => self.open(settings, now),
            // Without a breaker, a pause ends with whatever answer comes.
            Ended::Failed => self.begin(Phase::Closed),
            Ended::Unknown | Ended::Limited(_) => {}
        }
    }

    fn counted(&mut self, settings: &Settings, ended: Ended, took: u64, now: u64) {
        if !settings.enabled || ended == Ended::Unknown {
            return;
        }
        let failed = ended == Ended::Failed;
        if failed {
            self.deaf_until = 0;
        }
        self.consecutive_failures = match failed {
            true => self.consecutive_failures.saturating_add(1),
            false => 0,
        };
        let is_slow = took >= settings.slow_call_ms;
        self.window.count(settings.window_ms, failed, is_slow, now);
        let sums = self.window.sums(settings.window_ms, now);
        let is_enough = sums.calls >= settings.min_calls.max(1);
        let reaches = |count: u32, share: u32| {
            u64::from(count) * 10_000 >= u64::from(sums.calls) * u64::from(share)
        };
        let is_failing = failed
            && (self.consecutive_failures >= settings.consecutive_failures
                || (is_enough && reaches(sums.failures, settings.failure_rate)));
        if is_failing || (is_slow && is_enough && reaches(sums.slow, settings.slow_call_rate)) {
            self.open(settings, now);
        }
    }

    fn open(&mut self, settings: &Settings, now: u64) {
        let doubled = 2_u64.saturating_pow(self.openings.min(20));
        let length = settings.open_ms.saturating_mul(doubled);
        self.openings = self.openings.saturating_add(1);
        self.is_hearsay = false;
        self.begin(Phase::Open {
            until: now.saturating_add(length.min(settings.max_open_ms.max(settings.open_ms))),
        });
    }

    fn begin_probing(&mut self, needed: u32, after_pause: bool) {
        self.begin(Phase::HalfOpen {
            is_probing: false,
            passed: 0,
            needed,
            after_pause,
        });
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
        self.consecutive_failures = 0;
        self.window = Window::default();
    }
}

/// When to ask again while a probe is under way.
const PROBE_RETRY_MS: u64 = 1_000;

/// Parts of the window; the oldest is forgotten as a whole.
const PARTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    calls: u32,
    failures: u32,
    slow: u32,
}

/// Calls of the last while, in parts.
#[derive(Debug, Clone, Default)]
struct Window {
    parts: [(u64, Sums); PARTS],
}

impl Window {
    fn count(&mut self, window_ms: u64, failed: bool, slow: bool, now: u64) {
        let number = now / part_length(window_ms);
        let index = usize::try_from(number % PARTS as u64).unwrap_or(0);
        let (of, sums) = &mut self.parts[index];
        if *of != number {
            (*of, *sums) = (number, Sums::default());
        }
        sums.calls = sums.calls.saturating_add(1);
        sums.failures = sums.failures.saturating_add(u32::from(failed));
        sums.slow = sums.slow.saturating_add(u32::from(slow));
    }

    fn sums(&self, window_ms: u64, now: u64) -> Sums {
        let number = now / part_length(window_ms);
        let mut total = Sums::default();
        for (of, sums) in &self.parts {
            if number.saturating_sub(*of) < PARTS as u64 {
                total.calls = total.calls.saturating_add(sums.calls);
                total.failures = total.failures.saturating_add(sums.failures);
                total.slow = total.slow.saturating_add(sums.slow);
            }
        }
        total
    }
}

fn part_length(window_ms: u64) -> u64 {
    (window_ms / PARTS as u64).max(1)
}

#[cfg(test)]
mod tests;
