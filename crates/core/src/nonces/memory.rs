//! Nonces in the memory of the process.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Nonces, Seen, Use};
use crate::clock::UnixMillis;
use crate::fingerprint::Fingerprint;
use crate::store::Result;

/// The most nonces of all callers together: about 150 MB.
const MOST: usize = 1_000_000;

/// Nonces that this process remembers.
#[derive(Debug, Default)]
pub struct MemoryNonces(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    nonces: HashSet<(Fingerprint, Fingerprint)>,
    /// When each can be forgotten, in the order in which they came.
    ends: VecDeque<(UnixMillis, Fingerprint, Fingerprint)>,
    /// How many each caller has.
    counts: HashMap<Fingerprint, usize>,
}

impl Known {
    fn forget(&mut self, now: UnixMillis) {
        while let Some((_, caller, nonce)) = self.ends.pop_front_if(|(end, ..)| *end <= now) {
            self.nonces.remove(&(caller, nonce));
            let left = self.counts.get(&caller).map_or(0, |count| count - 1);
            match left {
                0 => self.counts.remove(&caller),
                left => self.counts.insert(caller, left),
            };
        }
    }

    fn use_up(&mut self, used: &Use, now: UnixMillis) -> Seen {
        self.forget(now);
        let name = (used.caller, used.nonce);
        if self.nonces.contains(&name) {
            return Seen::Before;
        }
        let count = self.counts.get(&used.caller).copied().unwrap_or(0);
        if count >= used.most || self.nonces.len() >= MOST {
            return Seen::NoRoom;
        }
        self.nonces.insert(name);
        self.counts.insert(used.caller, count + 1);
        self.ends
            .push_back((now.plus(used.keep), used.caller, used.nonce));
        Seen::Never
    }
}

#[async_trait]
impl Nonces for MemoryNonces {
    async fn use_up(&self, used: &Use, now: UnixMillis) -> Result<Seen> {
        Ok(self.0.lock().use_up(used, now))
    }
}
