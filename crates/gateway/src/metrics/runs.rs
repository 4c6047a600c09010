//! Runs of code in the sandbox.

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RunLabels {
    language: &'static str,
    exit: &'static str,
}

impl Metrics {
    /// Counts a run and the time of the processor that it took.
    pub(crate) fn count_run(
        &self,
        language: &'static str,
        exit: &'static str,
        cpu_ms: Option<u64>,
    ) {
        self.sandbox_runs
            .get_or_create(&RunLabels { language, exit })
            .inc();
        self.sandbox_cpu
            .inc_by(cpu_ms.unwrap_or(0) as f64 / 1_000.0);
    }
}
