//! Remembered answers to other words with the same meaning, as an embeddings model judges it.
//!
//! Only the words of the conversation are compared. Everything else that is part of the key of an
//! answer has to be equal: the tenant first of all, the instructions, the parameters and the rules.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use seaworthy_config::SemanticCache;
use seaworthy_core::cache::Entry;
use seaworthy_core::call::{Block, Call, Role};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use seaworthy_core::money::Micros;
use seaworthy_core::principal::{Principal, scope};
use seaworthy_llm::embed::Embedding;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::internal_call::{self, Called};
use crate::routes::Operation;
use crate::stage::recall::cached;
use crate::stage::recall::key::Asked;

/// Longer conversations are not compared: their meaning is in no one vector.
const MAX_TEXT_BYTES: usize = 8 * 1024;
/// Most vectors that are compared with one request.
const MAX_COMPARED: usize = 1_000;

/// How meanings are compared.
#[derive(Debug)]
pub(crate) struct Semantic {
    model: String,
    threshold: f32,
    max_entries: usize,
}

impl Semantic {
    /// `None` unless a model is named.
    pub(crate) fn new(config: &SemanticCache) -> Option<Self> {
        let parts = config.threshold.get().ten_thousandths();
        Some(Self {
            model: config.model.clone()?,
            threshold: f32::from(u16::try_from(parts).unwrap_or(u16::MAX)) / 10_000.0,
            max_entries: config.max_entries.get(),
        })
    }
}

/// The meanings of remembered answers.
#[derive(Debug, Default)]
pub(crate) struct Meanings(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    buckets: HashMap<Fingerprint, VecDeque<Meaning>>,
    /// The buckets of all meanings, oldest first.
    order: VecDeque<Fingerprint>,
}

#[derive(Debug)]
struct Meaning {
    vector: Arc<[f32]>,
    answer: Fingerprint,
    expires_at: UnixMillis,
}

/// The meaning of a request whose answer is not known.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Everything but the words.
    bucket: Fingerprint,
    vector: Arc<[f32]>,
    max_entries: usize,
}

