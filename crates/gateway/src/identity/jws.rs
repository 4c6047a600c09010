//! A signed token in its compact form (RFC 7515), read as strictly as it can be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Flaw, strict_json};

/// Longer tokens do not fit a header of ours anyway.
const MAX_TOKEN_BYTES: usize = 32 * 1024;
const MAX_KID_BYTES: usize = 512;

/// Members of the header that would let the token choose its own key, or change what is signed.
const REFUSED_MEMBERS: [&str; 10] = [
    "jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip", "epk", "apu",
];

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// The exact name in a token's header; RFC 9864 calls the one with Ed25519 by its curve.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A token whose signature has not been looked at yet.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) claims: Map<String, Value>,
    /// What the signature is of.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// Whether a text looks like a signed token at all.
pub(crate) fn looks_like(presented: &str) -> bool {
    presented.bytes().filter(|&b| b == b'.').count() == 2
}

/// Takes a token apart.
pub(crate) fn parse(token: &str) -> Result<Unverified<'_>, Flaw> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Flaw::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Flaw::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed);
    let header = strict_json::object(&decode(header)?).ok_or(Flaw::Malformed)?;
    let algorithm = algorithm(&header)?;
    let kid = kid(&header)?;
    let signature = decode(signature)?;
    let claims = strict_json::object(&decode(claims)?).ok_or(Flaw::BadClaims)?;
    Ok(Unverified {
        algorithm,
        kid,
        claims,
        signed: signed.as_bytes(),
        signature,
    })
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, Flaw> {
    if REFUSED_MEMBERS
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return Err(Flaw::Malformed);
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if !matches!(kind, "jwt" | "at+jwt") {
                return Err(Flaw::Malformed);
            }
        }
        Some(_) => return Err(Flaw::Malformed),
    }
    let name = header.get("alg").and_then(Value::as_str);
    let name = name.ok_or(Flaw::WrongAlgorithm)?;
    Algorithm::from_name(name).ok_or(Flaw::WrongAlgorithm)
}

fn kid(header: &Map<String, Value>) -> Result<Option<String>, Flaw> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => Ok(Some(kid.clone())),
        Some(_) => Err(Flaw::Malformed),
    }
}
