//! Usage of a streamed reply, read in passing: a probe per event, a parse only where it hits.

use super::{Reported, tokens_in};
use crate::{
    event::Event,
    spoken,
    wire::{self, Wire},
};
use memchr::memmem::Finder;
use seaworthy_core::{dialect::Dialect, usage::Usage};
use std::sync::LazyLock;

/// Follows a stream and knows at every moment what it has consumed so far.
pub struct UsageMeter {
    wire: &'static dyn Wire,
    dialect: Dialect,
    tally: Tally,
    voice: Voice,
}

/// Whose events these are, as the first one tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Silent,
    Own,
    Foreign(Dialect),
}

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It carries a piece of the answer.
    Content,
    /// It carries nothing but usage; not for callers who did not ask for it.
    UsageOnly,
    /// It ends the stream.
    Terminal,
    /// The provider failed within the stream.
    Error,
    /// Anything else.
    Other,
}

/// The state of a meter, which the dialects update.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub reported: Reported,
    /// Output the provider admitted before it was done.
    pub output_floor: u64,
    /// Events that carried a piece of the answer.
    pub content_events: u64,
    /// Bytes of text in them, as escaped in JSON.
    pub content_bytes: usize,
    /// The model said why it stopped.
    pub finished: bool,
    pub terminal_seen: bool,
    pub error_seen: bool,
}

impl UsageMeter {
    /// A meter for a stream of this dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            wire: wire::of(dialect),
            dialect,
            tally: Tally::default(),
            voice: Voice::Silent,
        }
    }

    /// Looks at the next event.
    pub fn observe(&mut self, event: &Event) -> Seen {
        let Some(data) = event.data() else {
            return Seen::Other;
        };
        let is_word = || !matches!(data.trim_ascii(), b"" | b"[DONE]");
        if self.voice == Voice::Silent && is_word() {
            let foreign = spoken::dialect_of(event.name(), data);
            let foreign = foreign.filter(|dialect| *dialect != self.dialect);
            self.voice = foreign.map_or(Voice::Own, Voice::Foreign);
        }
        let seen = self.wire.observe(event.name(), data, &mut self.tally);
        match seen {
            Seen::Terminal => self.tally.terminal_seen = true,
            Seen::Error => self.tally.error_seen = true,
            Seen::Content | Seen::UsageOnly | Seen::Other => {}
        }
        seen
    }

    /// Whether the stream came to its proper end: the terminal event, or, for servers that forget
    /// it, a reason why the model stopped.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.tally.terminal_seen || (self.tally.finished && !self.tally.error_seen)
    }

    /// Whether the terminal event was seen.
    #[must_use]
    pub fn terminal_seen(&self) -> bool {
        self.tally.terminal_seen
    }

    /// Whether an error event was seen.
    #[must_use]
    pub fn error_seen(&self) -> bool {
        self.tally.error_seen
    }

    /// The dialect of the stream, if that is another one.
    #[must_use]
    pub fn foreign(&self) -> Option<Dialect> {
        match self.voice {
            Voice::Foreign(dialect) => Some(dialect),
            Voice::Silent | Voice::Own => None,
        }
    }

    /// Whether the stream came to its end without a word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tally.terminal_seen && self.voice == Voice::Silent
    }

    /// Whether any piece of the answer was seen.
    #[must_use]
    pub fn content_seen(&self) -> bool {
        self.tally.content_events > 0
    }

    /// What the provider reported, if it reported both sides.
    #[must_use]
    pub fn reported(&self) -> Option<Usage> {
        self.tally.reported.complete()
    }

    /// What the provider reported; what it left out is estimated and flagged: the input from the
    /// size of the request, the output from what went past.
    #[must_use]
    pub fn usage_or_estimate(&self, input_bytes: usize) -> Usage {
        let Tally {
            reported,
            output_floor,
            content_events,
            content_bytes,
            ..
        } = &self.tally;
        let mut usage = reported.to_usage();
        if !reported.has_input() {
            usage.input_tokens = tokens_in(input_bytes);
            usage.estimated = true;
        }
        if reported.output.is_none() {
            usage.output_tokens = (*output_floor)
                .max(*content_events)
                .max(tokens_in(*content_bytes));
            usage.estimated = true;
        }
        usage
    }
}

impl std::fmt::Debug for UsageMeter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("UsageMeter").field(&self.tally).finish()
    }
}

impl Tally {
    /// Counts one event with so many bytes of the answer.
    pub(crate) fn add_content(&mut self, bytes: usize) -> Seen {
        self.content_events += 1;
        self.content_bytes += bytes;
        Seen::Content
    }
}

/// The length of the first non-empty string that stands behind a key, escapes and all; zero if
/// there is none. `key` is searched with its quotes, so text that merely mentions it does not
/// match: there the quotes are escaped.
pub(crate) fn string_bytes(data: &[u8], key: &Finder<'_>) -> usize {
    let lengths = key.find_iter(data).map(|at| {
        let value = after_colon(&data[at + key.needle().len()..]);
        value.strip_prefix(b"\"").map_or(0, string_len)
    });
    lengths.into_iter().find(|len| *len > 0).unwrap_or(0)
}

/// Whether the key stands in front of something other than `null` (or at all, if it is cut off).
pub(crate) fn has_value(data: &[u8], key: &Finder<'_>) -> bool {
    key.find_iter(data)
        .any(|at| !after_colon(&data[at + key.needle().len()..]).starts_with(b"null"))
}

static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"type\""));

/// The type of an event: its name or, for servers that leave it out, the value of the first `type`.
pub(crate) fn event_type<'a>(name: &'a [u8], data: &'a [u8]) -> &'a [u8] {
    if !name.is_empty() {
        return name;
    }
    let Some(at) = TYPE.find(data) else {
        return b"";
    };
    let mut quoted = data[at + TYPE.needle().len()..].splitn(3, |byte| *byte == b'"');
    quoted.nth(1).unwrap_or_default()
}

fn after_colon(data: &[u8]) -> &[u8] {
    let data = data.trim_ascii_start();
    data.strip_prefix(b":")
        .map_or(b"null", <[u8]>::trim_ascii_start)
}

/// The length of the rest of a string whose opening quote has been read.
fn string_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at.min(text.len())..]) {
        if text[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    text.len()
}
