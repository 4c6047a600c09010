//! Requests other than model calls that are carried out once, however often they are sent.
//!
//! The marker is the same as that of model calls. What is made in the store of objects ends its marker
//! in the same step; keys, tokens and switches do so right after, and a kill in between leaves an
//! outcome that nobody knows, never a second one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::KeptAnswer;
use seaworthy_core::objects::Finished;

use crate::exchange::Exchange;
use crate::headers::{Presented, name, presented};
use crate::refusal::Refusal;
use crate::reply::{Answer, Content};
use crate::routes::Action;
use crate::stage::recall::idempotent::{self, Held, Look};
use crate::stage::recall::{kept, key};

/// Says in what is kept that the body is sealed, and holds the nonce.
const SEALED: &str = "x-seaworthy-sealed";
/// What the key that seals an answer is for.
const PURPOSE: &[u8] = b"seaworthy: an answer kept for an idempotency key\0";

/// What is known of a request.
pub(crate) enum Once {
    /// It has no key: nothing is kept.
    Pass,
    /// It was carried out before.
    Known(Answer),
    /// It is to be carried out, once.
    Held(Box<Held>),
}

/// What is asked for, to the byte.
pub(crate) fn of_request(path: &str, query: Option<&str>, body: &[u8]) -> Fingerprint {
    key::of_request(path, query, body)
}

/// Takes the key of a request, if it has one, or gives the answer that is known under it.
pub(crate) async fn begin(
    exchange: &Exchange,
    headers: &HeaderMap,
    request: Fingerprint,
) -> Result<Once, Refusal> {
    let (Some(value), Some(caller)) = (idempotent::key_of(headers)?, &exchange.principal) else {
        return Ok(Once::Pass);
    };
    let look = idempotent::look(exchange, caller, value, request).await?;
    match look {
        Look::Held(held) => Ok(Once::Held(held)),
        Look::Known(kept) => known(exchange, headers, value, kept).map(Once::Known),
    }
}

fn known(
    exchange: &Exchange,
    headers: &HeaderMap,
    key: &HeaderValue,
    mut kept: KeptAnswer,
) -> Result<Answer, Refusal> {
    let sealed = kept.headers.iter().position(|(name, _)| name == SEALED);
    if let Some(place) = sealed {
        let (_, nonce) = kept.headers.remove(place);
        kept.body = open(&secret(headers, key), &nonce, &kept.body).ok_or_else(not_theirs)?;
    }
    let answer = kept::answer(kept.status, &kept.headers, kept.body);
    Ok(idempotent::replayed(exchange, answer))
}

/// An answer to be kept in the same step as what it speaks of.
pub(crate) fn finished(held: Option<Box<Held>>, answer: &Answer) -> Option<Finished> {
    held.map(|held| held.into_finished(kept_answer(answer)))
}

/// Frees the key of what was not made after all.
pub(crate) async fn release(exchange: &Exchange, finished: Option<Finished>) {
    let Some(Finished { key, owner, .. }) = finished else {
        return;
    };
    idempotent::release(&*exchange.gateway.stores.idempotency, &key, &owner).await;
}

/// Keeps the answer of what was carried out. What was refused frees its key, unless it broke in the
/// middle: then nobody knows.
pub(crate) async fn end(
    held: Option<Box<Held>>,
    action: Action,
    headers: &HeaderMap,
    result: Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let Some(held) = held else { return result };
    match &result {
        Ok(answer) => match to_keep(action, headers, answer) {
            Some(kept) => held.finish(kept).await,
            None => held.release().await,
        },
        Err(refusal) => match refusal.code {
            Code::StoreUnavailable | Code::Internal => drop(held),
            _ => held.release().await,
        },
    }
    result
}

fn kept_answer(answer: &Answer) -> KeptAnswer {
    let body = match &answer.content {
        Content::Frames(frames) => kept::joined(frames),
        _ => Bytes::new(),
    };
    KeptAnswer {
        status: answer.status,
        headers: kept::headers_to_keep(&answer.headers),
        body,
    }
}

/// What is kept of an answer: one with a secret only so that nobody but its caller can read it.
fn to_keep(action: Action, headers: &HeaderMap, answer: &Answer) -> Option<KeptAnswer> {
    let mut kept = kept_answer(answer);
    if matches!(
        action,
        Action::CreateKey | Action::RotateKey | Action::CreateToken
    ) {
        let key = headers.get(&name::IDEMPOTENCY_KEY)?;
        let (nonce, body) = seal(&secret(headers, key), &kept.body)?;
        kept.headers.push((SEALED.to_owned(), nonce));
        kept.body = body;
    }
    Some(kept)
}

/// A key that only who knows the credential and the idempotency key can derive: the store has neither.
fn secret(headers: &HeaderMap, key: &HeaderValue) -> [u8; 32] {
    let credential = match presented(headers) {
        Some(Presented::Text(text) | Presented::Password(text)) => text,
        None => "",
    };
    let mac = hmac::Key::new(hmac::HMAC_SHA256, credential.as_bytes());
    let tag = hmac::sign(&mac, &[PURPOSE, key.as_bytes()].concat());
    let mut secret = [0; 32];
    secret.copy_from_slice(tag.as_ref());
    secret
}

/// Seals a text; returns the nonce as text, and what is sealed.
fn seal(secret: &[u8; 32], text: &[u8]) -> Option<(String, Bytes)> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, secret).ok()?;
    let mut sealed = text.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::empty(), &mut sealed)
        .ok()?;
    Some((STANDARD.encode(nonce.as_ref()), sealed.into()))
}

fn open(secret: &[u8; 32], nonce: &str, sealed: &[u8]) -> Option<Bytes> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, secret).ok()?;
    let nonce: [u8; 12] = STANDARD.decode(nonce).ok()?.try_into().ok()?;
    let mut text = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = key.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
    Some(Bytes::copy_from_slice(opened))
}

fn not_theirs() -> Refusal {
    Refusal::new(
        Code::IdempotencyKeyReused,
        "The answer under this `Idempotency-Key` holds a secret, which only the credential that asked \
         for it can see again. Send another key to ask for a new one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_credential_and_key_open_what_they_sealed() {
        let headers = |credential: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static(credential));
            headers
        };
        let key = HeaderValue::from_static("k");
        let mine = secret(&headers("swk_a"), &key);
        let (nonce, sealed) = seal(&mine, b"a secret").unwrap();
        assert!(memchr::memmem::find(&sealed, b"secret").is_none());
        assert_eq!(open(&mine, &nonce, &sealed).unwrap(), &b"a secret"[..]);
        for other in [
            secret(&headers("swk_b"), &key),
            secret(&headers("swk_a"), &HeaderValue::from_static("l")),
        ] {
            assert_eq!(open(&other, &nonce, &sealed), None);
        }
    }
}
