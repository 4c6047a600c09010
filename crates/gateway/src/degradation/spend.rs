//! What is spent in an hour, and what usually is.

use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::GroupBy;
use seaworthy_core::store::{Ledger, UsageQuery};

const HOUR: Duration = Duration::from_secs(3600);
/// How many hours make what is usual.
const BASELINE_HOURS: u32 = 24;
/// The ledger is asked this often: it sums a day.
const INTERVAL: Duration = Duration::from_secs(30);

/// Spending in micro-dollars, as the ledger knows it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spend {
    /// In the last hour.
    pub(super) last_hour: Option<u64>,
    /// In an hour of the day before that; unknown until something was spent.
    pub(super) usual_hour: Option<u64>,
    asked_at: Option<UnixMillis>,
}

impl Spend {
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.asked_at.is_none_or(|at| now.since(at) >= INTERVAL)
    }

    pub(super) async fn ask(ledger: &dyn Ledger, now: UnixMillis) -> Self {
        let ago = |length: Duration| {
            UnixMillis(now.0 - i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
        };
        let sum = async |since, until| {
            let query = UsageQuery {
                by: GroupBy::Model,
                since: Some(since),
                until: Some(until),
                only: Vec::new(),
            };
            let totals = ledger.usage(query).await.ok()?;
            Some(
                totals
                    .iter()
                    .map(|total| total.cost.0)
                    .fold(0, u64::saturating_add),
            )
        };
        let last_hour = sum(ago(HOUR), now.plus(Duration::from_millis(1))).await;
        let day = sum(ago(HOUR * (BASELINE_HOURS + 1)), ago(HOUR)).await;
        Self {
            last_hour,
            usual_hour: day
                .map(|day| day / u64::from(BASELINE_HOURS))
                .filter(|usual| *usual > 0),
            asked_at: Some(now),
        }
    }
}
