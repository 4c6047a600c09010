//! Numbers with a meaning: counts, dollars, parts of a whole and factors, all of them exact.

use std::fmt;

use seaworthy_core::budget::watch::Share as CoreShare;
use seaworthy_core::money::Micros;

use super::{Refusal, Text, text_value};

/// A whole number, written `1000000` or `1_000_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u64);

impl Count {
    /// One.
    pub(crate) const ONE: Self = Self(1);

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Numbers beyond this are not exact in every store.
const LARGEST: u64 = seaworthy_core::limit::MAX_EXACT;

impl Text for Count {
    const KIND: &'static str = "whole number";
    const EXPECTED: &'static str = "a whole number such as 1000 or 1_000_000";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let digits = text.replace('_', "");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::Unlike);
        }
        Self::from_number(digits.parse().unwrap_or(u64::MAX))
    }

    fn from_number(number: u64) -> Result<Self, Refusal> {
        if number > LARGEST {
            return Refusal::because(format!("expected at most {LARGEST}"));
        }
        Ok(Self(number))
    }
}

impl<'de> serde::Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(super::TextVisitor(std::marker::PhantomData))
    }
}

impl serde::Serialize for Count {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl schemars::JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": Self::KIND,
            "description": Self::EXPECTED,
            "type": ["integer", "string"],
        })
    }
}

/// An amount of money in US dollars, down to a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(Micros);

impl Usd {
    /// The amount in micro-dollars.
    pub const fn micros(self) -> Micros {
        self.0
    }
}

impl From<Micros> for Usd {
    fn from(amount: Micros) -> Self {
        Self(amount)
    }
}

/// Without zeros at the end: `5000`, `0.3`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Text for Usd {
    const KIND: &'static str = "dollars";
    const EXPECTED: &'static str = "an amount in dollars such as 5000 or 0.25";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.strip_prefix('$').unwrap_or(text);
        let amount: Micros = text.parse().map_err(|error| match error {
            seaworthy_core::money::ParseError::NotDecimal => Refusal::Unlike,
            other => Refusal::Because(other.to_string()),
        })?;
        if amount.0 > LARGEST {
            return Refusal::because("expected at most 9007199254 dollars");
        }
        Ok(Self(amount))
    }

    fn from_number(number: u64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }

    fn from_decimal(number: f64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }
}

text_value!(Usd);

/// A part of a whole, written `0.8` or `80%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(CoreShare);

impl Share {
    /// So many per cent, from 1 to 100.
    pub(crate) fn percent(percent: u32) -> Self {
        let share = CoreShare::from_ten_thousandths(percent * 100);
        Self(share.unwrap_or(CoreShare::EIGHTY_PERCENT))
    }

    /// The share as the domain knows it.
    pub const fn get(self) -> CoreShare {
        self.0
    }
}

impl From<CoreShare> for Share {
    fn from(share: CoreShare) -> Self {
        Self(share)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = decimal(u64::from(self.0.ten_thousandths()), 2);
        write!(f, "{text}%")
    }
}

impl Text for Share {
    const KIND: &'static str = "share";
    const EXPECTED: &'static str = "a share such as 0.8 or \"80%\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let parts = match text.strip_suffix('%') {
            Some(percent) => fixed(percent.trim_end(), 2),
            None => fixed(text, 4),
        };
        let parts = parts.ok_or(Refusal::Unlike)?;
        let share = u32::try_from(parts)
            .ok()
            .and_then(CoreShare::from_ten_thousandths);
        match share.filter(|share| share.ten_thousandths() > 0) {
            Some(share) => Ok(Self(share)),
            None => Refusal::because("expected a share above 0 and up to 1, or 100%"),
        }
    }

    fn from_decimal(number: f64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }
}

text_value!(Share);

/// A factor from 0.01 to 100, such as `1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor {
    hundredths: u64,
}

impl Factor {
    /// Twice as much.
    pub(crate) const TWO: Self = Self { hundredths: 200 };

    /// The factor in hundredths.
    pub const fn hundredths(self) -> u64 {
        self.hundredths
    }

    /// The number times this factor, rounded down but at least 1.
    pub fn times(self, number: u64) -> u64 {
        let product = u128::from(number) * u128::from(self.hundredths) / 100;
        u64::try_from(product).unwrap_or(u64::MAX).max(1)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.hundredths, 2))
    }
}

impl Text for Factor {
    const KIND: &'static str = "factor";
    const EXPECTED: &'static str = "a factor such as 1.5";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let hundredths = fixed(text, 2).ok_or(Refusal::Unlike)?;
        if !(1..=10_000).contains(&hundredths) {
            return Refusal::because("expected a factor from 0.01 to 100");
        }
        Ok(Self { hundredths })
    }

    fn from_number(number: u64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }

    fn from_decimal(number: f64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }
}

text_value!(Factor);

/// The decimal number in units of its last of `places` decimals, if it has no more of them.
fn fixed(text: &str, places: usize) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return None;
    }
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > places || whole.len() > 9 {
        return None;
    }
    format!("{whole}{decimals:0<places$}").parse().ok()
}

/// The opposite of [`fixed`].
fn decimal(number: u64, places: usize) -> String {
    let padded = format!("{number:0>width$}", width = places + 1);
    let (whole, decimals) = padded.split_at(padded.len() - places);
    match decimals.trim_end_matches('0') {
        "" => whole.to_owned(),
        decimals => format!("{whole}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_and_shown_in_one_way() {
        let usd = |text| Usd::parse(text).map(|usd| (usd.micros().0, usd.to_string()));
        assert_eq!(usd("$0.30"), Ok((300_000, "0.3".to_owned())));
        assert_eq!(usd("5_000"), Ok((5_000_000_000, "5000".to_owned())));
        assert_eq!(Usd::from_decimal(0.1).unwrap().micros(), Micros(100_000));
        assert_eq!(Count::parse("1_000_000"), Ok(Count(1_000_000)));
        let share = |text| Share::parse(text).map(|share| share.to_string());
        assert_eq!(share("0.8"), Ok("80%".to_owned()));
        assert_eq!(share("82.5 %"), Ok("82.5%".to_owned()));
        assert_eq!(share("0.9999"), Ok("99.99%".to_owned()));
        let factor = Factor::parse("1.5").unwrap();
        assert_eq!(
            (factor.times(61), factor.to_string()),
            (91, "1.5".to_owned())
        );
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in ["", "x", "-1", "1e3"] {
            assert!(Usd::parse(text).is_err() && Count::parse(text).is_err());
            assert!(Share::parse(text).is_err() && Factor::parse(text).is_err());
        }
        assert!(Usd::parse("0.0000001").is_err());
        assert!(Usd::parse("9007199255").is_err());
        assert!(Count::from_number(u64::MAX).is_err());
        for text in ["0", "1.1", "101%", "0.00001"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
        for text in ["0", "101", "1.001"] {
            assert!(Factor::parse(text).is_err(), "{text}");
        }
    }
}
