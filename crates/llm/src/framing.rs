//! How the events of a streamed answer are cut and joined: server-sent events, the items of a JSON
//! array, or binary frames. Everything above sees events only.

use crate::{
    ErrorView,
    event::Event,
    event_stream, json_array,
    sse::{EventTooLarge, Splitter},
    wire,
};
use bytes::Bytes;
use seaworthy_core::dialect::Dialect;

/// A way to put events into a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-sent events.
    ServerSentEvents,
    /// One JSON array that grows.
    JsonArray,
    /// Binary frames with checksums, as AWS sends them.
    EventStream,
}

/// A stream cannot be read further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// An event is longer than is allowed.
    #[error(transparent)]
    TooLarge(#[from] EventTooLarge),
    /// The bytes are not what the framing promises.
    #[error("expected {expected}, found something else")]
    Corrupt {
        /// What should have been there.
        expected: &'static str,
    },
}

impl Framing {
    /// What a dialect has unless it is asked for another one.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        wire::of(dialect).framing()
    }

    /// The framing that a response announces; `None` if it is not one of a stream.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        [Self::ServerSentEvents, Self::JsonArray, Self::EventStream]
            .into_iter()
            .find(|framing| essence.eq_ignore_ascii_case(framing.content_type()))
    }

    /// The media type of a response.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::JsonArray => "application/json",
            Self::EventStream => "application/vnd.amazon.eventstream",
        }
    }
}

/// Cuts frames into events. The raw bytes of all events, in order, are the bytes of the stream.
#[derive(Debug)]
pub struct Framer {
    cutter: Cutter,
    framing: Framing,
    /// How many events with data have been cut.
    events: u64,
}

#[derive(Debug)]
enum Cutter {
    ServerSentEvents(Splitter),
    JsonArray(json_array::Splitter),
    EventStream(event_stream::Splitter),
}

impl Framer {
    /// A framer that refuses events of more than `max_event_bytes`.
    #[must_use]
    pub fn new(framing: Framing, max_event_bytes: usize) -> Self {
        let cutter = match framing {
            Framing::ServerSentEvents => Cutter::ServerSentEvents(Splitter::new(max_event_bytes)),
            Framing::JsonArray => Cutter::JsonArray(json_array::Splitter::new(max_event_bytes)),
            Framing::EventStream => {
                Cutter::EventStream(event_stream::Splitter::new(max_event_bytes))
            }
        };
        Self {
            cutter,
            framing,
            events: 0,
        }
    }

    /// Takes the next frame of the stream. Take all events out with [`Framer::next_event`] before
    /// the next push, or they pile up.
    pub fn push(&mut self, frame: Bytes) {
        match &mut self.cutter {
            Cutter::ServerSentEvents(splitter) => splitter.push(frame),
            Cutter::JsonArray(splitter) => splitter.push(frame),
            Cutter::EventStream(splitter) => splitter.push(frame),
        }
    }

    /// The next complete event, if the frames so far hold one.
    ///
    /// # Errors
    /// When the event is longer than allowed, complete or not, or the bytes are no events.
    pub fn next_event(&mut self) -> Result<Option<Event>, FramingError> {
        let event = match &mut self.cutter {
            Cutter::ServerSentEvents(splitter) => splitter.next_event()?,
            Cutter::JsonArray(splitter) => splitter.next_event()?,
            Cutter::EventStream(splitter) => splitter.next_event()?,
        };
        self.count(event.as_ref());
        Ok(event)
    }

    /// What is left when the stream has ended: events not yet taken, then an unfinished one.
    ///
    /// # Errors
    /// As [`Framer::next_event`].
    pub fn finish(&mut self) -> Result<Option<Event>, FramingError> {
        let event = match &mut self.cutter {
            Cutter::ServerSentEvents(splitter) => splitter.finish()?,
            Cutter::JsonArray(splitter) => splitter.finish()?,
            Cutter::EventStream(splitter) => splitter.finish()?,
        };
        self.count(event.as_ref());
        Ok(event)
    }

    /// Appends an error as the last event, to be sent behind the events that have been cut.
    pub fn write_error(&self, dialect: Dialect, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        write_error(dialect, self.framing, error, self.events, out);
    }

    fn count(&mut self, event: Option<&Event>) {
        self.events += u64::from(event.is_some_and(|event| event.data().is_some()));
    }
}

/// Appends an error as the last event of a stream, behind so many others.
pub(crate) fn write_error(
    dialect: Dialect,
    framing: Framing,
    error: &ErrorView<'_>,
    events: u64,
    out: &mut Vec<u8>,
) {
    if framing == Framing::JsonArray {
        out.push(if events == 0 { b'[' } else { b',' });
        out.extend_from_slice(&crate::encode_error(dialect.family(), error));
        out.push(b']');
    } else {
        wire::of(dialect).stream_error(error, events, out);
    }
}
