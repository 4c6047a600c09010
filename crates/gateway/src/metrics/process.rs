//! What the process takes of its machine, under the names that all exporters use.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// What the process takes, as the system says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUsage {
    /// Memory that is in use, in bytes.
    pub resident_bytes: u64,
    /// Time of the processors since the start.
    pub cpu_seconds: f64,
    /// Open files and connections.
    pub open_files: u64,
    /// The most of them that are allowed.
    pub max_files: u64,
    /// When the process started, in seconds since 1970.
    pub started_at_seconds: f64,
}

#[derive(Debug, Default)]
pub(super) struct ProcessMetrics {
    resident: Gauge,
    cpu: Counter<f64, AtomicU64>,
    open_files: Gauge,
    max_files: Gauge,
    started_at: Gauge<f64, AtomicU64>,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "process_resident_memory_bytes",
            "Memory of the process that is in use",
            metrics.resident.clone(),
        );
        registry.register(
            "process_cpu_seconds",
            "Time of processors that the process took",
            metrics.cpu.clone(),
        );
        registry.register(
            "process_open_fds",
            "Open files and connections of the process",
            metrics.open_files.clone(),
        );
        registry.register(
            "process_max_fds",
            "The most files and connections that the process may open",
            metrics.max_files.clone(),
        );
        registry.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            metrics.started_at.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Shows what the process takes.
    pub fn show_process(&self, usage: &ProcessUsage) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let process = &self.process;
        process.resident.set(gauge(usage.resident_bytes));
        process.open_files.set(gauge(usage.open_files));
        process.max_files.set(gauge(usage.max_files));
        process.started_at.set(usage.started_at_seconds);
        let seconds = usage.cpu_seconds.to_bits();
        process.cpu.inner().store(seconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Metrics, ProcessUsage};

    #[test]
    fn shows_what_the_process_takes_and_families_without_a_value() {
        let metrics = Metrics::new();
        metrics.show_process(&ProcessUsage {
            resident_bytes: 4096,
            cpu_seconds: 1.5,
            ..ProcessUsage::default()
        });
        let text = metrics.render();
        for line in [
            "process_resident_memory_bytes 4096",
            "process_cpu_seconds_total 1.5",
            "# TYPE seaworthy_circuit_breaker_state gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
