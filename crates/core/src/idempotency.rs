//! Requests that are to be carried out once, however often they are sent.
//!
//! A marker is written before the request is carried out and turns into its answer in one step, so
//! that there is never a marker of a request that succeeded without its answer, nor the reverse.
//! [`memory`] is the meaning of [`IdempotencyStore`]; every back end has to agree with it.

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

pub mod memory;

/// A request that is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Whose key it is and the key itself.
    pub key: Fingerprint,
    /// What is asked for.
    pub request: Fingerprint,
    /// Who carries it out: one process, one request.
    pub owner: String,
    /// Until when the owner counts as alive unless it says so again.
    pub lease_until: UnixMillis,
    /// When the key may be forgotten.
    pub expires_at: UnixMillis,
}

/// An answer as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the answer itself, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What is known under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing was: the marker is written now and the request is the caller's to carry out.
    New,
    /// Somebody carries out this request.
    Running {
        /// What was asked for.
        request: Fingerprint,
        /// Until when whoever does counts as alive.
        lease_until: UnixMillis,
    },
    /// It was carried out.
    Done {
        /// What was asked for.
        request: Fingerprint,
        /// The answer.
        answer: KeptAnswer,
    },
}

/// Where markers and answers are kept.
#[async_trait]
pub trait IdempotencyStore: Send + Sync + std::fmt::Debug {
    /// Writes the marker if nothing is known under its key at `now`, and says what was. What has
    /// expired is not known any more.
    async fn begin(&self, marker: Marker, now: UnixMillis) -> Result<Known>;

    /// Turns the owner's marker into the answer. `false`: the owner has no marker under the key.
    async fn finish(&self, key: &Fingerprint, owner: &str, answer: KeptAnswer) -> Result<bool>;

    /// Takes the owner's marker away: the request was not carried out.
    async fn release(&self, key: &Fingerprint, owner: &str) -> Result<()>;

    /// Moves the leases of markers that the owners still hold.
    async fn renew(&self, held: Vec<(Fingerprint, String)>, lease_until: UnixMillis) -> Result<()>;

    /// Deletes up to `most` keys that have expired, and says how many.
    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize>;
}
