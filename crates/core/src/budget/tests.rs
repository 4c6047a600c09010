//! Accounts and calendars.

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::clock::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

fn moment(zone: &str, date_time: jiff::civil::DateTime) -> UnixMillis {
    let zone = TimeZone::get(zone).unwrap();
    UnixMillis(
        date_time
            .to_zoned(zone)
            .unwrap()
            .timestamp()
            .as_millisecond(),
    )
}

#[test]
fn an_account_tells_used_up_from_held() {
    let account = Account::default().reserve(100, 60).unwrap();
    assert_eq!(account.reserve(100, 41), Err(Refusal::Held));
    let account = account.settle(60, 60);
    assert_eq!(account.reserve(100, 41), Err(Refusal::Exhausted));
    assert_eq!(account.reserve(100, 101), Err(Refusal::NeverFits));
    assert_eq!(account.reserve(100, 40).unwrap().remaining(), 0);
}

#[test]
fn a_lowered_limit_refuses_at_once() {
    let account = Account::default().reserve(100, 60).unwrap();
    assert_eq!(account.reserve(50, 1), Err(Refusal::Held));
    let lowered = Account {
        limit: 50,
        ..account
    };
    assert_eq!((lowered.remaining(), lowered.overdraft()), (0, 10));
}

#[test]
fn restoring_never_lowers_and_counts_nothing_twice() {
    let account = Account::default().restore(70).restore(70).restore(30);
    assert_eq!(account.spent, 70);
}

proptest! {
    #[test]
    fn limit_and_overdraft_are_remaining_and_reserved_and_spent(
        steps in proptest::collection::vec((0_u64..50, 0_u64..70, any::<bool>()), 1..60),
    ) {
        let limit = 200;
        let (mut account, mut open) = (Account { limit, ..Account::default() }, Vec::new());
        for (amount, actual, settles) in steps {
            if settles && let Some(reserved) = open.pop() {
                account = account.settle(reserved, actual);
            } else if let Ok(next) = account.reserve(limit, amount) {
                account = next;
                open.push(amount);
                prop_assert!(amount == 0 || account.overdraft() == 0);
            }
            prop_assert_eq!(
                account.limit + account.overdraft(),
                account.remaining() + account.reserved + account.spent
            );
            prop_assert_eq!(account.reserved, open.iter().sum::<u64>());
        }
    }
}

#[test]
fn days_have_23_and_25_hours_when_the_clock_changes() {
    let berlin = Calendar::named("Europe/Berlin").unwrap();
    for (day, hours) in [(28, 24), (29, 23), (30, 24)] {
        let noon = moment("Europe/Berlin", date(2026, 3, day).at(12, 0, 0, 0));
        let window = berlin.window(WindowKind::Day, noon);
        assert_eq!(
            (window.end.0 - window.start.0) / HOUR_MS,
            hours,
            "March {day}"
        );
        assert_eq!(
            window.start,
            moment("Europe/Berlin", date(2026, 3, day).at(0, 0, 0, 0))
        );
    }
    let noon = moment("Europe/Berlin", date(2026, 10, 25).at(12, 0, 0, 0));
    let window = berlin.window(WindowKind::Day, noon);
    assert_eq!((window.end.0 - window.start.0) / HOUR_MS, 25);
}

#[test]
fn a_month_ends_at_local_midnight() {
    let tokyo = Calendar::named("Asia/Tokyo").unwrap();
    let late = UnixMillis(1_777_561_200_000 - 1); // 2026-04-30T15:00:00Z is midnight in Tokyo
    let april = tokyo.window(WindowKind::Month, late);
    let may = tokyo.window(WindowKind::Month, UnixMillis(late.0 + 1));
    assert_eq!(april.end, may.start);
    assert_eq!(may.start, UnixMillis(1_777_561_200_000));
    assert_eq!((may.end.0 - may.start.0) / HOUR_MS, 31 * 24);
    assert_eq!(
        Calendar::utc()
            .window(WindowKind::Month, UnixMillis(late.0 + 1))
            .start
            .to_string(),
        "2026-04-01T00:00:00.000Z"
    );
}

#[test]
fn the_hour_that_is_repeated_is_two_windows() {
    let berlin = Calendar::named("Europe/Berlin").unwrap();
    let first = UnixMillis(1_792_886_400_000 + 1_800_000); // 2026-10-25T00:30Z, 02:30 in Berlin
    let again = UnixMillis(first.0 + HOUR_MS);
    let (a, b) = (
        berlin.window(WindowKind::Hour, first),
        berlin.window(WindowKind::Hour, again),
    );
    assert_eq!((a.end, b.end.0 - b.start.0), (b.start, HOUR_MS));
}

#[test]
fn windows_cover_time_without_gap_or_overlap_in_odd_zones() {
    for zone in [
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Pacific/Apia",
    ] {
        let calendar = Calendar::named(zone).unwrap();
        for kind in [WindowKind::Hour, WindowKind::Day, WindowKind::Month] {
            let mut at = moment("UTC", date(2011, 12, 20).at(3, 17, 0, 0));
            for _ in 0..600 {
                let window = calendar.window(kind, at);
                assert!(window.contains(at), "{zone} {kind:?} {at}");
                let next = calendar.window(kind, window.end);
                assert_eq!(next.start, window.end, "{zone} {kind:?} after {at}");
                let last = calendar.window(kind, UnixMillis(window.end.0 - 1));
                assert_eq!(last, window, "{zone} {kind:?} end of {at}");
                at = UnixMillis(next.end.0 - 1);
            }
        }
    }
}

#[test]
fn a_budget_for_ever_has_one_window_and_an_unknown_zone_has_no_calendar() {
    let utc = Calendar::utc();
    assert_eq!(utc.window(WindowKind::Total, UnixMillis(5)), Window::TOTAL);
    assert!(Calendar::named("Europe/Atlantis").is_none());
}
