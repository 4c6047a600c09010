//! Answers in the memory of the process, bounded by bytes.

use async_trait::async_trait;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::{AnswerStore, Entry, Size};
use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

/// What an answer usually weighs, to size the table.
const USUAL_WEIGHT: u64 = 4 * 1024;

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Fingerprint, Entry> for ByBytes {
    fn weight(&self, _key: &Fingerprint, entry: &Entry) -> u64 {
        entry.weight()
    }
}

/// Answers in memory. When it is full, those go that are used least.
#[derive(Debug)]
pub struct MemoryAnswers(Cache<Fingerprint, Entry, ByBytes>);

impl MemoryAnswers {
    /// Room for answers of this many bytes together.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let usual = usize::try_from(max_bytes / USUAL_WEIGHT).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(
            usual.clamp(16, 1 << 20),
            max_bytes,
            ByBytes,
        ))
    }

    /// As [`AnswerStore::find`], at once.
    #[must_use]
    pub fn find_now(&self, key: &Fingerprint, now: UnixMillis) -> Option<Entry> {
        let entry = self.0.get(key)?;
        if entry.expires_at > now {
            return Some(entry);
        }
        self.0.remove(key);
        None
    }

    /// As [`AnswerStore::keep`], at once.
    pub fn keep_now(&self, key: Fingerprint, entry: Entry) {
        self.0.insert(key, entry);
    }
}

#[async_trait]
impl AnswerStore for MemoryAnswers {
    async fn find(&self, key: &Fingerprint, now: UnixMillis) -> Result<Option<Entry>> {
        Ok(self.find_now(key, now))
    }

    async fn keep(&self, key: Fingerprint, entry: Entry) -> Result<()> {
        self.keep_now(key, entry);
        Ok(())
    }

    async fn purge(&self) -> Result<u64> {
        let entries = self.0.len() as u64;
        self.0.clear();
        Ok(entries)
    }

    fn size(&self) -> Size {
        Size {
            entries: self.0.len() as u64,
            bytes: self.0.weight(),
        }
    }

    fn local(&self) -> Option<&MemoryAnswers> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn key(number: u64) -> Fingerprint {
        Fingerprint::of(&number.to_le_bytes())
    }

    fn entry(bytes: usize) -> Entry {
        Entry {
            stored_at: UnixMillis(0),
            expires_at: UnixMillis(1_000),
            headers: Vec::new(),
            body: Bytes::from(vec![b'x'; bytes]),
        }
    }

    #[test]
    fn what_is_remembered_stays_within_its_bytes() {
        let answers = MemoryAnswers::new(100_000);
        for number in 0..10_000 {
            answers.keep_now(key(number), entry(1_000));
            assert!(answers.size().bytes <= 100_000, "{:?}", answers.size());
        }
        assert!(answers.size().entries > 50);
    }

    #[test]
    fn an_answer_is_used_until_it_expires() {
        let answers = MemoryAnswers::new(100_000);
        answers.keep_now(key(1), entry(10));
        assert!(answers.find_now(&key(1), UnixMillis(999)).is_some());
        assert!(answers.find_now(&key(1), UnixMillis(1_000)).is_none());
        assert_eq!(answers.size().entries, 0);
    }
}
