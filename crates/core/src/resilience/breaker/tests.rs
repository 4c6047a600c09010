//! The breaker, case by case and at random.

use super::*;
use proptest::prelude::*;

const SETTINGS: Settings = Settings {
    enabled: true,
    window_ms: 10_000,
    min_calls: 10,
    failure_rate: 5_000,
    consecutive_failures: 5,
    slow_call_ms: 2_000,
    slow_call_rate: 9_000,
    open_ms: 5_000,
    max_open_ms: 60_000,
    probes: 2,
};

fn call(breaker: &mut Breaker, ended: Ended, took: u64, now: u64) -> bool {
    match breaker.enter(&SETTINGS, now) {
        Entry::Pass(pass) => {
            breaker.leave(&SETTINGS, pass, ended, took, now);
            true
        }
        Entry::Wait(_) | Entry::Refuse(_) => false,
    }
}

fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..SETTINGS.consecutive_failures {
        assert_eq!(breaker.state(0), State::Closed);
        call(&mut breaker, Ended::Failed, 1, 0);
    }
    assert_eq!(breaker.state(0), State::Open);
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    opened();
    let mut breaker = Breaker::default();
    for round in 0..3 {
        for _ in 0..4 {
            call(&mut breaker, Ended::Failed, 1, round * 20_000);
        }
        call(&mut breaker, Ended::Succeeded, 1, round * 20_000);
    }
    assert_eq!(breaker.state(60_000), State::Closed);
}

#[test]
fn half_of_the_calls_failing_opens_it_once_there_are_enough() {
    let mut breaker = Breaker::default();
    for number in 0..10 {
        assert_eq!(breaker.state(number), State::Closed);
        let ended = match number % 2 {
            0 => Ended::Succeeded,
            _ => Ended::Failed,
        };
        call(&mut breaker, ended, 1, number);
    }
    assert_eq!(breaker.state(10), State::Open);
}

#[test]
fn calls_that_are_too_old_do_not_count() {
    let mut breaker = Breaker::default();
    for number in 0..4 {
        call(&mut breaker, Ended::Failed, 1, number);
    }
    call(&mut breaker, Ended::Succeeded, 1, 5);
    for number in 0..5 {
        call(&mut breaker, Ended::Succeeded, 1, 20_000 + number);
    }
    call(&mut breaker, Ended::Failed, 1, 20_010);
    assert_eq!(breaker.state(20_010), State::Closed);
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let mut breaker = Breaker::default();
    for _ in 0..10 {
        assert_eq!(breaker.state(0), State::Closed);
        call(&mut breaker, Ended::Succeeded, 2_000, 0);
    }
    assert_eq!(breaker.state(0), State::Open);
}

#[test]
fn one_probe_at_a_time_passes_and_enough_of_them_close_it() {
    let mut breaker = opened();
    assert_eq!(breaker.enter(&SETTINGS, 4_999), Entry::Refuse(1));
    let Entry::Pass(probe) = breaker.enter(&SETTINGS, 5_000) else {
        panic!("a probe passes");
    };
    assert_eq!(breaker.enter(&SETTINGS, 5_000), Entry::Refuse(1_000));
    assert_eq!(breaker.state(5_000), State::HalfOpen);
    breaker.leave(&SETTINGS, probe, Ended::Succeeded, 1, 5_001);
    assert_eq!(breaker.state(5_001), State::HalfOpen);
    assert!(call(&mut breaker, Ended::Succeeded, 1, 5_002));
    assert_eq!(breaker.state(5_002), State::Closed);
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long() {
    let mut breaker = opened();
    let mut now = 0;
    for length in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        assert_eq!(breaker.enter(&SETTINGS, now), Entry::Refuse(length));
        now += length;
        assert!(call(&mut breaker, Ended::Failed, 1, now));
    }
}

#[test]
fn a_probe_whose_caller_left_makes_room_for_the_next() {
    let mut breaker = opened();
    assert!(call(&mut breaker, Ended::Unknown, 1, 5_000));
    assert!(call(&mut breaker, Ended::Succeeded, 1, 5_000));
}

