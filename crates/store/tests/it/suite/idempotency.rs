//! What every store of idempotency keys does.

use bytes::Bytes;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::{KeptAnswer, Known, Marker};
use seaworthy_core::store::Stores;

const NOW: UnixMillis = UnixMillis(1_000);

fn key(name: &str) -> Fingerprint {
    Fingerprint::of(name.as_bytes())
}

fn marker(name: &str, owner: &str) -> Marker {
    Marker {
        key: key(name),
        request: key("a request"),
        owner: owner.to_owned(),
        lease_until: UnixMillis(2_000),
        expires_at: UnixMillis(9_000),
    }
}

fn answer(body: &'static str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: vec![("content-type".to_owned(), "text/\"x\"".to_owned())],
        body: Bytes::from_static(body.as_bytes()),
    }
}

async fn begin(stores: &Stores, marker: Marker, now: UnixMillis) -> Known {
    stores.idempotency.begin(marker, now).await.unwrap()
}

fn running(lease_until: i64) -> Known {
    Known::Running {
        request: key("a request"),
        lease_until: UnixMillis(lease_until),
    }
}

fn done(body: &'static str) -> Known {
    Known::Done {
        request: key("a request"),
        answer: answer(body),
    }
}

pub(crate) async fn a_key_is_new_once_and_then_runs_until_it_is_done(stores: &Stores) {
    assert_eq!(begin(stores, marker("k", "a"), NOW).await, Known::New);
    assert_eq!(begin(stores, marker("k", "b"), NOW).await, running(2_000));
    assert_eq!(begin(stores, marker("other", "b"), NOW).await, Known::New);
    let store = &stores.idempotency;
    assert!(store.finish(&key("k"), "a", answer("Aye.")).await.unwrap());
    assert_eq!(begin(stores, marker("k", "b"), NOW).await, done("Aye."));
}

pub(crate) async fn only_the_owner_can_end_a_marker(stores: &Stores) {
    begin(stores, marker("k", "a"), NOW).await;
    let store = &stores.idempotency;
    assert!(!store.finish(&key("k"), "b", answer("x")).await.unwrap());
    assert!(!store.finish(&key("?"), "a", answer("x")).await.unwrap());
    store.release(&key("k"), "b").await.unwrap();
    assert_eq!(begin(stores, marker("k", "b"), NOW).await, running(2_000));
    store.release(&key("k"), "a").await.unwrap();
    assert_eq!(begin(stores, marker("k", "b"), NOW).await, Known::New);
}

pub(crate) async fn an_answer_stays_as_it_is(stores: &Stores) {
    begin(stores, marker("k", "a"), NOW).await;
    let store = &stores.idempotency;
    assert!(store.finish(&key("k"), "a", answer("first")).await.unwrap());
    assert!(!store.finish(&key("k"), "a", answer("later")).await.unwrap());
    store.release(&key("k"), "a").await.unwrap();
    assert_eq!(begin(stores, marker("k", "b"), NOW).await, done("first"));
}

pub(crate) async fn a_lease_is_renewed_by_its_owner_only(stores: &Stores) {
    begin(stores, marker("k", "a"), NOW).await;
    let held = |owner: &str| vec![(key("k"), owner.to_owned()), (key("?"), owner.to_owned())];
    let store = &stores.idempotency;
    store.renew(held("b"), UnixMillis(3_000)).await.unwrap();
    assert_eq!(begin(stores, marker("k", "c"), NOW).await, running(2_000));
    store.renew(held("a"), UnixMillis(4_000)).await.unwrap();
    assert_eq!(begin(stores, marker("k", "c"), NOW).await, running(4_000));
}

pub(crate) async fn what_has_expired_is_not_known_and_is_deleted_in_batches(stores: &Stores) {
    for number in 0..5 {
        begin(stores, marker(&format!("k{number}"), "a"), NOW).await;
    }
    let store = &stores.idempotency;
    assert!(store.finish(&key("k0"), "a", answer("x")).await.unwrap());
    let later = Marker {
        expires_at: UnixMillis(20_000),
        ..marker("k0", "b")
    };
    assert_eq!(begin(stores, later, UnixMillis(9_000)).await, Known::New);
    let delete = |now| store.delete_expired(UnixMillis(now), 3);
    assert_eq!(delete(8_999).await.unwrap(), 0);
    assert_eq!(delete(9_000).await.unwrap(), 3);
    assert_eq!(delete(9_000).await.unwrap(), 1);
    assert_eq!(delete(9_000).await.unwrap(), 0);
    let again = begin(stores, marker("k0", "c"), UnixMillis(9_000)).await;
    assert_eq!(again, running(2_000));
}

pub(crate) async fn of_many_that_begin_at_once_one_is_new(stores: &Stores) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let store = stores.idempotency.clone();
        let marker = marker("k", &format!("owner {number}"));
        tasks.spawn(async move { store.begin(marker, NOW).await.unwrap() });
    }
    let known = tasks.join_all().await;
    let new = known.iter().filter(|known| **known == Known::New);
    assert_eq!(new.count(), 1);
}
