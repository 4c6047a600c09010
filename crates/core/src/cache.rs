//! Remembered answers: what is kept, where, and when one may be used.
//!
//! [`memory`] is the meaning of [`AnswerStore`]; every back end has to agree with it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

pub mod control;
pub mod memory;

/// An answer that was complete and successful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was stored.
    pub stored_at: UnixMillis,
    /// From when on it is not used any more.
    pub expires_at: UnixMillis,
    /// The headers that belong to the answer itself, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes that the caller got.
    pub body: Bytes,
}

impl Entry {
    /// What it takes of the space for answers, with some for the book-keeping.
    #[must_use]
    pub fn weight(&self) -> u64 {
        const BOOK_KEEPING: usize = 160;
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len());
        (BOOK_KEEPING + self.body.len() + headers.sum::<usize>()) as u64
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Duration {
        now.since(self.stored_at)
    }

    /// One piece of bytes, for back ends that keep nothing else.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            stored_at: self.stored_at,
            expires_at: self.expires_at,
            headers: self.headers.clone(),
        };
        let mut out = serde_json::to_vec(&head).unwrap_or_default();
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out
    }

    /// What [`Entry::to_bytes`] wrote; `None` if it was something else.
    #[must_use]
    pub fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self {
            stored_at: head.stored_at,
            expires_at: head.expires_at,
            headers: head.headers,
            body: bytes.slice(end + 1..),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    stored_at: UnixMillis,
    expires_at: UnixMillis,
    headers: Vec<(String, String)>,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Answers.
    pub entries: u64,
    /// Their weight in bytes.
    pub bytes: u64,
}

/// Where answers are remembered. Losing one is no fault: it is asked for again.
#[async_trait]
pub trait AnswerStore: Send + Sync + std::fmt::Debug {
    /// The answer under this key that has not expired at `now`.
    async fn find(&self, key: &Fingerprint, now: UnixMillis) -> Result<Option<Entry>>;

    /// Remembers an answer; a later one under the same key takes its place. It may be forgotten at
    /// any time.
    async fn keep(&self, key: Fingerprint, entry: Entry) -> Result<()>;

    /// Forgets everything, and says how many answers that were, as far as is known.
    async fn purge(&self) -> Result<u64>;

    /// What is remembered in this process.
    fn size(&self) -> Size;

    /// These answers without the detour of a future, if they are in this process.
    fn local(&self) -> Option<&memory::MemoryAnswers> {
        None
    }
}
