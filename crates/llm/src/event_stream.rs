//! `application/vnd.amazon.eventstream`: binary frames with headers and checksums.
//!
//! A frame is its length (4 bytes), the length of its headers (4), the checksum of these eight (4),
//! the headers, the payload, and the checksum of everything before (4); all big-endian.

use crate::{buffer::Buffer, event::Event, framing::FramingError, sse::EventTooLarge};
use bytes::Bytes;
use std::ops::Range;

const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// Cuts frames of a connection into frames of the event stream. An event's name is the type of the
/// event, of the exception or of the error, its data the payload.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: Buffer,
    max_event_bytes: usize,
}

impl Splitter {
    pub(crate) fn new(max_event_bytes: usize) -> Self {
        Self {
            buffer: Buffer::new(),
            max_event_bytes,
        }
    }

    pub(crate) fn push(&mut self, frame: Bytes) {
        self.buffer.push(frame);
    }

    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, FramingError> {
        let bytes = self.buffer.as_slice();
        let Some(prelude) = bytes.get(..PRELUDE_BYTES) else {
            return Ok(None);
        };
        // Checked first: a wrong length would be waited for in vain.
        if crc32fast::hash(&prelude[..8]) != u32_at(prelude, 8) {
            return Err(corrupt("a frame of an event stream"));
        }
        let length = u32_at(prelude, 0) as usize;
        let headers = PRELUDE_BYTES..PRELUDE_BYTES.saturating_add(u32_at(prelude, 4) as usize);
        if length > self.max_event_bytes {
            return Err(EventTooLarge {
                max_event_bytes: self.max_event_bytes,
            }
            .into());
        }
        if length < PRELUDE_BYTES + CHECKSUM_BYTES || headers.end > length - CHECKSUM_BYTES {
            return Err(corrupt("a frame whose headers fit in it"));
        }
        let Some(frame) = bytes.get(..length) else {
            return Ok(None);
        };
        let payload = headers.end..length - CHECKSUM_BYTES;
        if crc32fast::hash(&frame[..payload.end]) != u32_at(frame, payload.end) {
            return Err(corrupt("a frame with the checksum of its content"));
        }
        let event = Headers::read(frame, headers).ok_or_else(|| corrupt("headers of a frame"))?;
        let data = event.message.unwrap_or(payload);
        let raw = self.buffer.take(length);
        Ok(Some(Event::new(raw, event.name, Some(data))))
    }

    /// An unfinished frame is left as an event without data.
    pub(crate) fn finish(&mut self) -> Result<Option<Event>, FramingError> {
        if let Some(event) = self.next_event()? {
            return Ok(Some(event));
        }
        let rest = self.buffer.as_slice().len();
        Ok((rest > 0).then(|| Event::new(self.buffer.take(rest), 0..0, None)))
    }
}

fn corrupt(expected: &'static str) -> FramingError {
    FramingError::Corrupt { expected }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_be_bytes(four.unwrap_or_default())
}

/// What the headers of a frame say, as places within it.
#[derive(Default)]
struct Headers {
    name: Range<usize>,
    /// The sentence of an error, which has no payload.
    message: Option<Range<usize>>,
}

impl Headers {
    fn read(frame: &[u8], place: Range<usize>) -> Option<Self> {
        let mut headers = Self::default();
        let mut at = place.start;
        let end = place.end;
        while at < end {
            let name = at + 1..at + 1 + usize::from(*frame.get(at)?);
            let kind = *frame.get(name.end)?;
            let value = value_at(frame, name.end + 1, kind)?;
            if value.end > end {
                return None;
            }
            at = value.end;
            match frame.get(name)? {
                b":event-type" | b":exception-type" | b":error-code" => headers.name = value,
                b":error-message" => headers.message = Some(value),
                _ => {}
            }
        }
        Some(headers)
    }
}

/// Where the value of a header of this type stands.
fn value_at(frame: &[u8], at: usize, kind: u8) -> Option<Range<usize>> {
    let fixed = |len: usize| Some(at..at + len);
    match kind {
        // True and false.
        0 | 1 => fixed(0),
        2 => fixed(1),
        3 => fixed(2),
        4 => fixed(4),
        // A long and a timestamp.
        5 | 8 => fixed(8),
        // Bytes and text.
        6 | 7 => {
            let len = u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?);
            Some(at + 2..at + 2 + usize::from(len))
        }
        // A UUID.
        9 => fixed(16),
        _ => None,
    }
}

/// What kind of frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Exception,
}

/// Appends one frame with a JSON payload.
pub(crate) fn write(kind: Kind, name: &str, payload: &[u8], out: &mut Vec<u8>) {
    let (type_header, message_type) = match kind {
        Kind::Event => (":event-type", "event"),
        Kind::Exception => (":exception-type", "exception"),
    };
    let mut headers = Vec::with_capacity(96);
    header(type_header, name, &mut headers);
    header(":content-type", "application/json", &mut headers);
    header(":message-type", message_type, &mut headers);
    let start = out.len();
    let length = PRELUDE_BYTES + headers.len() + payload.len() + CHECKSUM_BYTES;
    out.extend_from_slice(&saturated(length).to_be_bytes());
    out.extend_from_slice(&saturated(headers.len()).to_be_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Our frames hold a piece of an answer, so they never come near four gigabytes.
fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Names and values are our own words, all of them short.
fn header(name: &str, value: &str, out: &mut Vec<u8>) {
    const TEXT: u8 = 7;
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
    out.push(TEXT);
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests;