#[test]
fn a_limit_of_the_provider_is_waited_for_and_tried_by_one_call_first() {
    let mut breaker = Breaker::default();
    assert!(call(&mut breaker, Ended::Limited(3_000), 1, 1_000));
    assert!(breaker.is_paused());
    assert_eq!(breaker.enter(&SETTINGS, 2_000), Entry::Wait(Some(2_000)));
    let Entry::Pass(first) = breaker.enter(&SETTINGS, 4_000) else {
        panic!("one call tries");
    };
    assert_eq!(breaker.enter(&SETTINGS, 4_000), Entry::Wait(None));
    breaker.leave(&SETTINGS, first, Ended::Succeeded, 1, 4_001);
    assert_eq!(breaker.state(4_001), State::Closed);
}

#[test]
fn calls_from_before_it_opened_say_nothing_about_the_time_after() {
    let mut breaker = Breaker::default();
    let Entry::Pass(old) = breaker.enter(&SETTINGS, 0) else {
        panic!("it is closed");
    };
    for _ in 0..5 {
        call(&mut breaker, Ended::Failed, 1, 0);
    }
    breaker.leave(&SETTINGS, old, Ended::Succeeded, 1, 1);
    assert_eq!(breaker.state(1), State::Open);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter,
    Leave(usize, u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Enter),
        4 => (0_usize..8, 0_u8..8).prop_map(|(which, how)| Step::Leave(which, how)),
        1 => (1_u64..9_000).prop_map(Step::Wait),
    ]
}

#[test]
fn another_replicas_word_opens_it_once_and_is_doubted_when_the_target_is_well() {
    let mut breaker = Breaker::default();
    assert!(breaker.open_for(&SETTINGS, 500, 0));
    assert_eq!(breaker.state(499), State::Open);
    assert_eq!(breaker.open_for_ms(100), Some(400));
    assert!(!breaker.open_for(&SETTINGS, 900, 100), "it is open already");
    for _ in 0..SETTINGS.probes {
        assert!(call(&mut breaker, Ended::Succeeded, 1, 500));
    }
    assert_eq!(breaker.state(500), State::Closed);
    // It knows better now, until it sees a failure itself or time has passed.
    assert!(!breaker.open_for(&SETTINGS, 500, 501));
    assert!(call(&mut breaker, Ended::Failed, 1, 502));
    assert!(breaker.open_for(&SETTINGS, 500, 503));
    let disabled = Settings {
        enabled: false,
        ..SETTINGS
    };
    assert!(!Breaker::default().open_for(&disabled, 500, 0));
    // Nobody's word counts for longer than an own finding could.
    let mut breaker = Breaker::default();
    assert!(breaker.open_for(&SETTINGS, u64::MAX, 0));
    assert_eq!(breaker.state(SETTINGS.max_open_ms), State::HalfOpen);
}

proptest! {
    /// Whatever happens: while it is open nobody passes, while it is half open one at a time does,
    /// and once the target is well again and time passes it closes.
    #[test]
    fn it_never_lets_through_more_than_it_says_and_always_closes_again(
        steps in proptest::collection::vec(step(), 1..200)
    ) {
        let mut breaker = Breaker::default();
        let (mut now, mut flying) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Enter => {
                    let before = breaker.state(now);
                    match breaker.enter(&SETTINGS, now) {
                        Entry::Pass(pass) => {
                            prop_assert!(before != State::Open);
                            if before == State::HalfOpen {
                                let probes = flying.iter().filter(|other: &&Pass| {
                                    other.is_probe && other.era == breaker.era
                                });
                                prop_assert_eq!(probes.count(), 0);
                            }
                            flying.push(pass);
                        }
                        Entry::Refuse(wait) => {
                            prop_assert!(before != State::Closed);
                            prop_assert!(wait <= SETTINGS.max_open_ms);
                        }
                        Entry::Wait(_) => prop_assert!(breaker.is_paused()),
                    }
                }
                Step::Leave(which, how) => {
                    if flying.is_empty() {
                        continue;
                    }
                    let pass = flying.swap_remove(which % flying.len());
                    let ended = match how {
                        0..3 => Ended::Failed,
                        3 => Ended::Unknown,
                        4 => Ended::Limited(700),
                        _ => Ended::Succeeded,
                    };
                    breaker.leave(&SETTINGS, pass, ended, 1, now);
                }
            }
        }
        for pass in flying {
            breaker.leave(&SETTINGS, pass, Ended::Unknown, 1, now);
        }
        now += SETTINGS.max_open_ms;
        for _ in 0..SETTINGS.probes {
            prop_assert!(call(&mut breaker, Ended::Succeeded, 1, now));
        }
        prop_assert_eq!(breaker.state(now), State::Closed);
    }
}
