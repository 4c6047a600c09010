//! A signature that somebody presents.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::{ALGORITHM, Request, Scope, canonical, hex, mac, signing_key, string_to_sign};
use crate::clock::UnixMillis;

/// The longest time between the clock of a caller and ours, as AWS has it.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// What the `authorization` header of a signed request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Whose secret is said to have signed.
    pub access_key_id: String,
    day: String,
    region: String,
    service: String,
    signed_headers: Vec<String>,
    signature: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// The header is not what the version promises.
    #[error("the `authorization` header is not one of a complete signature")]
    Incomplete,
    /// The date is missing, or another one than in the scope.
    #[error("a valid `x-amz-date` of the day in the credential scope is needed")]
    Date,
    /// The clocks are too far apart, or the request is old.
    #[error("the signature has expired or is not yet valid: its date is {0} s away from now")]
    Skewed(i64),
    /// It was made for another service.
    #[error("the credential is scoped to another service")]
    Service,
    /// A header that has to be signed was not.
    #[error("`host` and `x-amz-date` have to be signed")]
    Headers,
    /// It is another signature than ours.
    #[error("the signature that was calculated is another one than that which was sent")]
    Mismatch,
}

impl Presented {
    /// Whether an `authorization` header is that of a signature.
    #[must_use]
    pub fn is_in(authorization: &str) -> bool {
        authorization.starts_with(ALGORITHM)
    }

    /// Reads an `authorization` header.
    ///
    /// # Errors
    /// When something is missing in it.
    pub fn read(authorization: &str) -> Result<Self, Unsigned> {
        let fields = authorization
            .strip_prefix(ALGORITHM)
            .ok_or(Unsigned::Incomplete)?;
        let field = |name: &str| {
            fields
                .split(',')
                .map(str::trim)
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .filter(|value| !value.is_empty())
                .ok_or(Unsigned::Incomplete)
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let &[id, day, region, service, "aws4_request"] = scope.as_slice() else {
            return Err(Unsigned::Incomplete);
        };
        let names = field("SignedHeaders")?.split(';');
        Ok(Self {
            access_key_id: id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: names.map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }

    /// The signature in an `authorization` header. Only one text of it is accepted, so that it tells
    /// requests apart.
    #[must_use]
    pub fn signature_in(authorization: &str) -> Option<&str> {
        let (_, rest) = authorization.split_once("Signature=")?;
        let end = rest.find(',').unwrap_or(rest.len());
        Some(rest[..end].trim())
    }

    /// What can be said before the body has come: the date, the service and what was signed.
    ///
    /// # Errors
    /// When it cannot count, whoever signed.
    pub fn check(&self, service: &str, date: &str, now: UnixMillis) -> Result<(), Unsigned> {
        if self.service != service {
            return Err(Unsigned::Service);
        }
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !is_signed("host") || !is_signed("x-amz-date") {
            return Err(Unsigned::Headers);
        }
        if !date.starts_with(&self.day) || self.day.len() != 8 {
            return Err(Unsigned::Date);
        }
        let at = moment(date).ok_or(Unsigned::Date)?;
        let away = now.0.saturating_sub(at.0);
        if away.unsigned_abs() > MAX_SKEW.as_millis().try_into().unwrap_or(u64::MAX) {
            return Err(Unsigned::Skewed(away / 1000));
        }
        Ok(())
    }

    /// Compares the signature with that of this secret. Of the headers, those that were signed are
    /// looked at; one that is missing counts as empty and does not match.
    ///
    /// # Errors
    /// When it is another one.
    pub fn verify(&self, request: Request<'_>, date: &str, secret: &str) -> Result<(), Unsigned> {
        let is_signed = |name: &str| {
            let mut signed = self.signed_headers.iter();
            signed.any(|signed| name.eq_ignore_ascii_case(signed))
        };
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .copied()
            .filter(|(name, _)| is_signed(name))
            .collect();
        let (canonical, _) = canonical::request(Request {
            headers: &headers,
            ..request
        });
        let scope = Scope {
            region: &self.region,
            service: &self.service,
        };
        let text = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let to_sign = string_to_sign(date, &text, &canonical);
        let key = signing_key(secret, &self.day, scope);
        let expected = hex(&mac(&key, to_sign.as_bytes()));
        let is_same = expected.as_bytes().ct_eq(self.signature.as_bytes());
        bool::from(is_same).then_some(()).ok_or(Unsigned::Mismatch)
    }
}

/// `20150830T123600Z`
fn moment(date: &str) -> Option<UnixMillis> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(UnixMillis(zoned.timestamp().as_millisecond()))
}
