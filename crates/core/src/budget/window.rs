//! The times that budgets are given for: hours, days and months of a calendar.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use parking_lot::Mutex;

use crate::clock::UnixMillis;

/// The time that a budget is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// An hour of the wall clock. The hour that is repeated when summer time ends is two windows.
    Hour,
    /// A day from midnight to midnight: 23 or 25 hours when summer time begins or ends.
    Day,
    /// A calendar month.
    Month,
    /// For ever: it is never given anew.
    Total,
}

impl WindowKind {
    /// The name in the configuration, keys and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// One hour, day or month: from `start` until just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its first moment. It names the window in keys.
    pub start: UnixMillis,
    /// The first moment after it. `i64::MAX` for [`WindowKind::Total`].
    pub end: UnixMillis,
}

impl Window {
    /// All of time.
    pub const TOTAL: Self = Self {
        start: UnixMillis(0),
        end: UnixMillis(i64::MAX),
    };

    /// Whether the moment lies in it.
    #[must_use]
    pub fn contains(&self, moment: UnixMillis) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// The windows of one time zone.
#[derive(Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// The windows that were asked for last: hour, day and month.
    last: Mutex<[Option<Window>; 3]>,
}

impl Calendar {
    /// The calendar of an IANA time zone such as `Europe/Berlin`; `None` if there is none.
    #[must_use]
    pub fn named(zone: &str) -> Option<Self> {
        TimeZone::get(zone).ok().map(Self::of)
    }

    /// The calendar of UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self::of(TimeZone::UTC)
    }

    fn of(zone: TimeZone) -> Self {
        Self {
            zone,
            last: Mutex::default(),
        }
    }

    /// The window of this kind that the moment lies in.
    #[must_use]
    pub fn window(&self, kind: WindowKind, moment: UnixMillis) -> Window {
        let slot = match kind {
            WindowKind::Hour => 0,
            WindowKind::Day => 1,
            WindowKind::Month => 2,
            WindowKind::Total => return Window::TOTAL,
        };
        let mut last = self.last.lock();
        let Some(known) = last.get_mut(slot) else {
            return Window::TOTAL;
        };
        match known {
            Some(window) if window.contains(moment) => *window,
            _ => {
                let window = self.find(kind, moment).unwrap_or(Window::TOTAL);
                *known = Some(window);
                window
            }
        }
    }

    /// `None` only at the ends of the calendar, years -9999 and 9999.
    fn find(&self, kind: WindowKind, moment: UnixMillis) -> Option<Window> {
        let moment = Timestamp::from_millisecond(moment.0).ok()?;
        let local = moment.to_zoned(self.zone.clone());
        let (start, end) = match kind {
            WindowKind::Hour => hour(&local)?,
            WindowKind::Day => {
                let start = local.start_of_day().ok()?;
                let end = start.tomorrow().ok()?.start_of_day().ok()?;
                (start.timestamp(), end.timestamp())
            }
            WindowKind::Month => {
                let start = local.first_of_month().ok()?.start_of_day().ok()?;
                let next = start.last_of_month().ok()?.tomorrow().ok()?;
                (start.timestamp(), next.start_of_day().ok()?.timestamp())
            }
            WindowKind::Total => return None,
        };
        Some(Window {
            start: UnixMillis(start.as_millisecond()),
            end: UnixMillis(end.as_millisecond()),
        })
    }
}

/// The hour of the wall clock, cut where the clock is changed within it.
fn hour(local: &Zoned) -> Option<(Timestamp, Timestamp)> {
    let time = local.time();
    let into_hour = jiff::SignedDuration::new(
        i64::from(time.minute()) * 60 + i64::from(time.second()),
        time.subsec_nanosecond(),
    );
    let start = local.timestamp().checked_sub(into_hour).ok()?;
    let end = start
        .checked_add(jiff::SignedDuration::from_hours(1))
        .ok()?;
    let zone = local.time_zone();
    let before = zone.preceding(
        local
            .timestamp()
            .checked_add(jiff::SignedDuration::from_nanos(1))
            .ok()?,
    );
    let after = zone.following(local.timestamp());
    let changed = before.map(|change| change.timestamp()).next();
    let changes = after.map(|change| change.timestamp()).next();
    let start = changed.map_or(start, |changed| start.max(changed));
    let end = changes.map_or(end, |changes| end.min(changes));
    Some((start, end))
}
