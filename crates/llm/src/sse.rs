//! Server-sent events: cutting a byte stream into events, whatever frames it arrives in.

pub use crate::event::Event;

use crate::buffer::Buffer;
use bytes::Bytes;

/// Cuts frames into events. The raw bytes of all events, in order, are the bytes of the stream.
///
/// An event that lies whole within one frame is a slice of it, not a copy.
#[derive(Debug)]
pub struct Splitter {
    buffer: Buffer,
    /// How much of the buffer is known not to end an event.
    scanned: usize,
    /// Whether the buffer starts where the stream does.
    at_start: bool,
    max_event_bytes: usize,
}

/// One event is longer than is allowed; nothing more can be read from the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected server-sent events of at most {max_event_bytes} bytes, found a longer one")]
pub struct EventTooLarge {
    /// The limit.
    pub max_event_bytes: usize,
}

impl Splitter {
    /// A splitter that refuses events of more than `max_event_bytes`.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            buffer: Buffer::new(),
            scanned: 0,
            at_start: true,
            max_event_bytes,
        }
    }

    /// Takes the next frame of the stream. Take all events out with [`Splitter::next_event`]
    /// before the next push, or they pile up.
    pub fn push(&mut self, frame: Bytes) {
        self.buffer.push(frame);
    }

    /// The next complete event, if the frames so far hold one.
    ///
    /// # Errors
    /// When the event is longer than allowed, complete or not.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        let bytes = self.buffer.as_slice();
        let start = if self.at_start { bom_len(bytes) } else { 0 };
        let (end, so_far) = match find_end(bytes, start, self.scanned) {
            Scan::End(end) => (Some(end), end),
            Scan::Open(scanned) => {
                self.scanned = scanned;
                (None, bytes.len())
            }
        };
        if so_far > self.max_event_bytes {
            return Err(EventTooLarge {
                max_event_bytes: self.max_event_bytes,
            });
        }
        Ok(end.map(|end| self.take(end)))
    }

    /// What is left when the stream has ended: events not yet taken, then an unfinished one.
    ///
    /// # Errors
    /// As [`Splitter::next_event`].
    pub fn finish(&mut self) -> Result<Option<Event>, EventTooLarge> {
        if let Some(event) = self.next_event()? {
            return Ok(Some(event));
        }
        let rest = self.buffer.as_slice().len();
        Ok((rest > 0).then(|| self.take(rest)))
    }

    fn take(&mut self, len: usize) -> Event {
        let raw = self.buffer.take(len);
        let skip = if self.at_start { bom_len(&raw) } else { 0 };
        self.at_start = false;
        self.scanned = 0;
        Event::of_sse(raw, skip)
    }
}

fn bom_len(bytes: &[u8]) -> usize {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        3
    } else {
        0
    }
}

enum Scan {
    /// The event, blank line included, ends before this index.
    End(usize),
    /// It does not end yet, and nothing before this index has to be looked at again.
    Open(usize),
}

/// Looks for the blank line that ends the event at the start of `bytes`.
///
/// A line ends with `\n`, `\r\n` or `\r`. A `\r` at the very end is left undecided until the next
/// byte is there, so that the cut does not depend on how the stream was cut into frames.
fn find_end(bytes: &[u8], start: usize, scanned: usize) -> Scan {
    let mut from = scanned.max(start);
    while let Some(at) = memchr::memchr2(b'\n', b'\r', &bytes[from.min(bytes.len())..]) {
        let line_end = from + at;
        let Some(next_line) = after_line_end(bytes, line_end) else {
            return Scan::Open(line_end);
        };
        if line_end == start {
            return Scan::End(next_line);
        }
        match bytes.get(next_line) {
            None => return Scan::Open(line_end),
            Some(b'\n' | b'\r') => {
                return after_line_end(bytes, next_line).map_or(Scan::Open(line_end), Scan::End);
            }
            Some(_) => from = next_line,
        }
    }
    Scan::Open(bytes.len().max(start))
}

/// Where the line after the line end at `at` starts; `None` if that cannot be told yet.
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at] == b'\n' {
        return Some(at + 1);
    }
    let next = bytes.get(at + 1)?;
    Some(if *next == b'\n' { at + 2 } else { at + 1 })
}
