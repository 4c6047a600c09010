//! Short-lived tokens of our own, made for a key: `swt_`, what it says, `.`, a signature.
//!
//! All processes that share the store sign with the same secret. A token works as long as its key
//! does, so that ending the key ends its tokens.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{TokenSecret, new_id};
use seaworthy_core::principal::Scopes;
use serde::{Deserialize, Serialize};

use super::Flaw;

/// Every token starts with this, so that secret scanners and people recognise a leaked one.
pub(crate) const PREFIX: &str = "swt_";
/// How long a token lives, and the bounds of what can be asked for.
pub(crate) const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
pub(crate) const LIFETIMES: std::ops::RangeInclusive<u64> = 15 * 60..=60 * 60;
/// Longer tokens do not fit a header of ours anyway.
const MAX_TOKEN_BYTES: usize = 32 * 1024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// The key that it was made for.
    pub(crate) key: String,
    /// Its own name.
    pub(crate) id: String,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    /// The session that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// What it is restricted to, beside what its key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Scopes>,
}

/// Signs and verifies.
pub(crate) struct Signer(hmac::Key);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer([redacted])")
    }
}

impl Signer {
    pub(crate) fn new(secret: &TokenSecret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// Makes a token for a key.
    pub(crate) fn issue(
        &self,
        key_id: &str,
        (session, scopes): (Option<String>, Option<Scopes>),
        now: UnixMillis,
        lifetime: Duration,
    ) -> String {
        let claims = Claims {
            key: key_id.to_owned(),
            id: new_id().replacen("key_", "tok_", 1),
            issued_at: now.0,
            expires_at: now.plus(lifetime).0,
            session,
            scopes,
        };
        // Serialising text and numbers into memory cannot fail.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token says, if it is one of ours and its time is not over.
    pub(crate) fn verify(&self, presented: &str, now: UnixMillis) -> Result<Claims, Flaw> {
        if presented.len() > MAX_TOKEN_BYTES {
            return Err(Flaw::Malformed);
        }
        let (signed, signature) = presented.split_once('.').ok_or(Flaw::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed);
        let signature = decode(signature)?;
        let claims = decode(signed.strip_prefix(PREFIX).ok_or(Flaw::Malformed)?)?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).map_err(|_| Flaw::BadSignature)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Flaw::Malformed)?;
        if claims.expires_at <= now.0 {
            return Err(Flaw::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn a_token_says_what_it_was_made_for_until_its_time_is_over() {
        let signer = Signer::new(&TokenSecret::from_bytes([1; 32]));
        let token = signer.issue("key_1", (Some("s".into()), None), NOW, DEFAULT_LIFETIME);
        let end = NOW.plus(DEFAULT_LIFETIME);
        let claims = signer.verify(&token, UnixMillis(end.0 - 1)).unwrap();
        assert_eq!(
            (claims.key.as_str(), claims.session.as_deref()),
            ("key_1", Some("s"))
        );
        assert_eq!(signer.verify(&token, end), Err(Flaw::Expired));
    }

    #[test]
    fn nothing_of_a_token_can_be_changed_and_no_other_secret_makes_one() {
        let signer = Signer::new(&TokenSecret::from_bytes([1; 32]));
        let token = signer.issue("key_1", (None, None), NOW, DEFAULT_LIFETIME);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(signer.verify(&forged, NOW).is_err(), "position {at}");
        }
        let other = Signer::new(&TokenSecret::from_bytes([2; 32]));
        let foreign = other.issue("key_1", (None, None), NOW, DEFAULT_LIFETIME);
        assert_eq!(signer.verify(&foreign, NOW), Err(Flaw::BadSignature));
        for odd in ["swt_", "swt_.", "swt_e30.", "swt_e30", ""] {
            signer.verify(odd, NOW).unwrap_err();
        }
    }
}
