//! Lengths of time: `"500ms"`, `"5s"`, `"10 minutes"`, `"1h 30m"`.

use std::fmt;

use super::{Refusal, Text, text_value};

/// Names of the units and their length in nanoseconds.
const UNITS: [(&[&str], u64); 7] = [
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000_000),
    (&["s", "sec", "second", "seconds"], 1_000_000_000),
    (&["ms", "millisecond", "milliseconds"], 1_000_000),
    (&["us", "µs", "microsecond", "microseconds"], 1_000),
    (&["ns", "nanosecond", "nanoseconds"], 1),
];
/// No duration in a configuration is longer than ten years.
const LONGEST_NANOS: u64 = 3650 * 86_400_000_000_000;

/// A length of time above zero and up to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Duration {
    /// A second.
    pub const ONE_SECOND: Self = Self::from_secs(1);

    /// So many seconds.
    pub(crate) const fn from_secs(seconds: u32) -> Self {
        Self(seconds as u64 * 1_000_000_000)
    }

    /// So many milliseconds.
    pub(crate) const fn from_millis(millis: u32) -> Self {
        Self(millis as u64 * 1_000_000)
    }

    /// So long; a moment becomes a nanosecond.
    pub(crate) fn of(length: std::time::Duration) -> Self {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(LONGEST_NANOS);
        Self(nanos.clamp(1, LONGEST_NANOS))
    }

    /// The same as the standard library's type.
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.as_std()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, nanos)| self.0.is_multiple_of(*nanos));
        unit.map_or(Ok(()), |(names, nanos)| {
            write!(f, "{}{}", self.0 / nanos, names[0])
        })
    }
}

impl Text for Duration {
    const KIND: &'static str = "duration";
    const EXPECTED: &'static str = "a duration such as \"500ms\", \"5s\" or \"10 minutes\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let mut nanos = 0_f64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
            let (number, tail) = rest.split_at(digits.unwrap_or(rest.len()));
            let number: f64 = number.parse().map_err(|_| Refusal::Unlike)?;
            let tail = tail.trim_start();
            let letters = tail
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let length = UNITS.iter().find(|(names, _)| names.contains(&unit));
            let Some((_, length)) = length else {
                return Err(Refusal::Unlike);
            };
            nanos += number * (*length as f64);
            rest = tail.trim_start();
        }
        if text.is_empty() {
            return Err(Refusal::Unlike);
        }
        if nanos < 1.0 {
            return Refusal::because("expected a duration above zero");
        }
        if nanos > LONGEST_NANOS as f64 {
            return Refusal::because("expected a duration of at most ten years");
        }
        Ok(Self(nanos.round() as u64))
    }

    fn from_number(number: u64) -> Result<Self, Refusal> {
        Refusal::because(format!(
            "expected a duration with its unit, found the number {number}: write \"{number}s\""
        ))
    }
}

text_value!(Duration);

/// An upper bound of a time, such as `<100ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Within(pub Duration);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.0)
    }
}

impl Text for Within {
    const KIND: &'static str = "bound of a time";
    const EXPECTED: &'static str = "a bound such as \"<100ms\" or \"2s\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let bound = text.trim_start_matches(['<', '≤', '=']).trim();
        Duration::parse(bound).map(Self)
    }
}

text_value!(Within);

/// How often something is done, such as `every 5 minutes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval(pub Duration);

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}", self.0)
    }
}

impl Text for Interval {
    const KIND: &'static str = "interval";
    const EXPECTED: &'static str = "an interval such as \"every 5 minutes\" or \"30s\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let length = text.strip_prefix("every ").unwrap_or(text).trim();
        match length {
            "second" | "minute" | "hour" | "day" => Duration::parse(&format!("1 {length}")),
            _ => Duration::parse(length),
        }
        .map(Self)
    }
}

text_value!(Interval);
