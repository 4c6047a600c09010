//! Remembered answers in Redis, with those of this process in front.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, FromRedisValue};
use seaworthy_core::cache::memory::MemoryAnswers;
use seaworthy_core::cache::{AnswerStore, Entry, Size};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::store::Result;

use super::Link;

/// How long an answer is awaited: a call to the provider should not wait long for its cache.
const DEADLINE: Duration = Duration::from_millis(50);
/// How long nobody waits for.
const PATIENT: Duration = Duration::from_millis(500);
/// How long an answer stays in front before the server is asked again, which bounds how long one is
/// used that another replica has purged.
const FRONT_TTL: Duration = Duration::from_secs(30);
/// How long a server that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// Keys that are looked at and deleted in one step of a purge.
const PURGED_AT_ONCE: u32 = 500;

/// Where an answer in front keeps when it really expires. No header can have this name.
const OWN_EXPIRY: &str = ":expires";

/// Answers on a server that replicas share.
#[derive(Debug)]
pub struct RedisAnswers {
    link: Arc<Link>,
    /// What all keys begin with.
    prefix: String,
    front: MemoryAnswers,
    /// Until when the server is not asked, because it did not answer.
    lost_until: AtomicI64,
}

impl RedisAnswers {
    /// The answers of a deployment, with room for so many bytes in this process.
    #[must_use]
    pub fn new(link: Arc<Link>, deployment: &str, front_bytes: u64) -> Self {
        Self {
            link,
            prefix: format!("sw:{{{deployment}}}:answer:"),
            front: MemoryAnswers::new(front_bytes),
            lost_until: AtomicI64::new(i64::MIN),
        }
    }

    fn name(&self, key: &Fingerprint) -> String {
        format!("{}{}", self.prefix, key.hex())
    }

    /// Asks the server, unless it has just been lost. Only the first of those who wait in vain
    /// says so.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd, now: UnixMillis) -> Result<Option<T>> {
        if self.link.is_lost() || now.0 < self.lost_until.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.link.command(command, DEADLINE).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) => {
                let until = now.plus(PAUSE).0;
                match self.lost_until.swap(until, Ordering::Relaxed) > now.0 {
                    true => Ok(None),
                    false => Err(failure.into()),
                }
            }
        }
    }

    fn keep_in_front(&self, key: Fingerprint, entry: &Entry, now: UnixMillis) {
        // The front forgets by the same field as the server, whose own is kept as a header.
        let mut front = entry.clone();
        front
            .headers
            .push((OWN_EXPIRY.to_owned(), entry.expires_at.0.to_string()));
        front.expires_at = entry.expires_at.min(now.plus(FRONT_TTL));
        self.front.keep_now(key, front);
    }
}

/// The answer as the server has it.
fn from_front(mut entry: Entry) -> Entry {
    let own = entry.headers.pop_if(|(name, _)| name == OWN_EXPIRY);
    if let Some(expires_at) = own.and_then(|(_, at)| at.parse().ok()) {
        entry.expires_at = UnixMillis(expires_at);
    }
    entry
}

#[async_trait]
impl AnswerStore for RedisAnswers {
    async fn find(&self, key: &Fingerprint, now: UnixMillis) -> Result<Option<Entry>> {
        if let Some(entry) = self.front.find_now(key, now) {
            return Ok(Some(from_front(entry)));
        }
        let mut get = redis::cmd("GET");
        get.arg(self.name(key));
        let found: Option<Option<Vec<u8>>> = self.ask(&get, now).await?;
        let found = found.flatten();
        let entry = found.and_then(|bytes| Entry::from_bytes(&Bytes::from(bytes)));
        let entry = entry.filter(|entry| entry.expires_at > now);
        if let Some(entry) = &entry {
            self.keep_in_front(*key, entry, now);
        }
        Ok(entry)
    }

    async fn keep(&self, key: Fingerprint, entry: Entry) -> Result<()> {
        let lifetime = entry.expires_at.since(entry.stored_at).as_millis().max(1);
        let mut set = redis::cmd("SET");
        set.arg(self.name(&key)).arg(entry.to_bytes());
        set.arg("PX")
            .arg(u64::try_from(lifetime).unwrap_or(u64::MAX));
        self.keep_in_front(key, &entry, entry.stored_at);
        let _stored: Option<()> = self.ask(&set, entry.stored_at).await?;
        Ok(())
    }

    async fn purge(&self) -> Result<u64> {
        self.front.purge().await?;
        let (mut cursor, mut purged) = ("0".to_owned(), 0);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor)
                .arg("MATCH")
                .arg(format!("{}*", self.prefix));
            scan.arg("COUNT").arg(PURGED_AT_ONCE);
            let (next, keys): (String, Vec<String>) = self.link.command(&scan, PATIENT).await?;
            if !keys.is_empty() {
                let mut delete = redis::cmd("UNLINK");
                delete.arg(&keys);
                purged += self.link.command::<u64>(&delete, PATIENT).await?;
            }
            if next == "0" {
                return Ok(purged);
            }
            cursor = next;
        }
    }

    fn size(&self) -> Size {
        self.front.size()
    }
}
