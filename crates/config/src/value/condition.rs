//! Conditions: `error_rate > 5% for 5 minutes`, `API latency > 5s`, `Rate limited by provider`.

use std::fmt;

use seaworthy_core::condition::{Condition as Meaning, Side, Signal, Threshold, When};

use super::{Duration, Refusal, Text, Usd, text_value};

/// Something that has to be the case, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition(Meaning);

impl Condition {
    /// What it means.
    pub const fn meaning(self) -> Meaning {
        self.0
    }
}

/// What signals are called, the first name of each being the usual one.
const SIGNALS: [(&str, Signal); 17] = [
    ("error_rate", Signal::ErrorRate),
    ("p95_latency", Signal::Latency { percentile: 95 }),
    ("api_latency", Signal::Latency { percentile: 95 }),
    ("latency", Signal::Latency { percentile: 95 }),
    ("response_time", Signal::Latency { percentile: 95 }),
    ("p50_latency", Signal::Latency { percentile: 50 }),
    ("median_latency", Signal::Latency { percentile: 50 }),
    ("p99_latency", Signal::Latency { percentile: 99 }),
    ("latency_p50", Signal::Latency { percentile: 50 }),
    ("latency_p95", Signal::Latency { percentile: 95 }),
    ("latency_p99", Signal::Latency { percentile: 99 }),
    ("remaining_quota", Signal::RemainingQuota),
    ("token_quota_remaining", Signal::RemainingQuota),
    ("hourly_cost", Signal::HourlyCost),
    ("cost_per_hour", Signal::HourlyCost),
    ("requests_in_flight", Signal::RequestsInFlight),
    ("concurrent_requests", Signal::RequestsInFlight),
];

/// Conditions that compare nothing.
const EVENTS: [(&str, When); 5] = [
    ("rate_limited_by_provider", When::RateLimitedByProvider),
    ("provider_rate_limited", When::RateLimitedByProvider),
    ("provider_unavailable", When::ProviderUnavailable),
    ("manual_activation", When::Manual),
    ("manual", When::Manual),
];

impl Text for Condition {
    const KIND: &'static str = "condition";
    const EXPECTED: &'static str = "a condition such as \"error_rate > 5% for 5 minutes\", \"API latency > 5s\", \
         \"remaining_quota < 1000\", \"hourly_cost > 2x baseline\", \"Rate limited by provider\" \
         or \"Manual activation\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (what, hold) = match text.rsplit_once(" for ") {
            Some((what, hold)) => (what, Duration::parse(hold.trim())?.as_std()),
            None => (text, std::time::Duration::ZERO),
        };
        let when = match what.split_once(['>', '<']) {
            Some((signal, value)) => {
                let side = match what.as_bytes().get(signal.len()) {
                    Some(b'>') => Side::Above,
                    _ => Side::Below,
                };
                let signal = named(&SIGNALS, signal).ok_or(Refusal::Unlike)?;
                let threshold = threshold(signal, value.trim())?;
                When::Compare {
                    signal,
                    side,
                    threshold,
                }
            }
            None => named(&EVENTS, what).ok_or(Refusal::Unlike)?,
        };
        Ok(Self(Meaning { when, hold }))
    }
}

/// `API latency` is `api_latency`.
fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c == '_' || c == '-')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let wanted = words.join("_");
    let mut names = names.iter();
    names
        .find(|(name, _)| *name == wanted)
        .map(|(_, meaning)| *meaning)
}

