//! How the gateway has been doing in the last minute, in numbers that conditions compare.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::condition::Signal;

/// What is known at one moment. `None` is what cannot be told, for example the error rate of no
/// requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// The share of requests that failed for reasons other than the caller's, in ten thousandths.
    pub error_rate: Option<u64>,
    /// The 50th, 95th and 99th percentile of the time until a provider's answer begins, in
    /// milliseconds.
    pub latency_ms: Option<[u64; 3]>,
    /// The least that a provider said is left of its rate limit.
    pub remaining_quota: Option<u64>,
    /// The money spent in the last hour, in micro-dollars.
    pub hourly_cost: Option<u64>,
    /// What is usually spent in an hour, in micro-dollars.
    pub hourly_cost_baseline: Option<u64>,
    /// Requests that are being worked on.
    pub requests_in_flight: u64,
    /// Whether a provider refused a call because too many came.
    pub provider_limited: bool,
    /// Whether the breaker of a target is open.
    pub provider_unavailable: bool,
}

impl Signals {
    /// The value of one signal in its unit.
    #[must_use]
    pub fn value(&self, signal: Signal) -> Option<u64> {
        match signal {
            Signal::ErrorRate => self.error_rate,
            Signal::Latency { percentile } => {
                self.latency_ms.map(|[p50, p95, p99]| match percentile {
                    50 => p50,
                    99 => p99,
                    _ => p95,
                })
            }
            Signal::RemainingQuota => self.remaining_quota,
            Signal::HourlyCost => self.hourly_cost,
            Signal::RequestsInFlight => Some(self.requests_in_flight),
        }
    }

    /// The usual value of one signal, where there is such a thing.
    #[must_use]
    pub fn baseline(&self, signal: Signal) -> Option<u64> {
        match signal {
            Signal::HourlyCost => self.hourly_cost_baseline,
            _ => None,
        }
    }
}

/// How far back is looked.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Fewer events than this say nothing about a share or a percentile.
pub const MIN_EVENTS: u64 = 5;

/// Seconds in the window.
const SLOTS: usize = 60;
/// Latencies are counted in this many parts of each doubling, so that a percentile is off by at most
/// three percent.
const PARTS: usize = 16;
/// From 1 ms to more than 17 minutes.
const BUCKETS: usize = PARTS * 20 + 1;

/// What happened in each of the last sixty seconds. Writing takes a few atomic additions; what is
/// written in the very moment a second begins may be lost, which no share or percentile notices.
#[derive(Debug)]
pub struct Window(Box<[Slot]>);

#[derive(Debug)]
struct Slot {
    second: AtomicI64,
    requests: AtomicU32,
    failures: AtomicU32,
    limited: AtomicU32,
    latency: Box<[AtomicU32]>,
}

