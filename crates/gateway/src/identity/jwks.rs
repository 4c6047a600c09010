//! The public keys of an identity provider (RFC 7517).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jws::{Algorithm, Unverified};
use super::{Flaw, strict_json};

/// Most keys that are kept of one provider: four times what large tenants of identity providers have.
const MAX_KEYS: usize = 256;
/// Most keys that a token without a name of its key, or with a name that many have, is tried on.
const MAX_TRIES: usize = 32;

/// A public key, for exactly one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    kid: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The usable keys of a set; `None` if there are none, or the text is not a set of keys.
pub(crate) fn parse(text: &[u8]) -> Option<Vec<Key>> {
    let set = strict_json::object(text)?;
    let listed = set.get("keys")?.as_array()?;
    let mut usable = listed.iter().filter_map(|key| read(key.as_object()?));
    let keys: Vec<Key> = usable.by_ref().take(MAX_KEYS).collect();
    if usable.next().is_some() {
        tracing::warn!("an issuer has more than {MAX_KEYS} keys; those after them are left out");
    }
    (!keys.is_empty()).then_some(keys)
}

/// A key that may verify signatures. Others, symmetric ones first of all, are passed over.
fn read(key: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    if key.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = key.get("key_ops") {
        let operations = operations.as_array()?;
        operations.iter().find(|op| **op == "verify")?;
    }
    let material = match (text("kty")?, text("crv")) {
        ("RSA", None) => Material::Rsa {
            n: bytes("n")?,
            e: bytes("e")?,
        },
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if (x.len(), y.len()) != (32, 32) {
                return None;
            }
            Material::P256([&[4], x.as_slice(), y.as_slice()].concat())
        }
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
        _ => return None,
    };
    let kid = match key.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str()?.to_owned()),
    };
    let key = Key { kid, material };
    match text("alg") {
        Some(alg) if Algorithm::from_name(alg) != Some(key.algorithm()) => None,
        _ => Some(key),
    }
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed, signature)
                .is_ok(),
            Material::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point)
                .verify(signed, signature)
                .is_ok(),
        }
    }
}

/// Whether a token was signed with one of the keys. The key decides which algorithm that takes.
pub(crate) fn verify(keys: &[Key], token: &Unverified<'_>) -> Result<(), Flaw> {
    let is_meant = |key: &&Key| match &token.kid {
        Some(kid) => key.kid.as_ref() == Some(kid),
        None => key.algorithm() == token.algorithm,
    };
    let mut is_known = false;
    for key in keys.iter().filter(is_meant).take(MAX_TRIES) {
        is_known = true;
        if key.algorithm() == token.algorithm && key.verifies(token.signed, &token.signature) {
            return Ok(());
        }
    }
    Err(match is_known {
        true => Flaw::BadSignature,
        false => Flaw::UnknownSigningKey,
    })
}
