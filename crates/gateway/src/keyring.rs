//! The keys that the gateway has seen, so that the store is not asked on every request, and the
//! short-lived tokens that were made for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;
use seaworthy_core::clock::{SharedClock, UnixMillis};
use seaworthy_core::key::{self, KeyDigest, KeyRecord, KeyState, TokenSecret};
use seaworthy_core::principal::{Credential, Identity, Principal};
use seaworthy_core::store::{self, KeyStore};

use crate::identity::token::{Claims, Signer};
use crate::identity::{Flaw, Verdict};

/// Most keys that are remembered, known and unknown ones each, and most tokens.
const CAPACITY: usize = 4_096;

/// A remembered key.
#[derive(Debug)]
struct Known {
    record: KeyRecord,
    principal: Principal,
}

/// A remembered token.
#[derive(Debug)]
struct KnownToken {
    key: Arc<Known>,
    principal: Principal,
    expires_at: i64,
}

/// Authenticates keys and tokens. What was looked up is remembered until any key changes.
#[derive(Debug)]
pub struct KeyRing {
    store: Arc<dyn KeyStore>,
    clock: SharedClock,
    known: Cache<KeyDigest, Arc<Known>>,
    /// Well-formed keys that do not exist: a flood of them must not reach the store.
    unknown: Cache<KeyDigest, ()>,
    tokens: Cache<KeyDigest, Arc<KnownToken>>,
    /// Keys by their ID, for callers who sign; `None`: there is none of this ID.
    by_id: Cache<String, Option<Arc<Known>>>,
    signer: OnceLock<Signer>,
    generation: AtomicU64,
}

/// The caller that holds a key.
fn principal_of(record: &KeyRecord, earlier_keys: Vec<String>) -> Principal {
    Principal::new(Identity {
        credential: Credential::Key,
        key_id: record.id.as_str().into(),
        earlier_keys: earlier_keys.into_iter().map(Arc::from).collect(),
        user_id: record.user_id.as_str().into(),
        team_id: record.team_id.as_deref().map(Into::into),
        roles: vec![record.role.clone()],
        scopes: record.scopes.clone(),
        session: None,
        environment: record.environment.as_deref().map(Into::into),
    })
}

