//! How fetching secrets from their managers is doing.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    manager: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ManagerLabels {
    manager: &'static str,
}

/// Counts what is fetched from secret managers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SecretMetrics {
    fetches: Family<FetchLabels, Counter>,
    up: Family<ManagerLabels, Gauge>,
}

impl Metrics {
    /// Counts what is fetched from secret managers.
    #[must_use]
    pub fn secrets(&self) -> SecretMetrics {
        self.secrets.clone()
    }
}

impl SecretMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            fetches: family!(
                registry,
                "secret_fetches",
                "Secrets fetched again, by manager and result"
            ),
            up: gauges!(
                registry,
                "secret_manager_up",
                "1 while everything that a secret manager has can be fetched"
            ),
        }
    }

    /// Counts one round of fetching from a manager.
    pub fn note(&self, manager: &'static str, fetched: usize, failed: usize) {
        for (result, count) in [("success", fetched), ("failure", failed)] {
            let labels = FetchLabels { manager, result };
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.fetches.get_or_create(&labels).inc_by(count);
        }
        let up = self.up.get_or_create(&ManagerLabels { manager });
        up.set(i64::from(failed == 0));
    }
}
