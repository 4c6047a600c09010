//! The in-memory store with a switch that takes it away, and a ledger and a journal that show what
//! they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord, Successions, TokenSecret};
use seaworthy_core::ledger::{Ending, Intent, Settlement, UsageTotal};
use seaworthy_core::store::memory::MemoryLedger;
use seaworthy_core::store::{
    Error, Fate, Journal, JournalEntry, KeyStore, Ledger, Result, UsageQuery,
};
use tokio::sync::Notify;

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
    /// Of what was before a key.
    pub(crate) past_outage: Outage,
    pub(crate) lookups: Arc<AtomicUsize>,
    /// Lookups wait here after they have read, if there is something to wait for.
    pub(crate) held_up: Arc<Mutex<Option<Arc<Notify>>>>,
}

#[async_trait]
impl KeyStore for Keys {
    async fn insert(&self, record: KeyRecord) -> Result<()> {
        self.inner.insert(record).await
    }

    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.outage.check()?;
        let found = self.inner.find(digest).await;
        let held_up = self.held_up.lock().clone();
        if let Some(go_on) = held_up {
            go_on.notified().await;
        }
        found
    }

    async fn get(&self, id: &str) -> Result<Option<KeyRecord>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.outage.check()?;
        self.inner.get(id).await
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

    async fn predecessors(&self, id: &str) -> Result<Vec<String>> {
        self.past_outage.check()?;
        self.inner.predecessors(id).await
    }

    async fn successions(&self) -> Result<Successions> {
        self.outage.check()?;
        self.inner.successions().await
    }

    async fn generation(&self) -> Result<u64> {
        self.outage.check()?;
        self.inner.generation().await
    }

    async fn token_secret(&self, proposal: TokenSecret) -> Result<TokenSecret> {
        self.outage.check()?;
        self.inner.token_secret(proposal).await
    }

    async fn first_seen(
        &self,
        name: &str,
        value: &KeyDigest,
        now: UnixMillis,
    ) -> Result<UnixMillis> {
        self.outage.check()?;
        self.inner.first_seen(name, value, now).await
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

    async fn fates(&self, call_ids: Arc<Vec<Arc<str>>>) -> Result<Vec<Fate>> {
        Ok(call_ids.iter().map(|_| Fate::Unknown).collect())
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>> {
        self.outage.check()?;
        let ledger = MemoryLedger::default();
        let settled = self.settlements.lock().clone();
        ledger.settle(Arc::new(settled)).await?;
        ledger.usage(query).await
    }
}

/// A journal that knows which calls it was not told to forget.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logbook {
    pub(crate) outage: Outage,
    /// The intents, in order.
    pub(crate) intents: Arc<Mutex<Vec<Intent>>>,
    /// Calls that were recorded.
    pub(crate) recorded: Arc<AtomicUsize>,
    /// Calls that were recorded and not forgotten.
    pub(crate) open: Arc<AtomicUsize>,
    /// The endings, in order.
    pub(crate) endings: Arc<Mutex<Vec<Ending>>>,
}

impl Journal for Logbook {
    fn record(&self, _lane: usize, intent: &Intent) -> std::io::Result<Box<dyn JournalEntry>> {
        self.outage.check().map_err(std::io::Error::other)?;
        self.intents.lock().push(intent.clone());
        self.recorded.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(self.clone()))
    }
}

impl JournalEntry for Logbook {
    fn end(&self, ending: &Ending) -> std::io::Result<()> {
        self.endings.lock().push(*ending);
        Ok(())
    }

    fn void(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn forget(self: Box<Self>) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}
