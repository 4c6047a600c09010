//! One event of a stream, whatever its framing: its raw bytes, its name and its data.

use bytes::Bytes;
use std::ops::Range;

/// One event as it came. What carries no data (comments, blank lines, brackets) is an event too, so
/// that the raw bytes of all events are the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
    name: Range<usize>,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    None,
    /// One piece within the raw bytes.
    Line(Range<usize>),
    /// Several `data` lines of a server-sent event, joined by `\n`.
    Joined(Vec<u8>),
}

impl Event {
    /// The bytes as they came, framing included, to be forwarded unchanged.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The raw bytes, by value.
    #[must_use]
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// What the framing calls the event; empty if it does not.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.raw[self.name.clone()]
    }

    /// What it carries; `None` if nothing.
    #[must_use]
    pub fn data(&self) -> Option<&[u8]> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => Some(&self.raw[range.clone()]),
            Data::Joined(joined) => Some(joined),
        }
    }

    /// An event whose name and data stand within its bytes.
    pub(crate) fn new(raw: Bytes, name: Range<usize>, data: Option<Range<usize>>) -> Self {
        let data = data.map_or(Data::None, Data::Line);
        Self { raw, name, data }
    }

    /// Reads the fields of a server-sent event whose first `skip` bytes are a byte-order mark.
    pub(crate) fn of_sse(raw: Bytes, skip: usize) -> Self {
        let mut name = 0..0;
        let mut data = Data::None;
        let mut from = skip;
        while from < raw.len() {
            let line_end =
                memchr::memchr2(b'\n', b'\r', &raw[from..]).map_or(raw.len(), |at| from + at);
            let (field, value) = field(&raw, from..line_end);
            match &raw[field] {
                b"data" => data = data.and(&raw, value),
                b"event" => name = value,
                _ => {}
            }
            from = line_end + 1;
        }
        Self { raw, name, data }
    }
}

impl Data {
    fn and(self, raw: &[u8], line: Range<usize>) -> Self {
        let mut joined = match self {
            Self::None => return Self::Line(line),
            Self::Line(first) => raw[first].to_vec(),
            Self::Joined(joined) => joined,
        };
        joined.push(b'\n');
        joined.extend_from_slice(&raw[line]);
        Self::Joined(joined)
    }
}

/// A line as `field: value`; one space after the colon is not part of the value. The `\r\n` of a
/// line leaves an empty line behind, which has no field.
fn field(raw: &[u8], line: Range<usize>) -> (Range<usize>, Range<usize>) {
    let Some(colon) = memchr::memchr(b':', &raw[line.clone()]) else {
        return (line.clone(), line.end..line.end);
    };
    let colon = line.start + colon;
    let space = usize::from(raw[colon + 1..line.end].first() == Some(&b' '));
    (line.start..colon, colon + 1 + space..line.end)
}
