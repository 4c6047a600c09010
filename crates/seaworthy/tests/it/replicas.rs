//! Replicas that die: what they held is given back, and what they did is settled by others.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{Fleet, TWENTY_CALLS};
use crate::support::{Request, eventually};

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
            let request = fleet.ask(0, "held");
            std::thread::spawn(move || request.open().map(|answer| answer.status))
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
        assert!(call.join().unwrap().is_err());
    }
    // Ten are held, ten are free.
    for _ in 0..10 {
        assert_eq!(fleet.ask(0, "held").status(), 200);
    }
    assert_eq!(fleet.ask(0, "held").status(), 429);
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
    assert_eq!(fleet.ask(0, "held").status(), 429, "all of it is spent");
}
