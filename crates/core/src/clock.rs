//! Time as an input: the only place of the workspace that reads the system clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The moment `duration` later, saturating at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this moment; zero when `earlier` lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// A moment as people and programs write it: Unix time in seconds, or RFC 3339.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: i64 = text.parse().ok()?;
            return seconds.checked_mul(1000).map(Self);
        }
        let moment: jiff::Timestamp = text.parse().ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// RFC 3339 with milliseconds in UTC, for example `2026-11-21T09:30:00.125Z`.
impl std::fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Where wall time comes from. Durations inside one process are measured with [`Instant`].
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock.
    fn now(&self) -> UnixMillis;
}

/// A clock shared by everything that was wired together.
pub type SharedClock = Arc<dyn Clock>;

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one reader of the wall clock"
        )]
        let now = SystemTime::now();
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start` until it is moved.
    #[must_use]
    pub fn at(start: UnixMillis) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// Whole microseconds since `start`, for histograms and logs.
#[must_use]
pub fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            UnixMillis(1_700_000_000_125).to_string(),
            "2023-11-14T22:13:20.125Z"
        );
    }

    #[test]
    fn moments_are_read_as_seconds_and_as_rfc_3339() {
        for (text, millis) in [
            ("1700000000", Some(1_700_000_000_000)),
            ("2023-11-14T22:13:20.125Z", Some(1_700_000_000_125)),
            ("2023-11-15T00:13:20+02:00", Some(1_700_000_000_000)),
            ("20231114T221320Z", Some(1_700_000_000_000)),
            ("99999999999999999999", None),
            ("9999999999999999999", None),
            ("2023-11-14T22:13:20", None),
            ("-5", None),
            ("1700000000.5", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(UnixMillis::parse(text), millis.map(UnixMillis), "{text:?}");
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(UnixMillis(10));
        assert_eq!(clock.now(), UnixMillis(10));
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), UnixMillis(2010));
    }
}