/// The caller that holds a token: whoever holds its key, or less.
fn holder_of(key: &Principal, claims: Claims) -> Principal {
    Principal::new(Identity {
        credential: Credential::Token,
        session: claims.session.map(Into::into),
        scopes: claims.scopes.unwrap_or_else(|| key.scopes.clone()),
        ..(**key).clone()
    })
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
            tokens: Cache::new(CAPACITY),
            by_id: Cache::new(CAPACITY),
            signer: OnceLock::new(),
            generation: AtomicU64::new(0),
        }
    }

    pub(crate) async fn authenticate(&self, presented: &str) -> Verdict {
        if !key::is_well_formed(presented) {
            return Verdict::Refused(Flaw::Malformed);
        }
        let digest = KeyDigest::of(presented);
        if let Some(known) = self.known.get(&digest) {
            return self.judge(&known, &known.principal);
        }
        if self.unknown.get(&digest).is_some() {
            return Verdict::Refused(Flaw::Unknown);
        }
        let generation = self.generation.load(Ordering::Acquire);
        match self.store.find(&digest).await {
            Err(error) => cannot_say(&error),
            Ok(None) => {
                self.unknown.insert(digest, ());
                if !self.is_current(generation) {
                    self.unknown.remove(&digest);
                }
                Verdict::Refused(Flaw::Unknown)
            }
            Ok(Some(record)) => {
                let known = match self.know(record).await {
                    Ok(known) => known,
                    Err(error) => return cannot_say(&error),
                };
                self.known.insert(digest, Arc::clone(&known));
                if !self.is_current(generation) {
                    self.known.remove(&digest);
                }
                self.judge(&known, &known.principal)
            }
        }
    }

    /// Judges a short-lived token. It is as good as its key, until its own time is over.
    pub(crate) async fn authenticate_token(&self, presented: &str) -> Verdict {
        let now = self.clock.now();
        let digest = KeyDigest::of(presented);
        if let Some(token) = self.tokens.get(&digest) {
            if token.expires_at <= now.0 {
                return Verdict::Refused(Flaw::Expired);
            }
            return self.judge(&token.key, &token.principal);
        }
        let signer = match self.signer().await {
            Ok(signer) => signer,
            Err(error) => return cannot_say(&error),
        };
        let claims = match signer.verify(presented, now) {
            Ok(claims) => claims,
            Err(flaw) => return Verdict::Refused(flaw),
        };
        let generation = self.generation.load(Ordering::Acquire);
        match self.store.get(&claims.key).await {
            Err(error) => cannot_say(&error),
            Ok(None) => Verdict::Refused(Flaw::Revoked),
            Ok(Some(record)) => {
                let key = match self.know(record).await {
                    Ok(key) => key,
                    Err(error) => return cannot_say(&error),
                };
                let expires_at = claims.expires_at;
                let token = Arc::new(KnownToken {
                    principal: holder_of(&key.principal, claims),
                    key,
                    expires_at,
                });
                self.tokens.insert(digest, Arc::clone(&token));
                if !self.is_current(generation) {
                    self.tokens.remove(&digest);
                }
                self.judge(&token.key, &token.principal)
            }
        }
    }

    /// Whether a token is accepted now. For tests of several processes over one store.
    pub async fn accepts(&self, token: &str) -> bool {
        matches!(self.authenticate_token(token).await, Verdict::Live(_))
    }

    /// What signs tokens: the same in every process that shares the store.
    pub(crate) async fn signer(&self) -> store::Result<&Signer> {
        if let Some(signer) = self.signer.get() {
            return Ok(signer);
        }
        let secret = self.store.token_secret(TokenSecret::generate()).await?;
        Ok(self.signer.get_or_init(|| Signer::new(&secret)))
    }

    /// The key of this ID, for a caller who has yet to prove that it is his.
    pub(crate) async fn authenticate_id(&self, id: &str) -> Verdict {
        if !key::is_id(id) {
            return Verdict::Refused(Flaw::Malformed);
        }
        match self.of_id(id).await {
            Err(error) => cannot_say(&error),
            Ok(Some(known)) => self.judge(&known, &known.principal),
            Ok(None) => Verdict::Refused(Flaw::Unknown),
        }
    }

    /// When the key of this ID ends; `None`: when somebody ends it.
    pub(crate) async fn end_of(&self, id: &str) -> store::Result<Option<UnixMillis>> {
        let known = self.of_id(id).await?;
        Ok(known.and_then(|known| known.record.expires_at))
    }

    async fn of_id(&self, id: &str) -> store::Result<Option<Arc<Known>>> {
        if let Some(known) = self.by_id.get(id) {
            return Ok(known);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let known = match self.store.get(id).await? {
            Some(record) => Some(self.know(record).await?),
            None => None,
        };
        self.by_id.insert(id.to_owned(), known.clone());
        if !self.is_current(generation) {
            self.by_id.remove(id);
        }
        Ok(known)
    }

    /// All that there is to know of a key.
    async fn know(&self, record: KeyRecord) -> store::Result<Arc<Known>> {
        let earlier = match &record.rotated_from {
            Some(_) => self.store.predecessors(&record.id).await?,
            None => Vec::new(),
        };
        let principal = principal_of(&record, earlier);
        Ok(Arc::new(Known { record, principal }))
    }

    /// What was read before a change must not be remembered after it. Asked after it was stored:
    /// a refresh in between has either forgotten it or is seen here.
    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    fn judge(&self, known: &Known, principal: &Principal) -> Verdict {
        match known.record.state(self.clock.now()) {
            KeyState::Live => Verdict::Live(principal.clone()),
            KeyState::Expired => Verdict::Refused(Flaw::Expired),
            KeyState::Revoked => Verdict::Refused(Flaw::Revoked),
        }
    }

    /// Asks the store whether any key changed, and forgets everything if so. Called several times a
    /// second, so that a key revoked by another process stops working at once. Returns whether
    /// something changed.
    ///
    /// # Errors
    /// When the store cannot be asked. What is remembered stays: keys that were live keep working.
    pub async fn refresh(&self) -> store::Result<bool> {
        let generation = self.store.generation().await?;
        let is_new = self.generation.swap(generation, Ordering::AcqRel) != generation;
        if is_new {
            self.known.clear();
            self.unknown.clear();
            self.tokens.clear();
            self.by_id.clear();
        }
        Ok(is_new)
    }
}

fn cannot_say(error: &store::Error) -> Verdict {
    Verdict::CannotSay(seaworthy_core::error::chain(error).into())
}
