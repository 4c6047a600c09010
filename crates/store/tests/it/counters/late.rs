//! What reaches a Redis when its call is long over.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::budget::Account;
use seaworthy_core::clock::{Clock as _, SystemClock, UnixMillis};
use seaworthy_core::counters::{AccountKey, Claim, Counters as _, Outcome, Settled};
use seaworthy_store::redis::{Ending, RedisCounters};
use seaworthy_test_servers::Redis;

use super::suite::{budget, claim, used};

/// How long a claim lives.
const LEASE: Duration = Duration::from_secs(20);
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

async fn account(server: &RedisCounters) -> Account {
    let budget = budget(0, 0);
    let at = AccountKey {
        key: budget.key,
        window: budget.window,
    };
    server.snapshot(&[at]).await.unwrap()[0]
}

#[tokio::test]
async fn what_arrives_after_its_call_is_over_takes_nothing_and_spends_nothing() {
    let redis = Redis::start();
    let server = super::on(&redis, "x");
    server.restore(&[]).await.unwrap();
    let asks = |id: &str| Claim {
        budgets: vec![budget(100, 50)],
        ..claim(id)
    };
    let is_taken = async |id| matches!(server.take(asks(id)).await, Ok(Outcome::Taken(_)));
    assert!(is_taken("was there").await);
    for (id, spent) in [("was there", 20), ("was not", 20)] {
        let closed = server.close(id, NOW, used(20), Ending::Remembered).await;
        assert_eq!(closed.unwrap() == Settled::Unknown, id == "was not");
        // Asked for again, whether the limits allow it or not, it is taken already.
        assert!(is_taken(id).await);
        let now = account(&server).await;
        assert_eq!((now.spent, now.reserved), (spent, 0), "{id}");
        server.settle(id, NOW, used(30)).await.unwrap();
        assert_eq!(account(&server).await.spent, spent, "{id}");
    }
    let far = UnixMillis(i64::MAX / 2);
    assert!(server.overdue(far, 10).await.unwrap().is_empty());
    // What was answered leaves nothing behind.
    assert!(is_taken("another").await);
    server.settle("another", NOW, used(1)).await.unwrap();
    let exists = |key| redis.command(&["EXISTS", key]);
    assert_eq!(exists("sw:{x}:claim:another"), exists("nothing"));
}

#[tokio::test]
async fn a_claim_outlives_a_renewal_that_comes_late_and_not_a_clock_that_was_set_back() {
    let redis = Redis::start();
    let server = super::on(&redis, "x");
    server.restore(&[]).await.unwrap();
    let now = SystemClock.now();
    let asks = Claim {
        expires_at: now.plus(LEASE),
        budgets: vec![budget(100, 50)],
        ..claim("long")
    };
    let ids = [Arc::clone(&asks.id)];
    let renew = async |ends| {
        let moved = server.move_expiry(&ids, ends, Some(LEASE)).await;
        moved.unwrap();
    };
    let ends = || {
        let told = redis.command(&["ZSCORE", "sw:{x}:open", "long"]);
        let score = told.lines().last().unwrap().parse::<f64>();
        UnixMillis(score.unwrap() as i64)
    };
    // Nobody renews what is not open.
    renew(now).await;
    assert_eq!(server.take(asks).await.unwrap(), Outcome::Taken(Vec::new()));
    renew(UnixMillis(now.0 - 15_000)).await;
    assert_eq!(
        ends(),
        now.plus(LEASE),
        "told before it, and arrived after it"
    );
    // The clock of the server showed noon of another day when this was told.
    let other_day = now.plus(Duration::from_secs(86_400));
    let _set = redis.command(&["ZADD", "sw:{x}:open", &other_day.0.to_string(), "long"]);
    renew(now.plus(LEASE)).await;
    let latest = SystemClock.now().plus(LEASE);
    assert!((now.plus(LEASE)..=latest).contains(&ends()), "{:?}", ends());
}
