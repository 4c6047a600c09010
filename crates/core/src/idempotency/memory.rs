//! Markers in the memory of the process.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{IdempotencyStore, KeptAnswer, Known, Marker};
use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

/// Markers and answers in memory.
#[derive(Debug, Default)]
pub struct MemoryIdempotency(Mutex<HashMap<Fingerprint, Row>>);

#[derive(Debug)]
struct Row {
    marker: Marker,
    answer: Option<KeptAnswer>,
}

#[async_trait]
impl IdempotencyStore for MemoryIdempotency {
    async fn begin(&self, marker: Marker, now: UnixMillis) -> Result<Known> {
        let mut rows = self.0.lock();
        if let Some(row) = rows.get(&marker.key)
            && row.marker.expires_at > now
        {
            let request = row.marker.request;
            return Ok(match &row.answer {
                Some(answer) => Known::Done {
                    request,
                    answer: answer.clone(),
                },
                None => Known::Running {
                    request,
                    lease_until: row.marker.lease_until,
                },
            });
        }
        let key = marker.key;
        let answer = None;
        rows.insert(key, Row { marker, answer });
        Ok(Known::New)
    }

    async fn finish(&self, key: &Fingerprint, owner: &str, answer: KeptAnswer) -> Result<bool> {
        let mut rows = self.0.lock();
        let row = rows.get_mut(key).filter(|row| row.is_held_by(owner));
        Ok(row.map(|row| row.answer = Some(answer)).is_some())
    }

    async fn release(&self, key: &Fingerprint, owner: &str) -> Result<()> {
        let mut rows = self.0.lock();
        if rows.get(key).is_some_and(|row| row.is_held_by(owner)) {
            rows.remove(key);
        }
        Ok(())
    }

    async fn renew(&self, held: Vec<(Fingerprint, String)>, lease_until: UnixMillis) -> Result<()> {
        let mut rows = self.0.lock();
        for (key, owner) in held {
            if let Some(row) = rows.get_mut(&key).filter(|row| row.is_held_by(&owner)) {
                row.marker.lease_until = lease_until;
            }
        }
        Ok(())
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let mut rows = self.0.lock();
        let expired = rows.iter().filter(|(_, row)| row.marker.expires_at <= now);
        let expired: Vec<Fingerprint> = expired.map(|(key, _)| *key).take(most).collect();
        for key in &expired {
            rows.remove(key);
        }
        Ok(expired.len())
    }
}

impl Row {
    fn is_held_by(&self, owner: &str) -> bool {
        self.answer.is_none() && self.marker.owner == owner
    }
}
