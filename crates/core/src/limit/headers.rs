//! What the answer's headers say of the caller's limits, in the words of each dialect and of the
//! IETF draft "RateLimit header fields for HTTP".

use std::fmt::Write as _;

use super::{Quota, Standing, Unit};
use crate::clock::UnixMillis;

/// One limit that applied to a request, and how the caller stands.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The name of the rule, [`quoted`].
    pub rule: &'a str,
    /// What it counts.
    pub unit: Unit,
    /// How much may pass.
    pub quota: Quota,
    /// What is left of it.
    pub standing: Standing,
}

impl Shown<'_> {
    /// What is left, within the quota: a burst above it is not promised.
    fn remaining(&self) -> u64 {
        self.standing.remaining.min(self.quota.limit())
    }
}

/// The names of the headers that tell how a caller stands, in the places that [`Header::name`] means.
pub const NAMES: [&str; 13] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "ratelimit",
];
/// Where the names of each dialect begin: for each unit the limit, what remains, and the reset.
const OPENAI: usize = 0;
const ANTHROPIC: usize = 6;
/// The place of the IETF's name.
pub const STANDING: usize = 12;

/// Three for requests, three for tokens, and one more that is added to them.
const MOST: usize = 7;

/// One header of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The place of its name in [`NAMES`].
    pub name: usize,
    /// What it says.
    pub value: Value,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// `RateLimit-Policy`: every limit that applied, such as `"per_user";q=30;w=60`. `None` without
