//! Replicas that die under load, and a real PostgreSQL and Redis that die, freeze and forget, judged
//! by what reached the provider.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use seaworthy_test_servers::{Postgres, Redis};
use serde_json::Value;

use crate::support::{Provider, Request, Server, Ship, eventually};

/// What a budget of 20 calls is, in dollars: each costs 100 micro-dollars, whatever it says.
const BUDGET_USD: &str = "0.002";
const OUTPUT_TOKENS: u64 = 7;

/// How often something is repeated: by default few times, `SEAWORTHY_TEST_ROUNDS` for more.
fn rounds(default: usize) -> usize {
    let asked = std::env::var("SEAWORTHY_TEST_ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(default)
}

/// A deployment: servers of state, a provider, a configuration, a key.
struct Fleet {
    ship: Ship,
    provider: Provider,
    key: String,
    replicas: Vec<Server>,
}

impl Fleet {
    fn launch(storage: &str, redis: Option<&Redis>, size: usize, directives: &str) -> Self {
        let ship = Ship::new();
        let provider = ship.provider(&["--defaults", directives]);
        let at = provider.address;
        let shared_state = redis.map_or_else(String::new, |redis| {
            format!(
                "[shared_state]\nurl = \"{}\"\nreplicas = {size}\n",
                redis.url()
            )
        });
        ship.write(
            "c.toml",
            &format!(
                "[storage]\nurl = \"{storage}\"\n{shared_state}[server]\ndrain_delay = \"100ms\"\n\
                 workers = 1\n\
                 [providers.o]\nkind = \"openai\"\nbase_url = \"http://{at}/v1\"\n\
                 api_key = \"secret://file/provider.key\"\n\
                 [models.gpt]\ntargets = [\"o/gpt-real\"]\n\
                 [prices.\"o/gpt-real\"]\ninput = 0\noutput = 0\nrequest = 0.0001\n\
                 [budgets.round]\nscope = \"session\"\nwindow = \"total\"\n\
                 budget_usd = {BUDGET_USD}\n"
            ),
        );
        ship.write("provider.key", "any");
        let key = ship.create_key("crew", "user");
        let replicas = (0..size).map(|_| ship.serve_config()).collect();
        Self {
            ship,
            provider,
            key,
            replicas,
        }
    }

    /// A call on behalf of a session, which has a budget of its own.
    fn ask(&self, replica: usize, session: &str) -> Request {
        self.replicas[replica]
            .ask(&self.key, "gpt", false)
            .header(&format!("x-seaworthy-session-id: {session}"))
    }

    /// Calls that the provider has seen, whole ones.
    fn seen_by_provider(&self) -> u64 {
        let stats = Request::new(self.provider.address, "GET", "/__control/stats");
        let stats = stats.send().json();
        stats["calls"].as_u64().unwrap()
    }

    /// The figures of the model in the ledger.
    fn used(&self) -> Value {
        let usage = ["usage", "--format", "json", "--config", "c.toml"];
        let totals = self.ship.json(&usage);
        let mut totals = totals.as_array().unwrap().iter();
        totals
            .find(|total| total["group"] == "gpt")
            .cloned()
            .unwrap_or_default()
    }
}

/// A number out of a seed: the same every time, and without order.
fn scattered(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[test]
fn what_a_killed_replica_held_is_back_within_a_minute_and_its_calls_are_settled() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let mut fleet = Fleet::launch(&storage, Some(&redis), 2, "output_tokens=7");
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
    let mut dead = fleet.replicas.remove(0);
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

/// Kills a replica under load at scattered moments and starts it again; afterwards every call that
/// the provider saw is in the ledger, and every call whose caller saw its end is exact.
fn kills_under_load(storage: &str, redis: Option<&Redis>) {
    let mut fleet = Fleet::launch(storage, redis, 1, "output_tokens=7,latency_ms=2");
    let finished = AtomicU64::new(0);
    for round in 0..rounds(4) {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for caller in 0..8_u64 {
                let (fleet, is_over, finished) = (&fleet, &is_over, &finished);
                scope.spawn(move || {
                    for call in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        let session = format!("{round}-{caller}-{call}");
                        let Ok(answer) = fleet.ask(0, &session).open() else {
                            return;
                        };
                        let is_ok = answer.status == 200;
                        let text = answer.text_if_whole();
                        if is_ok && text.is_some_and(|text| text.trim_end().ends_with('}')) {
                            finished.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            let chance = scattered(round as u64) % 300;
            std::thread::sleep(Duration::from_millis(100 + chance));
            fleet.replicas[0].signal(Signal::SIGKILL);
            is_over.store(true, Ordering::Relaxed);
        });
        fleet.replicas[0].wait();
        let started = Instant::now();
        fleet.replicas[0] = fleet.ship.serve_config();
        assert!(started.elapsed() < Duration::from_secs(15));
    }
    let replica = fleet.replicas.remove(0);
    replica.stop();
    let (seen, used) = (fleet.seen_by_provider(), fleet.used());
    let calls = used["calls"].as_u64().unwrap();
    let exact = calls - used["estimated_calls"].as_u64().unwrap();
    let finished = finished.into_inner();
    assert!(finished > 0);
    assert!(
        calls >= seen,
        "{seen} calls were seen by the provider: {used}"
    );
    assert!(
        exact >= finished,
        "{finished} calls were seen to end: {used}"
    );
    assert!(
        used["output_tokens"].as_u64().unwrap() >= exact * OUTPUT_TOKENS,
        "{used}"
    );
}

#[test]
fn kill_9_under_load_loses_no_call_with_sqlite() {
    kills_under_load("sqlite:ship.db", None);
}

#[test]
fn a_redis_that_dies_freezes_and_forgets_fails_no_call_and_stalls_none() {
    let (postgres, mut redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let fleet = Fleet::launch(&storage, Some(&redis), 3, "output_tokens=7");
    let is_over = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|replica| {
                let (fleet, is_over) = (&fleet, &is_over);
                scope.spawn(move || {
                    let mut slowest = Duration::ZERO;
                    for call in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let started = Instant::now();
                        // A session of its own, so that no share is used up.
                        let status = fleet.ask(replica, &format!("{replica}-{call}")).status();
                        slowest = slowest.max(started.elapsed());
                        assert_eq!(status, 200);
                    }
                    slowest
                })
            })
            .collect();
        let pause = || std::thread::sleep(Duration::from_millis(1_500));
        pause();
        redis.freeze();
        pause();
        redis.thaw();
        pause();
        redis.kill();
        pause();
        redis.restart();
        pause();
        assert_eq!(redis.command(&["FLUSHALL"]), "+OK\r\n");
        pause();
        is_over.store(true, Ordering::Relaxed);
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .max()
            .unwrap()
    });
    println!("slowest call with Redis frozen, killed and emptied: {slowest:?}");
    // The share of a slow machine included; the store's own tests hold it to 150 ms.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    for replica in &fleet.replicas {
        eventually("the shared state is back", || {
            let metrics = replica.get("/metrics").send().text();
            metrics
                .contains("seaworthy_shared_state_up 1")
                .then_some(())
        });
        replica.logged("the shared state is lost");
    }
    // One session over all three: exact again.
    let served = (0..60).filter(|call| fleet.ask(call % 3, "after").status() == 200);
    assert_eq!(served.count(), 20);
}
