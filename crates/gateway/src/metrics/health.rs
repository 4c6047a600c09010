//! Tiers in force, and dependencies that are well.

use super::{DependencyLabels, Metrics, TierLabels};

impl Metrics {
    /// Shows which degradation tier is in force.
    pub(crate) fn show_tier(&self, tier: &str) {
        let tier = tier.to_owned();
        self.tier.get_or_create(&TierLabels { tier }).set(1);
    }

    /// Counts a change of the degradation tier.
    pub(crate) fn count_tier(&self, before: &str, tier: &str) {
        let labels = |tier: &str| TierLabels {
            tier: tier.to_owned(),
        };
        self.tier.get_or_create(&labels(before)).set(0);
        self.show_tier(tier);
        self.tier_changes.get_or_create(&labels(tier)).inc();
    }

    /// Shows whether a dependency is well.
    pub(crate) fn show_dependency(&self, name: &str, is_well: bool) {
        let dependency = name.to_owned();
        let gauge = self
            .dependency_up
            .get_or_create(&DependencyLabels { dependency });
        gauge.set(i64::from(is_well));
    }
}
