//! PostgreSQL under many writers and under callers that give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use seaworthy_core::ledger::Settlement;
use seaworthy_core::store::Stores;
use seaworthy_store::open;
use seaworthy_test_servers::Postgres;

use crate::fixtures::{BY_USER, key, settlement};
use crate::postgres::replica;

/// A number that the environment can raise.
fn number(name: &str, default: usize) -> usize {
    let asked = std::env::var(name).ok();
    asked
        .and_then(|number| number.parse().ok())
        .unwrap_or(default)
}

/// Tells a figure, which `cargo xtask bench money` gathers, and holds it to its limit.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn figure(what: &str, measured: usize, limit: usize) {
    let verdict = if measured == limit {
        "pass"
    } else {
        "**FAIL**"
    };
    println!("figure: {what} | {limit} | {measured} | {verdict}");
    assert_eq!(measured, limit, "{what}");
}

/// Tells how far a test is; `cargo xtask bench money` makes a bar of it.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn progress(done: usize, all: usize, what: &str) {
    println!("progress: {done} of {all} {what}");
}

#[tokio::test]
async fn callers_that_give_up_leave_no_transaction_open() {
    let server = Postgres::start();
    let url = server.create_database();
    let stores = open(&url).unwrap();
    let callers = number("SEAWORTHY_TEST_CASES", 2_000);
    for round in 0..callers {
        let ledger = Arc::clone(&stores.ledger);
        let keys = Arc::clone(&stores.keys);
        let micros = u64::try_from(round % 50).unwrap() * 20;
        let given_up = tokio::time::timeout(Duration::from_micros(micros), async {
            let batch = vec![settlement(&format!("{round}"))];
            ledger.settle(Arc::new(batch)).await?;
            keys.insert(key(&format!("{round}"))).await
        });
        let _whether_or_not = given_up.await;
        if (round + 1) % 500 == 0 {
            progress(round + 1, callers, "callers that give up");
        }
    }
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut open = server.query(&url, idle);
    while open != "0" && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        open = server.query(&url, idle);
    }
    let what = format!("transactions left open by {callers} callers that gave up");
    figure(&what, open.parse().unwrap(), 0);
}

/// For a number of rounds, or for `SEAWORTHY_TEST_SECONDS`.
#[tokio::test]
async fn sixty_four_writers_with_overlapping_batches_meet_no_deadlock_and_lose_nothing() {
    let server = Postgres::start();
    let url = server.create_database();
    let replicas: Vec<Stores> = (0..3)
        .map(|number| replica(&url, &format!("{number}")))
        .collect();
    let seconds = u64::try_from(number("SEAWORTHY_TEST_SECONDS", 0)).unwrap();
    let until = (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds));
    let written = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..64_usize {
        let ledger = Arc::clone(&replicas[writer % 3].ledger);
        let written = Arc::clone(&written);
        tasks.spawn(async move {
            for round in 0.. {
                let is_over = until.map_or(round >= 40, |until| Instant::now() >= until);
                if is_over {
                    return;
                }
                // Everybody settles what everybody settles, each in an order of its own.
                let mut batch: Vec<Settlement> = (0..16)
                    .map(|call| settlement(&format!("{round}-{call}")))
                    .collect();
                batch.rotate_left(writer % 16);
                if writer % 2 == 0 {
                    batch.reverse();
                }
                ledger.settle(Arc::new(batch)).await.unwrap();
                written.fetch_max((round + 1) * 16, Ordering::Relaxed);
            }
        });
    }
    let began = Instant::now();
    tasks.spawn(async move {
        while until.is_some_and(|until| Instant::now() < until) {
            let gone = began.elapsed().as_secs().try_into().unwrap();
            progress(
                gone,
                number("SEAWORTHY_TEST_SECONDS", 0),
                "seconds of writing",
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    tasks.join_all().await;
    let calls = replicas[0].ledger.usage(BY_USER).await.unwrap()[0].calls;
    let what = "64 writers with the same calls: calls in the ledger";
    figure(
        what,
        calls.try_into().unwrap(),
        written.load(Ordering::Relaxed),
    );
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks = server.query(&url, sql).parse().unwrap();
    figure("64 writers: deadlocks", deadlocks, 0);
}
