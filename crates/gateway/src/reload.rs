//! Another configuration is put in force, and its budgets know what was spent before.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_config::Loaded;
use tokio::sync::Notify;

use crate::gateway::Gateway;
use crate::snapshot::{CompileError, Snapshot};

/// What has ended is in the ledger after this time.
const LEDGER_LAG: Duration = Duration::from_secs(1);
/// How often it is looked whether the last call under an earlier configuration has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Configurations that are not in force any more, as long as there are requests under them.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    snapshots: Mutex<Vec<Weak<Snapshot>>>,
    more: Notify,
}

impl Retired {
    fn add(&self, snapshot: &Arc<Snapshot>) {
        let mut snapshots = self.snapshots.lock();
        // Even what nobody uses holds its memory while it can be asked for.
        snapshots.retain(|snapshot| snapshot.strong_count() > 0);
        snapshots.push(Arc::downgrade(snapshot));
        drop(snapshots);
        self.more.notify_one();
    }

    fn is_any_in_use(&self) -> bool {
        let snapshots = self.snapshots.lock();
        snapshots.iter().any(|snapshot| snapshot.strong_count() > 0)
    }
}

impl Gateway {
    /// Puts a configuration in force for the requests that come from now on, once its budgets are at
    /// what the ledger says was spent: not one request passes a new budget that is used up. When it
    /// cannot be compiled, or has new budgets while the ledger cannot be read, nothing changes.
    ///
    /// # Errors
    /// When a provider cannot be used as configured, or nobody can say what was spent of a new budget.
    pub async fn reload(&self, loaded: Loaded) -> Result<(), CompileError> {
        let now = self.clock.now();
        let compiled = Snapshot::compile(loaded, &self.tools(now), Some(&self.snapshot()));
        let snapshot = compiled.inspect_err(|error| self.note_reload(Some(error.to_string())))?;
        snapshot.warn_of_stale_prices(now);
        if let Err(error) = self.restore_budgets_of(&snapshot).await {
            let cause = seaworthy_core::error::chain(&error);
            let (policy, known) = (&snapshot.limits.policy, &self.snapshot().limits.policy);
            if let Some(new) = policy.budget_beside(known, now) {
                let error = CompileError::Policy(format!(
                    "what was spent of the new budget `{new}` cannot be read from the ledger, and it would begin \
                     with nothing spent: reload again when the ledger answers ({cause})"
                ));
                self.note_reload(Some(error.to_string()));
                return Err(error);
            }
            tracing::warn!(
                cause,
                "budgets stay as they are: what was spent cannot be read"
            );
        }
        let before = self.snapshot.swap(Arc::new(snapshot));
        self.retired.add(&before);
        self.note_reload(None);
        Ok(())
    }
}

/// Counts what calls that began under an earlier configuration spend of budgets that only the one in
/// force has: from the ledger, shortly after the change and once the last of them has ended. Shared
/// counters take from it only accounts that nobody has used, so there is nothing to do for them.
pub(crate) async fn count_late(gateway: &Gateway) {
    if gateway.counters.local().is_none() {
        return;
    }
    let retired = &gateway.retired;
    loop {
        retired.more.notified().await;
        loop {
            let is_over = !retired.is_any_in_use();
            tokio::time::sleep(LEDGER_LAG).await;
            if let Err(error) = gateway.restore_budgets().await {
                let cause = seaworthy_core::error::chain(&error);
                tracing::warn!(cause, "budgets may lack what calls before the reload spent");
            }
            if is_over {
                break;
            }
            while retired.is_any_in_use() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}
