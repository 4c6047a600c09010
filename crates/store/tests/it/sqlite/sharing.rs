//! Several users of one file: the command line beside the server.

use std::sync::{Arc, Barrier};

use seaworthy_core::clock::UnixMillis;

use super::{child, open_in, raw_in, url_in};
use crate::fixtures::{BY_USER, key, settlement};

#[tokio::test]
async fn a_change_through_one_handle_is_seen_through_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (server, cli) = (open_in(folder.path()), open_in(folder.path()));
    let before = server.keys.generation().await.unwrap();

    cli.keys.insert(key("ada")).await.unwrap();
    let after = server.keys.generation().await.unwrap();
    assert_ne!(after, before);
    let found = server.keys.find(&key("ada").digest).await.unwrap();
    assert_eq!(found, Some(key("ada")));

    cli.keys.revoke("key_ada", UnixMillis(9)).await.unwrap();
    assert_ne!(server.keys.generation().await.unwrap(), after);
    let found = server.keys.find(&key("ada").digest).await.unwrap();
    assert_eq!(found.unwrap().revoked_at, Some(UnixMillis(9)));
}

#[tokio::test]
async fn a_handle_that_closes_does_not_disturb_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = open_in(folder.path());
    for round in 0..10 {
        let cli = open_in(folder.path());
        cli.keys.insert(key(&format!("{round}"))).await.unwrap();
        let batch = vec![settlement(&format!("{round}"))];
        let (settled, ()) =
            tokio::join!(server.ledger.settle(Arc::new(batch)), cli.lifecycle.close());
        settled.unwrap();
    }
    assert_eq!(server.keys.list().await.unwrap().len(), 10);
    assert_eq!(server.ledger.usage(BY_USER).await.unwrap()[0].calls, 10);
}

#[tokio::test]
async fn a_long_read_elsewhere_does_not_hold_up_settling() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores
        .ledger
        .settle(Arc::new(vec![settlement("a")]))
        .await
        .unwrap();
    let reader = raw_in(folder.path());
    reader.execute_batch("BEGIN").unwrap();
    let count = || -> u32 {
        let query = "SELECT count(*) FROM settlements";
        reader.query_row(query, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(), 1);
    stores
        .ledger
        .settle(Arc::new(vec![settlement("b")]))
        .await
        .unwrap();
    assert_eq!(count(), 1);
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap()[0].calls, 2);
}

/// SQLite would go on in a file that nobody finds any more, and the next start would know nothing of it.
#[tokio::test]
async fn a_file_that_was_moved_is_left_alone_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    let (here, elsewhere) = (folder.path().join("s.db"), folder.path().join("t.db"));
    let ada = key("ada").digest;
    let batch = Arc::new(vec![settlement("a")]);
    let cause = |error: seaworthy_core::store::Error| {
        let source = std::error::Error::source(&error);
        source.map(ToString::to_string).unwrap_or_default()
    };

    std::fs::rename(&here, &elsewhere).unwrap();
    let error = cause(stores.keys.find(&ada).await.unwrap_err());
    assert!(error.contains("nothing lies there now"), "{error}");
    let error = cause(stores.ledger.settle(Arc::clone(&batch)).await.unwrap_err());
    assert!(error.contains("was moved or removed"), "{error}");

    std::fs::write(&here, "").unwrap();
    let error = cause(stores.keys.find(&ada).await.unwrap_err());
    assert!(error.contains("another file lies there now"), "{error}");
    stores.keys.insert(key("bob")).await.unwrap_err();

    std::fs::rename(&elsewhere, &here).unwrap();
    assert_eq!(stores.keys.find(&ada).await.unwrap(), Some(key("ada")));
    stores.ledger.settle(batch).await.unwrap();
    assert_eq!(stores.keys.list().await.unwrap().len(), 1);
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap()[0].calls, 1);
}

#[test]
fn many_threads_can_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(folder.path());
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                seaworthy_store::open(&url).unwrap();
            });
        }
    });
}

#[tokio::test]
async fn many_processes_can_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..8)
        .map(|number| child::start("opens_and_adds_a_key", folder.path(), &format!("{number}")))
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
    }
    let stores = open_in(folder.path());
    assert_eq!(stores.keys.list().await.unwrap().len(), 8);
}
