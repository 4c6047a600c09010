//! What follows a failed attempt: another target, the same one after a pause, or the error.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How an attempt failed, as far as it matters for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made: the request did not leave.
    Unreachable,
    /// The connection broke before the caller was sent anything.
    Broken,
    /// A time limit passed before the caller was sent anything.
    TimedOut,
    /// The provider answered with this status.
    Status(u16),
    /// The account at the provider is out of money, which waiting does not mend.
    QuotaExhausted,
    /// What came is not what the provider's API promises.
    Invalid,
    /// The target cannot be asked this, or not in these words.
    Unfit,
    /// The target is not asked at present: its breaker is open or its queue is full.
    Unavailable,
    /// The caller has stopped waiting.
    Abandoned,
    /// Nobody else would answer differently.
    Final,
}

/// What a failure permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The same target may be asked again.
    pub again: bool,
    /// Another target may be asked.
    pub elsewhere: bool,
    /// It counts against the target.
    pub blames_target: bool,
}

impl Failure {
    /// What it permits. Only what came before the first byte to the caller is ever judged.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        let (again, elsewhere, blames_target) = match self {
            Self::Unreachable | Self::Broken | Self::Invalid => (true, true, true),
            // It would take as long once more.
            Self::TimedOut => (false, true, true),
            Self::Status(429) => (true, true, false),
            Self::Status(500 | 502 | 503 | 504 | 529) => (true, true, true),
            // Our account, our name of the model, a server that cannot do this, or a model that broke
            // while it answered, which AWS says with 424.
            Self::Status(401 | 402 | 403 | 404 | 408 | 424 | 501 | 505..)
            | Self::QuotaExhausted => (false, true, true),
            Self::Status(_) | Self::Abandoned | Self::Final => (false, false, false),
            Self::Unfit | Self::Unavailable => (false, true, false),
        };
        Verdict {
            again,
            elsewhere,
            blames_target,
        }
    }
}

/// How often and how fast things are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Attempts of one request, the first included.
    pub max_attempts: u32,
    /// The longest pause before the second attempt; it doubles with each further one.
    pub base_delay: Duration,
    /// The longest pause of all.
    pub max_delay: Duration,
    /// How many attempts may be repeated for each ten thousand requests.
    pub budget_per_10_000: u32,
}

/// Where a request stands after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// What happened.
    pub failure: Failure,
    /// Attempts that were made, this one included.
    pub attempts: u32,
    /// Whether a target is left that was not asked yet and that may be asked now.
    pub has_other: bool,
    /// Whether a target that failed before could be asked again.
    pub has_again: bool,
    /// How long the provider wants to be left alone.
    pub advice: Option<Duration>,
    /// How long the caller still waits.
    pub remaining: Duration,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another target, at once.
    Elsewhere,
    /// A target that was asked before, after this pause.
    Again(Duration),
    /// The caller is told.
    GiveUp,
}

/// Decides what follows a failure. Another target goes before patience with the same one. `permit`
/// takes from the process's budget of repetitions and is asked last.
pub fn next(
    settings: &Settings,
    at: &Situation,
    chance: f64,
    permit: impl FnOnce() -> bool,
) -> Next {
    let verdict = at.failure.verdict();
    if at.attempts >= settings.max_attempts || at.remaining.is_zero() {
        return Next::GiveUp;
    }
    if verdict.elsewhere && at.has_other {
        return Next::Elsewhere;
    }
    if !(verdict.again || (verdict.elsewhere && at.has_again)) {
        return Next::GiveUp;
    }
    let pause = at
        .advice
        .unwrap_or_else(|| backoff(settings, at.attempts, chance));
    let is_advised_limit = at.failure == Failure::Status(429) && at.advice.is_some();
    // The provider's advice on a rate limit is waited out in the target's queue, where one call
    // tries first; any other pause is bounded.
    if pause >= at.remaining || (!is_advised_limit && pause > settings.max_delay) {
        return Next::GiveUp;
    }
    if is_advised_limit || permit() {
        return Next::Again(pause);
    }
    Next::GiveUp
}

/// A pause between nothing and twice the last one's bound ("full jitter"): those who failed together
/// do not come back together.
#[must_use]
pub fn backoff(settings: &Settings, attempts: u32, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(20));
    let bound = settings
        .base_delay
        .saturating_mul(doubled)
        .min(settings.max_delay);
    bound.mul_f64(chance.clamp(0.0, 1.0))
}

/// What the whole process may repeat: a share of its requests, so that an outage is not multiplied.
///
/// It begins with a loan of [`RetryBudget::BURST`], so that a process that has just started can
/// repeat something; the first deposits pay the loan back.
#[derive(Debug)]
pub struct RetryBudget {
    balance: AtomicI64,
    owed: AtomicI64,
}

/// One repetition, in the units of the account.
const ONE: i64 = 10_000;

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            balance: AtomicI64::new(Self::BURST * ONE),
            owed: AtomicI64::new(Self::BURST * ONE),
        }
    }
}

impl RetryBudget {
    /// Most repetitions that are saved up.
    pub const BURST: i64 = 10;

