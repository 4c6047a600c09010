//! AWS Signature Version 4: signing requests, and checking the signatures of others. Pure: the time
//! and the digest of the body come in.

mod canonical;
mod presented;
#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::clock::UnixMillis;

pub use presented::{Presented, Unsigned};

/// The only algorithm of the version.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What signs: an access key and its secret.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The public half.
    pub access_key_id: &'a str,
    /// The secret half.
    pub secret_access_key: &'a str,
    /// Goes along with temporary credentials.
    pub session_token: Option<&'a str>,
}

/// Where a signature counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The region, `eu-central-1` for example.
    pub region: &'a str,
    /// The service, `bedrock` for example.
    pub service: &'a str,
}

/// A request as it travels.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as it is sent, percent-encoded.
    pub path: &'a str,
    /// The query as it is sent, without the question mark.
    pub query: &'a str,
    /// The headers to sign, in any order.
    pub headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body in lower-case hexadecimal.
    pub body_sha256: &'a str,
}

/// The headers that a signed request carries in addition to those that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `x-amz-date`
    pub date: String,
    /// `authorization`
    pub authorization: String,
}

/// Signs a request. `x-amz-date` and the session token are added to the headers that are signed and
/// have to be sent.
#[must_use]
pub fn sign(
    request: Request<'_>,
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    at: UnixMillis,
) -> Signature {
    let date = timestamp(at);
    let mut headers = request.headers.to_vec();
    headers.push(("x-amz-date", &date));
    if let Some(token) = credentials.session_token {
        headers.push(("x-amz-security-token", token));
    }
    let request = Request {
        headers: &headers,
        ..request
    };
    let (canonical, signed_headers) = canonical::request(request);
    let day = date.get(..8).unwrap_or_default();
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = string_to_sign(&date, &scope_text, &canonical);
    let key = signing_key(credentials.secret_access_key, day, scope);
    let signature = hex(&mac(&key, to_sign.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={signed_headers}, \
         Signature={signature}",
        credentials.access_key_id
    );
    Signature {
        date,
        authorization,
    }
}

/// The SHA-256 of a body, as requests are signed with it.
#[must_use]
pub fn body_sha256(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The secret that belongs to the ID of one of our keys, so that its holder can sign: derived from a
/// secret of this deployment, so that what is stored of the key is not enough to make it.
#[must_use]
pub fn derived_secret(deployment_secret: &str, key_id: &str) -> String {
    const PURPOSE: &[u8] = b"seaworthy signing secret v1\n";
    let message = [PURPOSE, key_id.as_bytes()].concat();
    hex(&mac(deployment_secret.as_bytes(), &message))
}

/// `20150830T123600Z`
fn timestamp(at: UnixMillis) -> String {
    let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn string_to_sign(date: &str, scope: &str, canonical: &str) -> String {
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    format!("{ALGORITHM}\n{date}\n{scope}\n{digest}")
}

fn signing_key(secret: &str, day: &str, scope: Scope<'_>) -> [u8; 32] {
    let start = format!("AWS4{secret}");
    let parts = [day, scope.region, scope.service, "aws4_request"];
    let first = mac(start.as_bytes(), parts[0].as_bytes());
    parts[1..]
        .iter()
        .fold(first, |key, part| mac(&key, part.as_bytes()))
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // An HMAC takes keys of every length: the error cannot happen.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}
