//! API keys: how they look, how they are stored, when they are live.

mod succession;
mod view;

pub use succession::{MAX_ROTATIONS, Successions};
pub use view::KeyView;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::clock::UnixMillis;
use crate::principal::{Role, Scopes, is_name};

/// Every key starts with this, so that secret scanners and people recognise a leaked one.
pub const PREFIX: &str = "swk_";
const RANDOM_CHARS: usize = 36;
const CHECKSUM_CHARS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key in the clear. It exists once, when it is made; `Debug` does not show it.
///
/// ```text
/// swk_ 36 random characters (214 bits) 6 characters of CRC-32
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let random: String = (0..RANDOM_CHARS)
            .map(|_| char::from(random_char()))
            .collect();
        let body = format!("{PREFIX}{random}");
        let checksum = checksum(body.as_bytes());
        Self(body + &checksum)
    }

    /// The text that callers send.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The start of the key, enough to recognise it and useless to an attacker.
    #[must_use]
    pub fn hint(&self) -> String {
        self.0.chars().take(PREFIX.len() + 4).collect()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

/// A new random identifier for a key's record, for example `key_7Hq2mXvA9bTz`.
#[must_use]
pub fn new_id() -> String {
    let random: String = (0..12).map(|_| char::from(random_char())).collect();
    format!("key_{random}")
}

/// Whether a text can be the ID of one of our keys.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.strip_prefix("key_").is_some_and(|random| {
        (1..=32).contains(&random.len()) && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether a presented key can be one of ours at all: a typo never reaches the store.
#[must_use]
pub fn is_well_formed(presented: &str) -> bool {
    let Some(random) = presented.strip_prefix(PREFIX) else {
        return false;
    };
    if random.len() != RANDOM_CHARS + CHECKSUM_CHARS || !random.is_ascii() {
        return false;
    }
    let (body, sum) = presented.split_at(presented.len() - CHECKSUM_CHARS);
    checksum(body.as_bytes()).as_bytes() == sum.as_bytes()
}

fn random_char() -> u8 {
    ALPHABET[rand::random_range(0..ALPHABET.len())]
}

fn checksum(bytes: &[u8]) -> String {
    let mut value = crc32fast::hash(bytes) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[value % ALPHABET.len()];
        value /= ALPHABET.len();
    }
    digits.into_iter().map(char::from).collect()
}

/// SHA-256 of a presented key. A key has 214 random bits, so that a plain digest cannot be reversed
/// by guessing; looking a key up by its digest leaks nothing about it through timing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of what a caller presented.
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// A digest read back from the store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Equality in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

/// What short-lived tokens are signed with. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// A new random secret.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// A secret read back from the store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store and to sign with.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret([redacted])")
    }
}

/// What the store knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Stable identifier, shown in logs and used by `keys rotate` and `keys revoke`.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The user that calls with it are accounted to.
    pub user_id: String,
    /// The team that calls with it are accounted to.
    pub team_id: Option<String>,
    /// What its holder may do.
    pub role: Role,
    /// Where its holder may do that.
    pub scopes: Scopes,
    /// The environment that it is for, `production` for example.
    pub environment: Option<String>,
    /// The service that uses it.
    pub service: Option<String>,
    /// First characters of the key, to recognise it.
    pub hint: String,
    /// Digest of the key.
    pub digest: KeyDigest,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it stops working by itself.
    pub expires_at: Option<UnixMillis>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
    /// The key that it replaced.
    pub rotated_from: Option<String>,
}

/// What a key is asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// [`KeyRecord::name`]
    pub name: String,
    /// [`KeyRecord::user_id`]
    pub user_id: String,
    /// [`KeyRecord::team_id`]
    pub team_id: Option<String>,
    /// [`KeyRecord::role`]
    pub role: Role,
    /// [`KeyRecord::scopes`]
    pub scopes: Scopes,
    /// [`KeyRecord::environment`]
    pub environment: Option<String>,
    /// [`KeyRecord::service`]
    pub service: Option<String>,
    /// [`KeyRecord::expires_at`]
    pub expires_at: Option<UnixMillis>,
}

