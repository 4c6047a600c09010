//! The executable meaning of the storage traits: simple, correct, gone when the process ends.

mod ledger;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Error, Journal, JournalEntry, KeyStore, Lifecycle, Result, Stores, Switch, Switches};
use crate::clock::UnixMillis;
use crate::idempotency::memory::MemoryIdempotency;
use crate::key::{KeyDigest, KeyRecord, KeyState, Successions, TokenSecret};
use crate::ledger::{Ending, Intent};
use crate::objects::memory::MemoryObjects;

pub use ledger::MemoryLedger;

/// A fresh in-memory store.
#[must_use]
pub fn open() -> Stores {
    let idempotency = Arc::new(MemoryIdempotency::default());
    Stores {
        backend: "memory",
        is_shared: false,
        keys: Arc::new(MemoryKeys::default()),
        ledger: Arc::new(MemoryLedger::default()),
        objects: Arc::new(MemoryObjects::new(Arc::clone(&idempotency))),
        idempotency,
        shared_journal: None,
        shares: None,
        switches: Arc::new(MemorySwitches::default()),
        lifecycle: Arc::new(NothingToClose),
    }
}

#[derive(Debug)]
struct NothingToClose;

#[async_trait]
impl Lifecycle for NothingToClose {
    async fn close(&self) {}
}

/// Switches in memory.
#[derive(Debug, Default)]
pub struct MemorySwitches(Mutex<BTreeMap<String, Switch>>);

#[async_trait]
impl Switches for MemorySwitches {
    async fn set(&self, switch: Switch) -> Result<()> {
        self.0.lock().insert(switch.name.clone(), switch);
        Ok(())
    }

    async fn release(&self, name: &str) -> Result<()> {
        self.0.lock().remove(name);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Switch>> {
        Ok(self.0.lock().values().cloned().collect())
    }
}

/// Keys in memory.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    records: Vec<KeyRecord>,
    generation: u64,
    token_secret: Option<TokenSecret>,
    first_seen: HashMap<(String, KeyDigest), UnixMillis>,
}

impl Keys {
    fn add(&mut self, record: KeyRecord) -> Result<()> {
        let taken = |known: &KeyRecord| known.id == record.id || known.digest == record.digest;
        if self.records.iter().any(taken) {
            return Err(Error::AlreadyExists {
                what: "key",
                id: record.id,
            });
        }
        self.records.push(record);
        self.generation += 1;
        Ok(())
    }

    fn by_id(&mut self, id: &str) -> Result<&mut KeyRecord> {
        self.records
            .iter_mut()
            .find(|record| record.id == id)
            .ok_or_else(|| Error::NotFound {
                what: "key",
                id: id.to_owned(),
            })
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn insert(&self, record: KeyRecord) -> Result<()> {
        self.0.lock().add(record)
    }

    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        Ok(self
            .0
            .lock()
            .records
            .iter()
            .find(|record| record.digest.matches(digest))
            .cloned())
    }

    async fn get(&self, id: &str) -> Result<Option<KeyRecord>> {
        let keys = self.0.lock();
        Ok(keys.records.iter().find(|record| record.id == id).cloned())
    }

    async fn list(&self) -> Result<Vec<KeyRecord>> {
        let mut records = self.0.lock().records.clone();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(records)
    }

    async fn revoke(&self, id: &str, at: UnixMillis) -> Result<KeyRecord> {
        let mut keys = self.0.lock();
        let record = keys.by_id(id)?;
        record.revoked_at.get_or_insert(at);
        let record = record.clone();
        keys.generation += 1;
        Ok(record)
    }

    async fn rotate(
        &self,
        id: &str,
        replacement: KeyRecord,
        old_expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<()> {
        let mut keys = self.0.lock();
        let state = keys.by_id(id)?.state(now);
        if state != KeyState::Live {
            return Err(not_live(id, state));
        }
        keys.add(replacement)?;
        let old = keys.by_id(id)?;
        old.expires_at = Some(
            old.expires_at
                .map_or(old_expires_at, |at| at.min(old_expires_at)),
        );
        Ok(())
    }

    async fn predecessors(&self, id: &str) -> Result<Vec<String>> {
        let successions = self.successions().await?;
        Ok(successions.before(id).map(|key| key.to_string()).collect())
    }

    async fn successions(&self) -> Result<Successions> {
        let keys = self.0.lock();
        let of = |record: &KeyRecord| Some((record.id.clone(), record.rotated_from.clone()?));
        Ok(keys.records.iter().filter_map(of).collect())
    }

    async fn generation(&self) -> Result<u64> {
        Ok(self.0.lock().generation)
    }

    async fn token_secret(&self, proposal: TokenSecret) -> Result<TokenSecret> {
        Ok(*self.0.lock().token_secret.get_or_insert(proposal))
    }

    async fn first_seen(
        &self,
        name: &str,
        value: &KeyDigest,
        now: UnixMillis,
    ) -> Result<UnixMillis> {
        let mut keys = self.0.lock();
        let seen = (name.to_owned(), *value);
        Ok(*keys.first_seen.entry(seen).or_insert(now))
    }
}

/// The refusal to rotate a key that does not work any more.
#[must_use]
pub fn not_live(id: &str, state: KeyState) -> Error {
    let state = state.as_str();
    Error::Conflict(format!(
        "key {id:?} is {state}: create a new key instead of rotating it"
    ))
}

/// A journal that keeps nothing, for a store that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn record(&self, _lane: usize, _intent: &Intent) -> std::io::Result<Box<dyn JournalEntry>> {
        Ok(Box::new(NoJournal))
    }
}

impl JournalEntry for NoJournal {
    fn end(&self, _ending: &Ending) -> std::io::Result<()> {
        Ok(())
    }

    fn void(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn forget(self: Box<Self>) {}
}
