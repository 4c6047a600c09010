//! What became of the requests of batches.

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BatchRequestLabels {
    outcome: &'static str,
}

impl Metrics {
    /// Counts a request of a batch that has its result, or has none.
    pub(crate) fn count_batch_request(&self, outcome: &'static str) {
        let labels = BatchRequestLabels { outcome };
        self.batch_requests.get_or_create(&labels).inc();
    }
}
