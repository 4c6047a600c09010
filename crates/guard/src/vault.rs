//! Reversible placeholders: personal data is replaced on its way to a provider and put back in the
//! answer, also when a placeholder arrives in pieces.

use std::collections::HashMap;

/// The longest placeholder that is recognised, in bytes.
pub const MAX_PLACEHOLDER_BYTES: usize = 96;

/// The most values that one request may have replaced; beyond it the caller redacts.
pub const MAX_VALUES: usize = 4096;

/// The values that one request had replaced. Dropped with the request, never stored.
#[derive(Debug, Clone)]
pub struct Vault {
    tag: String,
    by_value: HashMap<String, String>,
    by_placeholder: HashMap<String, String>,
}

impl Vault {
    /// An empty vault; `tag` (letters and digits, random for each request) keeps a text that happens
    /// to look like a placeholder from being taken for one.
    pub fn new(tag: &str) -> Self {
        let tag = tag
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(16)
            .collect();
        Self {
            tag,
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
        let number = self.by_value.len() + 1;
        let name: String = rule
            .chars()
            .take(48)
            .collect::<String>()
            .to_ascii_uppercase();
        let placeholder = format!("[{name}_{number}_{}]", self.tag);
        self.by_value.insert(value.to_owned(), placeholder.clone());
        self.by_placeholder
            .insert(placeholder.clone(), value.to_owned());
        Some(placeholder)
    }

    /// A restorer for one answer.
    pub fn restorer(&self) -> Restorer<'_> {
        Restorer {
            vault: self,
            held: String::new(),
        }
    }

    /// Puts every value of a whole text back.
    pub fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut restorer = self.restorer();
        restorer.push(text, &mut out);
        restorer.finish(&mut out);
        out
    }
}

/// Puts values back into a text that arrives in pieces; holds back at most one placeholder's length.
#[derive(Debug)]
pub struct Restorer<'v> {
    vault: &'v Vault,
    held: String,
}

impl Restorer<'_> {
    /// Takes the next piece and appends what is certain to `out`.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        if self.vault.is_empty() {
            out.push_str(piece);
            return;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            if self.held.is_empty() {
                let open = memchr::memchr(b'[', rest.as_bytes()).unwrap_or(rest.len());
                out.push_str(&rest[..open]);
                rest = &rest[open..];
                if !rest.is_empty() {
                    self.held.push('[');
                    rest = &rest[1..];
                }
                continue;
            }
            let taken = rest.bytes().take_while(|&byte| is_inner(byte)).count();
            self.held.push_str(&rest[..taken]);
            rest = &rest[taken..];
            if rest.starts_with(']') {
                self.held.push(']');
                rest = &rest[1..];
                let value = self.vault.by_placeholder.get(&self.held);
                out.push_str(value.unwrap_or(&self.held));
                self.held.clear();
            } else if !rest.is_empty() || self.held.len() > MAX_PLACEHOLDER_BYTES {
                out.push_str(&self.held);
                self.held.clear();
            }
        }
    }

    /// Appends what was held back when nothing follows.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&self.held);
        self.held.clear();
    }
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_however_the_answer_is_cut() {
        let mut vault = Vault::new("k3");
        let mail = vault.placeholder("email", "ann@example.org").unwrap();
        assert_eq!(vault.placeholder("email", "ann@example.org").unwrap(), mail);
        let answer = format!("Write to {mail}, or [{mail}] [not_one] [EMAIL_9_k3] [x");
        let wanted = "Write to ann@example.org, or [ann@example.org] [not_one] [EMAIL_9_k3] [x";
        assert_eq!(vault.restore(&answer), wanted);
        for size in 1..answer.len() {
            let mut out = String::new();
            let mut restorer = vault.restorer();
            for piece in answer.as_bytes().chunks(size) {
                restorer.push(std::str::from_utf8(piece).unwrap(), &mut out);
            }
            restorer.finish(&mut out);
            assert_eq!(out, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn a_placeholder_of_another_request_stays_as_it_is() {
        let mut theirs = Vault::new("aa");
        let placeholder = theirs.placeholder("email", "ann@example.org").unwrap();
        let mut ours = Vault::new("bb");
        ours.placeholder("email", "bob@example.org").unwrap();
        assert_eq!(ours.restore(&placeholder), placeholder);
    }

    #[test]
    fn a_long_bracket_is_not_held_for_ever() {
        let mut vault = Vault::new("aa");
        vault.placeholder("email", "ann@example.org").unwrap();
        let mut out = String::new();
        let mut restorer = vault.restorer();
        restorer.push("[", &mut out);
        restorer.push(&"a".repeat(MAX_PLACEHOLDER_BYTES + 1), &mut out);
        assert_eq!(out.len(), MAX_PLACEHOLDER_BYTES + 2);
    }
}
