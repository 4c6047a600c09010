//! What providers say is left of their limits.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::degradation::quota::Quota;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabels {
    provider: String,
    limit: &'static str,
}

/// The limits of providers.
#[derive(Debug)]
pub(super) struct QuotaMetrics {
    remaining: Family<QuotaLabels, Gauge>,
    limit: Family<QuotaLabels, Gauge>,
}

impl QuotaMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            remaining: gauges!(
                registry,
                "provider_quota_remaining",
                "What a provider said within two minutes is left of its limit"
            ),
            limit: gauges!(
                registry,
                "provider_quota_limit",
                "How much a provider said that its limit is"
            ),
        }
    }
}

impl Metrics {
    /// Shows what is known of the limits of providers, and nothing else.
    pub(crate) fn show_quotas(&self, quotas: impl Iterator<Item = (String, Quota)>) {
        self.quotas.remaining.clear();
        self.quotas.limit.clear();
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (provider, quota) in quotas {
            for (limit, left) in [("requests", quota.requests), ("tokens", quota.tokens)] {
                let Some(left) = left else { continue };
                let provider = provider.clone();
                let labels = QuotaLabels { provider, limit };
                let remaining = count(left.remaining);
                self.quotas.remaining.get_or_create(&labels).set(remaining);
                if let Some(limit) = left.limit {
                    self.quotas.limit.get_or_create(&labels).set(count(limit));
                }
            }
        }
    }
}
