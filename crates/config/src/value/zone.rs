//! Time zones by their IANA names.

use std::fmt;

use seaworthy_core::budget::Calendar;

use super::{Refusal, Text, text_value};

/// A time zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone(String);

impl TimeZone {
    /// UTC.
    pub(crate) fn utc() -> Self {
        Self("UTC".to_owned())
    }

    /// When hours, days and months begin there.
    pub fn calendar(&self) -> Calendar {
        Calendar::named(&self.0).unwrap_or_else(Calendar::utc)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for TimeZone {
    const KIND: &'static str = "time zone";
    const EXPECTED: &'static str = "a time zone such as \"UTC\" or \"Europe/Berlin\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match Calendar::named(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Refusal::Unlike),
        }
    }
}

text_value!(TimeZone);
