//! Circuit breakers that replicas share: what one has found failing, the others leave alone as well.
//!
//! Openings are exchanged in the background, at once when one is found and a few times a second
//! otherwise. No request waits for it: while the shared state is lost, every replica finds out by
//! itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_core::resilience::openings::{Opening, Openings};
use tokio::sync::Notify;

use crate::gateway::Gateway;

/// How often the others are listened to.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often it is tried while the shared state is lost.
const LOST_INTERVAL: Duration = Duration::from_secs(1);

/// What was found here and not told yet, and whether others hear of it.
#[derive(Debug, Default)]
pub(crate) struct News {
    found: Mutex<HashMap<Arc<str>, u64>>,
    wake: Notify,
    sharing: AtomicU8,
}

/// Whether replicas hear of each other's breakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// There is nobody else, as far as the configuration knows.
    Alone,
    /// They do.
    Shared,
    /// They should, but the shared state does not answer: each has its own.
    Lost,
}

impl Sharing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Shared => "shared",
            Self::Lost => "lost",
        }
    }
}

impl News {
    /// A breaker has opened here.
    pub(crate) fn found(&self, target: &Arc<str>, left_ms: u64) {
        self.found.lock().insert(Arc::clone(target), left_ms);
        self.wake.notify_one();
    }

    pub(crate) fn sharing(&self) -> Sharing {
        match self.sharing.load(Ordering::Relaxed) {
            0 => Sharing::Alone,
            1 => Sharing::Shared,
            _ => Sharing::Lost,
        }
    }

    fn set(&self, sharing: Sharing) {
        self.sharing.store(sharing as u8, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Opening> {
        let found = std::mem::take(&mut *self.found.lock());
        let opening = |(target, left_ms): (Arc<str>, u64)| Opening {
            target: target.as_ref().to_owned(),
            left_ms,
        };
        found.into_iter().map(opening).collect()
    }
}

/// Counts what is found, and shares it with other replicas, for as long as it is polled.
pub(crate) async fn share(gateway: &Gateway) {
    let news = &gateway.gates.news;
    loop {
        let Some(openings) = gateway.openings.as_deref() else {
            news.wake.notified().await;
            count(gateway, &news.take());
            continue;
        };
        match exchange(gateway, openings).await {
            Ok(()) => {
                if news.sharing() == Sharing::Lost {
                    tracing::info!("circuit breakers are shared again");
                }
                news.set(Sharing::Shared);
                let _either = tokio::time::timeout(INTERVAL, news.wake.notified()).await;
            }
            Err(error) => {
                if news.sharing() != Sharing::Lost {
                    let cause = seaworthy_core::error::chain(&error);
                    tracing::warn!(
                        cause,
                        "the shared state does not answer: circuit breakers are local to each \
                         replica until it does"
                    );
                }
                news.set(Sharing::Lost);
                tokio::time::sleep(LOST_INTERVAL).await;
            }
        }
    }
}

fn count(gateway: &Gateway, found: &[Opening]) {
    for opening in found {
        gateway.metrics.count_opening(&opening.target, "here");
    }
}

async fn exchange(gateway: &Gateway, openings: &dyn Openings) -> seaworthy_core::store::Result<()> {
    // What cannot be told now is old news when it could be.
    let found = gateway.gates.news.take();
    count(gateway, &found);
    let open = openings.exchange(&found).await?;
    let settings = Arc::clone(&gateway.snapshot().resilience);
    for opening in open {
        let Some(gate) = gateway.gates.known(&opening.target) else {
            continue;
        };
        if gate.hear(&settings, opening.left_ms) {
            gateway.metrics.count_opening(&opening.target, "elsewhere");
            tracing::warn!(
                target_name = opening.target,
                "a circuit breaker has opened, because another replica found the target failing"
            );
        }
    }
    Ok(())
}
