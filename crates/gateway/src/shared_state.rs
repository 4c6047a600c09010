//! What goes on beside requests where replicas share state: restoring what a server has lost, and
//! settling what dead replicas have left.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::counters::{Close, Counters};
use seaworthy_core::ledger::attempts;
use seaworthy_core::store::{self, Fate};

use crate::gateway::Gateway;

/// How often counters are asked whether they have lost what they knew.
const RESTORE_POLL: Duration = Duration::from_millis(100);
/// How often claims are looked for whose replica is gone.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// Most of them in one go.
const MAX_REAPED: usize = 200;

/// Keeps shared counters up to date until the future is dropped. Without shared counters there is
/// nothing to do.
pub(crate) async fn keep(gateway: &Gateway) {
    let counters = async {
        if gateway.counters.local().is_none() {
            tokio::join!(gateway.counters.tend(), restore(gateway), reap(gateway));
        }
    };
    let intents = async {
        if let Some(journal) = &gateway.stores.shared_journal {
            gateway.intents.run(journal, &gateway.stores.ledger).await;
        }
    };
    tokio::join!(counters, intents);
    // Nobody shares anything.
    std::future::pending().await
}

async fn restore(gateway: &Gateway) {
    loop {
        tokio::time::sleep(RESTORE_POLL).await;
        if gateway.counters.needs_restore()
            && let Err(error) = gateway.restore_budgets().await
        {
            let cause = seaworthy_core::error::chain(&error);
            tracing::error!(
                cause,
                "the shared state could not be restored from the ledger"
            );
            tokio::time::sleep(REAP_INTERVAL).await;
        }
    }
}

async fn reap(gateway: &Gateway) {
    loop {
        tokio::time::sleep(REAP_INTERVAL).await;
        match reap_once(gateway).await {
            Ok(0) => {}
            Ok(calls) => tracing::warn!(calls, "settled the claims of calls without a replica"),
            Err(error) => {
                let cause = seaworthy_core::error::chain(&error);
                tracing::warn!(
                    cause,
                    "claims of calls without a replica could not be settled"
                );
            }
        }
    }
}

/// Settles claims that nobody renews any more, as the ledger knows their calls.
async fn reap_once(gateway: &Gateway) -> store::Result<usize> {
    let counters: &dyn Counters = &*gateway.counters;
    let now = gateway.clock.now();
    let ids = counters.overdue(now, MAX_REAPED).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let calls: Vec<_> = ids.iter().flat_map(attempts::call_ids).collect();
    let fates = gateway.stores.ledger.fates(Arc::new(calls)).await?;
    let fates = fates.chunks(attempts::CALLS).map(attempts::fate);
    // A ledger that others do not write to knows nothing of their calls.
    let is_alone = counters.status().is_none_or(|status| status.replicas <= 1);
    let knows_all = gateway.stores.is_shared || is_alone;
    let mut settled = 0;
    for (id, fate) in ids.iter().zip(fates) {
        let close = match fate {
            Fate::Settled(amount) => Close::Used {
                amount,
                rate_tokens: amount.tokens,
            },
            // Its replica, or whoever buries it, settles it in the ledger first.
            Fate::Open => continue,
            Fate::Unknown if knows_all => Close::Unused,
            Fate::Unknown => Close::Reserved,
        };
        counters.settle(id, now, close).await?;
        settled += 1;
    }
    Ok(settled)
}
