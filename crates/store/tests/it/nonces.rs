//! Nonces, in memory and in Redis: one meaning.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::nonces::memory::MemoryNonces;
use seaworthy_core::nonces::{Nonces, Seen, Use};
use seaworthy_store::redis::{Link, RedisNonces};
use seaworthy_test_servers::Redis;

fn on(redis: &Redis, deployment: &str) -> RedisNonces {
    let link = Link::new(&redis.url(), None, None).unwrap();
    RedisNonces::new(Arc::new(link), deployment)
}

fn used(caller: &str, nonce: &str, keep_ms: u64) -> Use {
    Use {
        caller: Fingerprint::of(caller.as_bytes()),
        nonce: Fingerprint::of(nonce.as_bytes()),
        keep: Duration::from_millis(keep_ms),
        most: 3,
    }
}

/// A time that passes for the process's own clock and for that of a server.
struct Time(i64);

impl Time {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0)
    }

    async fn pass(&mut self, millis: u32) {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
        self.0 += i64::from(millis);
    }
}

async fn each_nonce_of_a_caller_is_used_once_while_it_is_kept(nonces: &dyn Nonces) {
    let mut time = Time(1_800_000_000_000);
    let use_up = |caller, nonce, keep, now| {
        let used = used(caller, nonce, keep);
        async move { nonces.use_up(&used, now).await.unwrap() }
    };
    assert_eq!(use_up("ada", "1", 60_000, time.now()).await, Seen::Never);
    assert_eq!(use_up("ada", "1", 60_000, time.now()).await, Seen::Before);
    assert_eq!(use_up("bob", "1", 60_000, time.now()).await, Seen::Never);
    assert_eq!(use_up("ada", "2", 100, time.now()).await, Seen::Never);
    assert_eq!(use_up("ada", "3", 60_000, time.now()).await, Seen::Never);
    // A full house still knows its guests.
    assert_eq!(use_up("ada", "4", 60_000, time.now()).await, Seen::NoRoom);
    assert_eq!(use_up("ada", "1", 60_000, time.now()).await, Seen::Before);
    assert_eq!(use_up("bob", "4", 60_000, time.now()).await, Seen::Never);
    time.pass(150).await;
    // Whatever was kept for a shorter time does not end what is kept for longer.
    assert_eq!(use_up("ada", "1", 100, time.now()).await, Seen::Before);
}

async fn one_of_many_at_once_is_the_first(nonces: &Arc<dyn Nonces>) {
    let many: Vec<_> = (0..50)
        .map(|_| {
            let nonces = Arc::clone(nonces);
            tokio::spawn(async move {
                let used = used("eve", "x", 60_000);
                nonces.use_up(&used, UnixMillis(0)).await.unwrap()
            })
        })
        .collect();
    let mut first = 0;
    for one in many {
        first += usize::from(one.await.unwrap() == Seen::Never);
    }
    assert_eq!(first, 1);
}

#[tokio::test]
async fn in_memory() {
    let nonces: Arc<dyn Nonces> = Arc::new(MemoryNonces::default());
    each_nonce_of_a_caller_is_used_once_while_it_is_kept(&*nonces).await;
    one_of_many_at_once_is_the_first(&nonces).await;
}

#[tokio::test]
async fn in_memory_room_is_made_when_time_is_over() {
    let nonces = MemoryNonces::default();
    let mut now = UnixMillis(0);
    for round in 0..4 {
        for nonce in ["1", "2", "3"] {
            let seen = nonces.use_up(&used("ada", nonce, 100), now).await.unwrap();
            assert_eq!(seen, Seen::Never, "{round}");
        }
        let seen = nonces.use_up(&used("ada", "4", 100), now).await.unwrap();
        assert_eq!(seen, Seen::NoRoom);
        now = now.plus(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn in_redis_for_all_replicas_of_a_deployment() {
    let mut redis = Redis::start();
    let here: Arc<dyn Nonces> = Arc::new(on(&redis, "main"));
    each_nonce_of_a_caller_is_used_once_while_it_is_kept(&*here).await;
    one_of_many_at_once_is_the_first(&here).await;
    let (there, other) = (on(&redis, "main"), on(&redis, "other"));
    let seen = there.use_up(&used("eve", "x", 60_000), UnixMillis(0)).await;
    assert_eq!(seen.unwrap(), Seen::Before);
    let seen = other.use_up(&used("eve", "x", 60_000), UnixMillis(0)).await;
    assert_eq!(seen.unwrap(), Seen::Never);

    // What is over is known no more, makes room, and leaves nothing behind.
    for nonce in ["1", "2", "3"] {
        let seen = there.use_up(&used("kay", nonce, 30), UnixMillis(0)).await;
        assert_eq!(seen.unwrap(), Seen::Never);
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    let seen = there.use_up(&used("kay", "1", 30), UnixMillis(0)).await;
    assert_eq!(seen.unwrap(), Seen::Never);

    redis.kill();
    let lost = there.use_up(&used("eve", "y", 60_000), UnixMillis(0)).await;
    lost.unwrap_err();
}
