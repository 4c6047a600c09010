//! A Redis that dies, freezes and forgets under load, judged by callers and by what was spent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{Fleet, is_at_least, is_at_most, progress, rounds, scattered};
use crate::support::Request;

/// A session may make 100 calls, which cost 100 micro-dollars each, and an agent more than there are;
/// all chats together are limited in their number, so that each of them asks Redis. Embeddings are under
/// nothing, and ask nobody.
const HUNDRED_CALLS: &str = "[prices.\"o/gpt-real\"]\ninput = 0\noutput = 0\nrequest = 0.0001\n\
     [budgets.round]\nscope = \"session\"\nwindow = \"total\"\nbudget_usd = 0.01\n\
     [budgets.crew]\nscope = \"agent\"\nwindow = \"total\"\nbudget_usd = 1000\n\
     [rate_limits.per_operation.chat]\nrequests_per_minute = 1000000\n";
/// What a caller may notice at most of a Redis that is lost and found.
const MOST_ADDED_MS: u64 = 150;
/// How long a call waits at most for money that others hold: a documented wait, of a Redis that is well.
const MOST_HELD_MS: u64 = 10_000;
/// How long Redis is gone.
const GONE: Duration = Duration::from_millis(700);

/// What happens to Redis in the middle of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing: what callers notice then, they do not notice of its loss.
    Spared,
    /// `kill -9`, and a new one with nothing in its memory.
    Killed,
    /// `SIGSTOP`: connections stay, and nothing is answered.
    Frozen,
    /// Somebody empties it.
    Emptied,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Spared, Self::Killed, Self::Frozen, Self::Emptied];

    fn as_str(self) -> &'static str {
        match self {
            Self::Spared => "left alone",
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::Emptied => "emptied",
        }
    }

    fn befalls(self, redis: &mut Redis) {
        match self {
            Self::Spared => {}
            Self::Killed => redis.kill(),
            Self::Frozen => redis.freeze(),
            Self::Emptied => assert_eq!(redis.command(&["FLUSHALL"]), "+OK\r\n"),
        }
    }

    fn ends(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.restart(),
            Self::Frozen => redis.thaw(),
            Self::Spared | Self::Emptied => {}
        }
    }
}

/// A call as its caller saw it.
#[derive(Clone, Copy)]
struct Seen {
    replica: usize,
    asked: Instant,
    took: Duration,
    status: u16,
}

impl Seen {
    fn ended(&self) -> Instant {
        self.asked + self.took
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.replica == other.replica && self.asked < other.ended() && other.asked < self.ended()
    }
}

/// What callers of one round saw.
#[derive(Default)]
struct Round {
    /// Calls under a budget that they use up, so that the last of them wait for money that others hold.
    scarce: Vec<Seen>,
    /// Calls under a budget with room, which a replica without Redis asks PostgreSQL about.
    ample: Vec<Seen>,
    /// Calls under a limit.
    limited: Vec<Seen>,
    /// Calls that ask neither, at the same replicas at the same time: what a busy machine does to
    /// the others, it does to them.
    unlimited: Vec<Seen>,
    /// How long Redis was not used after it had come back.
    back: Duration,
}

impl Round {
    /// By how much a call was slower than every call beside it that asks nobody.
    fn most_added(&self, calls: &[Seen]) -> Duration {
        let added = calls.iter().map(|call| {
            let beside = self.unlimited.iter().filter(|other| other.overlaps(call));
            let slowest = beside.map(|other| other.took).max().unwrap_or_default();
            call.took.saturating_sub(slowest)
        });
        added.max().unwrap_or_default()
    }

    fn slowest_unlimited(&self) -> Duration {
        let took = self.unlimited.iter().map(|call| call.took);
        took.max().unwrap_or_default()
    }
}

/// Asks one call after the other until it is over.
fn keep_asking(
    (replica, pause): (usize, Duration),
    is_over: &AtomicBool,
    ask: impl Fn() -> Request,
) -> Vec<Seen> {
    let mut calls = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let status = ask().status();
        calls.push(Seen {
            replica,
            asked,
            took: asked.elapsed(),
            status,
        });
        std::thread::sleep(pause);
    }
    calls
}

