//! How long a provider wants to be left alone, from the headers of its answer.

use std::time::Duration;

use crate::clock::UnixMillis;

/// Advice beyond this is not believed: no limit of a provider lasts longer than a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the advice of an answer. `header` looks one up. The provider's own word goes before the
/// resets of its limits, of which only those count that are used up.
pub fn read<'a>(
    now: UnixMillis,
    mut header: impl FnMut(&'static str) -> Option<&'a str>,
) -> Option<Duration> {
    if let Some(millis) = header("retry-after-ms").and_then(|text| text.trim().parse().ok()) {
        return seconds(millis).and_then(|thousands| thousands.checked_div(1000));
    }
    if let Some(text) = header("retry-after") {
        return retry_after(text.trim(), now);
    }
    let mut longest = None;
    for (remaining, reset) in RESETS {
        if header(remaining).is_some_and(|left| left.trim() == "0")
            && let Some(wait) = header(reset).and_then(|text| moment(text.trim(), now))
        {
            longest = longest.max(Some(wait));
        }
    }
    longest
}

/// Headers that say what is left of a limit, and when it is renewed.
const RESETS: [(&str, &str); 5] = [
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// Seconds, or a date as HTTP writes it.
fn retry_after(text: &str, now: UnixMillis) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => {
            let parser = jiff::fmt::rfc2822::DateTimeParser::new();
            let date = parser.parse_timestamp(text).ok()?;
            Some(until(date, now))
        }
    }
}

/// A moment (RFC 3339), a duration as Go writes it (`1m30s`, `12ms`), or seconds.
fn moment(text: &str, now: UnixMillis) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(date) => Some(until(date, now)),
        Err(_) => go_duration(text),
    }
}

fn until(date: jiff::Timestamp, now: UnixMillis) -> Duration {
    UnixMillis(date.as_millisecond()).since(now).min(LONGEST)
}

fn seconds(number: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(number).ok()?;
    Some(wait.min(LONGEST))
}

fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| total.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        // 2023-11-14T22:13:20Z
        let now = UnixMillis(1_700_000_000_000);
        read(now, |wanted| {
            let found = headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn every_form_of_advice_is_read() {
        let reset = |value| {
            of(&[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", value),
            ])
        };
        for (found, millis) in [
            (of(&[("retry-after", "2")]), 2_000),
            (of(&[("retry-after", "0.5")]), 500),
            (
                of(&[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]),
                10_000,
            ),
            (of(&[("retry-after", "Tue, 14 Nov 2023 22:13:10 GMT")]), 0),
            (
                of(&[("retry-after-ms", "1500"), ("retry-after", "9")]),
                1_500,
            ),
            (reset("6m0s"), 360_000),
            (reset("12ms"), 12),
            (reset("1.5s"), 1_500),
            (reset("2023-11-14T22:14:20Z"), 60_000),
        ] {
            assert_eq!(found, Some(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn limits_that_are_not_used_up_say_nothing() {
        let both = of(&[
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "3s"),
            ("x-ratelimit-remaining-tokens", "17"),
            ("x-ratelimit-reset-tokens", "9s"),
        ]);
        assert_eq!(both, Some(Duration::from_secs(3)));
    }

    #[test]
    fn nonsense_is_no_advice() {
        for text in ["", "soon", "-1", "NaN", "inf", "1x"] {
            assert_eq!(of(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(of(&[("retry-after", "1e12")]), Some(LONGEST));
        assert_eq!(of(&[]), None);
    }
}
