//! How stores over a network are doing.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// The labels of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    backend: &'static str,
    operation: &'static str,
}

/// Counts calls to stores. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    pub(super) latency: Family<CallLabels, Histogram, fn() -> Histogram>,
    pub(super) errors: Family<CallLabels, Counter>,
}

impl StoreMetrics {
    /// Counts one call.
    pub fn note(&self, backend: &'static str, operation: &'static str, took: Duration, ok: bool) {
        let labels = CallLabels { backend, operation };
        self.latency
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if !ok {
            self.errors.get_or_create(&labels).inc();
        }
    }
}
