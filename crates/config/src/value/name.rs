//! Names that become part of keys and labels.

use std::fmt;

use super::{Refusal, Text, text_value};

/// A short name of lower-case letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    pub(crate) fn main() -> Self {
        Self("main".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for Name {
    const KIND: &'static str = "name";
    const EXPECTED: &'static str =
        "a name of at most 64 lower-case letters, digits, `-` and `_` such as \"main\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err(Refusal::Unlike);
        }
        Ok(Self(text.to_owned()))
    }
}

text_value!(Name);
