//! Fingerprints of requests: equal for requests that mean the same, and impossible to forge.

use sha2::{Digest as _, Sha256};

/// A SHA-256 over parts that cannot run into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of bytes as they are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Sixty-four hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
        self.0.iter().flat_map(digits).map(char::from).collect()
    }

    /// A fingerprint from sixty-four hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let (mut bytes, text) = ([0; 32], text.as_bytes());
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Takes the parts of a fingerprint one after the other.
#[derive(Debug, Clone, Default)]
pub struct Fingerprinter(Sha256);

impl Fingerprinter {
    /// Adds a part. Its length goes before it, so that no two lists of parts look the same.
    pub fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds a JSON value: the order of members and the space between them do not count.
    pub fn json(&mut self, value: &serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(false) => self.0.update(b"f"),
            Value::Bool(true) => self.0.update(b"t"),
            Value::Number(number) => {
                self.0.update(b"#");
                self.part(number.to_string().as_bytes());
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.part(text.as_bytes());
            }
            Value::Array(items) => {
                self.0.update(b"[");
                self.0.update((items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                self.0.update(b"{");
                self.0.update((members.len() as u64).to_le_bytes());
                for (name, value) in members {
                    self.part(name.as_bytes());
                    self.json(value);
                }
            }
        }
    }

    /// The fingerprint of all parts.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: &serde_json::Value) -> Fingerprint {
        let mut fingerprinter = Fingerprinter::default();
        fingerprinter.json(value);
        fingerprinter.finish()
    }

    #[test]
    fn order_and_space_do_not_count_and_everything_else_does() {
        let parse = |text| serde_json::from_str(text).unwrap();
        let base = of(&parse(r#"{"a":[1,"x",null],"b":{"c":true,"d":1.5}}"#));
        assert_eq!(
            base,
            of(&parse(
                "{ \"b\" : {\"d\":1.5, \"c\":true},\n \"a\":[1,\"x\",null]}"
            ))
        );
        for other in [
            json!({"a": [1, "x", null], "b": {"c": true, "d": 1.6}}),
            json!({"a": ["x", 1, null], "b": {"c": true, "d": 1.5}}),
            json!({"a": [1, "x", false], "b": {"c": true, "d": 1.5}}),
            json!({"a": [1, "x"], "b": {"c": true, "d": 1.5}}),
            json!({"a": [1, "x", null], "b": {"c": true, "d": "1.5"}}),
        ] {
            assert_ne!(base, of(&other), "{other}");
        }
        assert_ne!(of(&json!([["a"], []])), of(&json!([["a", []]])));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let parts = |parts: &[&str]| {
            let mut fingerprinter = Fingerprinter::default();
            parts
                .iter()
                .for_each(|part| fingerprinter.part(part.as_bytes()));
            fingerprinter.finish()
        };
        assert_ne!(parts(&["ab", "c"]), parts(&["a", "bc"]));
        assert_ne!(parts(&["ab"]), parts(&["ab", ""]));
        let one = parts(&["x"]);
        assert_eq!(Fingerprint::from_hex(&one.hex()), Some(one));
        assert_eq!(Fingerprint::from_hex("xy"), None);
    }
}
