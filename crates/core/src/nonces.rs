//! Nonces: marks that a request bears once, so that who repeats it is noticed.
//!
//! [`memory`] is the meaning of [`Nonces`]; every back end has to agree with it.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

pub mod memory;

/// A nonce that a caller uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Whose it is: the same nonce of two callers is two nonces.
    pub caller: Fingerprint,
    /// The nonce.
    pub nonce: Fingerprint,
    /// How long it is remembered.
    pub keep: Duration,
    /// How many of the caller are remembered at the same time.
    pub most: usize,
}

/// What is known of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was not used before, and is remembered from now on.
    Never,
    /// It was used before.
    Before,
    /// There is no room to remember it.
    NoRoom,
}

/// Where nonces are remembered.
#[async_trait]
pub trait Nonces: Send + Sync + std::fmt::Debug {
    /// Remembers a nonce, and says whether it was known. Of any number of uses at the same time,
    /// one is the first.
    async fn use_up(&self, used: &Use, now: UnixMillis) -> Result<Seen>;
}