impl NewKey {
    /// A key of a user's own, without restrictions.
    #[must_use]
    pub fn of(name: &str, user_id: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            user_id: user_id.to_owned(),
            team_id: None,
            role,
            scopes: Scopes::default(),
            environment: None,
            service: None,
            expires_at: None,
        }
    }

    /// A sentence about what is wrong, if something is.
    ///
    /// # Errors
    /// When a text is empty, too long or cannot stand where it has to.
    pub fn check(&self) -> Result<(), String> {
        for (what, text) in [("name", &self.name), ("user", &self.user_id)] {
            let chars = text.chars().count();
            if !(1..=256).contains(&chars) || text.contains(char::is_control) {
                return Err(format!(
                    "expected a {what} of 1 to 256 characters without control characters"
                ));
            }
        }
        let names = [
            ("team", &self.team_id),
            ("environment", &self.environment),
            ("service", &self.service),
        ];
        for (what, name) in names {
            if let Some(odd) = name.as_deref().filter(|name| !is_name(name)) {
                return Err(format!(
                    "expected a {what} of up to 128 letters, digits, `-`, `_`, `.` or `:`, found \
                     {odd:?}"
                ));
            }
        }
        self.scopes.check()
    }

    /// Makes the key.
    #[must_use]
    pub fn issue(self, now: UnixMillis) -> (ApiKey, KeyRecord) {
        let key = ApiKey::generate();
        let record = KeyRecord {
            id: new_id(),
            name: self.name,
            user_id: self.user_id,
            team_id: self.team_id,
            role: self.role,
            scopes: self.scopes,
            environment: self.environment,
            service: self.service,
            hint: key.hint(),
            digest: KeyDigest::of(key.expose()),
            created_at: now,
            expires_at: self.expires_at,
            revoked_at: None,
            rotated_from: None,
        };
        (key, record)
    }
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It works.
    Live,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl KeyState {
    /// The name in lists and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyRecord {
    /// A new key with everything that this one has, living as long as it did.
    #[must_use]
    pub fn successor(&self, now: UnixMillis) -> (ApiKey, Self) {
        let lifetime = self.expires_at.map(|end| end.since(self.created_at));
        let wanted = NewKey {
            name: self.name.clone(),
            user_id: self.user_id.clone(),
            team_id: self.team_id.clone(),
            role: self.role.clone(),
            scopes: self.scopes.clone(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
        };
        let (key, mut record) = wanted.issue(now);
        record.rotated_from = Some(self.id.clone());
        (key, record)
    }

    /// Whether the key works at `now`.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> KeyState {
        if self.revoked_at.is_some_and(|at| at <= now) {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_recognised_and_a_typo_is_not() {
        let key = ApiKey::generate();
        assert!(is_well_formed(key.expose()), "{}", key.expose());
        for position in 0..key.expose().len() {
            let mut typo = key.expose().as_bytes().to_vec();
            typo[position] = if typo[position] == b'x' { b'y' } else { b'x' };
            assert!(
                !is_well_formed(&String::from_utf8(typo).unwrap()),
                "position {position}"
            );
        }
        assert!(!is_well_formed("swk_"));
        assert!(!is_well_formed("sk-something-else"));
        assert!(!is_well_formed(&format!("swk_{}", "é".repeat(21))));
    }

    #[test]
    fn neither_keys_nor_digests_show_in_debug_output() {
        let key = ApiKey::generate();
        assert!(!format!("{key:?}").contains(&key.expose()[4..12]));
        assert_eq!(format!("{:?}", KeyDigest::of(key.expose())), "KeyDigest(…)");
    }

    #[test]
    fn revocation_wins_over_expiry() {
        let mut record = KeyRecord {
            id: "key_1".into(),
            name: "test".into(),
            user_id: "ada".into(),
            team_id: None,
            role: Role::User,
            scopes: Scopes::default(),
            environment: None,
            service: None,
            hint: "swk_abcd".into(),
            digest: KeyDigest::of("x"),
            created_at: UnixMillis(0),
            expires_at: Some(UnixMillis(100)),
            revoked_at: None,
            rotated_from: None,
        };
        assert_eq!(record.state(UnixMillis(99)), KeyState::Live);
        assert_eq!(record.state(UnixMillis(100)), KeyState::Expired);
        record.revoked_at = Some(UnixMillis(50));
        assert_eq!(record.state(UnixMillis(49)), KeyState::Live);
        assert_eq!(record.state(UnixMillis(50)), KeyState::Revoked);
    }
}