    /// Counts a request. Costs two loads while nothing is repeated.
    pub fn deposit(&self, settings: &Settings) {
        let amount = i64::from(settings.budget_per_10_000);
        if self.owed.load(Ordering::Relaxed) > 0 {
            self.owed.fetch_sub(amount, Ordering::Relaxed);
        } else if self.balance.load(Ordering::Relaxed) < Self::BURST * ONE {
            self.balance.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes one repetition, if there is one.
    pub fn withdraw(&self) -> bool {
        let took = |balance: i64| (balance >= ONE).then(|| balance - ONE);
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, took)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        max_attempts: 3,
        base_delay: Duration::from_millis(200),
        max_delay: Duration::from_secs(8),
        budget_per_10_000: 1_000,
    };

    fn after(failure: Failure) -> Situation {
        Situation {
            failure,
            attempts: 1,
            has_other: false,
            has_again: false,
            advice: None,
            remaining: Duration::from_secs(60),
        }
    }

    #[test]
    fn what_follows_each_failure_with_and_without_another_target() {
        let again = Next::Again(Duration::from_millis(100));
        for (failure, alone, with_other) in [
            (Failure::Unreachable, again, Next::Elsewhere),
            (Failure::Broken, again, Next::Elsewhere),
            (Failure::Invalid, again, Next::Elsewhere),
            (Failure::TimedOut, Next::GiveUp, Next::Elsewhere),
            (Failure::QuotaExhausted, Next::GiveUp, Next::Elsewhere),
            (Failure::Unfit, Next::GiveUp, Next::Elsewhere),
            (Failure::Unavailable, Next::GiveUp, Next::Elsewhere),
            (Failure::Abandoned, Next::GiveUp, Next::GiveUp),
            (Failure::Final, Next::GiveUp, Next::GiveUp),
            (Failure::Status(400), Next::GiveUp, Next::GiveUp),
            (Failure::Status(401), Next::GiveUp, Next::Elsewhere),
            (Failure::Status(404), Next::GiveUp, Next::Elsewhere),
            (Failure::Status(408), Next::GiveUp, Next::Elsewhere),
            (Failure::Status(409), Next::GiveUp, Next::GiveUp),
            (Failure::Status(413), Next::GiveUp, Next::GiveUp),
            (Failure::Status(422), Next::GiveUp, Next::GiveUp),
            (Failure::Status(424), Next::GiveUp, Next::Elsewhere),
            (Failure::Status(429), again, Next::Elsewhere),
            (Failure::Status(500), again, Next::Elsewhere),
            (Failure::Status(503), again, Next::Elsewhere),
            (Failure::Status(529), again, Next::Elsewhere),
        ] {
            let at = after(failure);
            assert_eq!(next(&SETTINGS, &at, 0.5, || true), alone, "{failure:?}");
            let at = Situation {
                has_other: true,
                ..at
            };
            assert_eq!(
                next(&SETTINGS, &at, 0.5, || true),
                with_other,
                "{failure:?}"
            );
            let at = Situation { attempts: 3, ..at };
            assert_eq!(
                next(&SETTINGS, &at, 0.5, || true),
                Next::GiveUp,
                "{failure:?}"
            );
        }
    }

    #[test]
    fn advice_goes_before_back_off_as_long_as_the_caller_waits() {
        let mut at = after(Failure::Status(503));
        at.advice = Some(Duration::from_secs(5));
        let five = Next::Again(Duration::from_secs(5));
        assert_eq!(next(&SETTINGS, &at, 0.5, || true), five);
        at.advice = Some(Duration::from_secs(9));
        assert_eq!(next(&SETTINGS, &at, 0.5, || true), Next::GiveUp, "too long");
        at.failure = Failure::Status(429);
        assert!(matches!(
            next(&SETTINGS, &at, 0.5, || false),
            Next::Again(_)
        ));
        at.remaining = Duration::from_secs(9);
        assert_eq!(next(&SETTINGS, &at, 0.5, || true), Next::GiveUp);
    }

    #[test]
    fn pauses_double_within_their_bound_and_begin_at_nothing() {
        for (attempts, bound) in [(1, 200), (2, 400), (3, 800), (7, 8_000), (40, 8_000)] {
            assert_eq!(backoff(&SETTINGS, attempts, 0.0), Duration::ZERO);
            let longest = backoff(&SETTINGS, attempts, 1.0);
            assert_eq!(longest, Duration::from_millis(bound));
        }
    }

    #[test]
    fn an_outage_is_multiplied_by_at_most_one_tenth() {
        for requests in [100_u32, 1_000, 12_345] {
            let budget = RetryBudget::default();
            let mut sent = 0_u32;
            for _ in 0..requests {
                budget.deposit(&SETTINGS);
                sent += 1;
                for attempts in 1..3 {
                    let at = Situation {
                        attempts,
                        ..after(Failure::Status(500))
                    };
                    match next(&SETTINGS, &at, 0.5, || budget.withdraw()) {
                        Next::Again(_) => sent += 1,
                        _ => break,
                    }
                }
            }
            assert!(sent <= requests + requests / 10, "{sent} for {requests}");
            assert!(sent >= requests + requests / 11, "{sent} for {requests}");
        }
    }

    #[test]
    fn a_process_that_has_just_started_can_repeat_something() {
        let budget = RetryBudget::default();
        let taken = (0..100).filter(|_| budget.withdraw()).count();
        assert_eq!(i64::try_from(taken), Ok(RetryBudget::BURST));
    }
}
