//! What a request's `Cache-Control` asks of remembered answers (RFC 9111, 5.2.1).

use std::time::Duration;

use super::Entry;
use crate::clock::UnixMillis;

/// The directives of a request. Unknown ones are passed over, as the RFC has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Ask anew; the answer may be remembered.
    pub no_cache: bool,
    /// Neither use nor remember an answer.
    pub no_store: bool,
    /// Answer from memory or not at all.
    pub only_if_cached: bool,
    /// The oldest answer that will do.
    pub max_age: Option<Duration>,
    /// How long the answer has to stay valid.
    pub min_fresh: Option<Duration>,
}

impl CacheControl {
    /// Reads the values of the header, in order.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut control = Self::default();
        for directive in values.into_iter().flat_map(|value| value.split(',')) {
            let (name, argument) = match directive.split_once('=') {
                Some((name, argument)) => (name.trim(), Some(argument.trim().trim_matches('"'))),
                None => (directive.trim(), None),
            };
            let seconds = || argument.and_then(seconds);
            match name.to_ascii_lowercase().as_str() {
                "no-cache" => control.no_cache = true,
                "no-store" => control.no_store = true,
                "only-if-cached" => control.only_if_cached = true,
                // What cannot be read is taken as the strictest.
                "max-age" => control.max_age = Some(seconds().unwrap_or_default()),
                "min-fresh" => control.min_fresh = Some(seconds().unwrap_or(Duration::MAX)),
                _ => {}
            }
        }
        control
    }

    /// Whether a remembered answer may be used at all.
    #[must_use]
    pub fn may_use(&self) -> bool {
        !self.no_cache && !self.no_store
    }

    /// Whether this answer will do.
    #[must_use]
    pub fn accepts(&self, entry: &Entry, now: UnixMillis) -> bool {
        let is_young = self
            .max_age
            .is_none_or(|most| entry.age(now) <= most && !most.is_zero());
        let left = entry.expires_at.since(now);
        let is_fresh = !left.is_zero() && self.min_fresh.is_none_or(|least| left >= least);
        self.may_use() && is_young && is_fresh
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn accepts(header: &str, age_s: i64) -> bool {
        let entry = Entry {
            stored_at: UnixMillis(0),
            expires_at: UnixMillis(100_000),
            headers: Vec::new(),
            body: Bytes::new(),
        };
        CacheControl::parse([header]).accepts(&entry, UnixMillis(age_s * 1_000))
    }

    #[test]
    fn directives_decide_which_answers_will_do() {
        for (header, age_s, expected) in [
            ("", 0, true),
            ("", 99, true),
            ("", 100, false),
            ("no-cache", 0, false),
            ("No-Store", 0, false),
            ("max-age=10", 10, true),
            ("max-age=10", 11, false),
            ("max-age=\"10\"", 10, true),
            ("max-age=0", 0, false),
            ("max-age=much", 0, false),
            ("min-fresh=50", 50, true),
            ("min-fresh=50", 51, false),
            ("private, MAX-AGE = 10 , x=y", 11, false),
            ("only-if-cached", 5, true),
            ("no-transform", 5, true),
        ] {
            assert_eq!(accepts(header, age_s), expected, "{header} at {age_s} s");
        }
    }

    #[test]
    fn values_of_several_headers_count_together() {
        let control = CacheControl::parse(["no-cache", "only-if-cached"]);
        assert!(control.no_cache && control.only_if_cached);
    }
}
