//! Objects in the memory of the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Finished, Inserted, Kind, Object, ObjectStore, Page, Part, Quota};
use crate::clock::UnixMillis;
use crate::idempotency::IdempotencyStore as _;
use crate::idempotency::memory::MemoryIdempotency;
use crate::store::{Error, Result};

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryObjects {
    objects: Mutex<BTreeMap<String, Kept>>,
    idempotency: Arc<MemoryIdempotency>,
}

#[derive(Debug)]
struct Kept {
    object: Object,
    parts: BTreeMap<u64, Bytes>,
}

impl Kept {
    fn write(&mut self, parts: Vec<Part>) {
        self.parts.extend(parts);
        self.object.bytes = self.parts.values().map(|part| part.len() as u64).sum();
    }
}

impl MemoryObjects {
    /// An empty store whose insertions end keys of `idempotency`.
    #[must_use]
    pub fn new(idempotency: Arc<MemoryIdempotency>) -> Self {
        Self {
            objects: Mutex::default(),
            idempotency,
        }
    }

    fn add(&self, object: Object, parts: Vec<Part>, quota: Option<Quota>) -> Result<Inserted> {
        let mut objects = self.objects.lock();
        if objects.contains_key(&object.id) {
            return Err(already_exists(object.id));
        }
        let size: u64 = parts.iter().map(|(_, part)| part.len() as u64).sum();
        let of_owner = objects
            .values()
            .filter(|kept| kept.object.kind == object.kind && kept.object.owner == object.owner);
        let (count, bytes) = of_owner.fold((0, 0), |(count, bytes), kept| {
            (count + 1, bytes + kept.object.bytes)
        });
        if quota.is_some_and(|quota| count >= quota.objects || bytes + size > quota.bytes) {
            return Ok(Inserted::Full);
        }
        let id = object.id.clone();
        let mut kept = Kept {
            object,
            parts: BTreeMap::new(),
        };
        kept.write(parts);
        objects.insert(id, kept);
        Ok(Inserted::Done)
    }
}

/// The refusal to insert under a name that is taken.
#[must_use]
pub fn already_exists(id: String) -> Error {
    Error::AlreadyExists { what: "object", id }
}

