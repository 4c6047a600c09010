//! What a model call consumed, in tokens, with the classes that are priced differently kept apart.

use serde::{Deserialize, Serialize};

/// Tokens of one model call. The classes do not overlap, except that `output_tokens` includes
/// `reasoning_tokens` and `audio_output_tokens`, and `input_tokens` includes `audio_input_tokens`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Input that was neither read from nor written to the provider's prompt cache.
    pub input_tokens: u64,
    /// Input read from the provider's prompt cache.
    pub cached_read_tokens: u64,
    /// Input written to the provider's prompt cache for five minutes (or the provider's default).
    pub cache_write_5m_tokens: u64,
    /// Input written to the provider's prompt cache for one hour.
    pub cache_write_1h_tokens: u64,
    /// Everything generated, reasoning and audio included.
    pub output_tokens: u64,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: u64,
    /// The part of the input that was audio.
    pub audio_input_tokens: u64,
    /// The part of the output that was audio.
    pub audio_output_tokens: u64,
    /// True when the provider did not say and the figures are our estimate.
    pub estimated: bool,
}

impl Usage {
    /// All input, cached or not.
    #[must_use]
    pub fn total_input(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cached_read_tokens)
            .saturating_add(self.cache_write_5m_tokens)
            .saturating_add(self.cache_write_1h_tokens)
    }

    /// All input and all output.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output_tokens)
    }
}
