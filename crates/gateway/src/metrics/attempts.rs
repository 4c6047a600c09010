//! Counting of calls that are tried again, held back or sent away.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use seaworthy_core::resilience::line::Priority;
use seaworthy_edge::client::{Error, Timeout};

use super::{Metrics, ShedLabels, TargetLabels};
use crate::resilience::gate::{self, Standing};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OpeningLabels {
    target: String,
    found: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimeoutLabels {
    target: String,
    timeout: &'static str,
}

/// What became of single attempts.
#[derive(Debug)]
pub(super) struct AttemptMetrics {
    retries: Family<TargetLabels, Counter>,
    fallbacks: Family<TargetLabels, Counter>,
    hedges: Family<TargetLabels, Counter>,
    timeouts: Family<TimeoutLabels, Counter>,
}

impl AttemptMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            retries: family!(
                registry,
                "retries",
                "Calls that were sent to the same target again, by target"
            ),
            fallbacks: family!(
                registry,
                "fallbacks",
                "Calls that went on to another target, by the one that failed"
            ),
            hedges: family!(
                registry,
                "hedges",
                "Calls for which another target was asked as well, by the one that was slow"
            ),
            timeouts: family!(
                registry,
                "provider_timeouts",
                "Calls that a target did not answer in time, by the limit that was reached"
            ),
        }
    }
}

impl Metrics {
    /// Counts an attempt whose time limit was reached, if that is what went wrong.
    pub(crate) fn count_timeout(&self, target: &str, error: &Error) {
        let Error::Timeout { which, .. } = error else {
            return;
        };
        let timeout = match which {
            Timeout::Connect => "connect",
            Timeout::FirstByte => "first_byte",
            Timeout::FirstToken => "first_token",
            Timeout::BetweenChunks => "between_chunks",
            Timeout::Total => "total",
            Timeout::Deadline => "deadline",
        };
        let target = target.to_owned();
        let labels = TimeoutLabels { target, timeout };
        self.attempts.timeouts.get_or_create(&labels).inc();
    }

    /// Counts a call that is sent to the same target again.
    pub(crate) fn count_retry(&self, target: &str) {
        let target = target.to_owned();
        self.attempts
            .retries
            .get_or_create(&TargetLabels { target })
            .inc();
    }

    /// Counts a call that goes on to another target.
    pub(crate) fn count_fallback(&self, failed: &str) {
        let target = failed.to_owned();
        self.attempts
            .fallbacks
            .get_or_create(&TargetLabels { target })
            .inc();
    }

    /// Counts a call for which another target is asked as well.
    pub(crate) fn count_hedge(&self, slow: &str) {
        let target = slow.to_owned();
        self.attempts
            .hedges
            .get_or_create(&TargetLabels { target })
            .inc();
    }

    /// Counts a request that there was no room or no time for.
    pub(crate) fn count_shed(&self, reason: &'static str, priority: Priority) {
        let priority = priority.as_str();
        self.shed
            .get_or_create(&ShedLabels { reason, priority })
            .inc();
    }

    /// Counts a circuit breaker that has opened; `found` says where its target was found failing.
    pub(crate) fn count_opening(&self, target: &str, found: &'static str) {
        let target = target.to_owned();
        let labels = OpeningLabels { target, found };
        self.breaker_openings.get_or_create(&labels).inc();
    }

    /// Shows how a target's gate stands.
    pub(crate) fn note_gate(&self, target: &str, standing: &Standing) {
        let target = target.to_owned();
        let labels = TargetLabels { target };
        let waiting = i64::try_from(standing.waiting).unwrap_or(i64::MAX);
        self.queue_depth.get_or_create(&labels).set(waiting);
        let limit = i64::from(standing.limit);
        self.concurrency_limit.get_or_create(&labels).set(limit);
        let state = gate::number(standing.state);
        self.breaker_state.get_or_create(&labels).set(state);
    }
}