/// One round: three replicas under load, and in the middle of it what happens to Redis.
fn round(fleet: &Fleet, redis: &mut Redis, fate: Fate, number: usize) -> Round {
    let is_over = &AtomicBool::new(false);
    let session = &session(fate, number);
    let pause = |millis: u64| std::thread::sleep(Duration::from_millis(millis));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|replica| {
                let every = move |millis| (replica, Duration::from_millis(millis));
                let scarce = move || fleet.ask(replica, session);
                let agent = "x-seaworthy-agent: bosun";
                let ample = move || fleet.ask_freely(replica).header(agent);
                let limited = move || fleet.ask_freely(replica);
                let nothing = move || fleet.embed(replica);
                (
                    scope.spawn(move || keep_asking(every(20), is_over, scarce)),
                    scope.spawn(move || keep_asking(every(7), is_over, ample)),
                    scope.spawn(move || keep_asking(every(5), is_over, limited)),
                    scope.spawn(move || keep_asking(every(1), is_over, nothing)),
                )
            })
            .collect();
        pause(300 + scattered(number as u64) % 400);
        fate.befalls(redis);
        std::thread::sleep(GONE);
        let ended = Instant::now();
        fate.ends(redis);
        for replica in 0..3 {
            fleet.wait_for_shared_state(replica);
        }
        let mut round = Round {
            back: ended.elapsed(),
            ..Round::default()
        };
        pause(700);
        is_over.store(true, Ordering::Relaxed);
        for (scarce, ample, limited, nothing) in callers {
            round.scarce.extend(scarce.join().unwrap());
            round.ample.extend(ample.join().unwrap());
            round.limited.extend(limited.join().unwrap());
            round.unlimited.extend(nothing.join().unwrap());
        }
        round
    })
}

fn session(fate: Fate, number: usize) -> String {
    format!("{fate:?}-{number}")
}

/// The extremes of all rounds with one fate.
struct Figures {
    most: usize,
    least: usize,
    failed: usize,
    added: Duration,
    held: Duration,
    back: Duration,
    /// The slowest call that asks nobody.
    beside: Duration,
}

impl Figures {
    fn new() -> Self {
        Self {
            most: 0,
            least: usize::MAX,
            failed: 0,
            added: Duration::ZERO,
            held: Duration::ZERO,
            back: Duration::ZERO,
            beside: Duration::ZERO,
        }
    }

    /// Takes in a round after which so many calls in all had been served under the scarce budget.
    fn note(&mut self, round: &Round, served: usize) {
        (self.most, self.least) = (self.most.max(served), self.least.min(served));
        self.failed += round
            .limited
            .iter()
            .filter(|call| call.status != 200)
            .count();
        let added = round.most_added(&round.limited);
        self.added = self.added.max(added).max(round.most_added(&round.ample));
        self.held = self.held.max(round.most_added(&round.scarce));
        self.back = self.back.max(round.back);
        self.beside = self.beside.max(round.slowest_unlimited());
    }

    /// Tells them, and whether all of them keep their limits.
    fn tell(&self, what: &str, most_added_ms: u64) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let beside = millis(self.beside);
        let kept = [
            is_at_most(
                &format!("{what}: most calls under a budget of 100"),
                self.most as u64,
                100,
            ),
            is_at_least(
                &format!("{what}: least calls under a budget of 100"),
                self.least as u64,
                99,
            ),
            is_at_most(
                &format!("{what}: calls under limits that failed"),
                self.failed as u64,
                0,
            ),
            is_at_most(
                &format!(
                    "{what}: added to a call, milliseconds, by which it was slower than the calls \
                     beside it that ask no Redis (the slowest of these took {beside})"
                ),
                millis(self.added),
                most_added_ms,
            ),
            is_at_most(
                &format!(
                    "{what}: added to a call under a budget that is being used up, milliseconds, with \
                     the wait for money that others hold"
                ),
                millis(self.held),
                MOST_HELD_MS,
            ),
            is_at_most(
                &format!("{what}: milliseconds until it was back in use"),
                millis(self.back),
                10_000,
            ),
        ];
        kept.iter().all(|is_kept| *is_kept)
    }
}

#[test]
fn a_redis_that_is_lost_under_load_lets_no_call_more_pass_and_stalls_nobody() {
    let (postgres, mut redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let fleet = Fleet::launch(&storage, Some(&redis), 3, "output_tokens=7", HUNDRED_CALLS);
    let wanted = rounds(1);
    // Beside other tests, milliseconds are those of the machine.
    let most_added_ms = match std::env::var_os("SEAWORTHY_TEST_ROUNDS") {
        Some(_) => MOST_ADDED_MS,
        None => 10 * MOST_ADDED_MS,
    };
    let mut told = Vec::new();
    for fate in Fate::ALL {
        let mut figures = Figures::new();
        for number in 0..wanted {
            let round = round(&fleet, &mut redis, fate, number);
            let served = round
                .scarce
                .iter()
                .filter(|call| call.status == 200)
                .count();
            // What is left of the budget can be spent as well.
            let session = session(fate, number);
            let rest = (0..100).filter(|call| fleet.status_of(call % 3, &session) == 200);
            figures.note(&round, served + rest.count());
            progress(
                number + 1,
                wanted,
                &format!("times Redis was {}", fate.as_str()),
            );
        }
        told.push((
            format!("Redis {} under load, {wanted} times", fate.as_str()),
            figures,
        ));
    }
    for replica in &fleet.replicas {
        replica.logged("the shared state is lost");
    }
    let told = told.iter();
    let kept: Vec<bool> = told
        .map(|(what, figures)| figures.tell(what, most_added_ms))
        .collect();
    assert_eq!(kept, [true; 4], "a limit is not kept, of {:?}", Fate::ALL);
}