/// The refusal to insert what belongs to an idempotency key that somebody else holds.
#[must_use]
pub fn key_lost() -> Error {
    Error::Conflict("the idempotency key was lost before its answer was kept".to_owned())
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    async fn insert(
        &self,
        object: Object,
        parts: Vec<Part>,
        quota: Option<Quota>,
        finished: Option<Finished>,
    ) -> Result<Inserted> {
        let id = object.id.clone();
        let inserted = self.add(object, parts, quota)?;
        if let (Inserted::Done, Some(finished)) = (inserted, finished) {
            let Finished { key, owner, answer } = finished;
            if !self.idempotency.finish(&key, &owner, answer).await? {
                self.objects.lock().remove(&id);
                return Err(key_lost());
            }
        }
        Ok(inserted)
    }

    async fn get(&self, kind: Kind, id: &str, now: UnixMillis) -> Result<Option<Object>> {
        let objects = self.objects.lock();
        let found = objects.get(id).map(|kept| &kept.object);
        let found = found.filter(|object| object.kind == kind && object.expires_at > now);
        Ok(found.cloned())
    }

    async fn list(
        &self,
        kind: Kind,
        owner: &str,
        page: Page,
        now: UnixMillis,
    ) -> Result<Vec<Object>> {
        let objects = self.objects.lock();
        let of_owner = |object: &&Object| {
            object.kind == kind && object.owner == owner && object.expires_at > now
        };
        let place = |object: &Object| (object.created_at, object.id.clone());
        let mut found: Vec<Object> = objects
            .values()
            .map(|kept| &kept.object)
            .filter(of_owner)
            .cloned()
            .collect();
        found.sort_by_key(place);
        if !page.is_ascending {
            found.reverse();
        }
        if let Some(after) = &page.after {
            let Some(last) = objects.get(after).map(|kept| place(&kept.object)) else {
                return Ok(Vec::new());
            };
            found.retain(|object| match page.is_ascending {
                true => place(object) > last,
                false => place(object) < last,
            });
        }
        found.truncate(page.limit);
        Ok(found)
    }

    async fn update(&self, object: Object, parts: Vec<Part>) -> Result<bool> {
        let mut objects = self.objects.lock();
        let kept = objects.get_mut(&object.id);
        let Some(kept) = kept.filter(|kept| kept.object.version == object.version) else {
            return Ok(false);
        };
        let known = &mut kept.object;
        known.version += 1;
        known.head = object.head;
        known.expires_at = object.expires_at;
        known.is_open = object.is_open;
        known.worker = object.worker;
        known.lease_until = object.lease_until;
        kept.write(parts);
        Ok(true)
    }

    async fn add_part(&self, id: &str, (number, content): Part) -> Result<bool> {
        let mut objects = self.objects.lock();
        let Some(kept) = objects.get_mut(id) else {
            return Ok(false);
        };
        let is_new = !kept.parts.contains_key(&number);
        kept.parts.entry(number).or_insert(content);
        Ok(is_new)
    }

    async fn parts(&self, id: &str, from: u64, most_bytes: u64) -> Result<Vec<Part>> {
        let objects = self.objects.lock();
        let Some(kept) = objects.get(id) else {
            return Ok(Vec::new());
        };
        let mut bytes = 0;
        let fits = |(_, part): &(&u64, &Bytes)| {
            let is_first = bytes == 0;
            bytes += part.len() as u64;
            is_first || bytes <= most_bytes
        };
        let parts = kept.parts.range(from..).take_while(fits);
        Ok(parts
            .map(|(number, part)| (*number, part.clone()))
            .collect())
    }

    async fn part_numbers(&self, id: &str) -> Result<Vec<u64>> {
        let objects = self.objects.lock();
        let kept = objects.get(id);
        Ok(kept.map_or_else(Vec::new, |kept| kept.parts.keys().copied().collect()))
    }

    async fn delete(&self, kind: Kind, owner: &str, id: &str) -> Result<bool> {
        let mut objects = self.objects.lock();
        let is_theirs = |kept: &Kept| kept.object.kind == kind && kept.object.owner == owner;
        if !objects.get(id).is_some_and(is_theirs) {
            return Ok(false);
        }
        Ok(objects.remove(id).is_some())
    }

    async fn claim(
        &self,
        kind: Kind,
        worker: &str,
        now: UnixMillis,
        lease_until: UnixMillis,
    ) -> Result<Option<Object>> {
        let mut objects = self.objects.lock();
        let is_free =
            |object: &Object| object.kind == kind && object.is_open && object.lease_until <= now;
        let free = objects.values_mut().map(|kept| &mut kept.object);
        let oldest = free
            .filter(|object| is_free(object))
            .min_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(oldest.map(|object| {
            worker.clone_into(&mut object.worker);
            object.lease_until = lease_until;
            object.version += 1;
            object.clone()
        }))
    }

    async fn delete_expired(&self, now: UnixMillis, most: usize) -> Result<usize> {
        let mut objects = self.objects.lock();
        let expired = objects
            .values()
            .filter(|kept| kept.object.expires_at <= now);
        let expired: Vec<String> = expired
            .map(|kept| kept.object.id.clone())
            .take(most)
            .collect();
        for id in &expired {
            objects.remove(id);
        }
        Ok(expired.len())
    }

    async fn trim(&self, kind: Kind, keep: u64, most: usize) -> Result<usize> {
        let mut objects = self.objects.lock();
        let mut of_owners: BTreeMap<String, Vec<(UnixMillis, String)>> = BTreeMap::new();
        for Kept { object, .. } in objects.values() {
            if object.kind == kind && !object.is_open {
                let of_owner = of_owners.entry(object.owner.clone()).or_default();
                of_owner.push((object.created_at, object.id.clone()));
            }
        }
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let mut trimmed = 0;
        for mut of_owner in of_owners.into_values() {
            of_owner.sort_unstable();
            let surplus = of_owner.len().saturating_sub(keep).min(most - trimmed);
            for (_, id) in &of_owner[..surplus] {
                objects.remove(id);
            }
            trimmed += surplus;
        }
        Ok(trimmed)
    }
}
