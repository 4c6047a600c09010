//! Counters of every back end: one contract, and the model beside them.

mod late;
mod model;
mod outage;
mod partition;
mod suite;

use std::sync::Arc;

use seaworthy_store::redis::{Link, RedisCounters};
use seaworthy_test_servers::Redis;

/// Counters on a server, by the clock of the test.
pub(crate) fn on(redis: &Redis, deployment: &str) -> RedisCounters {
    let link = Link::new(&redis.url(), None, None).unwrap();
    RedisCounters::new(Arc::new(link), deployment)
        .by_callers_clock()
        .patiently(std::time::Duration::from_secs(20))
}
