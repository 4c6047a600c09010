//! Answers as they are kept, and as they come back.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
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
    let content = content(&headers, body);
    Answer {
        status,
        headers,
        content,
    }
}

/// What was known in one piece, in the form in which it is sent.
pub(crate) fn content(headers: &HeaderMap, body: Bytes) -> Content {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match content_type.is_some_and(|value| value.starts_with(EVENTS.as_bytes())) {
        true => Content::Events(events(body)),
        false => Content::Frames(vec![body]),
    }
}

const EVENTS: &str = "text/event-stream";

/// A stream cut where its events end, so that it is read as it was the first time.
fn events(mut body: Bytes) -> Vec<Bytes> {
    let mut events = Vec::new();
    while let Some(at) = memchr::memmem::find(&body, b"\n\n") {
        events.push(body.split_to(at + 2));
    }
    if !body.is_empty() {
        events.push(body);
    }
    events
}

/// The pieces in one.
pub(crate) fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [only] => only.clone(),
        several => several.concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_where_their_events_end_and_nothing_is_lost() {
        for text in [
            "",
            "data: 1\n\n",
            "data: 1\n\n: c\n\ndata: 2\n\n",
            "data: 1\r\n\r\ndata: 2\n",
        ] {
            let events = events(Bytes::from_static(text.as_bytes()));
            assert_eq!(events.concat(), text.as_bytes());
            let ends = text.matches("\n\n").count();
            let rest = usize::from(!text.is_empty() && !text.ends_with("\n\n"));
            assert_eq!(events.len(), ends + rest, "{text:?}");
        }
    }
}
