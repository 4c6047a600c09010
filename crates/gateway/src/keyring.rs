//! The keys that the gateway has seen, so that the store is not asked on every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use seaworthy_core::clock::SharedClock;
use seaworthy_core::key::{self, KeyDigest, KeyRecord, KeyState};
use seaworthy_core::principal::{Credential, Identity, Principal};
use seaworthy_core::store::{self, KeyStore};

/// Most keys that are remembered, known and unknown ones each.
const CAPACITY: usize = 4_096;

/// A remembered key.
#[derive(Debug)]
struct Known {
    record: KeyRecord,
    principal: Principal,
}

/// Authenticates keys. What was looked up is remembered until any key changes.
#[derive(Debug)]
pub struct KeyRing {
    store: Arc<dyn KeyStore>,
    clock: SharedClock,
    known: Cache<KeyDigest, Arc<Known>>,
    /// Well-formed keys that do not exist: a flood of them must not reach the store.
    unknown: Cache<KeyDigest, ()>,
    generation: AtomicU64,
}

/// The caller that holds a key.
fn principal_of(record: &KeyRecord) -> Principal {
    Principal::new(Identity {
        credential: Credential::Key,
        key_id: record.id.as_str().into(),
        user_id: record.user_id.as_str().into(),
        team_id: record.team_id.as_deref().map(Into::into),
        roles: vec![record.role.clone()],
        scopes: record.scopes.clone(),
        session: None,
    })
}

/// What the ring says about a presented key.
#[derive(Debug)]
pub(crate) enum Verdict {
    Live(Principal),
    /// Unknown, malformed, expired or revoked.
    Refused,
    /// The store cannot be asked.
    CannotSay(store::Error),
}

impl KeyRing {
    /// A ring over a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyStore>, clock: SharedClock) -> Self {
        Self {
            store,
            clock,
            known: Cache::new(CAPACITY),
            unknown: Cache::new(CAPACITY),
            generation: AtomicU64::new(0),
        }
    }

    pub(crate) async fn authenticate(&self, presented: &str) -> Verdict {
        if !key::is_well_formed(presented) {
            return Verdict::Refused;
        }
        let digest = KeyDigest::of(presented);
        if let Some(known) = self.known.get(&digest) {
            return self.judge(&known);
        }
        if self.unknown.get(&digest).is_some() {
            return Verdict::Refused;
        }
        let generation = self.generation.load(Ordering::Acquire);
        match self.store.find(&digest).await {
            Err(error) => Verdict::CannotSay(error),
            Ok(None) => {
                self.unknown.insert(digest, ());
                if !self.is_current(generation) {
                    self.unknown.remove(&digest);
                }
                Verdict::Refused
            }
            Ok(Some(record)) => {
                let principal = principal_of(&record);
                let known = Arc::new(Known { record, principal });
                self.known.insert(digest, Arc::clone(&known));
                if !self.is_current(generation) {
                    self.known.remove(&digest);
                }
                self.judge(&known)
            }
        }
    }

    /// What was read before a change must not be remembered after it. Asked after it was stored:
    /// a refresh in between has either forgotten it or is seen here.
    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    fn judge(&self, known: &Known) -> Verdict {
        match known.record.state(self.clock.now()) {
            KeyState::Live => Verdict::Live(known.principal.clone()),
            KeyState::Expired | KeyState::Revoked => Verdict::Refused,
        }
    }

    /// Asks the store whether any key changed, and forgets everything if so. Called several times a
    /// second, so that a key revoked by another process stops working at once.
    ///
    /// # Errors
    /// When the store cannot be asked. What is remembered stays: keys that were live keep working.
    pub async fn refresh(&self) -> store::Result<()> {
        let generation = self.store.generation().await?;
        if self.generation.swap(generation, Ordering::AcqRel) != generation {
            self.known.clear();
            self.unknown.clear();
        }
        Ok(())
    }
}
