//! Percentiles of latencies, with the correction for calls that a slow answer kept from being made.

use std::time::Duration;

use serde::Serialize;

use crate::session::millis;

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub(crate) struct Latency {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |per_mille: usize| {
            // The smallest value that so many of a thousand do not exceed.
            let rank = (times.len() * per_mille).div_ceil(1000).max(1);
            times.get(rank - 1).copied().map_or(0.0, millis)
        };
        Self {
            count: times.len(),
            p50: at(500),
            p90: at(900),
            p95: at(950),
            p99: at(990),
            p999: at(999),
            max: at(1000),
        }
    }

    pub(crate) fn words(&self) -> String {
        format!(
            "p50 {:.1}, p90 {:.1}, p95 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1} ms",
            self.p50, self.p90, self.p95, self.p99, self.p999, self.max
        )
    }
}

/// The times of a closed loop, and those that callers would have seen who call every `interval`
/// whatever happens: a call that took five intervals kept four others waiting.
pub(crate) fn corrected(times: &[Duration], interval: Duration) -> Vec<Duration> {
    let mut all = times.to_vec();
    if interval.is_zero() {
        return all;
    }
    for &time in times {
        let mut missed = time.saturating_sub(interval);
        while missed >= interval {
            all.push(missed);
            missed -= interval;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, corrected};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let latency = Latency::of((1..=1000).rev().map(ms).collect());
        let found = [latency.p50, latency.p90, latency.p95, latency.p99];
        assert_eq!(found, [500.0, 900.0, 950.0, 990.0]);
        assert_eq!((latency.p999, latency.max), (999.0, 1000.0));
        assert_eq!(Latency::of(vec![ms(7)]).p50, 7.0);
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn a_stall_counts_for_every_call_that_it_kept_waiting() {
        // 99 calls of 1 ms and a stall of a second, at a call every 10 ms.
        let mut times = vec![ms(1); 99];
        times.push(ms(1000));
        assert_eq!(Latency::of(times.clone()).p95, 1.0, "uncorrected");
        let latency = Latency::of(corrected(&times, ms(10)));
        assert!(latency.p50 > 1.0, "{latency:?}");
        assert!(latency.p95 > 850.0, "{latency:?}");
        assert_eq!(corrected(&times, Duration::ZERO), times);
    }
}
