//! Tiers come, go and do not flap.

use proptest::prelude::*;

use super::*;
use crate::condition::{Side, Signal, Threshold, When};

fn rule(signal: Signal, threshold: u64, hold_seconds: u64) -> Rule {
    Rule {
        trigger: Condition {
            when: When::Compare {
                signal,
                side: Side::Above,
                threshold: Threshold::Value(threshold),
            },
            hold: Duration::from_secs(hold_seconds),
        },
        recover_after: Duration::from_secs(60),
    }
}

fn rules() -> [Rule; 2] {
    [
        rule(Signal::Latency { percentile: 95 }, 5000, 0),
        rule(Signal::ErrorRate, 1000, 30),
    ]
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(i64::try_from(seconds).unwrap() * 1000)
}

fn slow(p95: u64) -> Signals {
    Signals {
        latency_ms: Some([p95, p95, p95]),
        ..Signals::default()
    }
}

#[test]
fn a_tier_is_entered_at_its_trigger_and_left_after_calm() {
    let mut machine = Machine::default();
    let mut step =
        |signals: Signals, seconds| machine.step(&rules(), None, &signals, at(seconds)).active;
    assert!(step(slow(5000), 0).is_empty());
    assert_eq!(step(slow(5001), 1), [0]);
    // Calm means below four fifths of the threshold.
    assert_eq!(step(slow(4500), 2), [0]);
    assert_eq!(step(slow(4000), 100), [0]);
    assert_eq!(step(slow(4000), 159), [0]);
    assert!(step(slow(4000), 160).is_empty());
}

#[test]
fn a_tier_that_comes_back_soon_stays_longer() {
    let mut machine = Machine::default();
    let mut stays = Vec::new();
    let mut now = 0;
    for _ in 0..3 {
        machine.step(&rules(), None, &slow(9000), at(now));
        let entered = now;
        while !machine
            .step(&rules(), None, &Signals::default(), at(now))
            .active
            .is_empty()
        {
            now += 1;
        }
        stays.push(now - entered);
        now += 1;
    }
    assert_eq!(stays, [60, 120, 240]);
}

#[test]
fn active_tiers_add_up_and_a_person_overrules_them() {
    let mut machine = Machine::default();
    let bad = Signals {
        error_rate: Some(2000),
        ..slow(9000)
    };
    machine.step(&rules(), None, &bad, at(0));
    let standing = machine.step(&rules(), None, &bad, at(30));
    assert_eq!(standing.active, [0, 1]);
    assert!(!standing.is_manual);
    let normal = machine.step(&rules(), Some(Manual::Normal), &bad, at(31));
    assert!(normal.active.is_empty() && normal.is_manual);
    let chosen = machine.step(&rules(), Some(Manual::Tier(1)), &Signals::default(), at(32));
    assert_eq!(chosen.active, [1]);
    assert_eq!(machine.step(&rules(), None, &bad, at(33)).active, [0, 1]);
}

proptest! {
    /// However the signals and the clock jump: a tier never changes more often than once in its
    /// wait, and is in force within a step of its trigger.
    #[test]
    fn tiers_do_not_flap(steps in prop::collection::vec((0_u64..10_000, 0_i64..40_000), 1..200)) {
        let rules = [rule(Signal::Latency { percentile: 95 }, 5000, 0)];
        let mut machine = Machine::default();
        let (mut now, mut entered, mut was) = (UnixMillis(0), None, false);
        for (p95, pause) in steps {
            now = UnixMillis(now.0 + pause);
            let is = !machine.step(&rules, None, &slow(p95), now).active.is_empty();
            if p95 > 5000 {
                prop_assert!(is);
            }
            match (was, is) {
                (false, true) => entered = Some(now),
                (true, false) => {
                    prop_assert!(entered.is_some_and(|at| now.since(at) >= Duration::from_secs(60)));
                }
                _ => {}
            }
            was = is;
        }
    }
}
