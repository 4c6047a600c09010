//! Buckets beside a limit that is counted by hand.

use proptest::prelude::*;

use super::*;

const START: i64 = 1_790_000_000_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis(START + ms)
}

fn per_minute(limit: u64) -> Quota {
    Quota::new(limit, Period::Minute).unwrap()
}

#[test]
fn a_burst_passes_and_then_one_at_a_time() {
    let quota = per_minute(30);
    let mut bucket = Bucket::default();
    for _ in 0..30 {
        bucket = bucket.take(quota, 1, at(0)).unwrap();
    }
    assert_eq!(bucket.standing(quota, at(0)).remaining, 0);
    assert_eq!(bucket.standing(quota, at(0)).reset_ms, 60_000);
    let wait = bucket.take(quota, 1, at(0)).unwrap_err();
    assert_eq!(wait.millis, Some(2_000));
    assert!(bucket.take(quota, 1, at(1_999)).is_err());
    assert!(bucket.take(quota, 1, at(2_000)).is_ok());
}

#[test]
fn limits_that_do_not_divide_their_period_are_exact() {
    let quota = per_minute(7);
    let mut bucket = Bucket::default();
    let mut passed = 0;
    for ms in 0..=600_000 {
        if let Ok(next) = bucket.take(quota, 1, at(ms)) {
            (bucket, passed) = (next, passed + 1);
        }
    }
    assert_eq!(passed, 7 + 70);
}

#[test]
fn a_cost_above_the_burst_never_passes() {
    let wait = Bucket::default().take(per_minute(10), 11, at(0));
    assert_eq!(wait, Err(Wait { millis: None }));
}

#[test]
fn a_burst_may_be_larger_or_smaller_than_the_limit() {
    let quota = Quota::with_burst(60, Period::Minute, 90).unwrap();
    assert_eq!(Bucket::default().standing(quota, at(0)).remaining, 90);
    assert!(Bucket::default().take(quota, 90, at(0)).is_ok());
    let quota = Quota::with_burst(60, Period::Minute, 1).unwrap();
    assert!(Bucket::default().take(quota, 2, at(0)).is_err());
}

#[test]
fn a_changed_limit_keeps_what_was_used() {
    let bucket = Bucket::default().take(per_minute(10), 10, at(0)).unwrap();
    assert_eq!(bucket.standing(per_minute(30), at(0)).remaining, 20);
    assert_eq!(bucket.standing(per_minute(5), at(0)).remaining, 0);
}

#[test]
fn a_clock_that_goes_back_gives_nothing_and_a_clock_that_is_set_back_does_not_lock_out() {
    let quota = per_minute(60);
    let full = Bucket::default().take(quota, 60, at(0)).unwrap();
    let wait = full.take(quota, 1, at(-2_000)).unwrap_err();
    assert_eq!(wait.millis, Some(3_000), "until the clock is there again");
    let day = 86_400_000;
    let wait = full.take(quota, 1, at(-day)).unwrap_err();
    assert_eq!(wait.millis, Some(1_000));
    let set_back = full.at(quota, at(-day));
    assert!(set_back.take(quota, 1, at(1_000 - day)).is_ok());
}

#[test]
fn what_was_taken_too_much_comes_back() {
    let quota = per_minute(60_000);
    let bucket = Bucket::default().take(quota, 20_000, at(0)).unwrap();
    let taken = Taken {
        cost: 20_000,
        debt_before: 0,
        at_ms: at(0).0,
    };
    let corrected = bucket.correct(quota, taken, 2_000, at(1_000));
    let honest = Bucket::default().take(quota, 2_000, at(0)).unwrap();
    assert_eq!(corrected, honest.at(quota, at(1_000)));
}

