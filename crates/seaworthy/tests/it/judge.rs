//! A deployment whose calls are followed one by one, and the comparison at the end of what the provider
//! saw, what callers saw, the ledger and the budget.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use seaworthy_test_servers::Redis;
use serde_json::Value;

use crate::fleet::{Fleet, at_least, at_most};
use crate::support::Request;

const OUTPUT_TOKENS: u64 = 7;
/// Input is free, an output token costs 10 micro-dollars.
const MONEY: &str = "[prices.\"o/gpt-real\"]\ninput = 0\noutput = 10\n\
     [budgets.all]\nscope = \"global\"\nwindow = \"total\"\nbudget_usd = 1000000\n";
/// How long calls may hold what nobody uses, at most.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// What one process after the other was asked for, as callers and provider saw it.
pub(crate) struct Judge {
    pub(crate) fleet: Fleet,
    boss: String,
    /// Calls whose callers saw the whole answer.
    pub(crate) finished: Mutex<HashSet<String>>,
    /// How often the provider saw each call.
    seen: HashMap<String, u64>,
    /// The last call of the provider's log that was read.
    read_until: u64,
    pub(crate) slowest_start: Duration,
}

impl Judge {
    pub(crate) fn new(storage: &str, redis: Option<&Redis>) -> Self {
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

    /// A call by its name, under which it can be found everywhere.
    pub(crate) fn request(&self, id: &str, stream: bool) -> Request {
        self.fleet.replicas[0]
            .ask(&self.fleet.key, "gpt", stream)
            .header(&format!("x-seaworthy-session-id: {id}"))
            .header(&format!("x-call: {id}"))
    }

    /// One call; false when nobody answers any more.
    pub(crate) fn call(&self, id: &str, stream: bool) -> bool {
        let Ok(answer) = self.request(id, stream).open() else {
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

    /// Reads which calls the provider has seen since the last time.
    pub(crate) fn read_log(&mut self) {
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
    pub(crate) fn budget(&self) -> (u64, u64) {
        let budgets = self.fleet.replicas[0].get("/admin/v1/budgets");
        let budgets = budgets.key(&self.boss).send().json();
        let budget = &budgets["data"][0];
        let figure = |name: &str| budget[name].as_u64().unwrap_or_else(|| panic!("{budgets}"));
        (figure("spent"), figure("reserved"))
    }

    /// Compares what the provider saw, what callers saw, the ledger and the budget.
    pub(crate) fn judge(self, what: &str) {
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
        if self.slowest_start > Duration::ZERO {
            let slowest = u64::try_from(self.slowest_start.as_millis()).unwrap();
            let what = tell("slowest start after a kill, milliseconds");
            at_most(&what, slowest, 15_000);
        }
    }
}
