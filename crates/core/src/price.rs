//! What a call costs: the prices of models, and exact sums with them.
//!
//! Sums are made in millionths of a micro-dollar and rounded up once, at the end: a call never
//! costs less than the provider charges, and less than one micro-dollar more.

mod fees;
mod list;

pub use fees::ToolFee;
pub use list::{LoadError, PriceList, Source, days_since, undated};

use crate::money::Micros;
use crate::usage::Usage;

/// Prices of tokens are for so many.
const TOKENS_A_PRICE: u128 = 1_000_000;

/// What a million tokens of each class cost.
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

/// What is known of the price of a million tokens: a class without a price of its own costs as
/// much as its neighbour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownRates {
    /// Input.
    pub input: Micros,
    /// Output.
    pub output: Micros,
    /// As `input` if `None`.
    pub cached_read: Option<Micros>,
    /// As `input` if `None`.
    pub cache_write_5m: Option<Micros>,
    /// As `cache_write_5m` if `None`.
    pub cache_write_1h: Option<Micros>,
    /// As `output` if `None`.
    pub reasoning: Option<Micros>,
    /// As `input` if `None`.
    pub audio_input: Option<Micros>,
    /// As `output` if `None`.
    pub audio_output: Option<Micros>,
}

impl From<KnownRates> for Rates {
    fn from(known: KnownRates) -> Self {
        let (input, output) = (known.input, known.output);
        let cache_write_5m = known.cache_write_5m.unwrap_or(input);
        Self {
            input,
            cached_read: known.cached_read.unwrap_or(input),
            cache_write_5m,
            cache_write_1h: known.cache_write_1h.unwrap_or(cache_write_5m),
            output,
            reasoning: known.reasoning.unwrap_or(output),
            audio_input: known.audio_input.unwrap_or(input),
            audio_output: known.audio_output.unwrap_or(output),
        }
    }
}

/// What the calls of one model cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// Tokens.
    pub rates: Rates,
    /// Tokens of a call whose input, cached or not, is larger than this number.
    pub long: Option<(u64, Rates)>,
    /// Tokens of a call in the provider's priority tier; `None` where that is not known.
    pub priority: Option<Rates>,
    /// What `long` is in that tier.
    pub priority_long: Option<(u64, Rates)>,
    /// Each image that is generated.
    pub image: Micros,
    /// Each call of a tool that the provider runs.
    pub tool_call: Micros,
    /// The call as such.
    pub request: Micros,
}

/// What a call used that is not tokens.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Extras {
    /// Images that were generated.
    pub images: u64,
    /// Tools that the provider ran.
    pub tool_calls: u64,
}

/// What a call can come to at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// At least as many as the tokens that it sends.
    pub max_input_tokens: u64,
    /// What it may generate, over all its choices.
    pub max_output_tokens: u64,
    /// Whether it asks the provider to cache what it sends.
    pub writes_cache: bool,
    /// Whether it sends or asks for audio.
    pub has_audio: bool,
    /// What else it can use.
    pub extras: Extras,
    /// How often it may be made, retries included.
    pub attempts: u64,
}

/// What a call cost, tokens only: see [`Price::extras`] for the rest.
#[must_use]
pub fn cost(usage: &Usage, price: &Price) -> Micros {
    let rates = price.rates_for(usage.total_input());
    let audio_output = usage.audio_output_tokens.min(usage.output_tokens);
    let not_audio = usage.output_tokens.saturating_sub(audio_output);
    let reasoning = usage.reasoning_tokens.min(not_audio);
    let audio_input = usage.audio_input_tokens.min(usage.input_tokens);
    let sum = sum(&[
        (usage.input_tokens.saturating_sub(audio_input), rates.input),
        (audio_input, rates.audio_input),
        (usage.cached_read_tokens, rates.cached_read),
        (usage.cache_write_5m_tokens, rates.cache_write_5m),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (not_audio.saturating_sub(reasoning), rates.output),
        (reasoning, rates.reasoning),
        (audio_output, rates.audio_output),
    ]);
    sum.plus(price.request)
}

