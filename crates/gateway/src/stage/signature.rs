//! Was it signed? Requests of AWS's clients carry a signature instead of a key.
//!
//! The access key ID is the ID of one of our keys; the secret access key is derived from a secret of
//! this deployment and that ID. What is stored of a key is not enough to sign for it, and neither is
//! the deployment's secret for a key that is not live.

use bytes::Bytes;
use http::{HeaderMap, Uri};
use seaworthy_config::{Config, Secret, SecretError, SecretRef, SecretSource};
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_core::principal::Credential;
use seaworthy_core::sigv4::{Presented, Request, Unsigned, body_sha256, derived_secret};
use seaworthy_edge::body::RequestBody;

use crate::exchange::Exchange;
use crate::identity::Verdict;
use crate::pipeline::Caller;
use crate::refusal::Refusal;
use crate::stage::authenticate::cannot_say;
use crate::stage::decode::read;

/// The service that callers sign for.
const SERVICE: &str = "bedrock";
/// Fewer characters could be guessed.
const LEAST_SECRET: usize = 32;

/// What callers' secrets are derived from, the present secret first.
#[derive(Debug)]
pub(crate) struct Signing(Vec<Secret>);

/// Why signatures cannot be checked as configured.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A secret could not be read.
    #[error("`auth.sigv4.{key}`: {source}")]
    Secret {
        /// Which one.
        key: &'static str,
        /// Why not.
        source: SecretError,
    },
    /// A secret could be guessed.
    #[error("`auth.sigv4.{key}`: expected at least {LEAST_SECRET} characters, found {found}")]
    Short {
        /// Which one.
        key: &'static str,
        /// Its length.
        found: usize,
    },
}

impl Signing {
    /// Reads the secrets of a configuration, if it has any.
    pub(crate) fn build(
        config: &Config,
        secrets: &dyn SecretSource,
    ) -> Result<Option<Self>, SigningError> {
        let sigv4 = &config.auth.sigv4;
        let resolve = |key, reference: &SecretRef| {
            let secret = secrets.resolve(reference);
            let secret = secret.map_err(|source| SigningError::Secret { key, source })?;
            let found = secret.expose().len();
            match found < LEAST_SECRET {
                true => Err(SigningError::Short { key, found }),
                false => Ok(secret),
            }
        };
        let mut known = Vec::new();
        for (key, reference) in [
            ("secret", &sigv4.secret),
            ("previous_secret", &sigv4.previous_secret),
        ] {
            if let Some(reference) = reference {
                known.push(resolve(key, reference)?);
            }
        }
        Ok((!known.is_empty()).then_some(Self(known)))
    }
}

/// Checks the signature of a request that has one, and notes who signed. The body, which is part of
/// what was signed, is read only for keys that are live.
pub(crate) async fn verify(exchange: &mut Exchange, caller: &mut Caller) -> Result<(), Refusal> {
    let authorization = caller.headers.get(http::header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let Some(authorization) = authorization.filter(|text| {
        exchange.family == Family::Bedrock
            && exchange.snapshot.auth_enabled
            && Presented::is_in(text)
    }) else {
        return Ok(());
    };
    let presented = Presented::read(authorization).map_err(|reason| unsigned(&reason))?;
    let date = caller.headers.get("x-amz-date");
    let date = date.and_then(|date| date.to_str().ok());
    let date = date.unwrap_or_default().to_owned();
    presented
        .check(SERVICE, &date, exchange.gateway.clock.now())
        .map_err(|reason| unsigned(&reason))?;
    let snapshot = std::sync::Arc::clone(&exchange.snapshot);
    let Some(Signing(secrets)) = &snapshot.signing else {
        return Err(not_accepted());
    };
    let id = &presented.access_key_id;
    let principal = match exchange.gateway.keys.authenticate_id(id).await {
        Verdict::Live(principal) => principal,
        Verdict::Refused(_) => return Err(unknown()),
        Verdict::CannotSay(doubt) => return Err(cannot_say(Credential::Key, doubt)),
    };
    let limits = exchange.snapshot.body_limits;
    let unread = RequestBody::whole(Bytes::new(), limits);
    let body = read(std::mem::replace(&mut caller.body, unread)).await?;
    let digest = body_sha256(&body);
    caller.body = RequestBody::whole(body, limits);
    let headers = headers(&caller.headers, &caller.target);
    let request = Request {
        method: "POST",
        path: caller.target.path(),
        query: caller.target.query().unwrap_or_default(),
        headers: &headers,
        body_sha256: &digest,
    };
    let is_signed = secrets.iter().any(|secret| {
        let secret = derived_secret(secret.expose(), id);
        presented.verify(request, &date, &secret).is_ok()
    });
    if !is_signed {
        return Err(unsigned(&Unsigned::Mismatch));
    }
    exchange.signed_by = Some(principal);
    Ok(())
}

/// The headers as text. HTTP/2 has the host in its target.
fn headers<'a>(headers: &'a HeaderMap, target: &'a Uri) -> Vec<(&'a str, &'a str)> {
    let texts = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let mut texts: Vec<(&str, &str)> = texts.collect();
    if !headers.contains_key(http::header::HOST)
        && let Some(authority) = target.authority()
    {
        texts.push(("host", authority.as_str()));
    }
    texts
}

/// AWS has 403 for all of these, and words that its clients know.
fn refused(kind: &'static str, message: String) -> Refusal {
    let mut refusal = Refusal::new(Code::InvalidApiKey, message);
    refusal.kind = Some(kind);
    refusal
}

fn unsigned(reason: &Unsigned) -> Refusal {
    let (kind, message) = match reason {
        Unsigned::Incomplete | Unsigned::Date => {
            ("IncompleteSignatureException", reason.to_string())
        }
        Unsigned::Mismatch => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method."
                .to_owned(),
        ),
        Unsigned::Skewed(seconds) if *seconds > 0 => (
            "InvalidSignatureException",
            format!("Signature expired: it is {seconds} s old, and 300 s are accepted."),
        ),
        Unsigned::Skewed(seconds) => (
            "InvalidSignatureException",
            format!("Signature not yet current: it is {} s ahead.", -seconds),
        ),
        Unsigned::Service => (
            "InvalidSignatureException",
            format!("Credential should be scoped to correct service: '{SERVICE}'."),
        ),
        Unsigned::Headers => ("InvalidSignatureException", reason.to_string()),
    };
    refused(kind, message)
}

fn unknown() -> Refusal {
    let message = "The security token included in the request is invalid.".to_owned();
    refused("UnrecognizedClientException", message)
}

fn not_accepted() -> Refusal {
    let message = "Signed requests are not accepted here: `auth.sigv4.secret` is not configured. \
                   Send an API key as a bearer token."
        .to_owned();
    refused("UnrecognizedClientException", message)
}
