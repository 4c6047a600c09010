//! Openings of circuit breakers that replicas tell each other through Redis.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::resilience::openings::{Opening, Openings};
use seaworthy_store::redis::{Link, RedisOpenings};
use seaworthy_test_servers::Redis;

fn on(redis: &Redis, deployment: &str) -> RedisOpenings {
    let link = Link::new(&redis.url(), None, None).unwrap();
    RedisOpenings::new(Arc::new(link), deployment)
}

fn opening(target: &str, left_ms: u64) -> Opening {
    Opening {
        target: target.to_owned(),
        left_ms,
    }
}

#[tokio::test]
async fn openings_are_known_to_all_replicas_of_a_deployment_until_they_end() {
    let mut redis = Redis::start();
    let (here, there) = (on(&redis, "main"), on(&redis, "main"));
    let told = [opening("a/b", 30_000), opening("c/d", 50)];
    assert_eq!(here.exchange(&told).await.unwrap().len(), 2);
    // The longer one counts.
    here.exchange(&[opening("a/b", 10)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let known = there.exchange(&[]).await.unwrap();
    let [only] = &known[..] else {
        panic!("{known:?}");
    };
    assert_eq!(only.target, "a/b");
    assert!((20_000..30_000).contains(&only.left_ms), "{only:?}");
    assert!(on(&redis, "other").exchange(&[]).await.unwrap().is_empty());
    redis.kill();
    there.exchange(&told).await.unwrap_err();
}
