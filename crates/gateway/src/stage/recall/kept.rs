//! Answers as they are kept, and as they come back.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::reply::{Answer, Content};

/// Headers of one exchange: they are made anew for each.
fn is_of_the_exchange(name: &str) -> bool {
    matches!(
        name,
        "request-id"
            | "x-request-id"
            | "traceparent"
            | "connection"
            | "content-length"
            | "transfer-encoding"
            | "date"
            | "age"
            | "ratelimit"
            | "ratelimit-policy"
            | "x-seaworthy-cache"
            | "x-seaworthy-cost-usd"
            | "x-seaworthy-upstream-request-id"
            | "idempotent-replayed"
    ) || name.starts_with("x-ratelimit-")
        || name.starts_with("anthropic-ratelimit-")
}

/// Removes what belongs to the exchange of the caller who was first.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_of_the_exchange(name.as_str()))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

/// The headers to keep.
pub(crate) fn headers_to_keep(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers
        .iter()
        .filter(|(name, _)| !is_of_the_exchange(name.as_str()));
    kept.filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    })
    .collect()
}

/// An answer from what was kept.
pub(crate) fn answer(status: u16, kept: &[(String, String)], body: Bytes) -> Answer {
    let mut headers = HeaderMap::with_capacity(kept.len() + 8);
    for (name, value) in kept {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    Answer {
        status,
        headers,
        content: Content::Frames(vec![body]),
    }
}

/// The pieces in one.
pub(crate) fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [only] => only.clone(),
        several => several.concat().into(),
    }
}
