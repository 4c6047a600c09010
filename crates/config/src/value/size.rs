//! Amounts of data: `"10MB"`, `"64KiB"`, or a bare number of bytes.

use std::fmt;

use super::{Refusal, Text, text_value};

/// Names of the units and their bytes.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes above zero; `KB`, `MB` and `GB` are powers of ten, `KiB`, `MiB` and `GiB`
/// powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, or as many as this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        unit.map_or(Ok(()), |(name, bytes)| {
            write!(f, "{}{name}", self.0 / bytes)
        })
    }
}

impl Text for ByteSize {
    const KIND: &'static str = "size";
    const EXPECTED: &'static str = "a size such as \"10MB\", \"64KiB\" or a number of bytes";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let number: f64 = number.parse().map_err(|_| Refusal::Unlike)?;
        let unit = unit.trim();
        let bytes = match UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(Refusal::Unlike),
        };
        let total = number * bytes as f64;
        if total < 1.0 {
            return Refusal::because("expected a size above zero");
        }
        if total > (1_u64 << 50) as f64 {
            return Refusal::because("expected a size of at most 1 PiB");
        }
        Ok(Self(total.round() as u64))
    }

    fn from_number(number: u64) -> Result<Self, Refusal> {
        Self::parse(&number.to_string())
    }
}

text_value!(ByteSize);