impl Slot {
    fn empty() -> Self {
        Self {
            second: AtomicI64::new(i64::MIN),
            requests: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            limited: AtomicU32::new(0),
            latency: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn clear(&self) {
        for count in [&self.requests, &self.failures, &self.limited]
            .into_iter()
            .chain(&self.latency)
        {
            count.store(0, Ordering::Relaxed);
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::empty()).collect())
    }
}

impl Window {
    /// Notes the end of a request: whether it failed for reasons other than the caller's.
    pub fn note_request(&self, now: UnixMillis, failed: bool) {
        let Some(slot) = self.slot(now) else { return };
        slot.requests.fetch_add(1, Ordering::Relaxed);
        if failed {
            slot.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a provider answered, or that waiting for it ended, after `waited`.
    pub fn note_answer(&self, now: UnixMillis, waited: Duration) {
        let Some(slot) = self.slot(now) else { return };
        if let Some(count) = slot.latency.get(bucket(waited)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a provider refused a call because too many came.
    pub fn note_limited(&self, now: UnixMillis) {
        if let Some(slot) = self.slot(now) {
            slot.limited.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn slot(&self, now: UnixMillis) -> Option<&Slot> {
        let second = now.seconds();
        let slot = self.0.get(index(second))?;
        let held = slot.second.load(Ordering::Acquire);
        if held != second
            && slot
                .second
                .compare_exchange(held, second, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            slot.clear();
        }
        Some(slot)
    }

    /// What the last sixty seconds say. Money, quotas and breakers are told by others.
    #[must_use]
    pub fn signals(&self, now: UnixMillis) -> Signals {
        let second = now.seconds();
        let recent = (second - SLOTS as i64 + 1)..=second;
        let (mut requests, mut failures, mut limited) = (0_u64, 0_u64, 0_u64);
        let mut latency = [0_u64; BUCKETS];
        for slot in &self.0 {
            if !recent.contains(&slot.second.load(Ordering::Acquire)) {
                continue;
            }
            requests += u64::from(slot.requests.load(Ordering::Relaxed));
            failures += u64::from(slot.failures.load(Ordering::Relaxed));
            limited += u64::from(slot.limited.load(Ordering::Relaxed));
            for (sum, count) in latency.iter_mut().zip(&slot.latency) {
                *sum += u64::from(count.load(Ordering::Relaxed));
            }
        }
        let answers: u64 = latency.iter().sum();
        Signals {
            error_rate: (requests >= MIN_EVENTS)
                .then(|| failures.saturating_mul(10_000).div_euclid(requests.max(1))),
            latency_ms: (answers >= MIN_EVENTS)
                .then(|| [50, 95, 99].map(|percent| percentile(&latency, answers, percent))),
            provider_limited: limited > 0,
            ..Signals::default()
        }
    }
}

fn index(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SLOTS as i64)).unwrap_or(0)
}

/// The bucket of a latency: its doubling, and which part of it.
fn bucket(waited: Duration) -> usize {
    let micros = u64::try_from(waited.as_micros())
        .unwrap_or(u64::MAX)
        .max(1000);
    let doubling = (micros / 1000).ilog2() as usize;
    let start = 1000_u64 << doubling.min(40);
    let part = (micros - start.min(micros)).saturating_mul(PARTS as u64) / start;
    let part = usize::try_from(part).unwrap_or(PARTS).min(PARTS - 1);
    (doubling * PARTS + part).min(BUCKETS - 1)
}

/// The middle of a bucket in milliseconds.
fn middle_ms(bucket: usize) -> u64 {
    let (doubling, part) = (bucket / PARTS, bucket % PARTS);
    let start_micros = 1000_u64 << doubling;
    let width = start_micros / PARTS as u64;
    (start_micros + width * part as u64 + width / 2) / 1000
}

fn percentile(latency: &[u64; BUCKETS], total: u64, percent: u64) -> u64 {
    let rank = (total * percent).div_ceil(100).max(1);
    let mut seen = 0;
    for (bucket, count) in latency.iter().enumerate() {
        seen += count;
        if seen >= rank {
            return middle_ms(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_percentiles_are_those_of_the_last_minute() {
        let window = Window::default();
        let at = |seconds: i64| UnixMillis(1_700_000_000_000 + seconds * 1000);
        for n in 0..100 {
            window.note_request(at(n % 50), n % 10 == 0);
            window.note_answer(at(n % 50), Duration::from_millis(10 * (n as u64 + 1)));
        }
        let signals = window.signals(at(50));
        assert_eq!(signals.error_rate, Some(1000));
        let [p50, p95, p99] = signals.latency_ms.unwrap();
        for (found, expected) in [(p50, 500), (p95, 950), (p99, 990)] {
            let off = found.abs_diff(expected) * 100 / expected;
            assert!(off <= 4, "{found} for {expected}");
        }
        assert!(!signals.provider_limited);
        assert_eq!(window.signals(at(110)), Signals::default());
    }

    #[test]
    fn a_slot_forgets_what_it_held_a_minute_ago() {
        let window = Window::default();
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        for _ in 0..10 {
            window.note_request(at(5), true);
        }
        for _ in 0..10 {
            window.note_request(at(65), false);
        }
        window.note_limited(at(65));
        let signals = window.signals(at(66));
        assert_eq!(signals.error_rate, Some(0));
        assert!(signals.provider_limited);
    }

    #[test]
    fn too_few_events_say_nothing() {
        let window = Window::default();
        for _ in 1..MIN_EVENTS {
            window.note_request(UnixMillis(0), true);
            window.note_answer(UnixMillis(0), Duration::from_secs(9));
        }
        let signals = window.signals(UnixMillis(0));
        assert_eq!((signals.error_rate, signals.latency_ms), (None, None));
    }

    #[test]
    fn buckets_cover_every_latency() {
        for micros in [0, 1, 999, 1000, 1001, 5_000_000, 600_000_000, u64::MAX] {
            assert!(bucket(Duration::from_micros(micros)) < BUCKETS);
        }
        let found = middle_ms(bucket(Duration::from_millis(5200)));
        assert!((5040..=5360).contains(&found), "{found}");
    }
}
