//! Bytes of a stream that wait for the rest of an event: no copy as long as one frame holds it.

use bytes::{Bytes, BytesMut};

/// The bytes of the frames so far that have not been taken out.
#[derive(Debug)]
pub(crate) enum Buffer {
    /// What is left of the last frame.
    Frame(Bytes),
    /// The start of an event from earlier frames, and what came after it.
    Joined(BytesMut),
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self::Frame(Bytes::new())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Frame(rest) => rest,
            Self::Joined(joined) => joined,
        }
    }

    /// Appends the next frame.
    pub(crate) fn push(&mut self, frame: Bytes) {
        match self {
            Self::Frame(rest) if rest.is_empty() => *self = Self::Frame(frame),
            Self::Frame(rest) => {
                let mut joined = BytesMut::with_capacity(rest.len() + frame.len());
                joined.extend_from_slice(rest);
                joined.extend_from_slice(&frame);
                *self = Self::Joined(joined);
            }
            Self::Joined(joined) => joined.extend_from_slice(&frame),
        }
    }

    /// Takes the first `len` bytes out.
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        let taken = match self {
            Self::Frame(rest) => rest.split_to(len),
            Self::Joined(joined) => joined.split_to(len).freeze(),
        };
        if self.as_slice().is_empty() {
            *self = Self::new();
        }
        taken
    }
}
