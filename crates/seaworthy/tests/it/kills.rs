//! A gateway that is killed under load, at random instants and at each place where it matters;
//! afterwards every call that the provider saw is accounted for, once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seaworthy_core::crash::Point;
use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{progress, rounds, scattered};
use crate::judge::Judge;

/// How a process ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// By a signal, after so many milliseconds under load.
    After(u64),
    /// Where it comes to this place for the so-manieth time.
    At(Point, u64),
}

impl Judge {
    /// Has callers ask until the process ends, and starts another.
    fn round(&mut self, round: usize, end: End) {
        if let End::At(point, times) = end {
            let wish = format!("{}:{times}", point.as_str());
            self.replace(Some(&wish));
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for caller in 0..8_u64 {
                let (judge, is_over) = (&*self, &is_over);
                scope.spawn(move || {
                    for call in 0.. {
                        let id = format!("{round}-{caller}-{call}");
                        if is_over.load(Ordering::Relaxed) || !judge.call(&id, call % 2 == 0) {
                            return;
                        }
                    }
                });
            }
            let replica = &self.fleet.replicas[0];
            if let End::After(millis) = end {
                std::thread::sleep(Duration::from_millis(millis));
                replica.kill();
            }
            let has_ended = replica.ends();
            is_over.store(true, Ordering::Relaxed);
            assert!(has_ended, "{end:?} does not come");
        });
        self.read_log();
        self.replace(None);
    }

    /// Ends the process if it runs, and starts another, which may be told where to die.
    fn replace(&mut self, crash_at: Option<&str>) {
        self.fleet.replicas[0].kill();
        let started = Instant::now();
        let arguments = ["--config", "c.toml", "--listen", "127.0.0.1:0"];
        self.fleet.replicas[0] = self.fleet.ship.serve_with(&arguments, |command| {
            command.envs(crash_at.map(|wish| ("SEAWORTHY_CRASH_AT", wish)));
        });
        self.slowest_start = self.slowest_start.max(started.elapsed());
    }
}

/// Kills at random instants and, as often, at the places where it matters, each in its turn.
fn kills_under_load(what: &str, storage: &str, redis: Option<&Redis>, default: usize) {
    let mut judge = Judge::new(storage, redis);
    let random = rounds(default);
    for round in 0..random {
        let millis = 100 + scattered(round as u64) % 300;
        judge.round(round, End::After(millis));
        progress(
            round + 1,
            random,
            &format!("kills at random instants, {what}"),
        );
    }
    // Without other replicas nothing is shared.
    let is_met = |point: &Point| redis.is_some() || *point != Point::IntentShared;
    let points: Vec<Point> = Point::ALL.into_iter().filter(is_met).collect();
    let placed = random.max(points.len());
    for round in 0..placed {
        let point = points[round % points.len()];
        let chance = scattered(round as u64 + 1_000_000);
        // Batches are few, and the first one is what the process before has left.
        let times = match point {
            Point::SettlementDue | Point::SettlementWritten => 1 + chance % 3,
            Point::CommitDue => 2 + chance % 3,
            _ => 1 + chance % 30,
        };
        judge.round(random + round, End::At(point, times));
        progress(round + 1, placed, &format!("kills at named places, {what}"));
    }
    let kills = random + placed;
    judge.judge(&format!("{kills} kills under load, {what}"));
}

#[test]
fn kill_9_under_load_loses_no_call_with_sqlite() {
    kills_under_load("SQLite", "sqlite:ship.db", None, 3);
}

#[test]
fn kill_9_under_load_loses_no_call_with_postgres() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    kills_under_load("PostgreSQL and Redis", &storage, Some(&redis), 3);
}
