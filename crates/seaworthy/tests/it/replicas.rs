//! Replicas that die: what they held is given back, and what they did is settled by others.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seaworthy_core::clock::{Clock as _, SystemClock};
use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{Fleet, TWENTY_CALLS};
use crate::support::{Request, eventually};

/// Asks at a protected route, with a nonce.
fn with_nonce(fleet: &Fleet, replica: usize, nonce: &str) -> Request {
    let now = SystemClock.now().seconds();
    let request = fleet.replicas[replica].ask(&fleet.key, "gpt", false);
    let request = request.header(&format!("x-seaworthy-timestamp: {now}"));
    request.header(&format!("x-seaworthy-nonce: {nonce}"))
}

#[test]
fn a_nonce_counts_once_at_all_replicas_and_nothing_passes_while_nobody_knows() {
    let (postgres, mut redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let protected = "[replay_protection]\nroutes = [\"/v1/chat/completions\"]\n";
    let fleet = Fleet::launch(&storage, Some(&redis), 2, "output_tokens=7", protected);
    assert_eq!(with_nonce(&fleet, 0, "first").status(), 200);
    for replica in [0, 1] {
        assert_eq!(with_nonce(&fleet, replica, "first").status(), 409);
    }
    // The same request at both at the same time, again and again.
    for round in 0..10 {
        let calls: Vec<_> = (0..8)
            .map(|call| {
                let request = with_nonce(&fleet, call % 2, &format!("round-{round}"));
                std::thread::spawn(move || request.status())
            })
            .collect();
        let statuses: Vec<u16> = calls.into_iter().map(|call| call.join().unwrap()).collect();
        let passed = statuses.iter().filter(|status| **status == 200).count();
        let refused = statuses.iter().filter(|status| **status == 409).count();
        assert_eq!((passed, refused), (1, 7), "{statuses:?}");
    }
    redis.kill();
    for replica in [0, 1] {
        let answer = with_nonce(&fleet, replica, "lost").send();
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("store_unavailable"));
    }
    let models = fleet.replicas[0].get("/v1/models").key(&fleet.key);
    assert_eq!(models.status(), 200, "what is not protected goes on");
}

#[test]
fn what_a_killed_replica_held_is_back_within_a_minute_and_its_calls_are_settled() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let mut fleet = Fleet::launch(&storage, Some(&redis), 2, "output_tokens=7", TWENTY_CALLS);
    // Ten calls at the provider, which takes its time, when their replica dies.
    let faults = Request::new(fleet.provider.address, "POST", "/__control/faults");
    let queued = faults.body("{\"fault\":\"latency_ms=600000\",\"times\":10}");
    assert_eq!(queued.status() / 100, 2);
    let before = fleet.seen_by_provider();
    let hanging: Vec<_> = (0..10)
        .map(|_| {
            let tries: Vec<Request> = (0..40).map(|_| fleet.ask(0, "held")).collect();
            std::thread::spawn(move || {
                let mut answers = tries.into_iter().map(|request| {
                    let answer = request.open().map(|answer| answer.status);
                    if matches!(answer, Ok(503)) {
                        std::thread::sleep(Duration::from_millis(250));
                    }
                    answer
                });
                answers.find(|answer| !matches!(answer, Ok(503)))
            })
        })
        .collect();
    eventually("ten calls are at the provider", || {
        (fleet.seen_by_provider() == before + 10).then_some(())
    });
    let dead = fleet.replicas.remove(0);
    dead.signal(Signal::SIGKILL);
    dead.wait();
    let died = Instant::now();
    for call in hanging {
        assert!(matches!(call.join().unwrap(), Some(Err(_))));
    }
    // Ten are held, ten are free.
    for _ in 0..10 {
        assert_eq!(fleet.status_of(0, "held"), 200);
    }
    assert_eq!(fleet.status_of(0, "held"), 429);
    // Nobody starts that replica again: its calls count in full, and are settled.
    while fleet.used()["calls"] != 20 {
        assert!(died.elapsed() < Duration::from_secs(60), "{}", fleet.used());
        std::thread::sleep(Duration::from_millis(500));
    }
    let used = fleet.used();
    assert_eq!(used["unsuccessful_calls"], 10, "{used}");
    let open = || redis.command(&["ZCARD", "sw:{main}:open"]) == ":0\r\n";
    while !open() {
        assert!(died.elapsed() < Duration::from_secs(60), "claims are open");
        std::thread::sleep(Duration::from_millis(500));
    }
    let intents = postgres.query(&storage, "TABLE intents");
    assert_eq!(intents, "");
    assert_eq!(fleet.status_of(0, "held"), 429, "all of it is spent");
}
