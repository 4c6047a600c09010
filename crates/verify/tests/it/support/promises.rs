//! What the scripted server remembers and masks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Calls that were seen.
#[derive(Default)]
pub(crate) struct Promises {
    next: AtomicU64,
    keys: Mutex<BTreeMap<String, (Bytes, u64)>>,
    bodies: Mutex<BTreeSet<Bytes>>,
    nonces: Mutex<BTreeSet<String>>,
}

impl Promises {
    /// The number of an answer: the same for the same call under one key, none for another call.
    pub(crate) fn id(&self, key: Option<&str>, body: &Bytes) -> Option<u64> {
        let new = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(key) = key else { return Some(new) };
        let mut keys = self.keys.lock().expect("not poisoned");
        let known = keys.entry(key.to_owned()).or_insert((body.clone(), new));
        (known.0 == body).then_some(known.1)
    }

    /// Whether a request is new: its nonce was not there before, and its time is about now.
    pub(crate) fn is_fresh(&self, nonce: &str, seconds: i64, broken: Option<&str>) -> bool {
        let known = !self
            .nonces
            .lock()
            .expect("not poisoned")
            .insert(nonce.to_owned());
        let away = (jiff::Timestamp::now().as_second() - seconds).abs();
        (!known || broken == Some("replay.nonce"))
            && (away < 300 || broken == Some("replay.timestamp"))
    }

    /// Whether this body came before.
    pub(crate) fn saw(&self, body: &Bytes) -> bool {
        !self
            .bodies
            .lock()
            .expect("not poisoned")
            .insert(body.clone())
    }
}

/// Whether a prompt tries to take over.
pub(crate) fn takes_over(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    [
        "ignore all previous",
        "system override",
        "forget everything above",
    ]
    .iter()
    .any(|words| prompt.contains(words))
}

/// The words of a prompt without personal data and keys.
pub(crate) fn masked(prompt: &str, broken: Option<&str>) -> Vec<String> {
    let mask = |word: &str| {
        let personal = word.contains('@') || word == "4111";
        let key = word.starts_with("AKIA");
        if personal && broken != Some("privacy.pii-redacted") {
            "[personal]".to_owned()
        } else if key && broken != Some("output.secrets-filtered") {
            "[key]".to_owned()
        } else {
            word.to_owned()
        }
    };
    prompt.split_whitespace().map(mask).collect()
}
