//! Names with passwords (RFC 7617). Hashing is slow on purpose: it happens on threads of its own, a
//! few at a time, and is remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_cache::sync::Cache;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, TokenSecret};
use seaworthy_core::principal::Principal;
use tokio::sync::Semaphore;

use super::{Flaw, Verdict};

/// How many passwords are hashed at a time: each takes a core and tens of megabytes.
const AT_A_TIME: usize = 2;
/// How many callers may wait for that.
const MAX_WAITING: usize = 64;
/// How long a password that was right is not looked at again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
const CAPACITY: usize = 1_024;
/// The most that a hash may ask for: a configuration cannot take the machine down.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
/// Longer passwords are nobody's.
const MAX_PASSWORD_BYTES: usize = 1_024;

/// Unknown users cost as much as known ones, so that time does not tell who exists.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2Vhd29ydGh5LW5vYm9keQ$\
                      MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

/// A user of the configuration.
#[derive(Debug)]
pub(crate) struct User {
    hash: String,
    principal: Principal,
}

/// The users of a configuration.
#[derive(Debug)]
pub(crate) struct Users {
    users: HashMap<String, Arc<User>>,
    remembered: Cache<KeyDigest, (Principal, UnixMillis)>,
    /// Mixed into what is remembered, so that memory does not hold plain digests of passwords.
    salt: TokenSecret,
}

/// Slots of all configurations of the process: a reload does not double them.
static SLOTS: LazyLock<(Semaphore, Semaphore)> =
    LazyLock::new(|| (Semaphore::new(AT_A_TIME), Semaphore::new(MAX_WAITING)));

/// Why a hash cannot be used.
pub(crate) fn check(hash: &str) -> Result<(), String> {
    let wrong = "expected a hash of argon2id as `seaworthy keys hash-password` makes it";
    let parsed = PasswordHash::new(hash).map_err(|_| wrong.to_owned())?;
    if parsed.algorithm.as_str() != "argon2id" || parsed.hash.is_none() {
        return Err(wrong.to_owned());
    }
    let params = Params::try_from(&parsed).map_err(|_| wrong.to_owned())?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
        return Err(format!(
            "expected a hash that takes at most {MAX_MEMORY_KIB} KiB and {MAX_PASSES} passes"
        ));
    }
    Ok(())
}

/// The argon2id hash of a password, with a salt of its own.
///
/// # Errors
/// When the system has no randomness to give.
pub fn hash(password: &[u8]) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password);
    hash.map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether a password belongs to a hash.
fn fits(hash: &str, password: &[u8]) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

impl Users {
    pub(crate) fn new(users: impl IntoIterator<Item = (String, String, Principal)>) -> Self {
        let users = users.into_iter().map(|(name, hash, principal)| {
            let user = User { hash, principal };
            (name, Arc::new(user))
        });
        Self {
            users: users.collect(),
            remembered: Cache::new(CAPACITY),
            salt: TokenSecret::generate(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Judges the value of `Authorization: Basic`.
    pub(crate) async fn judge(&self, presented: &str, now: UnixMillis) -> Verdict {
        let digest = KeyDigest::of(&format!("{:?}{presented}", self.salt.expose()));
        if let Some((principal, until)) = self.remembered.get(&digest)
            && now < until
        {
            return Verdict::Live(principal);
        }
        let Some((name, password)) = read(presented) else {
            return Verdict::Refused(Flaw::Malformed);
        };
        let user = self.users.get(&name).cloned();
        let hash = user.as_ref().map_or(NOBODY, |user| &user.hash).to_owned();
        let Some(is_right) = verified(hash, password).await else {
            return Verdict::CannotSay("too many passwords wait to be verified".to_owned().into());
        };
        match user.filter(|_| is_right) {
            Some(user) => {
                let until = now.plus(REMEMBERED_FOR);
                self.remembered
                    .insert(digest, (user.principal.clone(), until));
                Verdict::Live(user.principal.clone())
            }
            None => Verdict::Refused(Flaw::WrongPassword),
        }
    }
}

/// The name and the password; the name ends at the first colon. What is not UTF-8 is ISO 8859-1, in
/// which many clients write them unless they are told.
fn read(presented: &str) -> Option<(String, Vec<u8>)> {
    let decoded = STANDARD.decode(presented).ok()?;
    let text = String::from_utf8(decoded)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect());
    let (name, password) = text.split_once(':')?;
    let is_short = password.len() <= MAX_PASSWORD_BYTES;
    is_short.then(|| (name.to_owned(), password.as_bytes().to_vec()))
}

/// Whether the password is right; `None` if too many wait for an answer already.
async fn verified(hash: String, password: Vec<u8>) -> Option<bool> {
    let (slots, waiting) = &*SLOTS;
    let place = waiting.try_acquire().ok()?;
    let slot = slots.acquire().await.ok()?;
    drop(place);
    let hashing = tokio::task::spawn_blocking(move || {
        // The slot goes back when the work is done, also if the caller has left.
        let _slot = slot;
        fits(&hash, &password)
    });
    hashing.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_for_unknown_users_is_as_slow_as_a_real_one() {
        check(NOBODY).unwrap();
        assert!(!fits(NOBODY, b""));
    }

    #[test]
    fn hashes_that_are_none_or_too_greedy_are_refused() {
        for hash in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=19456,t=2,p=1$c2Vhd29ydGh5LW5vYm9keQ",
            &NOBODY.replace("argon2id", "argon2i"),
            &NOBODY.replace("m=19456", "m=4194304"),
            &NOBODY.replace("t=2", "t=99"),
        ] {
            check(hash).unwrap_err();
        }
    }
}
