//! Several replicas and a Redis that dies, freezes or forgets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaworthy_core::budget::Account;
use seaworthy_core::clock::{Clock as _, SystemClock};
use seaworthy_core::counters::{AccountKey, Claim, Counters, Outcome};
use seaworthy_store::observe::Observer;
use seaworthy_store::redis::{Link, OnLoss, RedisCounters, SharedCounters, SharedOptions};
use seaworthy_test_servers::Redis;
use tokio::task::AbortHandle;

use super::suite::{budget, claim, used};

/// No answer may take longer, with or without a server.
const MOST_ADDED: Duration = Duration::from_millis(150);

struct Replica {
    counters: Arc<SharedCounters>,
    tending: AbortHandle,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.tending.abort();
    }
}

async fn replica(redis: &Redis, name: &str, on_loss: OnLoss, spent: u64) -> Replica {
    let link = Link::new(&redis.url(), None, None).unwrap();
    let options = SharedOptions {
        on_loss,
        replicas: 1,
        replica: name.to_owned(),
        clock: Arc::new(SystemClock),
        observer: Observer::default(),
    };
    let server = RedisCounters::new(Arc::new(link), "x");
    let counters = Arc::new(SharedCounters::new(server, options));
    counters.restore(&[(account_key(), spent)]).await.unwrap();
    let tended = Arc::clone(&counters);
    let ledger_says = move || vec![(account_key(), spent)];
    let tending = tokio::spawn(async move {
        let restore = async {
            loop {
                if tended.needs_restore() {
                    tended.restore(&ledger_says()).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::join!(tended.tend(), restore);
    });
    Replica {
        counters,
        tending: tending.abort_handle(),
    }
}

async fn three(redis: &Redis, on_loss: OnLoss) -> [Replica; 3] {
    let replicas = [
        replica(redis, "a", on_loss, 0).await,
        replica(redis, "b", on_loss, 0).await,
        replica(redis, "c", on_loss, 0).await,
    ];
    eventually("all know each other", || {
        let knows = |replica: &Replica| replica.counters.status().unwrap().replicas == 3;
        replicas.iter().all(knows)
    })
    .await;
    replicas
}

fn account_key() -> AccountKey {
    let key = budget(0, 0).key;
    let window = budget(0, 0).window;
    AccountKey { key, window }
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "expected: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all_up(replicas: &[Replica]) {
    eventually("all are up", || {
        replicas
            .iter()
            .all(|replica| replica.counters.status().unwrap().is_up)
    })
    .await;
}

async fn account(replica: &Replica) -> Account {
    replica.counters.snapshot(&[account_key()]).await.unwrap()[0]
}

/// `None` where nobody can say.
async fn takes(replica: &Replica, id: &str, limit: u64, amount: u64) -> Option<bool> {
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
async fn fill(replicas: &[Replica], label: &str, limit: u64) -> Vec<(usize, String)> {
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
    let mut redis = Redis::start();
    let replicas = three(&redis, OnLoss::Local).await;
    for call in 0..10 {
        assert_eq!(
            takes(&replicas[0], &format!("{call}"), 1_000, 10).await,
            Some(true)
        );
    }
    for call in 0..10 {
        let now = SystemClock.now();
        replicas[0]
            .counters
            .settle(&format!("{call}"), now, used(10))
            .await
            .unwrap();
    }
    // Everybody has heard of it with the next beat.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    redis.kill();
    let alone = fill(&replicas, "alone", 1_000).await;
    let status = replicas[0].counters.status().unwrap();
    assert_eq!(status.mode, "local");
    assert_eq!(status.replicas, 3);
    // What was left is 900, of which each gives out a third.
    assert_eq!(alone.len(), 90);
    let now = SystemClock.now();
    for (number, id) in &alone[..60] {
        replicas[*number]
            .counters
            .settle(id, now, used(5))
            .await
            .unwrap();
    }
    // It comes back empty; the ledger of the test has nothing, the replicas have what they hold.
    redis.restart();
    let returned = Instant::now();
    all_up(&replicas).await;
    let took = returned.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let account = account(&replicas[1]).await;
    assert_eq!((account.spent, account.reserved), (60 * 5, 30 * 10));
}

#[tokio::test]
async fn a_frozen_server_stalls_nobody_and_is_told_what_it_missed() {
    let redis = Redis::start();
    let replicas = three(&redis, OnLoss::Local).await;
    assert_eq!(takes(&replicas[0], "before", 300, 10).await, Some(true));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    redis.freeze();
    let alone = fill(&replicas, "alone", 300).await;
    // 290 were left.
    assert!((24..=29).contains(&alone.len()), "{}", alone.len());
    let now = SystemClock.now();
    replicas[0]
        .counters
        .settle("before", now, used(10))
        .await
        .unwrap();
    for (number, id) in &alone[..20] {
        replicas[*number]
            .counters
            .settle(id, now, used(4))
            .await
            .unwrap();
    }
    redis.thaw();
    all_up(&replicas).await;
    let held = u64::try_from(alone.len() - 20).unwrap() * 10;
    let mut found = Account::default();
    for _ in 0..100 {
        found = account(&replicas[2]).await;
        if (found.spent, found.reserved) == (10 + 20 * 4, held) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((found.spent, found.reserved), (10 + 20 * 4, held));
}

#[tokio::test]
async fn a_server_that_forgets_is_reminded_of_what_is_spent_and_held() {
    let redis = Redis::start();
    let one = replica(&redis, "a", OnLoss::Local, 500).await;
    assert_eq!(takes(&one, "held", 1_000, 100).await, Some(true));
    assert_eq!(redis.command(&["FLUSHALL"]), "+OK\r\n");
    // Whoever asks first notices; what is decided alone counts as well.
    assert_eq!(takes(&one, "alone", 1_000, 100).await, Some(true));
    let replicas = [one];
    eventually("it was noticed", || !replicas[0].counters.needs_restore()).await;
    all_up(&replicas).await;
    let found = account(&replicas[0]).await;
    assert_eq!((found.spent, found.reserved), (500, 200));
    assert_eq!(takes(&replicas[0], "more", 1_000, 301).await, Some(false));
    assert_eq!(takes(&replicas[0], "fits", 1_000, 300).await, Some(true));
}

#[tokio::test]
async fn without_a_server_requests_are_refused_where_that_is_wanted() {
    let mut redis = Redis::start();
    let one = replica(&redis, "a", OnLoss::Reject, 0).await;
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
    let one = replica(&redis, "a", OnLoss::Local, 0).await;
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
