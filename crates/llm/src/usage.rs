//! What a provider says a call consumed, and an estimate where it says nothing.

mod meter;
mod reported;

pub use meter::{Seen, UsageMeter};
pub(crate) use meter::{Tally, has_value, string_bytes};
pub(crate) use reported::{Reported, count};

use crate::wire;
use seaworthy_core::{dialect::Dialect, usage::Usage};

/// The usage within a complete reply; `None` if the provider does not say, which is not zero.
#[must_use]
pub fn from_reply(dialect: Dialect, body: &[u8]) -> Option<Usage> {
    wire::of(dialect).reply_usage(body)?.complete()
}

/// A guess from sizes: a token is about four bytes of text.
#[must_use]
pub fn estimate(input_bytes: usize, output_bytes: usize) -> Usage {
    Usage {
        input_tokens: tokens_in(input_bytes),
        output_tokens: tokens_in(output_bytes),
        estimated: true,
        ..Usage::default()
    }
}

/// About how many tokens so many bytes of text are.
fn tokens_in(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}
