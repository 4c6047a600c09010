//! Remembered answers of every back end, and Redis when it is lost.

use std::sync::Arc;

use bytes::Bytes;
use seaworthy_core::cache::memory::MemoryAnswers;
use seaworthy_core::cache::{AnswerStore, Entry};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_store::redis::{Link, RedisAnswers};
use seaworthy_test_servers::Redis;

fn key(name: &str) -> Fingerprint {
    Fingerprint::of(name.as_bytes())
}

fn entry(body: &'static str) -> Entry {
    Entry {
        stored_at: UnixMillis(1_000),
        expires_at: UnixMillis(101_000),
        headers: vec![("content-type".to_owned(), "a \"b\"\n".to_owned())],
        body: Bytes::from_static(body.as_bytes()),
    }
}

const NOW: UnixMillis = UnixMillis(2_000);

fn on(redis: &Redis, deployment: &str) -> RedisAnswers {
    let link = Link::new(&redis.url(), None, None).unwrap();
    RedisAnswers::new(Arc::new(link), deployment, 1 << 20)
}

async fn keeps_its_contract(answers: &dyn AnswerStore) {
    let find = async |name: &str, now| answers.find(&key(name), now).await.unwrap();
    assert_eq!(find("a", NOW).await, None);
    answers.keep(key("a"), entry("first")).await.unwrap();
    answers.keep(key("b"), entry("line\nfeed")).await.unwrap();
    assert_eq!(find("a", NOW).await, Some(entry("first")));
    assert_eq!(find("b", NOW).await, Some(entry("line\nfeed")));
    answers.keep(key("a"), entry("second")).await.unwrap();
    assert_eq!(find("a", UnixMillis(100_999)).await, Some(entry("second")));
    assert_eq!(find("b", UnixMillis(101_000)).await, None);
    answers.keep(key("b"), entry("again")).await.unwrap();
    assert_eq!(answers.purge().await.unwrap(), 2);
    assert_eq!(find("a", NOW).await, None);
    assert_eq!(answers.size().entries, 0);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_its_contract(&MemoryAnswers::new(1 << 20)).await;
}

#[tokio::test]
async fn redis_keeps_the_contract_shares_answers_and_is_left_alone_when_it_is_lost() {
    let mut redis = Redis::start();
    let here = on(&redis, "main");
    keeps_its_contract(&here).await;
    let there = on(&redis, "main");
    here.keep(key("a"), entry("shared")).await.unwrap();
    assert_eq!(
        there.find(&key("a"), NOW).await.unwrap(),
        Some(entry("shared"))
    );
    let other = on(&redis, "other");
    assert_eq!(other.find(&key("a"), NOW).await.unwrap(), None);
    redis.kill();
    // What is in front is still there; for the rest the first one hears of it, the others do not wait.
    assert_eq!(
        there.find(&key("a"), NOW).await.unwrap(),
        Some(entry("shared"))
    );
    there.find(&key("b"), NOW).await.unwrap_err();
    assert_eq!(there.find(&key("b"), NOW).await.unwrap(), None);
    there.keep(key("c"), entry("only here")).await.unwrap();
    assert_eq!(
        there.find(&key("c"), NOW).await.unwrap(),
        Some(entry("only here"))
    );
}
