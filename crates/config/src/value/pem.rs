//! Where a certificate or a key in PEM format is: a file, or a secret.

use std::fmt;
use std::path::PathBuf;

use super::{Refusal, Text, text_value};
use crate::secret::SecretRef;

/// Where a text in PEM format is. It is never in the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem(SecretRef);

impl Pem {
    /// Where it is, as a reference that is resolved like any other.
    pub const fn reference(&self) -> &SecretRef {
        &self.0
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretRef::File(path) => path.display().fmt(f),
            reference => reference.fmt(f),
        }
    }
}

impl Text for Pem {
    const KIND: &'static str = "file or secret";
    const EXPECTED: &'static str =
        "a file such as \"/etc/tls/tls.crt\", or a reference such as \"secret://env/NAME\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.starts_with("secret://") {
            return SecretRef::parse(text).map(Self);
        }
        if text.contains("-----BEGIN") {
            return Refusal::because(format!(
                "expected {}, found the text of a certificate or key itself",
                Self::EXPECTED
            ));
        }
        if text.is_empty() || text.contains(['\n', '\0']) {
            return Err(Refusal::Unlike);
        }
        Ok(Self(SecretRef::File(PathBuf::from(text))))
    }
}

text_value!(Pem);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_references_are_taken_and_a_key_itself_is_not() {
        for text in ["tls.crt", "/etc/tls/tls.key", "secret://env/TLS_KEY"] {
            assert_eq!(Pem::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "-----BEGIN PRIVATE KEY-----", "secret://nowhere"] {
            assert!(Pem::parse(text).is_err(), "{text}");
        }
    }
}
