//! Which headers travel between caller and provider, and which end here.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers of one connection (RFC 9110, 7.6.1) and of the framing, which is done anew.
const CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of a request that are for this gateway only: the caller's credentials first of all.
const FOR_US: [&str; 14] = [
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "host",
    "content-length",
    "expect",
    // Compressed answers could not be metered.
    "accept-encoding",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-correlation-id",
];

/// Headers of an answer that say something about the provider's connection or our account there.
const FROM_THEM: [&str; 9] = [
    "content-length",
    "set-cookie",
    "server",
    "alt-svc",
    "strict-transport-security",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "via",
];

const OURS: &str = "x-seaworthy-";

/// Removes what must not reach the provider. Everything else passes, known or not.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    remove_listed_by_connection(headers);
    for name in CONNECTION.iter().chain(&FOR_US) {
        headers.remove(*name);
    }
    remove_ours(headers);
}

/// Removes what must not reach the caller, and returns the provider's own request ID.
pub(crate) fn strip_response(headers: &mut HeaderMap) -> Option<HeaderValue> {
    remove_listed_by_connection(headers);
    for name in CONNECTION.iter().chain(&FROM_THEM) {
        headers.remove(*name);
    }
    remove_ours(headers);
    let request_id = headers.remove("x-request-id");
    headers.remove("request-id").or(request_id)
}

fn remove_listed_by_connection(headers: &mut HeaderMap) {
    let Some(listed) = headers
        .get("connection")
        .and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let listed: Vec<HeaderName> = listed
        .split(',')
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

fn remove_ours(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS))
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}

/// The key that a caller presents: `Authorization: Bearer`, or Anthropic's `x-api-key`.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
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
            ("anthropic-beta", "a,b"),
            ("x-stainless-lang", "python"),
            ("content-type", "application/json"),
        ]);
        strip_request(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["anthropic-beta", "content-type", "x-stainless-lang"]);
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
        assert_eq!(presented_key(&map(&[("x-api-key", "k")])), Some("k"));
        assert_eq!(presented_key(&map(&[("authorization", "Basic k")])), None);
        assert_eq!(presented_key(&HeaderMap::new()), None);
    }
}
