//! A worker that is simulated: one thread, on which everything that is ready runs in turn.

use std::collections::VecDeque;

use super::*;

/// A call is begun, and then comes round so often until it is done.
const STEPS: u32 = 8;

/// What became of the calls of a run.
#[derive(Debug, Default)]
struct Seen {
    done: usize,
    sent_away: usize,
    /// How long each took that was done, in µs.
    took: Vec<u64>,
    critical_sent_away: usize,
    most_waiting: usize,
}

impl Seen {
    fn p99(&mut self) -> u64 {
        self.took.sort_unstable();
        let at = self.took.len().saturating_sub(1) * 99 / 100;
        self.took.get(at).copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Call {
    came: u64,
    priority: Priority,
}

/// A worker on which a call costs `cost` µs and to refuse one costs `refusal` µs.
struct Worker {
    cost: u64,
    refusal: u64,
    now: u64,
    /// One in so many calls is critical.
    critical_each: u64,
    door: Door<Call>,
    ready: VecDeque<(Call, u32)>,
    seen: Seen,
}

impl Worker {
    fn new(cost: u64, refusal: u64) -> Self {
        Self {
            cost,
            refusal,
            now: 0,
            critical_each: 10,
            door: Door::default(),
            ready: VecDeque::new(),
            seen: Seen::default(),
        }
    }

    fn come(&mut self, call: Call) {
        match self.door.knock(call.priority, None, self.now) {
            Found::Open => self.ready.push_back((call, STEPS)),
            Found::Line => {
                self.door.join(call.priority, call, self.now);
            }
            Found::Hopeless => self.refuse(&[call]),
        }
        self.seen.most_waiting = self.seen.most_waiting.max(self.door.waiting());
    }

    fn refuse(&mut self, calls: &[Call]) {
        let critical = calls
            .iter()
            .filter(|call| call.priority == Priority::Critical);
        self.seen.critical_sent_away += critical.count();
        self.seen.sent_away += calls.len();
        self.now += self.refusal * calls.len() as u64;
    }

    /// Works until `until`; a call comes every `each` µs.
    fn run(&mut self, each: u64, until: u64) {
        let mut next = self.now;
        let mut number = 0;
        while self.now < until {
            while next <= self.now && next < until {
                let priority = match number % self.critical_each {
                    0 => Priority::Critical,
                    _ => Priority::Normal,
                };
                number += 1;
                self.come(Call {
                    came: next,
                    priority,
                });
                next += each;
            }
            self.lap();
            if self.ready.is_empty() {
                self.now = self.now.max(next.min(until));
            }
        }
    }

    fn lap(&mut self) {
        for _ in 0..self.ready.len() {
            let Some((call, steps)) = self.ready.pop_front() else {
                break;
            };
            self.now += self.cost / u64::from(STEPS);
            if steps > 1 {
                self.ready.push_back((call, steps - 1));
                continue;
            }
            self.seen.done += 1;
            self.seen.took.push(self.now - call.came);
        }
        let called = self.door.lap(self.now, self.now);
        self.refuse(&called.sent_away);
        let begun = called.let_in.into_iter().map(|call| (call, STEPS));
        self.ready.extend(begun);
    }
}

const SECOND: u64 = 1_000_000;

#[test]
fn too_much_work_costs_no_throughput_and_no_patience_whatever_a_call_costs() {
    for (cost, refusal) in [(100, 1), (5_000, 100), (40_000, 400)] {
        let capacity = 6 * SECOND / cost;
        for times in [2, 6] {
            let mut worker = Worker::new(cost, refusal);
            // What comes until it is certain that this is no burst has waited longer.
            worker.run(cost / times, 3 * SECOND);
            worker.seen = Seen::default();
            let until = worker.now + 6 * SECOND;
            worker.run(cost / times, until);
            let mut seen = worker.seen;
            let share = seen.done as f64 / capacity as f64;
            assert!(
                share > 0.85,
                "{share} of {cost} µs, {times} times: {seen:?}"
            );
            // The line's wait, and the call's own steps among others'.
            let most = 400_000.max(cost * u64::from(STEPS) * 6);
            assert!(seen.p99() < most, "{} of {cost} µs", seen.p99());
            assert_eq!(seen.critical_sent_away, 0, "{cost} µs, {times} times");
        }
    }
}

#[test]
fn critical_calls_alone_that_are_too_many_wait_for_two_seconds_at_most() {
    for cost in [400, 5_000] {
        let mut worker = Worker::new(cost, cost / 20);
        worker.critical_each = 1;
        worker.run(cost / 3, 5 * SECOND);
        worker.seen = Seen::default();
        let until = worker.now + 10 * SECOND;
        worker.run(cost / 3, until);
        let mut seen = worker.seen;
        let share = seen.done as f64 / (10 * SECOND / cost) as f64;
        assert!(share > 0.85, "{share} of {cost} µs: {seen:?}");
        assert!(seen.critical_sent_away > 0, "{cost} µs");
        assert!(seen.p99() < 2_100_000, "{} of {cost} µs", seen.p99());
        let most = 3 * SECOND / cost;
        assert!(seen.most_waiting < most as usize, "{}", seen.most_waiting);
    }
}

#[test]
fn with_as_much_as_can_be_done_nobody_is_sent_away() {
    for cost in [200, 5_000] {
        let mut worker = Worker::new(cost, 1);
        worker.run(cost * 100 / 95, 5 * SECOND);
        assert_eq!(worker.seen.sent_away, 0, "{cost} µs");
    }
}

/// So many callers, of whom each asks again when it is answered.
fn closed_loop(callers: u64, cost: u64) -> Seen {
    let mut worker = Worker::new(cost, cost / 20);
    let come = |worker: &mut Worker, count: u64| {
        for _ in 0..count {
            let came = worker.now;
            worker.come(Call {
                came,
                priority: Priority::Normal,
            });
        }
    };
    come(&mut worker, callers);
    while worker.now < 10 * SECOND {
        let before = worker.seen.done + worker.seen.sent_away;
        worker.lap();
        let answered = worker.seen.done + worker.seen.sent_away - before;
        come(&mut worker, answered as u64);
    }
    worker.seen
}

#[test]
fn callers_who_wait_for_their_answers_are_not_refused_while_a_second_is_enough_for_all() {
    for (callers, cost) in [(64, 12_000), (500, 1_500)] {
        let mut seen = closed_loop(callers, cost);
        assert_eq!(seen.sent_away, 0, "{callers} of {cost} µs");
        assert!(seen.p99() < 1_100_000, "{} of {cost} µs", seen.p99());
    }
    let seen = closed_loop(64, 40_000);
    assert!(seen.sent_away > 0 && seen.done > 150, "{seen:?}");
}

#[test]
fn a_burst_is_worked_off_however_long_that_takes() {
    let mut worker = Worker::new(5_000, 100);
    for _ in 0..1_000 {
        worker.come(Call {
            came: 0,
            priority: Priority::Normal,
        });
    }
    while worker.seen.done < 1_000 && worker.now < 60 * SECOND {
        worker.lap();
    }
    assert_eq!((worker.seen.done, worker.seen.sent_away), (1_000, 0));
    assert_eq!(worker.seen.most_waiting, 1_000 - MOST_TURNS as usize);
}

#[test]
fn what_is_over_is_over_at_once() {
    let mut worker = Worker::new(2_000, 20);
    worker.run(300, 10 * SECOND);
    assert!(worker.seen.sent_away > 0);
    let end = worker.now + SECOND;
    worker.run(4_000, end);
    worker.seen = Seen::default();
    let end = worker.now + 5 * SECOND;
    worker.run(4_000, end);
    assert_eq!(worker.seen.sent_away, 0);
    assert!(worker.seen.p99() < 50_000, "{}", worker.seen.p99());
}

#[test]
fn who_matters_less_is_sent_away_first() {
    let mut door: Door<u32> = Door::default();
    let mut now = 0;
    // One is let in every 10 ms, two come: one low, one high.
    for number in 0..2_000 {
        for priority in [Priority::Low, Priority::High] {
            if door.knock(priority, None, now) == Found::Line {
                door.join(priority, number, now);
            }
        }
        now += 10_000;
        drop(door.lap(now, now));
    }
    for number in 0..30 {
        door.join(Priority::Low, number, now);
    }
    assert!(door.is_hopeless(Priority::Low, None, now));
    assert!(!door.is_hopeless(Priority::High, None, now));
    assert!(!door.is_hopeless(Priority::Critical, None, now));
    // Whoever has no time to wait is told so, whatever it matters.
    door.join(Priority::Critical, 0, now);
    assert!(door.is_hopeless(Priority::Critical, Some(1_000), now));
}

#[test]
fn a_worker_that_others_keep_from_its_core_refuses_nobody() {
    let mut door: Door<u32> = Door::default();
    let (mut now, mut worked, mut waits) = (0, 0, 0);
    // A call a second, and each lap takes 50 ms because the thread is not let run.
    for number in 0..200 {
        match door.knock(Priority::Normal, None, now) {
            Found::Open => {}
            Found::Line => {
                waits += 1;
                door.join(Priority::Normal, number, now);
            }
            Found::Hopeless => panic!("nobody is in the way"),
        }
        for _ in 0..3 {
            now += 50_000;
            worked += 50;
            assert!(door.lap(worked, now).sent_away.is_empty());
        }
        door.rest();
        now += SECOND;
    }
    assert_eq!(waits, 0);
}

#[test]
fn a_thread_that_is_seldom_let_run_lets_in_what_it_can_do() {
    let mut door: Door<u32> = Door::default();
    let (mut now, mut worked, mut let_in) = (0, 0, 0);
    // It works for 1 ms of each 20 ms, in which 10 calls come that cost 100 µs each.
    for number in 0..2_000 {
        for _ in 0..10 {
            match door.knock(Priority::Normal, None, now) {
                Found::Open => let_in += 1,
                Found::Line => drop(door.join(Priority::Normal, number, now)),
                Found::Hopeless => panic!("all of them can be done"),
            }
        }
        (now, worked) = (now + 20_000, worked + 1_000);
        let called = door.lap(worked, now);
        assert!(called.sent_away.is_empty());
        let_in += called.let_in.len();
    }
    assert!(let_in > 19_900, "{let_in}");
}
