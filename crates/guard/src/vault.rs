//! Reversible placeholders: personal data is replaced on its way to a provider and put back in the
//! answer, also when a placeholder arrives in pieces.

mod restorer;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

pub use self::restorer::Restorer;

/// The longest placeholder that is recognised, in bytes.
pub const MAX_PLACEHOLDER_BYTES: usize = 96;

/// The most values that one request may have replaced; beyond it the caller redacts.
pub const MAX_VALUES: usize = 4096;

/// Letters and digits that nobody mistakes for each other.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Names values by a keyed hash: one process gives a value of one owner the same placeholder every
/// time, so that a conversation that goes on begins with the same words, and nobody who sees a
/// placeholder can tell the value.
#[derive(Debug, Clone, Default)]
pub struct VaultKey([RandomState; 2]);

impl VaultKey {
    /// A word that nobody outside can guess, the same each time for the same text of an owner.
    pub fn word(&self, owner: &str, text: &str) -> String {
        self.tag(owner, "", text)
    }

    fn tag(&self, owner: &str, rule: &str, value: &str) -> String {
        let mut tag = String::with_capacity(20);
        for half in &self.0 {
            let mut bits = half.hash_one((owner, rule, value));
            for _ in 0..10 {
                let letter = ALPHABET[usize::from(bits as u8 & 31)];
                tag.push(char::from(letter));
                bits >>= 5;
            }
        }
        tag
    }
}

/// The values that one request had replaced. Dropped with the request, never stored.
#[derive(Clone)]
pub struct Vault {
    key: VaultKey,
    owner: String,
    by_value: HashMap<String, String>,
    by_placeholder: HashMap<String, String>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("values", &self.len())
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// An empty vault for a request of `owner`: nobody else gets the same placeholders.
    pub fn new(key: &VaultKey, owner: &str) -> Self {
        Self {
            key: key.clone(),
            owner: owner.to_owned(),
            by_value: HashMap::new(),
            by_placeholder: HashMap::new(),
        }
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.by_value.len()
    }

    /// Whether nothing was replaced.
    pub fn is_empty(&self) -> bool {
        self.by_value.is_empty()
    }

    /// The placeholder for `value`, the same each time; `None` when the vault is full.
    pub fn placeholder(&mut self, rule: &str, value: &str) -> Option<String> {
        if let Some(known) = self.by_value.get(value) {
            return Some(known.clone());
        }
        if self.by_value.len() >= MAX_VALUES {
            return None;
        }
        let tag = self.key.tag(&self.owner, rule, value);
        // Nothing else is read of a placeholder.
        let name: String = rule
            .chars()
            .take(48)
            .map(|c| match c.is_ascii_alphanumeric() {
                true => c.to_ascii_uppercase(),
                false => '_',
            })
            .collect();
        let placeholder = format!("[{name}_{tag}]");
        self.by_value.insert(value.to_owned(), placeholder.clone());
        self.by_placeholder
            .insert(placeholder.clone(), value.to_owned());
        Some(placeholder)
    }

    /// What puts the placeholders of all known values back into texts that they were taken out of, longer
    /// values before those that are part of them; `None` where that cannot be looked for. To build it costs
    /// more than to ask it.
    pub fn hider(&self) -> Option<Hider<'_>> {
        let mut known: Vec<(&String, &String)> = self.by_value.iter().collect();
        known.sort_by_key(|(value, _)| (std::cmp::Reverse(value.len()), *value));
        let values = known.iter().map(|(value, _)| value.as_str());
        let found = aho_corasick::AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            .build(values);
        Some(Hider {
            found: found.ok()?,
            placeholders: known
                .into_iter()
                .map(|(_, placeholder)| placeholder)
                .collect(),
        })
    }

    /// Puts every value of a whole text back.
    pub fn restore(self: &Arc<Self>, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut restorer = Restorer::new(Arc::clone(self));
        restorer.push(text, &mut out);
        restorer.finish(&mut out);
        out
    }
}

/// Puts placeholders in the place of the values of one request.
pub struct Hider<'v> {
    found: aho_corasick::AhoCorasick,
    placeholders: Vec<&'v String>,
}

impl std::fmt::Debug for Hider<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hider")
            .field("values", &self.placeholders.len())
            .finish_non_exhaustive()
    }
}

impl Hider<'_> {
    /// The text with placeholders.
    pub fn hide(&self, text: &str) -> String {
        self.found.replace_all(text, &self.placeholders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(owner: &str) -> Vault {
        Vault::new(&VaultKey::default(), owner)
    }

    #[test]
    fn a_value_comes_back_however_the_answer_is_cut() {
        let mut vault = vault("ann");
        let mail = vault.placeholder("email", "ann@example.org").unwrap();
        assert_eq!(vault.placeholder("email", "ann@example.org").unwrap(), mail);
        let vault = Arc::new(vault);
        let answer = format!("Write to {mail}, or [{mail}] [not_one] [EMAIL_9_k3] [x");
        let wanted = "Write to ann@example.org, or [ann@example.org] [not_one] [EMAIL_9_k3] [x";
        assert_eq!(vault.restore(&answer), wanted);
        for size in 1..answer.len() {
            let mut out = String::new();
            let mut restorer = Restorer::new(Arc::clone(&vault));
            for piece in answer.as_bytes().chunks(size) {
                restorer.push(std::str::from_utf8(piece).unwrap(), &mut out);
            }
            restorer.finish(&mut out);
            assert_eq!(out, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn what_was_put_back_is_hidden_again() {
        let mut vault = vault("ann");
        let mail = vault.placeholder("email", "ann@example.org").unwrap();
        let longer = vault.placeholder("email", "joann@example.org").unwrap();
        let vault = Arc::new(vault);
        let written = format!("{mail}, {longer}; {mail}{longer} and bob@example.org");
        let told = vault.restore(&written);
        assert!(
            told.contains("ann@example.org, joann@example.org;"),
            "{told}"
        );
        assert_eq!(vault.hider().unwrap().hide(&told), written);
    }

    #[test]
    fn one_owner_gets_the_same_placeholder_every_time_and_another_one_does_not() {
        let key = VaultKey::default();
        let named = |owner: &str| {
            Vault::new(&key, owner)
                .placeholder("email", "ann@example.org")
                .unwrap()
        };
        assert_eq!(named("ann"), named("ann"));
        assert_ne!(named("ann"), named("bob"));
        assert!(named("ann").len() <= MAX_PLACEHOLDER_BYTES);
    }

    #[test]
    fn a_placeholder_of_another_request_stays_as_it_is() {
        let placeholder = vault("a").placeholder("email", "ann@example.org").unwrap();
        let mut ours = vault("a");
        ours.placeholder("email", "bob@example.org").unwrap();
        assert_eq!(Arc::new(ours).restore(&placeholder), placeholder);
    }

    #[test]
    fn no_value_is_in_what_debugging_prints() {
        let mut vault = vault("a");
        vault.placeholder("email", "ann@example.org").unwrap();
        assert!(!format!("{vault:?} {:?}", vault.hider()).contains("ann@"));
    }

    #[test]
    fn a_long_bracket_is_not_held_for_ever() {
        let mut vault = vault("a");
        vault.placeholder("email", "ann@example.org").unwrap();
        let mut out = String::new();
        let mut restorer = Restorer::new(Arc::new(vault));
        restorer.push("[", &mut out);
        restorer.push(&"a".repeat(MAX_PLACEHOLDER_BYTES + 1), &mut out);
        assert_eq!(out.len(), MAX_PLACEHOLDER_BYTES + 2);
    }
}
