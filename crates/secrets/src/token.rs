//! Tokens that open managers, kept until shortly before they end.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_config::{Manager, Secret};
use seaworthy_core::clock::UnixMillis;
use serde_json::Value;

/// A token is not used in its last moments: the request has to arrive.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is used whose end is not known.
const UNKNOWN_LIFETIME: u64 = 300;

/// The tokens in use.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<Manager, (Secret, UnixMillis)>>);

impl Tokens {
    pub(crate) fn live(&self, manager: Manager, now: UnixMillis) -> Option<Secret> {
        let tokens = self.0.lock();
        let (token, ends) = tokens.get(&manager)?;
        (now < *ends).then(|| token.clone())
    }

    pub(crate) fn keep(&self, manager: Manager, token: &Secret, seconds: u64, now: UnixMillis) {
        let lifetime = Duration::from_secs(seconds).saturating_sub(MARGIN);
        let kept = (token.clone(), now.plus(lifetime));
        self.0.lock().insert(manager, kept);
    }

    /// The manager does not accept it any more.
    pub(crate) fn forget(&self, manager: Manager) {
        self.0.lock().remove(&manager);
    }
}

/// How long a token lives: some managers say it as a number, some as a text, and Vault says zero of
/// those that do not end.
pub(crate) fn lifetime(value: Option<&Value>) -> u64 {
    let seconds = value.and_then(|value| {
        let as_text = value.as_str().and_then(|text| text.parse().ok());
        value.as_u64().or(as_text)
    });
    seconds
        .filter(|&seconds| seconds > 0)
        .unwrap_or(UNKNOWN_LIFETIME)
}
