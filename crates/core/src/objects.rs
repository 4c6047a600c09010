//! Things that are kept for callers: stored responses, files, batches.
//!
//! An object has a head, which says what it is and how it stands, and numbered parts, which are its
//! content. A part is written once and whole, so that a part that is there marks work that was done,
//! with its result. [`memory`] is the meaning of [`ObjectStore`]; every back end has to agree with it.

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::idempotency::KeptAnswer;
use crate::store::Result;

pub mod memory;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A model's answer, with the conversation that it answers.
    Response,
    /// Bytes that a caller sent or can fetch.
    File,
    /// Requests that are carried out one after the other.
    Batch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Response, Self::File, Self::Batch];

    /// The name in the store and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::File => "file",
            Self::Batch => "batch",
        }
    }
}

/// Something that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its name, which no other object has.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is not there any more.
    pub expires_at: UnixMillis,
    /// Whether there is work to do on it.
    pub is_open: bool,
    /// Who works on it.
    pub worker: String,
    /// Until when whoever works on it counts as alive.
    pub lease_until: UnixMillis,
    /// Grows with each change.
    pub version: u64,
    /// The size of its parts when it was inserted or changed last.
    pub bytes: u64,
    /// What it is and how it stands, as whoever made it writes it.
    pub head: Bytes,
}

/// A piece of content: its number and the bytes.
pub type Part = (u64, Bytes);

/// How much one owner may have of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most objects.
    pub objects: u64,
    /// The most bytes of content.
    pub bytes: u64,
}

/// The answer of a request with an idempotency key, kept in the same step as what it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The key.
    pub key: Fingerprint,
    /// Who holds its marker.
    pub owner: String,
    /// What is answered from now on.
    pub answer: KeptAnswer,
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is there.
    Done,
    /// It is not: the owner has as much as it may.
    Full,
}

/// Which objects to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The object that the page before ended with.
    pub after: Option<String>,
    /// The most objects.
    pub limit: usize,
    /// Whether the oldest come first.
    pub is_ascending: bool,
}

/// Where objects are kept.
#[async_trait]
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// Adds an object with its parts, unless its owner has as much as `quota` allows. `finished`
    /// ends an idempotency key in the same step; if that cannot be done, nothing is.
    async fn insert(
        &self,
        object: Object,
        parts: Vec<Part>,
        quota: Option<Quota>,
        finished: Option<Finished>,
    ) -> Result<Inserted>;

    /// The object of this name, whoever owns it, unless it has expired.
    async fn get(&self, kind: Kind, id: &str, now: UnixMillis) -> Result<Option<Object>>;

    /// An owner's objects, ordered by the moment they were made and their names.
    async fn list(
        &self,
        kind: Kind,
        owner: &str,
        page: Page,
        now: UnixMillis,
    ) -> Result<Vec<Object>>;

    /// Changes head, expiry, work and lease of an object, and writes parts, new ones or others in
    /// their place. `false`: it is gone, or it has changed since this version was read.
    async fn update(&self, object: Object, parts: Vec<Part>) -> Result<bool>;

    /// Adds a part. `false`: the part is there already, or the object is not.
    async fn add_part(&self, id: &str, part: Part) -> Result<bool>;

    /// Parts from a number on, in their order: at least one if there is one, and no more than fit
    /// into so many bytes.
    async fn parts(&self, id: &str, from: u64, most_bytes: u64) -> Result<Vec<Part>>;

    /// The numbers of all parts.
    async fn part_numbers(&self, id: &str) -> Result<Vec<u64>>;

    /// Deletes an owner's object. `false`: there is none of this name.
    async fn delete(&self, kind: Kind, owner: &str, id: &str) -> Result<bool>;

    /// Takes the oldest object with work to do on which nobody works at `now`.
    async fn claim(
        &self,
        kind: Kind,
        worker: &str,
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Option<Object>>;

    /// Deletes up to `most` objects that have expired, and says how many.
    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize>;

    /// Deletes up to `most` of the oldest objects without work to do of owners that have more than
    /// `keep` of this kind, and says how many.
    async fn trim(&self, kind: Kind, keep: u64, most: usize) -> Result<usize>;
}
