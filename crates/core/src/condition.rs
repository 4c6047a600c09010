//! Conditions over how the gateway is doing, such as `error_rate > 5% for 5 minutes`: what they are
//! and when they hold. Texts become conditions in the configuration.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::signals::Signals;

/// Something that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The share of requests that failed for reasons other than the caller's, in ten thousandths.
    ErrorRate,
    /// The time until a provider's answer begins, in milliseconds, at this percentile.
    Latency {
        /// 50, 95 or 99.
        percentile: u8,
    },
    /// What a provider says is left of its rate limit, the least of all providers.
    RemainingQuota,
    /// The money spent in the last hour, in micro-dollars.
    HourlyCost,
    /// Requests that are being worked on.
    RequestsInFlight,
}

impl Signal {
    /// The signal's name in the configuration, in metrics and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrorRate => "error_rate",
            Self::Latency { percentile: 50 } => "p50_latency",
            Self::Latency { percentile: 99 } => "p99_latency",
            Self::Latency { .. } => "p95_latency",
            Self::RemainingQuota => "remaining_quota",
            Self::HourlyCost => "hourly_cost",
            Self::RequestsInFlight => "requests_in_flight",
        }
    }
}

/// Which side of the threshold is the bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The condition holds above the threshold.
    Above,
    /// The condition holds below the threshold.
    Below,
}

/// What a signal is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Threshold {
    /// A value in the signal's unit.
    Value(u64),
    /// The usual value of the signal, times this many hundredths.
    TimesBaseline(u64),
}

/// What has to be the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// A signal is on one side of a threshold.
    Compare {
        /// What is measured.
        signal: Signal,
        /// The bad side.
        side: Side,
        /// The border.
        threshold: Threshold,
    },
    /// A provider refused a call because too many came.
    RateLimitedByProvider,
    /// The breaker of a target is open.
    ProviderUnavailable,
    /// Only a person can say so.
    Manual,
}

/// What has to be the case, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What has to be the case.
    pub when: When,
    /// For how long without a break; zero: a moment is enough.
    pub hold: Duration,
}

/// How far on the good side of its threshold a signal must be before a condition counts as over, in
/// hundredths of the threshold: a value that sways around it does not switch to and fro.
const RELIEF: u64 = 80;

impl When {
    /// Whether it is the case. What is not known is not the case.
    #[must_use]
    pub fn holds(self, signals: &Signals) -> bool {
        match self {
            Self::Compare {
                signal,
                side,
                threshold,
            } => {
                let border = border(signal, threshold, signals);
                match (signals.value(signal), border, side) {
                    (Some(value), Some(border), Side::Above) => value > border,
                    (Some(value), Some(border), Side::Below) => value < border,
                    _ => false,
                }
            }
            Self::RateLimitedByProvider => signals.provider_limited,
            Self::ProviderUnavailable => signals.provider_unavailable,
            Self::Manual => false,
        }
    }

    /// Whether it is over with some room to spare. What is not known is over.
    #[must_use]
    pub fn is_over(self, signals: &Signals) -> bool {
        match self {
            Self::Compare {
                signal,
                side,
                threshold,
            } => {
                let border = border(signal, threshold, signals);
                match (signals.value(signal), border, side) {
                    (Some(value), Some(border), Side::Above) => {
                        value <= border.saturating_mul(RELIEF) / 100
                    }
                    (Some(value), Some(border), Side::Below) => {
                        value >= border.saturating_mul(100) / RELIEF
                    }
                    _ => true,
                }
            }
            Self::RateLimitedByProvider | Self::ProviderUnavailable | Self::Manual => {
                !self.holds(signals)
            }
        }
    }
}

fn border(signal: Signal, threshold: Threshold, signals: &Signals) -> Option<u64> {
    match threshold {
        Threshold::Value(value) => Some(value),
        Threshold::TimesBaseline(hundredths) => signals
            .baseline(signal)
            .map(|usual| usual.saturating_mul(hundredths) / 100),
    }
}

/// Since when a condition holds, or has been over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    holding_since: Option<UnixMillis>,
    over_since: Option<UnixMillis>,
}

impl Watch {
    /// Looks once more. Time that goes backwards starts the wait anew.
    pub fn look(&mut self, condition: &Condition, signals: &Signals, now: UnixMillis) {
        let begin = |since: Option<UnixMillis>| Some(since.filter(|at| *at <= now).unwrap_or(now));
        self.holding_since = match condition.when.holds(signals) {
            true => begin(self.holding_since),
            false => None,
        };
        self.over_since = match condition.when.is_over(signals) {
            true => begin(self.over_since),
            false => None,
        };
    }

    /// Whether the condition has held for as long as it has to.
    #[must_use]
    pub fn is_met(&self, condition: &Condition, now: UnixMillis) -> bool {
        self.holding_since
            .is_some_and(|since| now.since(since) >= condition.hold)
    }

    /// Whether it has been over for this long.
    #[must_use]
    pub fn is_over_for(&self, wait: Duration, now: UnixMillis) -> bool {
        self.over_since
            .is_some_and(|since| now.since(since) >= wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(share: u64) -> Signals {
        Signals {
            error_rate: Some(share),
            ..Signals::default()
        }
    }

    const FIVE_PERCENT: When = When::Compare {
        signal: Signal::ErrorRate,
        side: Side::Above,
        threshold: Threshold::Value(500),
    };

    #[test]
    fn a_condition_holds_beyond_its_threshold_and_is_over_with_room_to_spare() {
        assert!(!FIVE_PERCENT.holds(&errors(500)));
        assert!(FIVE_PERCENT.holds(&errors(501)));
        assert!(!FIVE_PERCENT.is_over(&errors(450)));
        assert!(FIVE_PERCENT.is_over(&errors(400)));
        assert!(!FIVE_PERCENT.holds(&Signals::default()));
        assert!(FIVE_PERCENT.is_over(&Signals::default()));
    }

    #[test]
    fn a_quota_is_bad_below_its_threshold() {
        let when = When::Compare {
            signal: Signal::RemainingQuota,
            side: Side::Below,
            threshold: Threshold::Value(1000),
        };
        let left = |quota| Signals {
            remaining_quota: Some(quota),
            ..Signals::default()
        };
        assert!(when.holds(&left(999)) && !when.holds(&left(1000)));
        assert!(!when.is_over(&left(1249)) && when.is_over(&left(1250)));
    }

    #[test]
    fn a_baseline_moves_the_threshold_and_an_unknown_one_never_holds() {
        let when = When::Compare {
            signal: Signal::HourlyCost,
            side: Side::Above,
            threshold: Threshold::TimesBaseline(200),
        };
        let spent = |baseline| Signals {
            hourly_cost: Some(300),
            hourly_cost_baseline: baseline,
            ..Signals::default()
        };
        assert!(when.holds(&spent(Some(149))) && !when.holds(&spent(Some(150))));
        assert!(!when.holds(&spent(None)));
    }

    #[test]
    fn a_hold_counts_only_without_a_break() {
        let condition = Condition {
            when: FIVE_PERCENT,
            hold: Duration::from_secs(60),
        };
        let mut watch = Watch::default();
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        watch.look(&condition, &errors(900), at(0));
        assert!(!watch.is_met(&condition, at(59)));
        assert!(watch.is_met(&condition, at(60)));
        watch.look(&condition, &errors(0), at(61));
        watch.look(&condition, &errors(900), at(62));
        assert!(!watch.is_met(&condition, at(121)));
        assert!(watch.is_met(&condition, at(122)));
        assert!(!watch.is_over_for(Duration::ZERO, at(122)));
    }
}