#[test]
fn what_was_used_too_much_is_added_even_above_the_burst() {
    let quota = per_minute(1_000);
    let bucket = Bucket::default().take(quota, 900, at(0)).unwrap();
    let taken = Taken {
        cost: 900,
        debt_before: 0,
        at_ms: at(0).0,
    };
    let corrected = bucket.correct(quota, taken, 1_500, at(0));
    assert_eq!(corrected.standing(quota, at(0)).remaining, 0);
    assert_eq!(
        corrected.take(quota, 1, at(0)).unwrap_err().millis,
        Some(30_060)
    );
}

#[test]
fn a_share_is_rounded_down_but_is_never_nothing() {
    let quota = per_minute(10);
    assert_eq!(quota.share(3).limit(), 3);
    assert_eq!(quota.share(100).limit(), 1);
    assert_eq!(quota.share(0), quota);
}

#[test]
fn only_limits_that_are_exact_are_accepted() {
    for period in Period::ALL {
        let largest = Quota::largest(period);
        assert!(Quota::new(largest, period).unwrap().capacity() <= MAX_EXACT);
        assert_eq!(Quota::new(largest + 1, period), None);
    }
    assert_eq!(Quota::new(0, Period::Day), None);
    assert!(Quota::largest(Period::Day) >= 100_000_000);
}

/// Tokens taken, the wait before them in milliseconds, and what they turn out to be.
fn steps() -> impl Strategy<Value = Vec<(u64, i64, u64)>> {
    proptest::collection::vec((0_u64..60, 0_i64..4_000, 0_u64..60), 1..40)
}

proptest! {
    #[test]
    fn no_stretch_of_time_lets_more_pass_than_the_burst_and_the_rate(steps in steps()) {
        let quota = per_minute(50);
        let (mut bucket, mut now) = (Bucket::default(), 0);
        let mut passed: Vec<(i64, u64)> = Vec::new();
        for (cost, pause, _) in steps {
            now += pause;
            if let Ok(next) = bucket.take(quota, cost, at(now)) {
                bucket = next;
                passed.push((now, cost));
            }
        }
        for (first, (start, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for (moment, cost) in &passed[first..] {
                sum += cost;
                let earned = u64::try_from(moment - start).unwrap() * 50;
                prop_assert!(sum * 60_000 <= 50 * 60_000 + earned);
            }
        }
    }

    #[test]
    fn the_wait_is_exact(steps in steps()) {
        let quota = per_minute(50);
        let (mut bucket, mut now) = (Bucket::default(), 0);
        for (cost, pause, _) in steps {
            now += pause;
            match bucket.take(quota, cost, at(now)) {
                Ok(next) => bucket = next,
                Err(Wait { millis: None }) => prop_assert!(cost > 50),
                Err(Wait { millis: Some(wait) }) => {
                    let wait = i64::try_from(wait).unwrap();
                    prop_assert!(bucket.take(quota, cost, at(now + wait)).is_ok());
                    prop_assert!(bucket.take(quota, cost, at(now + wait - 1)).is_err());
                }
            }
        }
    }

    #[test]
    fn a_correction_never_gives_more_than_honesty_from_the_beginning(
        steps in steps(), which in 0_usize..10, actual in 0_u64..30,
    ) {
        let quota = per_minute(50);
        let (mut claimed, mut honest) = (Bucket::default(), Bucket::default());
        let (mut now, mut taken, mut passed) = (0, None, 0);
        for (cost, pause, _) in steps {
            now += pause;
            let before = claimed.at(quota, at(now));
            let Ok(next) = claimed.take(quota, cost, at(now)) else { continue };
            claimed = next;
            let mut really = cost;
            if passed == which {
                really = actual.min(cost);
                taken = Some((Taken { cost, debt_before: before.debt, at_ms: at(now).0 }, really));
            }
            honest = honest.take(quota, really, at(now)).unwrap();
            passed += 1;
        }
        if let Some((taken, really)) = taken {
            let corrected = claimed.correct(quota, taken, really, at(now + 700));
            prop_assert!(corrected.debt >= honest.at(quota, at(now + 700)).debt);
        }
    }
}
