//! The in-memory store with a switch that takes it away, and a ledger that shows every settlement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord};
use seaworthy_core::ledger::{Settlement, UsageTotal};
use seaworthy_core::store::{Error, KeyStore, Ledger, Result, UsageQuery};

/// Whether a store answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outage(Arc<AtomicBool>);

impl Outage {
    pub(crate) fn set(&self, is_down: bool) {
        self.0.store(is_down, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::Unavailable {
                backend: "memory",
                source: "taken away on purpose".into(),
            });
        }
        Ok(())
    }
}

/// Keys that can be taken away.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) inner: Arc<dyn KeyStore>,
    pub(crate) outage: Outage,
    pub(crate) lookups: Arc<AtomicUsize>,
}

#[async_trait]
impl KeyStore for Keys {
    async fn insert(&self, record: KeyRecord) -> Result<()> {
        self.inner.insert(record).await
    }

    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.outage.check()?;
        self.inner.find(digest).await
    }

    async fn list(&self) -> Result<Vec<KeyRecord>> {
        self.outage.check()?;
        self.inner.list().await
    }

    async fn revoke(&self, id: &str, at: UnixMillis) -> Result<KeyRecord> {
        self.inner.revoke(id, at).await
    }

    async fn rotate(
        &self,
        id: &str,
        replacement: KeyRecord,
        old_expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        self.inner
            .rotate(id, replacement, old_expires_at, now)
            .await
    }

    async fn generation(&self) -> Result<u64> {
        self.outage.check()?;
        self.inner.generation().await
    }
}

/// A ledger that keeps what it is given in order, also what is given twice.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) settlements: Mutex<Vec<Settlement>>,
    pub(crate) outage: Outage,
}

#[async_trait]
impl Ledger for Recorder {
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()> {
        self.outage.check()?;
        self.settlements.lock().extend(batch.iter().cloned());
        Ok(())
    }

    async fn usage(&self, _query: UsageQuery) -> Result<Vec<UsageTotal>> {
        Ok(Vec::new())
    }
}
