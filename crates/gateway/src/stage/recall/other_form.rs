//! A remembered answer in the other form: a whole one told as a stream, or a stream put together,
//! where nothing is lost by it.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use seaworthy_core::cache::Entry;
use seaworthy_core::call::Reply;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Framer, Framing, StreamDecoder, StreamEncoder, StreamSettings};

/// How the answer is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) dialect: Dialect,
    /// How it is framed, if it is a stream.
    pub(super) framing: Option<Framing>,
    pub(super) include_usage: bool,
}

/// The same answer in the form that is wanted; `None` where that would not say all of it.
pub(super) fn told(entry: Entry, wanted: Wanted) -> Option<Entry> {
    let created_unix_s = entry.stored_at.seconds();
    let (body, content_type) = match wanted.framing {
        Some(framing) => {
            let body = as_stream(&entry.body, wanted, framing, created_unix_s)?;
            (body, framing.content_type())
        }
        None => (
            as_whole(&entry, wanted, created_unix_s)?,
            "application/json",
        ),
    };
    let mut headers = entry.headers;
    for (name, value) in &mut headers {
        if *name == CONTENT_TYPE.as_str() {
            content_type.clone_into(value);
        }
    }
    Some(Entry {
        headers,
        body,
        ..entry
    })
}

fn as_stream(body: &[u8], wanted: Wanted, framing: Framing, created_unix_s: i64) -> Option<Bytes> {
    let reply = seaworthy_llm::decode_reply(wanted.dialect, body).ok()?;
    let pieces = reply.pieces().filter(|_| reply.unknown_fields.is_empty())?;
    let settings = StreamSettings {
        include_usage: wanted.include_usage,
        created_unix_s,
    };
    let mut encoder = StreamEncoder::with_framing(wanted.dialect, framing, settings);
    let mut stream = Vec::with_capacity(body.len() * 2);
    for piece in &pieces {
        encoder.push(piece, &mut stream);
    }
    encoder.finish(&mut stream);
    encoder.dropped().is_empty().then(|| stream.into())
}

fn as_whole(entry: &Entry, wanted: Wanted, created_unix_s: i64) -> Option<Bytes> {
    let mut headers = entry.headers.iter();
    let (_, content_type) = headers.find(|(name, _)| *name == CONTENT_TYPE.as_str())?;
    let framing = Framing::of_content_type(content_type)?;
    let mut framer = Framer::new(framing, entry.body.len());
    framer.push(entry.body.clone());
    let mut decoder = StreamDecoder::new(wanted.dialect);
    let mut pieces = Vec::new();
    while let Some(event) = framer.next_event().ok()? {
        decoder.push(&event, &mut pieces).ok()?;
    }
    let reply = Reply::gathered(pieces)?;
    // Whole answers say what they used.
    reply.usage?;
    let encoded = seaworthy_llm::encode_reply(wanted.dialect, &reply, created_unix_s);
    encoded.dropped.is_empty().then(|| encoded.body.into())
}
