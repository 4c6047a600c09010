//! Counting of calls that are tried again, held back or sent away.

use prometheus_client::encoding::EncodeLabelSet;
use seaworthy_core::resilience::line::Priority;

use super::{Metrics, ShedLabels, TargetLabels};
use crate::resilience::gate::{self, Standing};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OpeningLabels {
    target: String,
    found: &'static str,
}

impl Metrics {
    /// Counts a call that is sent to the same target again.
    pub(crate) fn count_retry(&self, target: &str) {
        let target = target.to_owned();
        self.retries.get_or_create(&TargetLabels { target }).inc();
    }

    /// Counts a call that goes on to another target.
    pub(crate) fn count_fallback(&self, failed: &str) {
        let target = failed.to_owned();
        self.fallbacks.get_or_create(&TargetLabels { target }).inc();
    }

    /// Counts a call for which another target is asked as well.
    pub(crate) fn count_hedge(&self, slow: &str) {
        let target = slow.to_owned();
        self.hedges.get_or_create(&TargetLabels { target }).inc();
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
