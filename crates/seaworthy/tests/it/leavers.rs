//! Callers that hang up at any moment of their call: nothing stays open, held or uncounted.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{at_most, progress, scattered};
use crate::judge::Judge;

/// How many callers there are at the same time.
const AT_ONCE: usize = 8;

/// How many leave: by default few, `SEAWORTHY_TEST_CASES` for more.
fn leavers() -> usize {
    let asked = std::env::var("SEAWORTHY_TEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

/// Asks and hangs up: before the provider can have heard of it, while it answers, or in mid-stream.
fn leave(judge: &Judge, number: usize) {
    let chance = scattered(number as u64);
    let request = judge.request(&format!("leaver-{number}"), chance.is_multiple_of(2));
    let Ok(mut stream) = request.begin() else {
        return;
    };
    match chance / 2 % 3 {
        0 => {}
        1 => std::thread::sleep(Duration::from_micros(chance / 6 % 30_000)),
        _ => {
            // How much has come does not matter.
            let _some = stream.read(&mut [0; 64]);
        }
    }
}

/// One caller after the other; between those that leave, some that stay.
fn come_and_go(judge: &Judge, next: &AtomicUsize, until: usize) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        match number {
            _ if number >= until => return,
            _ if number.is_multiple_of(10) => drop(judge.call(&format!("stays-{number}"), true)),
            _ => leave(judge, number),
        }
    }
}

#[test]
fn callers_that_hang_up_leave_no_transaction_no_claim_and_no_call_behind() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let mut judge = Judge::new(&storage, Some(&redis));
    let all = leavers();
    // The provider keeps the latest calls only.
    for first in (0..all).step_by(500) {
        let (next, until) = (AtomicUsize::new(first), all.min(first + 500));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| come_and_go(&judge, &next, until));
            }
        });
        judge.read_log();
        progress(until, all, "callers that hang up");
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let open = || {
        let sessions = postgres.query(&storage, "TABLE pg_stat_activity");
        sessions.matches("idle in transaction").count()
    };
    while open() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let what = format!("{all} callers that hang up");
    let tell = format!("{what}: transactions left open");
    at_most(&tell, open() as u64, 0);
    judge.judge(&what);
}
