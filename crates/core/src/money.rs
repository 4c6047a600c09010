//! Money as whole micro-dollars: exact, and never a float.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

const MICROS_PER_DOLLAR: u64 = 1_000_000;
/// How many decimals of a dollar that are.
const DECIMALS: usize = 6;

/// An amount of money in micro-dollars (one millionth of a US dollar). Sums saturate: an absurd
/// amount stays absurd and never becomes a small one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than anything costs.
    pub const MAX: Self = Self(u64::MAX);

    /// So many whole dollars.
    #[must_use]
    pub const fn from_dollars(dollars: u64) -> Self {
        Self(dollars.saturating_mul(MICROS_PER_DOLLAR))
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The product.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// Dollars with all six decimals, for example `0.001250`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer has one and every line of the log: digits from the last to the first, without
        // the machinery that pads numbers. The largest has 20 digits and the point.
        let mut text = [b'0'; 24];
        let (mut at, mut rest, mut digits) = (text.len(), self.0, 0);
        while digits <= DECIMALS || rest > 0 {
            if digits == DECIMALS {
                at -= 1;
                text[at] = b'.';
            }
            at -= 1;
            text[at] += (rest % 10) as u8;
            rest /= 10;
            digits += 1;
        }
        f.write_str(str::from_utf8(&text[at..]).unwrap_or_default())
    }
}

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not a decimal number.
    #[error("expected dollars such as \"12.50\"")]
    NotDecimal,
    /// It is finer than a micro-dollar.
    #[error("expected at most six decimals: the smallest amount is 0.000001 dollars")]
    TooFine,
    /// It does not fit.
    #[error("expected at most 18446744073709 dollars")]
    TooLarge,
}

/// Reads dollars: `5000`, `12.5`, `0.000001`, `1_000`.
impl std::str::FromStr for Micros {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (dollars, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let dollars = dollars.replace('_', "");
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(&dollars) || !digits(decimals) {
            return Err(ParseError::NotDecimal);
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 6 {
            return Err(ParseError::TooFine);
        }
        let micros = format!("{decimals:0<6}").parse::<u64>();
        let (Ok(dollars), Ok(micros)) = (dollars.parse::<u64>(), micros) else {
            return Err(ParseError::TooLarge);
        };
        dollars
            .checked_mul(MICROS_PER_DOLLAR)
            .and_then(|whole| whole.checked_add(micros))
            .map(Self)
            .ok_or(ParseError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for (text, micros, written) in [
            ("5000", 5_000_000_000, "5000.000000"),
            ("0.1", 100_000, "0.100000"),
            ("12.345678", 12_345_678, "12.345678"),
            ("1_000.50", 1_000_500_000, "1000.500000"),
            ("0.000001", 1, "0.000001"),
            ("2.5000000000", 2_500_000, "2.500000"),
        ] {
            assert_eq!(text.parse(), Ok(Micros(micros)), "{text}");
            assert_eq!(Micros(micros).to_string(), written);
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for (text, error) in [
            ("", ParseError::NotDecimal),
            ("-1", ParseError::NotDecimal),
            ("1e3", ParseError::NotDecimal),
            (".5", ParseError::NotDecimal),
            ("0.0000001", ParseError::TooFine),
            ("18446744073710", ParseError::TooLarge),
            ("99999999999999999999999", ParseError::TooLarge),
        ] {
            assert_eq!(text.parse::<Micros>(), Err(error), "{text}");
        }
    }

    #[test]
    fn sums_saturate() {
        assert_eq!(Micros::MAX.plus(Micros(1)), Micros::MAX);
        assert_eq!(Micros(2).times(u64::MAX), Micros::MAX);
    }
}
