//! What a call costs: the prices of models, and exact sums with them.
//!
//! Sums are made in millionths of a micro-dollar and rounded up once, at the end: a call never
//! costs less than the provider charges, and at most one micro-dollar more.

mod list;

pub use list::{LoadError, PriceList, Source};

use crate::money::Micros;
use crate::usage::Usage;

const TOKENS_A_PRICE: u128 = 1_000_000;

/// What a million tokens of each class cost. The classes are those of [`Usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input.
    pub input: Micros,
    /// Input read from the provider's prompt cache.
    pub cached_read: Micros,
    /// Input written to it for five minutes.
    pub cache_write_5m: Micros,
    /// Input written to it for an hour.
    pub cache_write_1h: Micros,
    /// Output.
    pub output: Micros,
    /// Output that is reasoning.
    pub reasoning: Micros,
    /// Input that is audio.
    pub audio_input: Micros,
    /// Output that is audio.
    pub audio_output: Micros,
}

/// What is known of the price of tokens: classes without a price of their own cost as much as their
/// neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRates {
    /// Input, per million tokens.
    #[serde(with = "dollars")]
    pub input: Micros,
    /// As `input` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub cached_read: Option<Micros>,
    /// As `input` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub cache_write_5m: Option<Micros>,
    /// As `cache_write_5m` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub cache_write_1h: Option<Micros>,
    /// Output, per million tokens.
    #[serde(with = "dollars")]
    pub output: Micros,
    /// As `output` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub reasoning: Option<Micros>,
    /// As `input` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub audio_input: Option<Micros>,
    /// As `output` if `None`.
    #[serde(default, with = "dollars::optional")]
    pub audio_output: Option<Micros>,
}
