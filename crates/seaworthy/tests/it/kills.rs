//! A gateway that is killed under load, at random instants and at each place where it matters;
//! afterwards every call that the provider saw is accounted for, once.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seaworthy_core::crash::Point;
use seaworthy_test_servers::{Postgres, Redis};
use serde_json::Value;

use crate::fleet::{Fleet, at_least, at_most, rounds, scattered};
use crate::support::Request;

const OUTPUT_TOKENS: u64 = 7;
/// Input is free, an output token costs 10 micro-dollars.
const MONEY: &str = "[prices.\"o/gpt-real\"]\ninput = 0\noutput = 10\n\
     [budgets.all]\nscope = \"global\"\nwindow = \"total\"\nbudget_usd = 1000000\n";
/// How long calls may hold what nobody uses, at most.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// How a process ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// By a signal, after so many milliseconds under load.
    After(u64),
    /// Where it comes to this place for the so-manieth time.
    At(Point, u64),
}

/// What one process after the other was asked for, as callers and provider saw it.
struct Judge {
    fleet: Fleet,
    boss: String,
    /// Calls whose callers saw the whole answer.
    finished: Mutex<HashSet<String>>,
    /// How often the provider saw each call.
    seen: HashMap<String, u64>,
    /// The last call of the provider's log that was read.
    read_until: u64,
    slowest_start: Duration,
}

impl Judge {
    fn new(storage: &str, redis: Option<&Redis>) -> Self {
        let directives = format!("output_tokens={OUTPUT_TOKENS},latency_ms=5");
        let fleet = Fleet::launch(storage, redis, 1, &directives, MONEY);
        let boss = fleet.ship.create_key("boss", "admin");
        Self {
            fleet,
            boss,
            finished: Mutex::default(),
            seen: HashMap::new(),
            read_until: 0,
            slowest_start: Duration::ZERO,
        }
    }

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

    /// One call; false when nobody answers any more.
    fn call(&self, id: &str, stream: bool) -> bool {
        let request = self.fleet.replicas[0]
            .ask(&self.fleet.key, "gpt", stream)
            .header(&format!("x-seaworthy-session-id: {id}"))
            .header(&format!("x-call: {id}"));
        let Ok(answer) = request.open() else {
            return false;
        };
        let is_ok = answer.status == 200;
        let Some(text) = answer.text_if_whole() else {
            return true;
        };
        let is_whole = match stream {
            true => text.contains("data: [DONE]"),
            false => serde_json::from_str::<Value>(&text).is_ok(),
        };
        if is_ok && is_whole {
            self.finished.lock().unwrap().insert(id.to_owned());
        }
        true
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

    /// Reads which calls the provider has seen since the last time.
    fn read_log(&mut self) {
        let path = format!("/__control/calls?since={}&limit=100000", self.read_until);
        let log = Request::new(self.fleet.provider.address, "GET", &path);
        let log = log.send().json();
        for call in log["calls"].as_array().unwrap() {
            self.read_until = self.read_until.max(call["seq"].as_u64().unwrap());
            let mut headers = call["headers"].as_array().unwrap().iter();
            let id = headers.find(|header| header[0] == "x-call").unwrap();
            let id = id[1].as_str().unwrap().to_owned();
            *self.seen.entry(id).or_default() += 1;
        }
    }

    /// The ledger, by call.
    fn ledger(&self) -> HashMap<String, Value> {
        let mut calls = HashMap::new();
        for page in 0.. {
            let offset = (page * 1_000).to_string();
            let arguments = [
                "usage", "--by", "session", "--limit", "1000", "--offset", &offset, "--format",
                "json", "--config", "c.toml",
            ];
            let totals = self.fleet.ship.json(&arguments);
            let totals = totals.as_array().unwrap();
            for total in totals {
                calls.insert(total["group"].as_str().unwrap().to_owned(), total.clone());
            }
            if totals.len() < 1_000 {
                break;
            }
        }
        calls
    }

    /// What is spent and what is held of the budget of all.
    fn budget(&self) -> (u64, u64) {
        let budgets = self.fleet.replicas[0].get("/admin/v1/budgets");
        let budgets = budgets.key(&self.boss).send().json();
        let budget = &budgets["data"][0];
        let figure = |name: &str| budget[name].as_u64().unwrap_or_else(|| panic!("{budgets}"));
        (figure("spent"), figure("reserved"))
    }

    /// Compares what the provider saw, what callers saw, the ledger and the budget.
    fn judge(self, what: &str) {
        let ended = Instant::now();
        let (mut spent, mut reserved) = self.budget();
        while reserved > 0 && ended.elapsed() < SETTLED_WITHIN {
            std::thread::sleep(Duration::from_millis(200));
            (spent, reserved) = self.budget();
        }
        let ledger = self.ledger();
        let figure = |row: &Value, name: &str| row[name].as_u64().unwrap();
        let calls_of = |id: &str| ledger.get(id).map_or(0, |row| figure(row, "calls"));
        let lost = self.seen.keys().filter(|id| calls_of(id) == 0).count();
        let doubled = ledger.keys().filter(|id| calls_of(id) > 1).count();
        let finished = self.finished.into_inner().unwrap();
        let is_exact = |id: &&String| {
            ledger.get(*id).is_some_and(|row| {
                figure(row, "output_tokens") == OUTPUT_TOKENS
                    && figure(row, "estimated_calls") == 0
                    && figure(row, "unsuccessful_calls") == 0
                    && figure(row, "cost") == OUTPUT_TOKENS * 10
            })
        };
        let wrong = finished.iter().filter(|id| !is_exact(id)).count();
        let cost: u64 = ledger.values().map(|row| figure(row, "cost")).sum();
        let count = |number: usize| u64::try_from(number).unwrap();
        let tell = |figure: &str| format!("{what}: {figure}");
        at_least(
            &tell("calls seen by the provider"),
            count(self.seen.len()),
            1,
        );
        at_least(
            &tell("calls seen to end by their callers"),
            count(finished.len()),
            1,
        );
        at_most(
            &tell("calls of the provider that the ledger lacks"),
            count(lost),
            0,
        );
        at_most(&tell("calls that the ledger has twice"), count(doubled), 0);
        at_most(
            &tell("finished calls with wrong tokens or cost"),
            count(wrong),
            0,
        );
        at_most(
            &tell("drift of the budget, micro-dollars"),
            spent.abs_diff(cost),
            0,
        );
        at_most(&tell("held by dead calls, micro-dollars"), reserved, 0);
        let slowest = u64::try_from(self.slowest_start.as_millis()).unwrap();
        at_most(
            &tell("slowest start after a kill, milliseconds"),
            slowest,
            15_000,
        );
    }
}

/// Kills at random instants and, as often, at the places where it matters, each in its turn.
fn kills_under_load(what: &str, storage: &str, redis: Option<&Redis>, default: usize) {
    let mut judge = Judge::new(storage, redis);
    let random = rounds(default);
    for round in 0..random {
        let millis = 100 + scattered(round as u64) % 300;
        judge.round(round, End::After(millis));
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