/// The most that a call can cost, every attempt included.
#[must_use]
pub fn worst_case(extent: &Extent, price: &Price) -> Micros {
    let once = |rates: &Rates| {
        let (input, output) = rates.dearest(extent.writes_cache, extent.has_audio);
        sum(&[
            (extent.max_input_tokens, input),
            (extent.max_output_tokens, output),
        ])
    };
    let long = match &price.long {
        Some((above, rates)) if extent.max_input_tokens > *above => once(rates),
        _ => Micros::ZERO,
    };
    once(&price.rates)
        .max(long)
        .plus(price.request)
        .plus(price.extras(extent.extras))
        .times(extent.attempts.max(1))
}

impl Price {
    /// A price of tokens alone.
    #[must_use]
    pub fn of_tokens(rates: KnownRates) -> Self {
        Self {
            rates: rates.into(),
            ..Self::default()
        }
    }

    /// The price in the provider's priority tier, if it is known.
    #[must_use]
    pub fn in_priority(&self) -> Option<Self> {
        self.priority.map(|rates| Self {
            rates,
            long: self.priority_long,
            priority: None,
            priority_long: None,
            ..*self
        })
    }

    /// Whether it makes a call dearer that it writes to the provider's cache or has to do with sound.
    #[must_use]
    pub fn depends_on_what_is_sent(&self) -> bool {
        let long = self.long.iter().map(|(_, rates)| rates);
        std::iter::once(&self.rates)
            .chain(long)
            .any(|rates| rates.dearest(true, true) != rates.dearest(false, false))
    }

    /// The prices of a call with this much input.
    fn rates_for(&self, total_input: u64) -> &Rates {
        match &self.long {
            Some((above, rates)) if total_input > *above => rates,
            _ => &self.rates,
        }
    }

    /// What images and tools cost.
    #[must_use]
    pub fn extras(&self, extras: Extras) -> Micros {
        let images = self.image.times(extras.images);
        images.plus(self.tool_call.times(extras.tool_calls))
    }
}

impl Rates {
    /// The dearest classes that input and output can fall into.
    fn dearest(&self, writes_cache: bool, has_audio: bool) -> (Micros, Micros) {
        let mut input = self.input.max(self.cached_read);
        let mut output = self.output.max(self.reasoning);
        if writes_cache {
            input = input.max(self.cache_write_5m).max(self.cache_write_1h);
        }
        if has_audio {
            input = input.max(self.audio_input);
            output = output.max(self.audio_output);
        }
        (input, output)
    }
}

/// The price of tokens by class, rounded up once.
fn sum(classes: &[(u64, Micros)]) -> Micros {
    let exact = classes.iter().fold(0_u128, |sum, (tokens, price)| {
        sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(price.0)))
    });
    Micros(u64::try_from(exact.div_ceil(TOKENS_A_PRICE)).unwrap_or(u64::MAX))
}

/// What to do with a model that has no price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownPrice {
    /// Refuse it where a budget of money applies.
    #[default]
    Deny,
    /// Reserve and charge this amount for each call.
    ReserveFlat(Micros),
    /// Let it pass without a cost, and mark the call.
    AllowFlagged,
}

/// How a call to a model without a price goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpriced {
    /// It does not.
    Refused,
    /// It costs this, and is marked as not priced.
    Flagged(Micros),
}

impl UnknownPrice {
    /// The name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::ReserveFlat(_) => "reserve_flat",
            Self::AllowFlagged => "allow_flagged",
        }
    }

    /// What becomes of a call. Where nobody counts money, an unknown price endangers no budget.
    #[must_use]
    pub fn decide(self, draws_on_money: bool) -> Unpriced {
        match self {
            Self::Deny if draws_on_money => Unpriced::Refused,
            Self::Deny | Self::AllowFlagged => Unpriced::Flagged(Micros::ZERO),
            Self::ReserveFlat(amount) => Unpriced::Flagged(amount),
        }
    }
}

#[cfg(test)]
mod tests;
