//! What makes a report evidence: the hash of its transcript, and a signature over all of it.

use std::fmt::Write as _;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Report;

/// Why a report cannot be signed or is not what was signed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key is no Ed25519 key in PEM.
    #[error(
        "expected an Ed25519 key in PEM, found something else ({0}); make one with \
         `openssl genpkey -algorithm ed25519 -out key.pem`"
    )]
    Key(String),
    /// The report is not JSON of ours.
    #[error("the report cannot be read: {0}")]
    Report(String),
    /// There is no signature in it.
    #[error("the report is not signed; write it with `check --json FILE --sign-key KEY`")]
    Unsigned,
    /// The signature does not fit.
    #[error("the signature does not fit: the report was changed, or another key signed it")]
    Wrong,
}

/// The hash of everything that was done and seen, in order.
#[must_use]
pub fn transcript(report: &Report) -> String {
    let mut hash = Sha256::new();
    for result in &report.results {
        hash.update(result.check.id);
        for evidence in &result.evidence {
            // Evidence is plain values with text keys, which always serialise.
            hash.update(serde_json::to_vec(evidence).unwrap_or_default());
        }
    }
    format!("sha256:{}", hex(&hash.finalize()))
}

/// The hash of a document, whatever the order of its keys; its own `digest` and `signature` are not
/// part of it.
pub(crate) fn digest(document: &Value) -> String {
    let mut rest = document.as_object().cloned().unwrap_or_default();
    rest.shift_remove("digest");
    format!("sha256:{}", hex(&Sha256::digest(canonical(&rest))))
}

/// The report with a signature in it.
///
/// # Errors
/// When the report is no JSON object, or the key is no Ed25519 key.
pub fn sign(report: &str, key: &[u8]) -> Result<String, SealError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| SealError::Key(e.to_string()))?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der())
        .map_err(|e| SealError::Key(e.to_string()))?;
    let mut document = object(report)?;
    let value = pair.sign(&canonical(&document));
    let signature = json!({
        "algorithm": "ed25519",
        "public_key": hex(pair.public_key().as_ref()),
        "value": hex(value.as_ref()),
    });
    document.insert("signature".to_owned(), signature);
    Ok(format!("{:#}\n", Value::Object(document)))
}

/// Holds a signed report against a public key.
///
/// # Errors
/// When it is not signed, or not by this key, or was changed since.
pub fn verify(report: &str, key: &[u8]) -> Result<(), SealError> {
    let key =
        SubjectPublicKeyInfoDer::from_pem_slice(key).map_err(|e| SealError::Key(e.to_string()))?;
    let raw = key.as_ref();
    // The key is at the end of its 44 bytes of structure.
    let raw = raw
        .len()
        .checked_sub(32)
        .and_then(|at| raw.get(at..))
        .filter(|_| raw.len() == 44);
    let raw = raw.ok_or_else(|| SealError::Key("another kind of key".to_owned()))?;
    let mut document = object(report)?;
    let signature = document
        .shift_remove("signature")
        .ok_or(SealError::Unsigned)?;
    let value = signature["value"]
        .as_str()
        .and_then(unhex)
        .ok_or(SealError::Wrong)?;
    UnparsedPublicKey::new(&ED25519, raw)
        .verify(&canonical(&document), &value)
        .map_err(|_| SealError::Wrong)
}

fn object(report: &str) -> Result<Map<String, Value>, SealError> {
    match serde_json::from_str(report) {
        Ok(Value::Object(mut document)) => {
            // An earlier signature is not part of what is signed now.
            if document.get("signature").is_some_and(Value::is_null) {
                document.shift_remove("signature");
            }
            Ok(document)
        }
        Ok(_) => Err(SealError::Report("it is no object".to_owned())),
        Err(error) => Err(SealError::Report(error.to_string())),
    }
}

/// The document in the one form that is signed: sorted keys, no spaces.
fn canonical(document: &Map<String, Value>) -> Vec<u8> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut keys: Vec<&String> = map.keys().filter(|key| *key != "signature").collect();
                keys.sort();
                keys.into_iter()
                    .map(|key| (key.clone(), sorted(&map[key])))
                    .collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    serde_json::to_vec(&sorted(&Value::Object(document.clone()))).unwrap_or_default()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect()
}
