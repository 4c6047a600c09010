//! The gate under more work than its target can do, on a clock that moves by itself.

use std::cell::RefCell;
use std::rc::Rc;

use seaworthy_config as config;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::*;

/// The target serves so many calls at a time, each in this time; the others wait inside it.
const CAPACITY: usize = 20;
const SERVICE: Duration = Duration::from_millis(100);

fn gate() -> (Arc<Gate>, Arc<Resilience>) {
    let settings = Resilience::new(&config::Resilience::default());
    (Gates::default().of(&"a/b".into()), Arc::new(settings))
}

#[derive(Debug, Default)]
struct Tally {
    offered: usize,
    served: usize,
    critical: usize,
    critical_served: usize,
    took: Vec<Duration>,
    slowest_refused: Duration,
}

fn p99(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Sends calls at a steady pace, whatever comes of them.
async fn offer(
    gate: &Arc<Gate>,
    settings: &Arc<Resilience>,
    target: &Rc<Semaphore>,
    per_second: u32,
    seconds: u32,
) -> Tally {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut calls = Vec::new();
    for number in 0..per_second * seconds {
        let priority = match number % 20 {
            0 => Priority::Critical,
            1..5 => Priority::Low,
            _ => Priority::Normal,
        };
        let (gate, settings) = (Arc::clone(gate), Arc::clone(settings));
        let (target, tally) = (Rc::clone(target), Rc::clone(&tally));
        calls.push(tokio::task::spawn_local(async move {
            let began = Instant::now();
            let is_critical = priority == Priority::Critical;
            tally.borrow_mut().offered += 1;
            tally.borrow_mut().critical += usize::from(is_critical);
            let permit = match gate.enter(&settings, priority) {
                Ok(permit) => permit,
                Err(_) => {
                    let until = began + settings.queue.max_wait;
                    match gate.wait(&settings, priority, until).await {
                        Waited::Turn(permit) => permit,
                        _ => {
                            let mut tally = tally.borrow_mut();
                            tally.slowest_refused = tally.slowest_refused.max(began.elapsed());
                            return;
                        }
                    }
                }
            };
            let place = target.acquire().await.unwrap();
            tokio::time::sleep(SERVICE).await;
            drop(place);
            permit.succeeded();
            let mut tally = tally.borrow_mut();
            tally.served += 1;
            tally.critical_served += usize::from(is_critical);
            tally.took.push(began.elapsed());
        }));
        // Ten milliseconds at a time: the clock of the runtime is no finer than one.
        if number % per_second.div_ceil(100) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for call in calls {
        call.await.unwrap();
    }
    tally.take()
}

#[tokio::test(start_paused = true)]
async fn three_times_as_much_as_can_be_done_leaves_what_can_be_done_done() {
    let work = async {
        let (gate, settings) = gate();
        let target = Rc::new(Semaphore::new(CAPACITY));
        let most_per_second = 200;
        let calm = offer(&gate, &settings, &target, most_per_second / 2, 10).await;
        assert_eq!(calm.served, calm.offered);
        let first = offer(&gate, &settings, &target, most_per_second * 3, 2).await;
        let mut flood = offer(&gate, &settings, &target, most_per_second * 3, 60).await;
        let peak = 200 * 60;
        assert!(flood.served * 10 >= peak * 9, "goodput: {}", flood.served);
        let slow = p99(&mut flood.took);
        assert!(slow <= SERVICE * 5 / 2, "{slow:?}");
        let slowest = first.slowest_refused.max(flood.slowest_refused);
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        let critical = first.critical + flood.critical;
        let lost = critical - first.critical_served - flood.critical_served;
        assert!(lost * 1_000 <= critical, "{lost} critical calls");
        // It is over: nobody is refused any more.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut after = offer(&gate, &settings, &target, most_per_second / 2, 10).await;
        assert_eq!(after.served, after.offered);
        assert!(p99(&mut after.took) <= SERVICE * 2);
        let standing = gate.standing(&settings);
        assert_eq!((standing.in_flight, standing.waiting), (0, 0));
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_waits_and_is_served_in_full() {
    let work = async {
        let (gate, settings) = gate();
        let target = Rc::new(Semaphore::new(CAPACITY * 50));
        let small = (0..1_000).map(|_| {
            let (gate, settings, target) = (&gate, &settings, &target);
            async move { offer(gate, settings, target, 1, 1).await.served }
        });
        let served = futures_util::future::join_all(small).await;
        assert_eq!(served.iter().sum::<usize>(), 1_000);
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_of_a_limit_hears_of_the_next_one() {
    let (gate, settings) = gate();
    let second = Duration::from_secs(1);
    gate.enter(&settings, Priority::Normal)
        .unwrap()
        .limited(second);
    let began = Instant::now();
    let turn = async || {
        let until = began + settings.queue.max_wait;
        match gate.wait(&settings, Priority::Normal, until).await {
            Waited::Turn(permit) => permit,
            other => panic!("{other:?}"),
        }
    };
    let first = async {
        let permit = turn().await;
        tokio::time::sleep(second / 10).await;
        permit.limited(second);
    };
    let then = async {
        turn().await.succeeded();
        began.elapsed()
    };
    let ((), took) = tokio::join!(first, then);
    assert!(took < second * 5 / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_a_provider_has_asked_for_does_not_stand() {
    let (gate, settings) = gate();
    let second = Duration::from_secs(1);
    // What the target can take is known once it has been too much.
    gate.enter(&settings, Priority::Normal)
        .unwrap()
        .failed(true);
    gate.enter(&settings, Priority::Normal)
        .unwrap()
        .limited(second);
    let callers = (0..90_u32).map(|number| {
        let (gate, settings) = (&gate, &settings);
        async move {
            tokio::time::sleep(second / 100 * number).await;
            let until = Instant::now() + settings.queue.max_wait;
            assert!(gate.enter(settings, Priority::Normal).is_err());
            match gate.wait(settings, Priority::Normal, until).await {
                Waited::Turn(permit) => permit.succeeded(),
                other => panic!("{other:?}"),
            }
        }
    });
    let is_standing = async {
        tokio::time::sleep(second * 95 / 100).await;
        gate.inner.lock().is_standing(&settings, gate.now())
    };
    let (_, is_standing) = tokio::join!(futures_util::future::join_all(callers), is_standing);
    assert!(!is_standing);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_slow_itself_takes_no_target_for_slow() {
    for (is_held_up, is_kept) in [(true, true), (false, false)] {
        let (gate, settings) = gate();
        let limit = || gate.inner.lock().gradient.limit(&settings.concurrency);
        let round = async || {
            let mut permits = Vec::new();
            while let Ok(permit) = gate.enter(&settings, Priority::Normal) {
                permits.push(permit);
            }
            let slower = u32::try_from(permits.len() / CAPACITY / 2).unwrap();
            tokio::time::sleep(SERVICE * slower).await;
            // As many as are judged together; nothing is known of the others.
            for permit in permits.into_iter().rev().take(16) {
                permit.held_up(is_held_up).succeeded();
            }
        };
        let first = gate.enter(&settings, Priority::Normal).unwrap();
        tokio::time::sleep(SERVICE).await;
        first.succeeded();
        let before = limit();
        for _ in 0..2 {
            round().await;
        }
        assert_eq!(limit() >= before, is_kept, "{} of {before}", limit());
    }
}
