//! What the answer's headers say of the caller's limits, in the words of each dialect and of the
//! IETF draft "RateLimit header fields for HTTP".

use std::fmt::Write as _;

use super::{Quota, Standing, Unit};
use crate::clock::UnixMillis;

/// One limit that applied to a request, and how the caller stands.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The name of the rule.
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

/// Three for requests, three for tokens, and one more that is added to them.
const MOST: usize = 7;

/// Names and values of headers.
pub type Headers = Vec<(&'static str, String)>;

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
        text.push('"');
        quoted(limit.rule, &mut text);
        text.push('"');
        parameters(limit, &mut text);
    }
    (!text.is_empty()).then_some(text)
}

/// A name within quotes, without what cannot stand there.
fn quoted(name: &str, text: &mut String) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.bytes().all(is_plain) {
        text.push_str(name);
        return;
    }
    let possible = |c: &char| *c == ' ' || c.is_ascii_graphic();
    for c in name.chars().filter(possible) {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
}

/// `x-ratelimit-*` as OpenAI sends them: of each unit, the limit that is nearest.
#[must_use]
pub fn openai(limits: &[Shown<'_>]) -> Headers {
    let mut headers = Headers::with_capacity(MOST);
    if let Some(limit) = nearest(limits, Unit::Requests) {
        headers.push(("x-ratelimit-limit-requests", whole(limit)));
        headers.push(("x-ratelimit-remaining-requests", left(limit)));
        headers.push(("x-ratelimit-reset-requests", go_duration(limit)));
    }
    if let Some(limit) = nearest(limits, Unit::Tokens) {
        headers.push(("x-ratelimit-limit-tokens", whole(limit)));
        headers.push(("x-ratelimit-remaining-tokens", left(limit)));
        headers.push(("x-ratelimit-reset-tokens", go_duration(limit)));
    }
    headers
}

/// `anthropic-ratelimit-*` as Anthropic sends them: of each unit, the limit that is nearest.
#[must_use]
pub fn anthropic(limits: &[Shown<'_>], now: UnixMillis) -> Headers {
    let mut headers = Headers::with_capacity(MOST);
    if let Some(limit) = nearest(limits, Unit::Requests) {
        headers.push(("anthropic-ratelimit-requests-limit", whole(limit)));
        headers.push(("anthropic-ratelimit-requests-remaining", left(limit)));
        headers.push(("anthropic-ratelimit-requests-reset", moment(limit, now)));
    }
    if let Some(limit) = nearest(limits, Unit::Tokens) {
        headers.push(("anthropic-ratelimit-tokens-limit", whole(limit)));
        headers.push(("anthropic-ratelimit-tokens-remaining", left(limit)));
        headers.push(("anthropic-ratelimit-tokens-reset", moment(limit, now)));
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

fn whole(limit: &Shown<'_>) -> String {
    decimal(limit.quota.limit())
}

fn left(limit: &Shown<'_>) -> String {
    decimal(limit.remaining())
}

fn decimal(number: u64) -> String {
    itoa::Buffer::new().format(number).to_owned()
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
        let limits = [
            shown("per_user", Unit::Requests, 30, 12, 2_001),
            shown("to\"ken\u{e9}s", Unit::Tokens, 1000, 2000, 0),
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
        let text = |headers: Headers| {
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
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
