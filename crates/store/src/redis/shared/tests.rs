//! What happens between the server's last word and the first one without it.

use async_trait::async_trait;
use seaworthy_core::clock::SystemClock;
use seaworthy_core::counters::shares::MemoryRegistry;

use super::super::link::{Dial, Link, Stream};
use super::super::testing::{self, used};
use super::*;

/// A way on which nothing comes back.
#[derive(Debug)]
struct NoWay;

#[async_trait]
impl Dial for NoWay {
    async fn dial(&self, _: &str, _: u16) -> std::io::Result<Box<dyn Stream>> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }
}

fn claim(id: &str, amount: u64) -> Claim {
    testing::claim(id, ("b", amount))
}

/// A replica for which 250 of 1,000 are set aside, and which does not know yet that the server is lost.
async fn holding() -> Arc<SharedCounters> {
    let registry = Arc::new(MemoryRegistry::default());
    registry.register("me").await.unwrap();
    let link = Link::new("redis://nowhere", None, None).unwrap();
    let options = SharedOptions {
        on_loss: OnLoss::Local,
        replicas: 3,
        replica: "a".to_owned(),
        registry: Some(registry),
        clock: Arc::new(SystemClock),
        observer: Observer::default(),
    };
    let server = RedisCounters::new(Arc::new(link.through(Arc::new(NoWay))), "x");
    let counters = Arc::new(SharedCounters::new(server, options));
    counters.state.lock().shares = testing::holding(250);
    counters.is_up.store(true, Ordering::Release);
    let tended = Arc::clone(&counters);
    tokio::spawn(async move { tended.keep_registered().await });
    counters
}

/// What a call that was settled with 10 of its 100 leaves of the share.
async fn left_after(counters: &SharedCounters, id: &str) -> u64 {
    let taken = counters.take(claim(id, 100)).await.unwrap();
    assert_eq!(taken, Outcome::Taken(Vec::new()));
    let settled = counters.settle(id, UnixMillis(0), used(10)).await.unwrap();
    assert!(matches!(settled, Settled::Closed(_)));
    let mut left = 0;
    let shares = &mut counters.state.lock().shares;
    while shares.take(&claim("", 1)) {
        left += 1;
    }
    shares.put_back(&claim("", left), Close::Unused);
    left
}

/// The server hears of that claim and takes all of it out of the share, however little the call used: what
/// came back to the share here as well would be spent twice.
#[tokio::test(start_paused = true)]
async fn what_the_server_may_hold_leaves_no_more_of_a_share_than_the_server_leaves() {
    let counters = holding().await;
    assert_eq!(left_after(&counters, "in doubt").await, 150);
    assert_eq!(counters.state.lock().tracked.len(), 1, "it is told of");
    // Of the next one nothing was sent.
    assert_eq!(left_after(&counters, "not sent").await, 140);
    assert_eq!(counters.state.lock().tracked.len(), 1);
}
