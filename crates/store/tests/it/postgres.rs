//! PostgreSQL: the contract, and what only a server can do to us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{Intent, Outcome};
use seaworthy_core::money::Micros;
use seaworthy_core::store::{Error, Fate, Stores};
use seaworthy_core::usage::Usage;
use seaworthy_store::{PostgresOptions, open, open_with};
use seaworthy_test_servers::Postgres;

use crate::contract::postgres as contract;
use crate::fixtures::{BY_USER, key, settlement};

pub(crate) fn replica(url: &str, name: &str) -> Stores {
    let options = PostgresOptions {
        replica: name.to_owned(),
        ..PostgresOptions::default()
    };
    open_with(url, &options).unwrap()
}

fn intent(call_id: &str) -> Intent {
    let settlement = settlement(call_id);
    Intent {
        call_id: settlement.call_id,
        request_id: settlement.request_id,
        opened_at: UnixMillis(900),
        key_id: settlement.key_id,
        user_id: settlement.user_id,
        attribution: settlement.attribution,
        attempt: 1,
        operation: settlement.operation,
        model: settlement.model,
        target: settlement.target,
        stream: true,
        worst_case: Usage {
            input_tokens: 500,
            ..Usage::default()
        },
        worst_case_cost: Micros(9_000),
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let server = Postgres::start();
    contract::keys::hold(&server).await;
    contract::ledger::hold(&server).await;
    contract::idempotency::hold(&server).await;
    contract::switches::hold(&server).await;
    contract::objects::hold(&server).await;
    contract::lifecycle::hold(&server).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_death_of_the_server_and_nobody_waits_for_it() {
    let mut server = Postgres::start();
    let url = server.create_database();
    let stores = open(&url).unwrap();
    stores.keys.insert(key("ada")).await.unwrap();
    stores
        .ledger
        .settle(Arc::new(vec![settlement("a")]))
        .await
        .unwrap();
    server.kill();
    for _ in 0..20 {
        let started = Instant::now();
        let found = stores.keys.find(&key("ada").digest).await;
        assert!(matches!(found, Err(Error::Unavailable { .. })), "{found:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    server.restart();
    let back = Instant::now();
    loop {
        if let Ok(found) = stores.keys.find(&key("ada").digest).await {
            assert_eq!(found, Some(key("ada")));
            break;
        }
        assert!(back.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap()[0].calls, 1);
}

#[tokio::test]
async fn a_frozen_server_stalls_nobody_for_long() {
    let server = Postgres::start();
    let stores = open(&server.create_database()).unwrap();
    stores.keys.insert(key("ada")).await.unwrap();
    server.freeze();
    let started = Instant::now();
    assert!(stores.keys.find(&key("ada").digest).await.is_err());
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    // It is left alone for a moment.
    let started = Instant::now();
    assert!(stores.keys.find(&key("ada").digest).await.is_err());
    assert!(started.elapsed() < Duration::from_millis(100));
    server.thaw();
    let thawed = Instant::now();
    while stores.keys.find(&key("ada").digest).await.is_err() {
        assert!(thawed.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn several_replicas_migrate_at_once() {
    let server = Postgres::start();
    let url = server.create_database();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let url = url.clone();
            std::thread::spawn(move || replica(&url, &format!("{number}")))
        })
        .collect();
    for thread in threads {
        let stores = thread.join().unwrap();
        assert!(stores.keys.list().await.unwrap().is_empty());
    }
    let applied = server.query(
        &url,
        "SELECT count(*) = max(version) FROM schema_migrations",
    );
    assert_eq!(applied, "t", "each step once");
}

#[tokio::test]
async fn the_calls_of_a_replica_that_is_gone_are_settled_by_another() {
    let server = Postgres::start();
    let url = server.create_database();
    let (gone, other) = (replica(&url, "gone"), replica(&url, "other"));
    let journal = gone.shared_journal.clone().unwrap();
    journal.beat().await.unwrap();
    let calls = ["a", "b", "c"].map(intent).to_vec();
    journal.open(Arc::new(calls)).await.unwrap();
    journal.void(Arc::new(vec!["b".to_owned()])).await.unwrap();
    gone.ledger
        .settle(Arc::new(vec![settlement("c")]))
        .await
        .unwrap();
    let ids = ["a", "b", "c"].map(Arc::from).to_vec();
    let fates = other.ledger.fates(Arc::new(ids)).await.unwrap();
    assert_eq!((fates[0], fates[1]), (Fate::Open, Fate::Unknown));
    assert!(matches!(fates[2], Fate::Settled(_)));

    let survivor = other.shared_journal.clone().unwrap();
    survivor.beat().await.unwrap();
    let alive = survivor
        .abandoned(Duration::from_secs(3_600))
        .await
        .unwrap();
    assert_eq!(alive, []);
    let aged = "UPDATE replicas SET seen_at = now() - interval '1 minute' WHERE replica = 'gone'";
    assert_eq!(server.query(&url, aged), "");
    let left = survivor.abandoned(Duration::from_secs(30)).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(
        (&*left[0].call_id, left[0].outcome),
        ("a", Outcome::Interrupted)
    );
    assert_eq!(left[0].cost, Micros(9_000));
    other.ledger.settle(Arc::new(left)).await.unwrap();
    assert_eq!(
        survivor.abandoned(Duration::from_secs(30)).await.unwrap(),
        []
    );
    // The replica was only slow, and knows how its call ended.
    gone.ledger
        .settle(Arc::new(vec![settlement("a")]))
        .await
        .unwrap();
    let total = &other.ledger.usage(BY_USER).await.unwrap()[0];
    assert_eq!((total.calls, total.unsuccessful_calls), (2, 0));
    assert_eq!(total.cost, Micros(2_500));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_out_of_reach_without_its_password() {
    let error = open("postgres://me:hunter2@127.0.0.1:1/db")
        .unwrap_err()
        .to_string();
    assert!(error.contains("postgres database db"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = open("postgres://me:hunter2@:x/db").unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}
