//! What can be seen of a gate from outside.

use seaworthy_core::resilience::breaker::State;

use super::Gate;
use crate::resilience::Resilience;

/// A latency that is so old counts half.
const LATENCY_HALF_LIFE_MS: f64 = 60_000.0;

/// What operators see of a gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) is_paused: bool,
    pub(crate) limit: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: usize,
    pub(crate) latency_ms: Option<f64>,
}

impl Gate {
    /// Whether nobody passes because it keeps failing.
    pub(crate) fn is_shut(&self) -> bool {
        let now = self.now();
        let inner = self.inner.lock();
        inner.breaker.state(now) == State::Open && !inner.breaker.is_paused()
    }

    /// How it stands.
    pub(crate) fn standing(&self, settings: &Resilience) -> Standing {
        let now = self.now();
        let inner = self.inner.lock();
        Standing {
            state: inner.breaker.state(now),
            is_paused: inner.breaker.is_paused(),
            limit: inner.gradient.limit(&settings.concurrency),
            in_flight: inner.in_flight,
            waiting: inner.line.len(),
            latency_ms: inner.latency.map(|latency| latency.ms),
        }
    }

    /// How long first tokens took of late, in ms; what is old counts less, so that a target that was
    /// slow once is tried again.
    pub(crate) fn latency_ms(&self) -> Option<f64> {
        let now = self.now();
        let latency = self.inner.lock().latency?;
        #[expect(clippy::cast_precision_loss, reason = "an age in ms")]
        let age = now.saturating_sub(latency.at) as f64;
        Some(latency.ms * 0.5_f64.powf(age / LATENCY_HALF_LIFE_MS))
    }
}

/// The number of a state in metrics.
pub(crate) fn number(state: State) -> i64 {
    match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
    }
}
