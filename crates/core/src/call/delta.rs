//! What a model answers piece by piece.

use super::{Native, Sealed, StopReason};
use crate::usage::Usage;

/// One step of a streamed answer.
///
/// The order is: `Start`, then blocks one after another (`Open`, any number of pieces, `Close`),
/// then `Finish`. `Usage` may come at any time, even before `Start` (some dialects tell the input
/// with it), and the last one counts. `Error` ends everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// The answer begins.
    Start {
        /// The provider's name of this answer.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// A block begins. Only one is open at a time.
    Open(BlockOpening),
    /// A piece of the open text or refusal.
    Text(String),
    /// A piece of the open tool call's arguments (JSON text, cut anywhere), or of what an open block that
    /// only its own dialect knows is given.
    Arguments(String),
    /// A piece of the open reasoning.
    Thinking(String),
    /// The signature of the open reasoning, whole.
    Signature(Sealed),
    /// The open block is complete.
    Close,
    /// The model stopped.
    Finish {
        /// Why.
        stop_reason: StopReason,
        /// The stop text that was met, if it was one.
        stop_sequence: Option<String>,
    },
    /// What was consumed so far.
    Usage(Usage),
    /// The provider failed after it had begun.
    Error {
        /// The HTTP status that the failure would have had before the answer began.
        status: u16,
        /// The provider's word for the class of failure.
        kind: String,
        /// The provider's sentence.
        message: String,
    },
    /// Nothing happened; the connection is alive.
    Ping,
    /// Something that the canonical stream has no place for was left out, by its name.
    Dropped(String),
}

/// What kind of block begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockOpening {
    /// Plain text.
    Text,
    /// The model declines, in its own words.
    Refusal,
    /// A tool call.
    ToolUse {
        /// Joins the call to its result.
        id: String,
        /// Which tool.
        name: String,
    },
    /// Reasoning that may be read.
    Thinking,
    /// Reasoning that only the provider can read; complete at once.
    EncryptedThinking(Sealed),
    /// A block that only its own dialect knows, such as the call of a tool that the provider runs: its
    /// `json` is all of it but for what the dialect tells in pieces, which come as `Arguments`.
    Native(Native),
}
