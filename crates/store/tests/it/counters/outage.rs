//! Several replicas and a Redis that dies, freezes or forgets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use seaworthy_core::budget::Account;
use seaworthy_core::clock::{Clock as _, SystemClock, UnixMillis};
use seaworthy_core::counters::shares::{MemoryRegistry, ShareRegistry};
use seaworthy_core::counters::{AccountKey, Claim, Counters, Outcome};
use seaworthy_store::observe::Observer;
use seaworthy_store::redis::{Link, OnLoss, RedisCounters, SharedCounters, SharedOptions};
use seaworthy_test_servers::Redis;
use tokio::task::AbortHandle;

use super::suite::{budget, claim, used};

/// No answer may take longer, with or without a server, the share of a busy machine included. What
/// a request waits for is counted, and each wait bounded where it is made.
const MOST_ADDED: Duration = Duration::from_secs(2);

pub(super) struct Replica {
    pub(super) counters: Arc<SharedCounters>,
    tending: AbortHandle,
    /// How often the server was asked for a claim.
    asked: Arc<AtomicUsize>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.tending.abort();
    }
}

pub(super) type Registry = Arc<dyn ShareRegistry>;

/// What the ledger of a test knows: when something was spent, and how much.
pub(super) type Book = Arc<Mutex<Vec<(UnixMillis, u64)>>>;

fn ledger_says(book: &Book, counters: &SharedCounters) -> [(AccountKey, u64); 1] {
    let until = counters.ledger_counts_until();
    let book = book.lock().unwrap();
    let counted = book
        .iter()
        .filter(|(at, _)| until.is_none_or(|until| *at < until));
    [(account_key(), counted.map(|(_, amount)| amount).sum())]
}

