//! What the domain asks of storage. [`memory`] is the meaning of these traits; every back end has to
//! pass the conformance suite of `seaworthy-store` against it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::budget::Amount;
use crate::clock::UnixMillis;
use crate::counters::shares::ShareRegistry;
use crate::idempotency::IdempotencyStore;
use crate::key::{KeyDigest, KeyRecord, Successions, TokenSecret};
use crate::ledger::{Ending, GroupBy, Intent, Only, Settlement, UsageTotal};
use crate::objects::ObjectStore;

pub mod memory;

/// Why storage could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name exists.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of thing, for example `key`.
        what: &'static str,
        /// What was looked for.
        id: String,
    },
    /// Something of that name exists already.
    #[error("{what} {id:?} exists already")]
    AlreadyExists {
        /// The kind of thing, for example `key`.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The thing exists but its state does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The back end cannot be reached or failed. Nothing is known about the outcome.
    #[error("the {backend} store failed")]
    Unavailable {
        /// The technology.
        backend: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// API keys. A key is never deleted: it expires or is revoked.
#[async_trait]
pub trait KeyStore: Send + Sync + std::fmt::Debug {
    /// Adds a key. Its ID and its digest must be new.
    async fn insert(&self, record: KeyRecord) -> Result<()>;

    /// The key with this digest, whatever its state.
    async fn find(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>>;

    /// The key with this ID, whatever its state.
    async fn get(&self, id: &str) -> Result<Option<KeyRecord>>;

    /// All keys, oldest first.
    async fn list(&self) -> Result<Vec<KeyRecord>>;

    /// Ends a key at `at` and returns it. Revoking it again keeps the first moment.
    async fn revoke(&self, id: &str, at: UnixMillis) -> Result<KeyRecord>;

    /// Adds `replacement` and lets the key `id` expire at `old_expires_at`, in one step. An earlier
    /// expiry of the old key stays. A key that is no longer live at `now` cannot be rotated.
    async fn rotate(
        &self,
        id: &str,
        replacement: KeyRecord,
        old_expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<()>;

    /// The IDs of the keys that this one took the place of by rotation, one after the other, latest
    /// first; none for a key that is not known.
    async fn predecessors(&self, id: &str) -> Result<Vec<String>>;

    /// All keys that took the place of others.
    async fn successions(&self) -> Result<Successions>;

    /// A number that differs after any change to any key, also one made by another process.
    async fn generation(&self) -> Result<u64>;

    /// What short-lived tokens are signed with: the first proposal that was ever made, by whichever
    /// process.
    async fn token_secret(&self, proposal: TokenSecret) -> Result<TokenSecret>;

    /// When a credential of this name was first seen with this value: `now`, if that is new. The
    /// moment never changes.
    async fn first_seen(
        &self,
        name: &str,
        value: &KeyDigest,
        now: UnixMillis,
    ) -> Result<UnixMillis>;
}

/// Which settlements to sum.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// What to group by.
    pub by: GroupBy,
    /// Only what was settled at or after this moment.
    pub since: Option<UnixMillis>,
    /// Only what was settled before this moment.
    pub until: Option<UnixMillis>,
    /// Only what all of these are true of.
    pub only: Vec<Only>,
}

/// What a ledger knows of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it has not left, or the ledger does not know yet.
    Unknown,
    /// It may have left and has not ended.
    Open,
    /// It is settled and came to this.
    Settled(Amount),
}

/// The record of what was used.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Records settlements. A `call_id` that is settled already keeps its first settlement, unless
    /// that one gave the call up as interrupted and this one knows its end.
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()>;

    /// What is known of calls, in the order of their IDs.
    async fn fates(&self, call_ids: Arc<Vec<Arc<str>>>) -> Result<Vec<Fate>>;

    /// Sums, largest number of tokens first, then by group name.
    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>>;
}

/// Something that a person has switched while the gateway runs, for every replica and across
/// restarts: a degradation tier, a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// What is switched, such as `tier` or `feature:search`.
    pub name: String,
    /// To what.
    pub value: String,
    /// Who did it: the ID of a key, or `cli`.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

/// What people have switched. There are few of them: they are read as a whole.
#[async_trait]
pub trait Switches: Send + Sync + std::fmt::Debug {
    /// Switches something; the last one counts.
    async fn set(&self, switch: Switch) -> Result<()>;

    /// Lets go of a switch, so that the configuration decides again. One that is not set stays so.
    async fn release(&self, name: &str) -> Result<()>;

    /// All of them, by name.
    async fn list(&self) -> Result<Vec<Switch>>;
}

/// Calls that have left and are not in the ledger yet, kept where a killed process finds them again.
///
/// Recording is synchronous and quick: it happens in the path of every request, before the call
/// leaves. What it returns has survived the end of the process, though not the loss of power.
pub trait Journal: Send + Sync + std::fmt::Debug {
    /// Records a call that is about to leave. `lane` is the worker thread, so that threads do not
    /// wait for each other.
    ///
    /// # Errors
    /// When nothing could be recorded: the call must not leave then.
    fn record(&self, lane: usize, intent: &Intent) -> std::io::Result<Box<dyn JournalEntry>>;
}

/// One recorded call.
pub trait JournalEntry: Send + Sync + std::fmt::Debug {
    /// Records how the call ended; the last ending counts.
    ///
    /// # Errors
    /// When it could not be recorded. The ledger still gets it, unless the process is killed first.
    fn end(&self, ending: &Ending) -> std::io::Result<()>;

    /// Records that the call never left.
    ///
    /// # Errors
    /// As [`JournalEntry::end`].
    fn void(&self) -> std::io::Result<()>;

    /// Forgets the call: it is in the ledger, or it never left.
    fn forget(self: Box<Self>);
}

/// Intents where every replica finds them, so that the calls of one that never comes back are
/// settled by the others. Beside the [`Journal`], which only its own machine can read.
#[async_trait]
pub trait SharedJournal: Send + Sync + std::fmt::Debug {
    /// Records calls that are about to leave. The ledger ends them by settling them.
    async fn open(&self, intents: Arc<Vec<Intent>>) -> Result<()>;

    /// Forgets calls that never left.
    async fn void(&self, call_ids: Arc<Vec<String>>) -> Result<()>;

    /// Says that this replica lives.
    async fn beat(&self) -> Result<()>;

    /// Some calls of replicas that were not heard of for so long, as they are settled: interrupted.
    async fn abandoned(&self, unheard_for: Duration) -> Result<Vec<Settlement>>;
}

/// The end of a back end.
#[async_trait]
pub trait Lifecycle: Send + Sync + std::fmt::Debug {
    /// Finishes what was accepted so far and lets go of files and connections. What is asked
    /// afterwards may fail with [`Error::Unavailable`]. Closing again does nothing.
    async fn close(&self);
}

/// One opened back end.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The technology, for logs and health: `sqlite`, `memory`.
    pub backend: &'static str,
    /// Whether other replicas use it too: then its loss is no reason to take this one out of service.
    pub is_shared: bool,
    /// API keys.
    pub keys: Arc<dyn KeyStore>,
    /// Usage.
    pub ledger: Arc<dyn Ledger>,
    /// Requests that are carried out once.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// Intents for all replicas, where replicas share the store.
    pub shared_journal: Option<Arc<dyn SharedJournal>>,
    /// Who may spend what shared counters have set aside, where replicas share the store.
    pub shares: Option<Arc<dyn ShareRegistry>>,
    /// What people have switched.
    pub switches: Arc<dyn Switches>,
    /// What is kept for callers: stored responses, files, batches.
    pub objects: Arc<dyn ObjectStore>,
    /// How to end it: the last step of a drain.
    pub lifecycle: Arc<dyn Lifecycle>,
}
