//! What the tests share: the dialects, and readable accounts of results.

use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{
    Loss,
    sse::{Event, EventTooLarge, Splitter},
};

/// Every dialect.
pub(crate) const DIALECTS: [Dialect; Dialect::ALL.len()] = Dialect::ALL;

/// Events of a stream that arrives in these frames.
pub(crate) fn events<'f>(
    frames: impl IntoIterator<Item = &'f [u8]>,
    max_event_bytes: usize,
) -> Result<Vec<Event>, EventTooLarge> {
    let mut splitter = Splitter::new(max_event_bytes);
    let mut events = Vec::new();
    for frame in frames {
        splitter.push(Bytes::copy_from_slice(frame));
        while let Some(event) = splitter.next_event()? {
            events.push(event);
        }
    }
    while let Some(event) = splitter.finish()? {
        events.push(event);
    }
    Ok(events)
}

/// A translated document and what it lost, for a snapshot.
pub(crate) fn account(body: &[u8], dropped: &[Loss]) -> String {
    let losses: String = dropped
        .iter()
        .map(|loss| format!("dropped {loss}\n"))
        .collect();
    format!("{}\n{losses}", text(body))
}

/// Bytes as text; everything we write is UTF-8.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Fails unless the document is JSON. Numbers may be too large for any type.
pub(crate) fn assert_is_json(document: &[u8]) {
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(document);
    assert!(json.is_ok(), "{json:?}: {}", text(document));
}

/// Fails unless every `data` of a stream that we wrote is JSON or `[DONE]`.
pub(crate) fn assert_data_is_json(stream: &[u8]) {
    for event in events([stream], usize::MAX).unwrap() {
        let data = event.data().unwrap();
        if data != b"[DONE]" {
            assert_is_json(data);
        }
    }
}
