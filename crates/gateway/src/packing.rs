//! Answers on their last steps: packed, where the caller wants that and it is worth it.
//!
//! Streams are never packed: each event is worth more at once than small.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use seaworthy_edge::coding::{Coding, pack};

use crate::reply::ReplyBody;

/// Shorter answers fit a packet or two as they are.
const MIN_BYTES: usize = 1024;

/// Packs an answer, if that is possible and wanted.
pub(crate) async fn packed(
    response: Response<ReplyBody>,
    coding: Option<Coding>,
) -> Response<ReplyBody> {
    let (mut head, mut body) = response.into_parts();
    if is_packable(&head.headers)
        && let Some(frames) = body
            .whole()
            .filter(|frames| frames.iter().map(bytes::Bytes::len).sum::<usize>() >= MIN_BYTES)
    {
        // What others remember of this answer depends on it, whichever form it has.
        head.headers
            .append(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(coding) = coding
            && let Ok(packed) = pack(frames, coding).await
        {
            let name = HeaderValue::from_static(coding.as_str());
            head.headers.insert(CONTENT_ENCODING, name);
            head.headers.remove(CONTENT_LENGTH);
            body.replace_whole(packed);
        }
    }
    Response::from_parts(head, body)
}

/// Whether the answer may be packed, and is not packed already.
fn is_packable(headers: &HeaderMap) -> bool {
    let says = |name, words: &[&str]| {
        let value = headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok());
        value.is_some_and(|value| words.iter().any(|word| value.contains(word)))
    };
    says(CONTENT_TYPE, &["json", "text/", "xml", "openmetrics"])
        && !headers.contains_key(CONTENT_ENCODING)
        && !says(CACHE_CONTROL, &["no-transform"])
}