pub(super) async fn replica(
    url: &str,
    (name, on_loss): (&str, OnLoss),
    registry: &Registry,
    book: &Book,
) -> Replica {
    let link = Link::new(url, None, None).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let observer = Observer::new(move |call| {
        if call.operation == "take" {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let options = SharedOptions {
        on_loss,
        replicas: 1,
        replica: name.to_owned(),
        registry: Some(Arc::clone(registry)),
        clock: Arc::new(SystemClock),
        observer,
    };
    let server = RedisCounters::new(Arc::new(link), "x");
    let counters = Arc::new(SharedCounters::new(server, options));
    loop {
        let spent = ledger_says(book, &counters);
        counters.restore(&spent).await.unwrap();
        if counters.ledger_counts_until().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tended = Arc::clone(&counters);
    let book = Arc::clone(book);
    let tending = tokio::spawn(async move {
        let restore = async {
            loop {
                if tended.needs_restore() {
                    let spent = ledger_says(&book, &tended);
                    tended.restore(&spent).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::join!(tended.tend(), restore);
    });
    Replica {
        counters,
        tending: tending.abort_handle(),
        asked,
    }
}

async fn three(redis: &Redis, on_loss: OnLoss, book: &Book) -> [Replica; 3] {
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let url = redis.url();
    let replicas = [
        replica(&url, ("a", on_loss), &registry, book).await,
        replica(&url, ("b", on_loss), &registry, book).await,
        replica(&url, ("c", on_loss), &registry, book).await,
    ];
    know_each_other(&replicas).await;
    replicas
}

pub(super) async fn know_each_other(replicas: &[Replica]) {
    let all = replicas.len() as u64;
    eventually("all know each other", || {
        let knows = |replica: &Replica| replica.counters.status().unwrap().replicas == all;
        replicas.iter().all(knows)
    })
    .await;
}

/// Calls of each replica that use nothing, until something is set aside for all of them.
pub(super) async fn hold_shares(redis: &Redis, replicas: &[Replica], limit: u64) {
    for number in 0..300 {
        for (index, replica) in replicas.iter().enumerate() {
            let id = format!("share-{index}-{number}");
            if number % 20 == 0 && takes(replica, &id, limit, 10).await == Some(true) {
                let (counters, now) = (&replica.counters, SystemClock.now());
                counters.settle(&id, now, used(0)).await.unwrap();
            }
        }
        if shares(redis) == replicas.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("expected shares");
}

/// How many holders have a share.
fn shares(redis: &Redis) -> usize {
    let names = redis.command(&["KEYS", "sw:{x}:share:*"]);
    let names = names.lines().filter(|line| line.starts_with("sw:"));
    let amount = |name: &str| redis.command(&["HLEN", name]);
    names.filter(|name| amount(name) == ":2\r\n").count()
}

fn account_key() -> AccountKey {
    let key = budget(0, 0).key;
    let window = budget(0, 0).window;
    AccountKey { key, window }
}

pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "expected: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn all_up(replicas: &[Replica]) {
    eventually("all are up", || {
        replicas
            .iter()
            .all(|replica| replica.counters.status().unwrap().is_up)
    })
    .await;
}

pub(super) async fn account(replica: &Replica) -> Account {
    replica.counters.snapshot(&[account_key()]).await.unwrap()[0]
}

/// `None` where nobody can say.
pub(super) async fn takes(replica: &Replica, id: &str, limit: u64, amount: u64) -> Option<bool> {
    let claim = Claim {
        at: SystemClock.now(),
        budgets: vec![budget(limit, amount)],
        ..claim(id)
    };
    let started = Instant::now();
    let outcome = replica.counters.take(claim).await;
    let took = started.elapsed();
    assert!(took < MOST_ADDED, "{took:?}");
    outcome
        .ok()
        .map(|outcome| matches!(outcome, Outcome::Taken(_)))
}

/// Fills every replica with calls of ten until it refuses; returns what passed.
pub(super) async fn fill(replicas: &[Replica], label: &str, limit: u64) -> Vec<(usize, String)> {
    let mut passed = Vec::new();
    for (number, replica) in replicas.iter().enumerate() {
        for call in 0..1_000 {
            let id = format!("{label}-{number}-{call}");
            if takes(replica, &id, limit, 10).await != Some(true) {
                break;
            }
            passed.push((number, id));
        }
    }
    passed
}

#[tokio::test]
async fn a_budget_holds_while_the_server_is_dead_and_after_it() {
    let (mut redis, book) = (Redis::start(), Book::default());
    let replicas = three(&redis, OnLoss::Local, &book).await;
    for call in 0..10 {
        assert_eq!(
            takes(&replicas[0], &format!("{call}"), 1_000, 10).await,
            Some(true)
        );
    }
    for call in 0..10 {
        let now = SystemClock.now();
        let id = format!("{call}");
        let settled = replicas[0].counters.settle(&id, now, used(10)).await;
        settled.unwrap();
        book.lock().unwrap().push((now, 10));
    }
    hold_shares(&redis, &replicas, 1_000).await;
    redis.kill();
    let alone = fill(&replicas, "alone", 1_000).await;
    let status = replicas[0].counters.status().unwrap();
    assert_eq!(status.mode, "local");
    assert_eq!(status.replicas, 3);
    // What was left is 900, of which a fourth was set aside for each.
    assert!((60..=67).contains(&alone.len()), "{}", alone.len());
    for (number, id) in &alone[..60] {
        let (counters, now) = (&replicas[*number].counters, SystemClock.now());
        counters.settle(id, now, used(5)).await.unwrap();
        book.lock().unwrap().push((now, 5));
    }
    // It comes back empty; the ledger has what was spent, the replicas what they hold. What ends
    // meanwhile is in one of both.
    redis.restart();
    let returned = Instant::now();
    let mut ended = 0;
    while !replicas
        .iter()
        .all(|one| one.counters.status().unwrap().is_up)
    {
        if let Some((number, id)) = alone.get(60 + ended) {
            let (counters, now) = (&replicas[*number].counters, SystemClock.now());
            counters.settle(id, now, used(10)).await.unwrap();
            book.lock().unwrap().push((now, 10));
            ended += 1;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let took = returned.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let account = account(&replicas[1]).await;
    let held = (alone.len() - 60 - ended) as u64 * 10;
    let spent = 10 * 10 + 60 * 5 + ended as u64 * 10;
    assert_eq!((account.spent, account.reserved), (spent, held));
}

#[tokio::test]
async fn a_frozen_server_stalls_nobody_and_is_told_what_it_missed() {
    let (redis, book) = (Redis::start(), Book::default());
    let replicas = three(&redis, OnLoss::Local, &book).await;
    assert_eq!(takes(&replicas[0], "before", 300, 10).await, Some(true));
    hold_shares(&redis, &replicas, 300).await;
    redis.freeze();
    let alone = fill(&replicas, "alone", 300).await;
    // A fourth of 290 for each.
    assert!((18..=21).contains(&alone.len()), "{}", alone.len());
    let now = SystemClock.now();
    replicas[0]
        .counters
        .settle("before", now, used(10))
        .await
        .unwrap();
    for (number, id) in &alone[..15] {
        replicas[*number]
            .counters
            .settle(id, now, used(4))
            .await
            .unwrap();
    }
    redis.thaw();
    all_up(&replicas).await;
    let held = u64::try_from(alone.len() - 15).unwrap() * 10;
    let mut found = Account::default();
    for _ in 0..100 {
        found = account(&replicas[2]).await;
        if (found.spent, found.reserved) == (10 + 15 * 4, held) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((found.spent, found.reserved), (10 + 15 * 4, held));
}

#[tokio::test]
async fn a_server_that_forgets_is_reminded_of_what_is_spent_and_held() {
    let redis = Redis::start();
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let book: Book = Arc::new(Mutex::new(vec![(UnixMillis(0), 500)]));
    let one = replica(&redis.url(), ("a", OnLoss::Local), &registry, &book).await;
    assert_eq!(takes(&one, "held", 1_000, 100).await, Some(true));
    assert_eq!(redis.command(&["FLUSHALL"]), "+OK\r\n");
    // Whoever asks first notices. Nothing was set aside yet.
    assert_eq!(takes(&one, "alone", 1_000, 100).await, None);
    let replicas = [one];
    eventually("it was noticed", || !replicas[0].counters.needs_restore()).await;
    all_up(&replicas).await;
    let found = account(&replicas[0]).await;
    assert_eq!((found.spent, found.reserved), (500, 100));
    assert_eq!(takes(&replicas[0], "more", 1_000, 401).await, Some(false));
    // What may have been set aside by now comes back when it is asked for.
    let deadline = Instant::now() + Duration::from_secs(10);
    while takes(&replicas[0], "fits", 1_000, 400).await != Some(true) {
        assert!(Instant::now() < deadline, "expected: the rest is taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(account(&replicas[0]).await.reserved, 500);
}

#[tokio::test]
async fn without_a_server_requests_are_refused_where_that_is_wanted() {
    let mut redis = Redis::start();
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let one = replica(
        &redis.url(),
        ("a", OnLoss::Reject),
        &registry,
        &Book::default(),
    )
    .await;
    assert_eq!(takes(&one, "1", 1_000, 10).await, Some(true));
    redis.kill();
    assert_eq!(takes(&one, "2", 1_000, 10).await, None);
    assert_eq!(one.counters.status().unwrap().mode, "rejecting");
    redis.restart();
    let replicas = [one];
    all_up(&replicas).await;
    assert_eq!(takes(&replicas[0], "3", 1_000, 10).await, Some(true));
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_back_what_it_may_have_taken() {
    let redis = Redis::start();
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let one = replica(
        &redis.url(),
        ("a", OnLoss::Local),
        &registry,
        &Book::default(),
    )
    .await;
    let asked = Claim {
        at: SystemClock.now(),
        budgets: vec![budget(1_000, 10)],
        ..claim("given up")
    };
    redis.freeze();
    {
        let take = one.counters.take(asked);
        let given_up = tokio::time::timeout(Duration::from_millis(20), take).await;
        assert!(given_up.is_err());
    }
    redis.thaw();
    let replicas = [one];
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if redis.command(&["ZCARD", "sw:{x}:open"]) == ":0\r\n" {
            break;
        }
    }
    all_up(&replicas).await;
    assert_eq!(account(&replicas[0]).await.reserved, 0);
}

#[tokio::test]
async fn a_loss_is_waited_for_once_and_no_request_asks_twice() {
    let (redis, book) = (Redis::start(), Book::default());
    let replicas = three(&redis, OnLoss::Local, &book).await;
    hold_shares(&redis, &replicas, 1_000).await;
    redis.freeze();
    let asked = || replicas[0].asked.load(Ordering::Relaxed);
    let before = asked();
    // At the same moment, each of them may have asked before the loss is known.
    let together = (0..5).map(|call| {
        let counters = Arc::clone(&replicas[0].counters);
        let claim = Claim {
            at: SystemClock.now(),
            budgets: vec![budget(1_000, 10)],
            ..claim(&format!("together-{call}"))
        };
        tokio::spawn(async move { counters.take(claim).await })
    });
    for taken in together.collect::<Vec<_>>() {
        assert!(taken.await.unwrap().is_ok(), "it fits into the share");
    }
    assert!(asked() - before <= 5, "{}", asked() - before);
    let known = asked();
    for call in 0..10 {
        let id = format!("later-{call}");
        assert_eq!(takes(&replicas[0], &id, 1_000, 10).await, Some(true));
    }
    assert_eq!(asked(), known, "nobody waits for what is known to be lost");
}
