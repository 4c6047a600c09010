//! Which headers travel between caller and provider, and which end here.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::dialect::Family;

use crate::routes::key_in_query;

pub(crate) mod name;

/// Headers of one connection (RFC 9110, 7.6.1) and of the framing, which is done anew.
fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Headers of a request that are for this gateway only: the caller's credentials first of all.
fn is_for_us(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "x-api-key"
            | "api-key"
            | "x-goog-api-key"
            | "x-amz-content-sha256"
            | "x-amz-date"
            | "x-amz-security-token"
            | "cookie"
            | "host"
            | "expect"
            // Compressed answers could not be metered.
            | "accept-encoding"
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "x-correlation-id"
            // They choose whose account at the provider pays, which is not the caller's to say.
            | "openai-organization"
            | "openai-project"
            | "x-goog-user-project"
    )
}

/// Headers of an answer that say something about the provider's connection or our account there.
fn is_theirs(name: &str) -> bool {
    matches!(
        name,
        "set-cookie"
            | "server"
            | "alt-svc"
            | "strict-transport-security"
            | "openai-organization"
            | "openai-project"
            | "anthropic-organization-id"
            | "via"
    )
}

fn is_ours(name: &str) -> bool {
    name.starts_with("x-seaworthy-")
}

/// Removes what a provider says of its limits, where `ours` does not stand in its place already:
/// where limits of ours apply, those are what counts.
pub(crate) fn strip_limits(headers: &mut HeaderMap, ours: &[(HeaderName, HeaderValue)]) {
    let is_theirs = |name: &&HeaderName| {
        let text = name.as_str();
        let is_limit = text.starts_with("x-ratelimit-") || text.starts_with("anthropic-ratelimit-");
        is_limit && !ours.iter().any(|(our_name, _)| our_name == *name)
    };
    let limits: Vec<HeaderName> = headers.keys().filter(is_theirs).cloned().collect();
    for name in limits {
        headers.remove(name);
    }
}

/// What reaches the provider of a caller's headers. Everything passes, known or not, but what is for
/// us and what belongs to the connection. The caller's own are kept for further attempts.
pub(crate) fn for_provider(headers: &HeaderMap) -> HeaderMap {
    let listed = listed(headers);
    let mut kept = HeaderMap::with_capacity(headers.len() + ADDED);
    for (name, value) in headers {
        let text = name.as_str();
        if !is_for_us(text) && is_of_the_message(text, listed.as_deref()) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// How many headers are added to a request.
const ADDED: usize = 6;
/// How many headers are added to an answer, about.
const ADDED_TO_ANSWERS: usize = 12;

/// Removes what must not reach the caller, and returns the provider's own request ID.
pub(crate) fn strip_response(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let listed = listed(headers);
    let ends_here = |name: &&HeaderName| {
        let name = name.as_str();
        is_theirs(name) || !is_of_the_message(name, listed.as_deref())
    };
    let ended: Vec<HeaderName> = headers.keys().filter(ends_here).cloned().collect();
    for name in ended {
        headers.remove(name);
    }
    // Growing twice would put everything in its place twice.
    headers.reserve(ADDED_TO_ANSWERS);
    let request_id = headers.remove(&name::REQUEST_ID);
    headers.remove(&name::PROVIDER_REQUEST_ID).or(request_id)
}

/// The names that the connection claims for itself.
fn listed(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONNECTION).iter();
    let listed: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    (!listed.is_empty()).then(|| listed.join(",").to_ascii_lowercase())
}

fn is_of_the_message(name: &str, listed: Option<&str>) -> bool {
    let is_listed = |listed: &str| listed.split(',').any(|listed| listed.trim() == name);
    !is_of_the_connection(name) && !is_ours(name) && !listed.is_some_and(is_listed)
}

/// The key that a caller presents: `Authorization: Bearer`, or the header that Anthropic, Azure
/// OpenAI or Google have for it. An empty header is none: official clients send one when their key is
/// set to nothing, beside the token that they are to use.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let own = [&name::X_API_KEY, &name::API_KEY, &name::GOOGLE_KEY];
    let mut own = own.into_iter().filter_map(|name| headers.get(name));
    if let Some(key) = own.find(|key| !key.is_empty()) {
        return key.to_str().ok().map(str::trim);
    }
    let value = headers.get(&name::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Gemini's callers may send their key in the query: it is read as if it stood in its header.
pub(crate) fn take_key_from_query(family: Family, query: Option<&str>, headers: &mut HeaderMap) {
    if family == Family::Gemini
        && let Some(key) = key_in_query(query)
        && let Ok(mut key) = HeaderValue::try_from(key)
    {
        key.set_sensitive(true);
        headers.entry(&name::GOOGLE_KEY).or_insert(key);
    }
}

/// A header that says who calls and stands there more than once: whoever looked at the request before
/// may have believed another of them.
pub(crate) fn ambiguous(headers: &HeaderMap) -> Option<&'static HeaderName> {
    let names = [
        &name::AUTHORIZATION,
        &name::X_API_KEY,
        &name::API_KEY,
        &name::GOOGLE_KEY,
    ];
    let is_double = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    names.into_iter().find(is_double)
}

/// What a caller presents, to show who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    /// A key or a token.
    Text(&'a str),
    /// The value of `Authorization: Basic`.
    Password(&'a str),
}

/// The credential of a caller.
pub(crate) fn presented(headers: &HeaderMap) -> Option<Presented<'_>> {
    if let Some(key) = presented_key(headers) {
        return Some(Presented::Text(key));
    }
    let value = headers.get(&name::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, password) = value.split_once(' ')?;
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    is_basic.then(|| Presented::Password(password.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn credentials_and_connection_headers_end_here_and_the_rest_passes() {
        let mut headers = map(&[
            ("authorization", "Bearer swk_x"),
            ("x-api-key", "swk_x"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("x-seaworthy-user", "ada"),
            ("accept", "text/plain"),
            ("anthropic-beta", "a,b"),
            ("x-stainless-lang", "python"),
            ("content-type", "application/json"),
        ]);
        headers.append("accept", HeaderValue::from_static("application/json"));
        headers.append("connection", HeaderValue::from_static("X-Hop-Two"));
        headers.append("x-hop-two", HeaderValue::from_static("2"));
        let headers = for_provider(&headers);
        assert_eq!(headers.get_all("accept").iter().count(), 2);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "accept",
                "anthropic-beta",
                "content-type",
                "x-stainless-lang"
            ]
        );
    }

    #[test]
    fn the_providers_request_id_is_kept_apart_from_ours() {
        let mut headers = map(&[("x-request-id", "req_1"), ("retry-after", "2")]);
        assert_eq!(
            strip_response(&mut headers),
            Some(HeaderValue::from_static("req_1"))
        );
        assert_eq!(headers, map(&[("retry-after", "2")]));
    }

    #[test]
    fn keys_are_read_from_either_header() {
        assert_eq!(
            presented_key(&map(&[("authorization", "bearer  k")])),
            Some("k")
        );
        for name in ["x-api-key", "api-key", "x-goog-api-key"] {
            assert_eq!(presented_key(&map(&[(name, "k")])), Some("k"));
        }
        assert_eq!(presented_key(&map(&[("authorization", "Basic k")])), None);
        assert_eq!(presented_key(&HeaderMap::new()), None);
    }
}
