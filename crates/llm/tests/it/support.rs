//! What the tests share: the dialects, and readable accounts of results.

use bytes::Bytes;
use seaworthy_core::call::Call;
use seaworthy_core::{dialect::Dialect, usage::Usage};
use seaworthy_llm::{
    Event, Fault, Framer, Framing, FramingError, Head, InPath, Loss, decode_call,
    decode_call_in_path, head, head_in_path,
};
use std::path::Path;

/// Every dialect.
pub(crate) const DIALECTS: [Dialect; Dialect::ALL.len()] = Dialect::ALL;

/// What stands in the path of every recorded request, where the dialect has it there.
pub(crate) const IN_PATH: InPath<'_> = InPath {
    model: "a-model",
    stream: false,
};

/// Server-sent events of a stream that arrives in these frames.
pub(crate) fn events<'f>(
    frames: impl IntoIterator<Item = &'f [u8]>,
    max_event_bytes: usize,
) -> Result<Vec<Event>, FramingError> {
    cut(Framing::ServerSentEvents, frames, max_event_bytes)
}

/// Events of a stream that arrives in these frames.
pub(crate) fn cut<'f>(
    framing: Framing,
    frames: impl IntoIterator<Item = &'f [u8]>,
    max_event_bytes: usize,
) -> Result<Vec<Event>, FramingError> {
    let mut framer = Framer::new(framing, max_event_bytes);
    let mut events = Vec::new();
    for frame in frames {
        framer.push(Bytes::copy_from_slice(frame));
        while let Some(event) = framer.next_event()? {
            events.push(event);
        }
    }
    while let Some(event) = framer.finish()? {
        events.push(event);
    }
    Ok(events)
}

/// The framing of a recorded stream, which its extension tells.
pub(crate) fn framing_of(fixture: &Path) -> Framing {
    match fixture.extension().and_then(|extension| extension.to_str()) {
        Some("sse") => Framing::ServerSentEvents,
        Some("json") => Framing::JsonArray,
        Some("eventstream") => Framing::EventStream,
        other => panic!("{}: unknown extension {other:?}", fixture.display()),
    }
}

/// A stream that we wrote, for a snapshot; binary frames as a line each.
pub(crate) fn readable(framing: Framing, stream: &[u8]) -> String {
    if framing != Framing::EventStream {
        return text(stream).to_owned();
    }
    let events = cut(framing, [stream], usize::MAX).unwrap();
    let line = |event: &Event| {
        let data = event.data().unwrap_or_default();
        format!("{} {}\n", text(event.name()), text(data))
    };
    events.iter().map(line).collect()
}

/// The part of a usage that a dialect has words for; what it cannot tell apart it adds up.
pub(crate) fn told(dialect: Dialect, usage: Usage) -> Usage {
    let cache_write = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
    let without_audio = Usage {
        audio_input_tokens: 0,
        audio_output_tokens: 0,
        ..usage
    };
    let one_class_of_writes = Usage {
        cache_write_5m_tokens: cache_write,
        cache_write_1h_tokens: 0,
        ..usage
    };
    match dialect {
        Dialect::OpenAiChat => one_class_of_writes,
        Dialect::OpenAiResponses => Usage {
            audio_input_tokens: 0,
            audio_output_tokens: 0,
            ..one_class_of_writes
        },
        Dialect::AnthropicMessages => without_audio,
        Dialect::CohereChat => Usage {
            input_tokens: usage.input_tokens + cache_write,
            cache_write_5m_tokens: 0,
            cache_write_1h_tokens: 0,
            reasoning_tokens: 0,
            ..without_audio
        },
        Dialect::BedrockConverse => Usage {
            reasoning_tokens: 0,
            ..without_audio
        },
        Dialect::Gemini => Usage {
            input_tokens: usage.input_tokens + cache_write,
            cache_write_5m_tokens: 0,
            cache_write_1h_tokens: 0,
            ..usage
        },
    }
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

/// Fails unless everything that a stream of ours carries is JSON or `[DONE]`.
pub(crate) fn assert_data_is_json(framing: Framing, stream: &[u8]) {
    let events = cut(framing, [stream], usize::MAX).unwrap();
    for data in events.iter().filter_map(Event::data) {
        if data != b"[DONE]" {
            assert_is_json(data);
        }
    }
}

/// Whether requests of a dialect name their model in the path.
fn names_in_path(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Gemini | Dialect::BedrockConverse)
}

/// The head of a request, whose path is [`IN_PATH`] where the dialect has one.
pub(crate) fn head_of(dialect: Dialect, body: &Bytes) -> Result<Head, Fault> {
    match names_in_path(dialect) {
        true => head_in_path(dialect, IN_PATH, body),
        false => head(dialect, body),
    }
}

/// A whole request, whose path is this one where the dialect has one.
pub(crate) fn decode_of(dialect: Dialect, path: InPath<'_>, body: &[u8]) -> Result<Call, Fault> {
    match names_in_path(dialect) {
        true => decode_call_in_path(dialect, path, body),
        false => decode_call(dialect, body),
    }
}
