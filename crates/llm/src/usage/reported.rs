//! The figures a provider has given so far; a figure it left out is not a zero.

use seaworthy_core::usage::Usage;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Token counts as a provider reported them, each kept apart from "not said".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    /// Input that was neither read from nor written to the cache.
    pub input: Option<u64>,
    pub cached_read: Option<u64>,
    /// All input written to the cache.
    pub cache_write: Option<u64>,
    /// The part of it that is kept for an hour.
    pub cache_write_1h: Option<u64>,
    pub output: Option<u64>,
    pub reasoning: Option<u64>,
    pub audio_input: Option<u64>,
    pub audio_output: Option<u64>,
}

impl Reported {
    /// The classes of an input that is told as a whole with its cached parts in it. A part that is
    /// larger than the whole is cut to it.
    pub(crate) fn of_whole_input(
        whole: Option<u64>,
        cached_read: Option<u64>,
        cache_write: Option<u64>,
    ) -> Self {
        let Some(whole) = whole else {
            return Self::default();
        };
        let cached_read = cached_read.map(|n| n.min(whole));
        let uncached = whole - cached_read.unwrap_or(0);
        let cache_write = cache_write.map(|n| n.min(uncached));
        Self {
            input: Some(uncached - cache_write.unwrap_or(0)),
            cached_read,
            cache_write,
            ..Self::default()
        }
    }

    /// These figures, overridden by those that `later` gives.
    pub(crate) fn updated_by(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            cached_read: later.cached_read.or(self.cached_read),
            cache_write: later.cache_write.or(self.cache_write),
            cache_write_1h: later.cache_write_1h.or(self.cache_write_1h),
            output: later.output.or(self.output),
            reasoning: later.reasoning.or(self.reasoning),
            audio_input: later.audio_input.or(self.audio_input),
            audio_output: later.audio_output.or(self.audio_output),
        }
    }

    /// Whether anything was said about the input.
    pub(crate) fn has_input(&self) -> bool {
        self.input.is_some() || self.cached_read.is_some() || self.cache_write.is_some()
    }

    /// The figures, if both sides are known.
    pub(crate) fn complete(&self) -> Option<Usage> {
        (self.has_input() && self.output.is_some()).then(|| self.to_usage())
    }

    /// The figures, with zero for what was not said.
    pub(crate) fn to_usage(self) -> Usage {
        let output_tokens = self.output.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0);
        let cache_write_1h_tokens = self.cache_write_1h.unwrap_or(0).min(cache_write);
        Usage {
            input_tokens: self.input.unwrap_or(0),
            cached_read_tokens: self.cached_read.unwrap_or(0),
            cache_write_5m_tokens: cache_write - cache_write_1h_tokens,
            cache_write_1h_tokens,
            output_tokens,
            reasoning_tokens: self.reasoning.unwrap_or(0).min(output_tokens),
            audio_input_tokens: self.audio_input.unwrap_or(0),
            audio_output_tokens: self.audio_output.unwrap_or(0).min(output_tokens),
            estimated: false,
        }
    }
}

/// A token count as it is written; by the rules of [`count`].
pub(crate) fn count_of(json: &[u8]) -> Option<u64> {
    if json.len() < DIGITS_OF_ANY_U64 && json.iter().all(u8::is_ascii_digit) {
        let digit = |count: u64, digit: &u8| count * 10 + u64::from(digit - b'0');
        return (!json.is_empty()).then(|| json.iter().fold(0, digit));
    }
    count(&mut serde_json::Deserializer::from_slice(json)).ok()?
}

/// So many digits and more may be too large a number.
const DIGITS_OF_ANY_U64: usize = 20;

/// Reads a token count; whatever is not one (`null`, text, a negative number) counts as not said,
/// since a provider's slip must not cost the caller the answer.
pub(crate) fn count<'de, D: Deserializer<'de>>(json: D) -> Result<Option<u64>, D::Error> {
    json.deserialize_any(Count)
}

struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = Option<u64>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Option<u64>, E> {
        Ok(Some(count))
    }

    /// `12.0`, as some servers write counts.
    fn visit_f64<E>(self, count: f64) -> Result<Option<u64>, E> {
        let is_whole = count.fract() == 0.0 && (0.0..MAX_EXACT).contains(&count);
        Ok(is_whole.then_some(count as u64))
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _no_count: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _no_count: &str) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<u64>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Larger numbers with a point are not exact.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
