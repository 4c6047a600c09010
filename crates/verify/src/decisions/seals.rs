//! Decisions that are signed with a key: whoever has one in the file decides with it or not at all.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::{Attestation, DecisionError, Decisions, Signature, Waiver};
use crate::report::seal::{hex, unhex};

/// Somebody whose decisions count only when this key signed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// The name, as decisions have it.
    pub name: String,
    /// The Ed25519 key in hexadecimal digits.
    pub public_key: String,
}

/// What a key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The decision in one sentence.
    pub of: String,
    /// The signature of that sentence in hexadecimal digits.
    pub value: String,
}

impl Attestation {
    /// The decision in one sentence, with everything in it.
    #[must_use]
    pub fn statement(&self) -> String {
        let Self {
            item,
            by,
            made,
            until,
            evidence,
        } = self;
        let evidence = evidence.as_deref().unwrap_or_default();
        format!("{by:?} attests {item:?} from {made} until {until}, evidence {evidence:?}")
    }
}

impl Waiver {
    /// The decision in one sentence, with everything in it.
    #[must_use]
    pub fn statement(&self) -> String {
        let Self {
            item,
            by,
            made,
            until,
            reason,
        } = self;
        format!("{by:?} waives {item:?} from {made} until {until}, reason {reason:?}")
    }
}

impl Signature {
    /// The decision in one sentence, with everything in it.
    #[must_use]
    pub fn statement(&self) -> String {
        let Self {
            role,
            name,
            made,
            until,
        } = self;
        format!("{name:?} signs for {role:?} from {made} until {until}")
    }
}

impl Decisions {
    /// Signs a statement of a person, whose key is written down with the first one.
    ///
    /// # Errors
    /// When the key is no Ed25519 key in PEM, or not the one that the file has for this person.
    pub fn seal(&mut self, name: &str, statement: &str, key: &[u8]) -> Result<(), DecisionError> {
        let wrong = |e: String| DecisionError::Key(e);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| wrong(e.to_string()))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der())
            .map_err(|e| wrong(e.to_string()))?;
        let public_key = hex(pair.public_key().as_ref());
        match self.signer_of(name) {
            Some(signer) if signer.public_key != public_key => {
                return Err(DecisionError::OtherKey(name.to_owned()));
            }
            Some(_) => {}
            None => self.signer.push(Signer {
                name: name.to_owned(),
                public_key,
            }),
        }
        self.seal.retain(|seal| seal.of != statement);
        self.seal.push(Seal {
            of: statement.to_owned(),
            value: hex(pair.sign(statement.as_bytes()).as_ref()),
        });
        self.drop_seals_of_nothing();
        Ok(())
    }

    /// Whether a statement counts: from somebody without a key, or signed with it.
    pub(crate) fn is_genuine(&self, name: &str, statement: &str) -> bool {
        let Some(signer) = self.signer_of(name) else {
            return true;
        };
        let seal = self.seal.iter().find(|seal| seal.of == statement);
        let (Some(key), Some(value)) = (
            unhex(&signer.public_key),
            seal.and_then(|seal| unhex(&seal.value)),
        ) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, key);
        key.verify(statement.as_bytes(), &value).is_ok()
    }

    /// Refuses what somebody with a key has not signed: it would count nothing, and may have taken the
    /// place of what did.
    ///
    /// # Errors
    /// When the file has a key of this person, and the statement is not signed with it.
    pub fn must_count(&self, name: &str, statement: &str) -> Result<(), DecisionError> {
        match self.is_genuine(name, statement) {
            true => Ok(()),
            false => Err(DecisionError::Unsigned(name.to_owned())),
        }
    }

    /// The key of a person; other capitals and spaces do not make somebody else.
    fn signer_of(&self, name: &str) -> Option<&Signer> {
        let plain = |name: &str| -> String {
            let letters = name.chars().filter(|c| !c.is_whitespace());
            letters.flat_map(char::to_lowercase).collect()
        };
        self.signer
            .iter()
            .find(|signer| plain(&signer.name) == plain(name))
    }

    /// Every decision with its author and its statement.
    fn statements(&self) -> impl Iterator<Item = (&str, String)> {
        let attested = self
            .attestation
            .iter()
            .map(|a| (a.by.as_str(), a.statement()));
        let waived = self.waiver.iter().map(|w| (w.by.as_str(), w.statement()));
        let signed = self
            .signature
            .iter()
            .map(|s| (s.name.as_str(), s.statement()));
        attested.chain(waived).chain(signed)
    }

    /// Statements that do not count because the key of their author did not sign them.
    pub(super) fn forged(&self) -> impl Iterator<Item = String> {
        let forged = self
            .statements()
            .filter(|(name, of)| !self.is_genuine(name, of));
        forged.map(|(name, of)| format!("{of}: not signed with the key of {name}"))
    }

    fn drop_seals_of_nothing(&mut self) {
        let all: Vec<String> = self.statements().map(|(_, of)| of).collect();
        self.seal.retain(|seal| all.contains(&seal.of));
    }
}
