//! The items of a JSON array that arrives piece by piece, each as an event.

use crate::{buffer::Buffer, event::Event, framing::FramingError, sse::EventTooLarge};
use bytes::Bytes;

/// Cuts frames into the objects of an array. An event's raw bytes begin with what stands before the
/// object; the closing bracket is an event without data.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: Buffer,
    /// How much of the buffer has been looked at.
    scanned: usize,
    /// Where the open object starts in the buffer, and how deep it is at `scanned`.
    object: Option<(usize, usize)>,
    in_string: bool,
    escaped: bool,
    max_event_bytes: usize,
}

impl Splitter {
    pub(crate) fn new(max_event_bytes: usize) -> Self {
        Self {
            buffer: Buffer::new(),
            scanned: 0,
            object: None,
            in_string: false,
            escaped: false,
            max_event_bytes,
        }
    }

    pub(crate) fn push(&mut self, frame: Bytes) {
        self.buffer.push(frame);
    }

    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, FramingError> {
        while let Some(byte) = self.buffer.as_slice().get(self.scanned) {
            let at = self.scanned;
            self.scanned += 1;
            self.check_size(self.scanned)?;
            let Some((start, depth)) = self.object else {
                match byte {
                    b'{' => self.object = Some((at, 1)),
                    b']' => return Ok(Some(self.take(None))),
                    b'[' | b',' => {}
                    other if other.is_ascii_whitespace() => {}
                    _ => {
                        return Err(FramingError::Corrupt {
                            expected: "an array of JSON objects",
                        });
                    }
                }
                continue;
            };
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.object = Some((start, depth + 1)),
                b'}' | b']' if depth == 1 => {
                    self.object = None;
                    return Ok(Some(self.take(Some(start))));
                }
                b'}' | b']' => self.object = Some((start, depth - 1)),
                _ => {}
            }
        }
        Ok(None)
    }

    pub(crate) fn finish(&mut self) -> Result<Option<Event>, FramingError> {
        if let Some(event) = self.next_event()? {
            return Ok(Some(event));
        }
        if self.buffer.as_slice().is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take(None)))
    }

    fn take(&mut self, object: Option<usize>) -> Event {
        let end = std::mem::take(&mut self.scanned);
        let raw = self.buffer.take(end);
        Event::new(raw, 0..0, object.map(|start| start..end))
    }

    fn check_size(&self, bytes: usize) -> Result<(), EventTooLarge> {
        if bytes > self.max_event_bytes {
            return Err(EventTooLarge {
                max_event_bytes: self.max_event_bytes,
            });
        }
        Ok(())
    }
}
