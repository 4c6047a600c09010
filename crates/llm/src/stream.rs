//! Streamed answers: canonical deltas to server-sent events of a dialect, and back.

use crate::{
    error::ErrorView,
    event::Event,
    fault::Fault,
    framing::{self, Framing},
    loss::{Feature, Loss, Losses},
    wire,
};
use seaworthy_core::{
    call::{BlockOpening, Delta},
    dialect::Dialect,
};

/// Writes deltas as the events of one dialect.
pub struct StreamEncoder {
    inner: Box<dyn EncodeStream>,
    dialect: Dialect,
    framing: Framing,
    /// Whether anything has been written.
    begun: bool,
    losses: Losses,
    /// The open block is one that only another dialect knows.
    leaves_out: bool,
    ended: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    Finished,
    Failed,
}

/// What an encoder has to know about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// Whether the caller asked for usage, in dialects where it has to be asked for.
    pub include_usage: bool,
    /// When the answer began, in seconds of Unix time.
    pub created_unix_s: i64,
}

/// The part of an encoder that differs between dialects. `Finish`, `Error` and the end come once.
pub(crate) trait EncodeStream: Send {
    /// Writes one delta, which is not an error.
    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses);

    /// Writes what belongs at the end of a finished answer.
    fn end(&mut self, out: &mut Vec<u8>);

    /// How many events have been written, in dialects that number them.
    fn sequence_number(&self) -> u64 {
        0
    }
}

impl StreamEncoder {
    /// An encoder for one answer.
    #[must_use]
    pub fn new(dialect: Dialect, settings: StreamSettings) -> Self {
        Self::with_framing(dialect, Framing::of(dialect), settings)
    }

    /// An encoder for a caller who asked for another framing than the dialect's usual one.
    #[must_use]
    pub fn with_framing(dialect: Dialect, framing: Framing, settings: StreamSettings) -> Self {
        Self {
            inner: wire::of(dialect).stream_encoder(settings, framing),
            dialect,
            framing,
            begun: false,
            losses: Losses::default(),
            leaves_out: false,
            ended: Ended::No,
        }
    }

    /// Appends the events that stand for one delta.
    pub fn push(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        if self.ended == Ended::Failed {
            return;
        }
        let before = out.len();
        match delta {
            Delta::Open(BlockOpening::Native(native)) if native.dialect != self.dialect => {
                self.losses.add(Feature::NativeAnswer, &native.kind);
                self.leaves_out = true;
            }
            Delta::Arguments(_) if self.leaves_out => {}
            Delta::Close if self.leaves_out => self.leaves_out = false,
            // Anthropic begins every call with an empty piece. It says nothing, and must not be
            // taken for the arguments of a call that has none.
            Delta::Text(text) | Delta::Thinking(text) | Delta::Arguments(text)
                if text.is_empty() => {}
            Delta::Error {
                status, message, ..
            } => self.fail(*status, message, out),
            Delta::Finish { .. } => {
                self.ended = Ended::Finished;
                self.inner.delta(delta, out, &mut self.losses);
            }
            _ => self.inner.delta(delta, out, &mut self.losses),
        }
        self.begun |= out.len() > before;
    }

    /// Appends the end of the stream. An answer that was never finished ends with an error, so
    /// that nobody takes a cut answer for a whole one.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self.ended {
            Ended::Finished => self.inner.end(out),
            Ended::No => self.fail(
                502,
                "the provider's stream ended before the answer did",
                out,
            ),
            Ended::Failed => {}
        }
    }

    /// Appends an error as the end of the stream, if it has no end yet.
    pub fn fail_with(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        if self.ended != Ended::Failed {
            self.write_error(error, out);
        }
    }

    /// How the events are put together.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What could not be told in this dialect so far.
    #[must_use]
    pub fn dropped(&self) -> &[Loss] {
        self.losses.so_far()
    }

    fn fail(&mut self, status: u16, message: &str, out: &mut Vec<u8>) {
        let error = ErrorView {
            status,
            kind: None,
            code: None,
            message,
            param: None,
            retry_after: None,
            request_id: None,
        };
        self.write_error(&error, out);
    }

    fn write_error(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        self.ended = Ended::Failed;
        let events = self.inner.sequence_number().max(u64::from(self.begun));
        framing::write_error(self.dialect, self.framing, error, events, out);
    }
}

impl std::fmt::Debug for StreamEncoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("StreamEncoder")
            .field(&self.dialect)
            .finish()
    }
}

/// Reads the events of one dialect as deltas.
pub struct StreamDecoder {
    inner: Box<dyn DecodeStream>,
    dialect: Dialect,
    /// The ID and the model of an answer that tells neither.
    names: (String, String),
}

/// The part of a decoder that differs between dialects.
pub(crate) trait DecodeStream: Send {
    /// Reads one event by its name and its data.
    fn event(&mut self, name: &[u8], data: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault>;
}

impl StreamDecoder {
    /// A decoder for one answer.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            inner: wire::of(dialect).stream_decoder(),
            dialect,
            names: (String::new(), String::new()),
        }
    }

    /// What to call an answer that does not tell its own ID or its model: some dialects have no
    /// place for them.
    #[must_use]
    pub fn or_named(mut self, id: &str, model: &str) -> Self {
        self.names = (id.to_owned(), model.to_owned());
        self
    }

    /// Appends the deltas that one event stands for.
    ///
    /// # Errors
    /// When the event is not what the dialect promises. The stream cannot be read further.
    pub fn push(&mut self, event: &Event, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some(data) = event.data() else {
            return Ok(());
        };
        // A sign of life without a word, as some servers send it.
        let is_text = self.dialect != Dialect::BedrockConverse;
        if is_text && event.name() != b"error" && data.trim_ascii().is_empty() {
            return Ok(());
        }
        let before = out.len();
        let result = self.inner.event(event.name(), data, out);
        for delta in &mut out[before..] {
            if let Delta::Start { id, model } = delta {
                name_if_empty(id, &self.names.0);
                name_if_empty(model, &self.names.1);
            }
        }
        result
    }
}

fn name_if_empty(name: &mut String, usual: &str) {
    if name.is_empty() {
        usual.clone_into(name);
    }
}

impl std::fmt::Debug for StreamDecoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("StreamDecoder")
            .field(&self.dialect)
            .finish()
    }
}