fn threshold(signal: Signal, text: &str) -> Result<Threshold, Refusal> {
    if let Some(factor) = text.strip_suffix("baseline") {
        let factor = factor.trim().trim_end_matches(['x', '×']).trim();
        return match signal {
            Signal::HourlyCost => hundredths(factor).map(Threshold::TimesBaseline),
            _ => Refusal::because("expected `hourly_cost` before a multiple of the baseline"),
        };
    }
    let value = match signal {
        Signal::ErrorRate => {
            let percent = text.strip_suffix('%').ok_or(Refusal::Unlike)?.trim();
            let share = hundredths(percent)?;
            if share > 10_000 {
                return Refusal::because("expected a share of at most 100%");
            }
            share
        }
        Signal::Latency { .. } => {
            let millis = Duration::parse(text)?.as_std().as_millis();
            u64::try_from(millis).unwrap_or(u64::MAX)
        }
        Signal::HourlyCost => {
            let amount = text.trim_start_matches('$').trim();
            let amount = amount.trim_end_matches("USD").trim();
            Usd::parse(amount)?.micros().0
        }
        Signal::RemainingQuota | Signal::RequestsInFlight => whole(text)?,
    };
    Ok(Threshold::Value(value))
}

fn whole(text: &str) -> Result<u64, Refusal> {
    let digits = text.replace(['_', ','], "");
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Refusal::Unlike),
        false => Err(Refusal::Unlike),
    }
}

/// A number with up to two decimals, in hundredths.
fn hundredths(text: &str) -> Result<u64, Refusal> {
    let (whole_part, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 2 || whole_part.len() > 9 {
        return Err(Refusal::Unlike);
    }
    let whole_part = whole(whole_part)?;
    let decimals = whole(&format!("{decimals:0<2}"))?;
    match whole_part * 100 + decimals {
        0 => Refusal::because("expected a number above zero"),
        value => Ok(value),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.when {
            When::Compare {
                signal,
                side,
                threshold,
            } => {
                let sign = if side == Side::Above { '>' } else { '<' };
                write!(f, "{} {sign} ", signal.as_str())?;
                show_threshold(f, signal, threshold)?;
            }
            When::RateLimitedByProvider => f.write_str("rate limited by provider")?,
            When::ProviderUnavailable => f.write_str("provider unavailable")?,
            When::Manual => f.write_str("manual activation")?,
        }
        if self.0.hold.is_zero() {
            return Ok(());
        }
        write!(f, " for {}", Duration::of(self.0.hold))
    }
}

fn show_threshold(f: &mut fmt::Formatter<'_>, signal: Signal, threshold: Threshold) -> fmt::Result {
    let decimal = |hundredths: u64| {
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match (threshold, signal) {
        (Threshold::TimesBaseline(hundredths), _) => write!(f, "{}x baseline", decimal(hundredths)),
        (Threshold::Value(share), Signal::ErrorRate) => write!(f, "{}%", decimal(share)),
        (Threshold::Value(millis), Signal::Latency { .. }) => {
            let length = std::time::Duration::from_millis(millis);
            write!(f, "{}", Duration::of(length))
        }
        (Threshold::Value(micros), Signal::HourlyCost) => {
            write!(f, "${}", seaworthy_core::money::Micros(micros))
        }
        (Threshold::Value(value), _) => write!(f, "{value}"),
    }
}

text_value!(Condition);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Condition::parse(text) {
            Ok(condition) => condition.to_string(),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn conditions_are_read_as_people_write_them() {
        for (text, canonical) in [
            ("error_rate > 5% for 5 minutes", "error_rate > 5% for 5m"),
            ("Error rate > 10%", "error_rate > 10%"),
            (
                "p95_latency > 10s for 10 minutes",
                "p95_latency > 10s for 10m",
            ),
            ("API latency > 5s", "p95_latency > 5s"),
            ("remaining_quota < 1000", "remaining_quota < 1000"),
            ("hourly_cost > 2x baseline", "hourly_cost > 2x baseline"),
            ("hourly_cost > 1.5x baseline", "hourly_cost > 1.5x baseline"),
            ("Rate limited by provider", "rate limited by provider"),
            ("Manual activation", "manual activation"),
        ] {
            assert_eq!(shown(text), canonical);
            assert_eq!(shown(canonical), canonical);
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "",
            "error_rate",
            "error_rate > 5",
            "error_rate > 0%",
            "error_rate > 101%",
            "error_rate > 5% for ever",
            "latency > 5",
            "latency > 2x baseline",
            "happiness < 5",
            "remaining_quota < -1",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