impl Meanings {
    /// The answers of the bucket that mean enough the same, closest first.
    fn closest(&self, probe: &Probe, threshold: f32, now: UnixMillis) -> Vec<Fingerprint> {
        let index = self.0.lock();
        let known = index.buckets.get(&probe.bucket).into_iter().flatten();
        let mut found: Vec<(f32, Fingerprint)> = known
            .filter(|meaning| meaning.expires_at > now)
            .take(MAX_COMPARED)
            .filter_map(|meaning| {
                let similarity = similarity(&probe.vector, &meaning.vector)?;
                (similarity >= threshold).then_some((similarity, meaning.answer))
            })
            .collect();
        found.sort_by(|one, other| other.0.total_cmp(&one.0));
        found.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Remembers what an answer means. The oldest goes when there are too many.
    pub(crate) fn keep(&self, probe: Probe, answer: Fingerprint, expires_at: UnixMillis) {
        let mut index = self.0.lock();
        while index.order.len() >= probe.max_entries {
            let Some(oldest) = index.order.pop_front() else {
                break;
            };
            if let Some(bucket) = index.buckets.get_mut(&oldest) {
                bucket.pop_front();
                if bucket.is_empty() {
                    index.buckets.remove(&oldest);
                }
            }
        }
        let meaning = Meaning {
            vector: probe.vector,
            answer,
            expires_at,
        };
        let bucket = index.buckets.entry(probe.bucket).or_default();
        bucket.push_back(meaning);
        index.order.push_back(probe.bucket);
    }

    /// Forgets everything.
    pub(crate) fn purge(&self) {
        *self.0.lock() = Index::default();
    }
}

/// The cosine of the angle between two vectors of one model.
fn similarity(one: &[f32], other: &[f32]) -> Option<f32> {
    if one.len() != other.len() {
        return None;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    (lengths > 0.0).then(|| dot(one, other) / lengths)
}

/// An answer to other words.
pub(crate) struct Near {
    pub(crate) entry: Entry,
    /// What it cost to find it.
    pub(crate) cost: Micros,
}

/// Looks for an answer to the same in other words. Asking the embeddings model is a call of the
/// caller's like any other: limited, reserved and recorded.
pub(crate) async fn look(
    exchange: &Exchange,
    caller: &Principal,
    asked: Asked<'_>,
    semantic: &Semantic,
) -> (Option<Near>, Option<Probe>) {
    if !may_embed(exchange, caller, semantic) {
        return (None, None);
    }
    let Some((bucket, text)) = apart(asked, semantic) else {
        return (None, None);
    };
    let Some((vector, cost)) = embed(exchange, caller, semantic, &text).await else {
        return (None, None);
    };
    let probe = Probe {
        bucket,
        vector,
        max_entries: semantic.max_entries,
    };
    let now = exchange.gateway.clock.now();
    let meanings = &exchange.gateway.meanings;
    for answer in meanings.closest(&probe, semantic.threshold, now) {
        // Its answer may have been forgotten.
        if let Some(entry) = cached::find(exchange, &answer, now).await {
            return (Some(Near { entry, cost }), None);
        }
    }
    (None, Some(probe))
}

/// Whether the caller's credential is for embeddings by this model: its words go nowhere else.
fn may_embed(exchange: &Exchange, caller: &Principal, semantic: &Semantic) -> bool {
    let operations = &caller.scopes.operations;
    let model = exchange.snapshot.model(&semantic.model);
    scope::allows(
        operations,
        Operation::Embeddings(Embedding::OpenAi).as_str(),
    ) && model.is_none_or(|model| exchange.may_call(model))
}

/// Everything but the words, and the words. `None` where there is more than words.
fn apart(asked: Asked<'_>, semantic: &Semantic) -> Option<(Fingerprint, String)> {
    let Operation::Chat(dialect) = asked.operation else {
        return None;
    };
    let call = seaworthy_llm::decode_call(dialect, asked.body).ok()?;
    let text = words(&call)?;
    let mut body: Value = serde_json::from_slice(asked.body).ok()?;
    let members = body.as_object_mut()?;
    for conversation in ["model", "messages", "input"] {
        members.remove(conversation);
    }
    let mut bucket = Fingerprinter::default();
    bucket.part(b"meaning");
    bucket.part(semantic.model.as_bytes());
    asked.frame(&mut bucket);
    bucket.json(&body);
    // Instructions within the conversation are no words of it.
    for block in &call.system {
        match block {
            Block::Text(text) => bucket.part(text.as_bytes()),
            _ => return None,
        }
    }
    bucket.part(&(call.messages.len() as u64).to_le_bytes());
    Some((bucket.finish(), text))
}

/// What was said by whom, if it was nothing but text.
fn words(call: &Call) -> Option<String> {
    let mut text = String::new();
    for message in &call.messages {
        text.push_str(match message.role {
            Role::User => "user: ",
            Role::Assistant => "assistant: ",
            Role::System => return None,
        });
        for block in &message.blocks {
            match block {
                Block::Text(part) => text.push_str(part),
                _ => return None,
            }
        }
        text.push('\n');
    }
    (!text.is_empty() && text.len() <= MAX_TEXT_BYTES).then_some(text)
}

#[derive(Deserialize)]
struct Embedded {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Vec<f32>,
}

async fn embed(
    exchange: &Exchange,
    caller: &Principal,
    semantic: &Semantic,
    text: &str,
) -> Option<(Arc<[f32]>, Micros)> {
    let body = json!({"model": semantic.model, "input": text, "encoding_format": "float"});
    let asking = internal_call::call(
        &exchange.gateway,
        caller.clone(),
        Operation::Embeddings(Embedding::OpenAi),
        body.to_string().into(),
    );
    let Called { status, body, cost } = Box::pin(asking).await;
    let embedded = serde_json::from_slice::<Embedded>(&body).ok();
    let vector = embedded.and_then(|embedded| embedded.data.into_iter().next());
    if vector.is_none() {
        // Without the model there is no meaning, and the provider is asked as ever.
        tracing::warn!(status, "the embeddings of a request could not be made");
    }
    vector.map(|vector| (vector.embedding.into(), cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes())
    }

    fn probe(bucket: &str, vector: [f32; 2], max_entries: usize) -> Probe {
        Probe {
            bucket: key(bucket),
            vector: Arc::new(vector),
            max_entries,
        }
    }

    const SOON: UnixMillis = UnixMillis(1_000);

    #[test]
    fn only_meanings_of_the_same_bucket_above_the_threshold_are_found_closest_first() {
        let meanings = Meanings::default();
        meanings.keep(probe("a", [1.0, 0.0], 10), key("east"), SOON);
        meanings.keep(probe("a", [1.0, 0.2], 10), key("nearly east"), SOON);
        meanings.keep(probe("a", [0.0, 1.0], 10), key("north"), SOON);
        meanings.keep(probe("b", [1.0, 0.1], 10), key("another's"), SOON);
        let asked = probe("a", [1.0, 0.15], 10);
        let now = UnixMillis(0);
        let found = meanings.closest(&asked, 0.95, now);
        assert_eq!(found, [key("nearly east"), key("east")]);
        assert!(meanings.closest(&asked, 0.999_9, now).is_empty());
        assert!(meanings.closest(&asked, 0.95, SOON).is_empty());
        assert!(similarity(&[1.0], &[1.0, 0.0]).is_none());
        assert!(similarity(&[0.0, 0.0], &[1.0, 0.0]).is_none());
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let meanings = Meanings::default();
        for (bucket, number) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
            meanings.keep(probe(bucket, [1.0, 0.0], 2), key(number), SOON);
        }
        let found = |bucket| meanings.closest(&probe(bucket, [1.0, 0.0], 2), 0.9, UnixMillis(0));
        assert_eq!(found("a"), [key("3"), key("4")]);
        assert!(found("b").is_empty());
        let index = meanings.0.lock();
        assert_eq!((index.buckets.len(), index.order.len()), (1, 2));
    }
}
