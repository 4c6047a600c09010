//! How far budgets are spent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use seaworthy_core::budget::Window;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::limit::policy::BudgetRule;

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabels {
    budget: String,
}

#[derive(Debug)]
pub(super) struct BudgetMetrics {
    spent: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    fullest: Arc<Fullest>,
}

/// The most that any subject has spent of each budget in its latest window, by the budget's name:
/// subjects are as many as there are users, and no label of a metric may be.
#[derive(Debug, Default)]
pub(crate) struct Fullest(Mutex<HashMap<Arc<str>, (Window, u64)>>);

impl Fullest {
    /// Takes in that a subject has spent so much of a budget.
    pub(crate) fn note(&self, budget: &Arc<str>, window: Window, spent: u64) {
        let mut known = self.0.lock();
        if let Some((latest, most)) = known.get_mut(budget) {
            if window.end > latest.end {
                (*latest, *most) = (window, spent);
            } else if window.end == latest.end {
                *most = spent.max(*most);
            }
        } else {
            known.insert(Arc::clone(budget), (window, spent));
        }
    }

    /// What was spent most of each of these budgets now. Others are forgotten.
    fn most<'a>(&self, rules: &'a [BudgetRule], now: UnixMillis) -> Vec<(&'a BudgetRule, u64)> {
        let mut known = self.0.lock();
        known.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
        let most = |rule: &BudgetRule| {
            let running = known.get(&rule.name).filter(|(window, _)| now < window.end);
            running.map_or(0, |(_, most)| *most)
        };
        rules.iter().map(|rule| (rule, most(rule))).collect()
    }
}

impl BudgetMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            spent: gauges!(
                registry,
                "budget_spent_ratio",
                "What is spent of a budget in the running window, by the subject that spent most"
            ),
            fullest: Arc::default(),
        }
    }
}

impl Metrics {
    /// Where settlements note how budgets stand.
    pub(crate) fn fullest_budgets(&self) -> &Arc<Fullest> {
        &self.budgets.fullest
    }

    /// Shows how far these budgets are spent, and nothing else.
    #[expect(clippy::cast_precision_loss, reason = "a share of a limit")]
    pub(crate) fn show_budgets(&self, rules: &[BudgetRule], now: UnixMillis) {
        self.budgets.spent.clear();
        for (rule, most) in self.budgets.fullest.most(rules, now) {
            let budget = rule.name.to_string();
            let labels = BudgetLabels { budget };
            let ratio = most as f64 / rule.limit.max(1) as f64;
            self.budgets.spent.get_or_create(&labels).set(ratio);
        }
    }
}