/// limits.
#[must_use]
pub fn policy(limits: &[Shown<'_>]) -> Option<String> {
    list(limits, |limit, text| {
        push(text, ";q=", limit.quota.limit());
        push(text, ";w=", limit.quota.period().millis() / 1000);
        if limit.unit != Unit::Requests {
            let _ = write!(text, ";qu=\"{}\"", limit.unit.as_str());
        }
    })
}

/// `RateLimit`: how the caller stands, such as `"per_user";r=12;t=3`. `None` without limits.
#[must_use]
pub fn standing(limits: &[Shown<'_>]) -> Option<String> {
    list(limits, |limit, text| {
        push(text, ";r=", limit.remaining());
        push(text, ";t=", limit.standing.reset_ms.div_ceil(1000));
    })
}

fn push(text: &mut String, name: &str, number: u64) {
    text.push_str(name);
    text.push_str(itoa::Buffer::new().format(number));
}

fn list(limits: &[Shown<'_>], parameters: impl Fn(&Shown<'_>, &mut String)) -> Option<String> {
    let mut text = String::with_capacity(limits.len().saturating_mul(48));
    for limit in limits {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(limit.rule);
        parameters(limit, &mut text);
    }
    (!text.is_empty()).then_some(text)
}

/// A name within quotes, without what cannot stand there.
#[must_use]
pub fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len().saturating_add(2));
    text.push('"');
    let possible = |c: &char| *c == ' ' || c.is_ascii_graphic();
    for c in name.chars().filter(possible) {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

/// `x-ratelimit-*` as OpenAI sends them: of each unit, the limit that is nearest.
#[must_use]
pub fn openai(limits: &[Shown<'_>]) -> Vec<Header> {
    nearest_of_each(limits, OPENAI, go_duration)
}

/// `anthropic-ratelimit-*` as Anthropic sends them: of each unit, the limit that is nearest.
#[must_use]
pub fn anthropic(limits: &[Shown<'_>], now: UnixMillis) -> Vec<Header> {
    nearest_of_each(limits, ANTHROPIC, |limit| moment(limit, now))
}

/// What is said of each unit, in the names of a dialect.
fn nearest_of_each(
    limits: &[Shown<'_>],
    names: usize,
    reset: impl Fn(&Shown<'_>) -> String,
) -> Vec<Header> {
    let mut headers = Vec::with_capacity(MOST);
    for (first, unit) in [(names, Unit::Requests), (names + 3, Unit::Tokens)] {
        let Some(limit) = nearest(limits, unit) else {
            continue;
        };
        let values = [
            Value::Number(limit.quota.limit()),
            Value::Number(limit.remaining()),
            Value::Text(reset(limit)),
        ];
        let named = values.into_iter().zip(first..);
        headers.extend(named.map(|(value, name)| Header { name, value }));
    }
    headers
}

/// `retry-after`: whole seconds, rounded up, at least 1.
#[must_use]
pub fn retry_after_seconds(wait_ms: u64) -> u64 {
    wait_ms.div_ceil(1000).max(1)
}

/// The limit of this unit that lets the least pass; of equals, the one that recovers last.
fn nearest<'a>(limits: &'a [Shown<'a>], unit: Unit) -> Option<&'a Shown<'a>> {
    limits
        .iter()
        .filter(|limit| limit.unit == unit)
        .min_by_key(|limit| {
            let recovers_last = std::cmp::Reverse(limit.standing.reset_ms);
            (limit.remaining(), recovers_last)
        })
}

/// RFC 3339 in whole seconds, rounded up.
fn moment(limit: &Shown<'_>, now: UnixMillis) -> String {
    let reset_ms = i64::try_from(limit.standing.reset_ms).unwrap_or(i64::MAX);
    let seconds = UnixMillis(now.0.saturating_add(reset_ms).saturating_add(999)).seconds();
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.to_string(),
        Err(_) => jiff::Timestamp::MAX.to_string(),
    }
}

/// A duration as Go writes it: `12ms`, `1s`, `1.5s`, `6m0s`, `1h0m2s`.
fn go_duration(limit: &Shown<'_>) -> String {
    let millis = limit.standing.reset_ms;
    let mut text = String::with_capacity(16);
    if millis < 1000 {
        push(&mut text, "", millis);
        text.push_str(if millis == 0 { "s" } else { "ms" });
        return text;
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    if hours > 0 {
        push(&mut text, "", hours);
        text.push('h');
    }
    if hours > 0 || minutes > 0 {
        push(&mut text, "", minutes);
        text.push('m');
    }
    push(&mut text, "", millis / 1000 % 60);
    if !millis.is_multiple_of(1000) {
        let decimals = format!("{:03}", millis % 1000);
        let _ = write!(text, ".{}", decimals.trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Period;

    fn shown(rule: &str, unit: Unit, limit: u64, remaining: u64, reset_ms: u64) -> Shown<'_> {
        Shown {
            rule,
            unit,
            quota: Quota::new(limit, Period::Minute).unwrap(),
            standing: Standing {
                remaining,
                reset_ms,
            },
        }
    }

    #[test]
    fn the_ietf_fields_name_each_limit() {
        let names = ["per_user", "to\"ken\u{e9}s"].map(quoted);
        let limits = [
            shown(&names[0], Unit::Requests, 30, 12, 2_001),
            shown(&names[1], Unit::Tokens, 1000, 2000, 0),
        ];
        assert_eq!(
            policy(&limits).as_deref(),
            Some(r#""per_user";q=30;w=60, "to\"kens";q=1000;w=60;qu="tokens""#)
        );
        assert_eq!(
            standing(&limits).as_deref(),
            Some(r#""per_user";r=12;t=3, "to\"kens";r=1000;t=0"#)
        );
        assert_eq!((policy(&[]), standing(&[])), (None, None));
    }

    #[test]
    fn each_dialect_gets_the_nearest_limit_in_its_own_words() {
        let limits = [
            shown("global", Unit::Requests, 100, 50, 30_000),
            shown("per_user", Unit::Requests, 30, 7, 46_500),
            shown("tokens", Unit::Tokens, 9000, 9000, 0),
        ];
        let text = |headers: Vec<Header>| {
            let lines = headers.iter().map(|header| {
                let name = NAMES[header.name];
                match &header.value {
                    Value::Number(number) => format!("{name}={number}"),
                    Value::Text(text) => format!("{name}={text}"),
                }
            });
            lines.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            text(openai(&limits)),
            "x-ratelimit-limit-requests=30 x-ratelimit-remaining-requests=7 \
             x-ratelimit-reset-requests=46.5s x-ratelimit-limit-tokens=9000 \
             x-ratelimit-remaining-tokens=9000 x-ratelimit-reset-tokens=0s"
        );
        let now = UnixMillis(1_700_000_000_125);
        assert!(
            text(anthropic(&limits[..2], now)).ends_with("-reset=2023-11-14T22:14:07Z"),
            "{}",
            text(anthropic(&limits[..2], now))
        );
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1_000, "1s"),
            (1_250, "1.25s"),
            (360_000, "6m0s"),
            (3_602_000, "1h0m2s"),
        ] {
            let limit = shown("x", Unit::Requests, 1, 0, millis);
            assert_eq!(go_duration(&limit), text);
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_and_never_too_early() {
        for (wait_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            assert_eq!(retry_after_seconds(wait_ms), seconds);
        }
    }
}
