//! What a model answers as a whole.

use super::Block;
use crate::usage::Usage;

/// One complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The provider's name of this answer.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// What it said, in order.
    pub blocks: Vec<Block>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// The stop text that was met, if it was one.
    pub stop_sequence: Option<String>,
    /// What it consumed. `None`: the provider did not say, which is not the same as zero.
    pub usage: Option<Usage>,
    /// Paths of fields that were present and that this type has no place for.
    pub unknown_fields: Vec<String>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// It had said everything.
    EndTurn,
    /// `max_output_tokens` was reached.
    MaxTokens,
    /// A stop text was met.
    StopSequence,
    /// It waits for the result of a tool.
    ToolUse,
    /// The provider paused a long turn; send the answer back to go on.
    Paused,
    /// The model declined.
    Refusal,
    /// A content filter cut the answer.
    ContentFilter,
    /// The context window is full.
    ContextWindowExceeded,
}
