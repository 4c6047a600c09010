//! What was acknowledged stays, however the process ends.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use seaworthy_core::clock::UnixMillis;

use super::{child, files_in, open_in, raw_in};
use crate::fixtures::{BY_USER, key, settlement};

#[test]
fn kill_9_under_load_loses_no_acknowledged_settlement() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = HashSet::new();
    for (round, lines) in [3, 40, 150, 400, 401].into_iter().enumerate() {
        acknowledged.extend(settle_and_kill(folder.path(), round, lines));
        drop(open_in(folder.path()));
        let stored = stored_call_ids(folder.path());
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round} lost {lost:?}");
    }
    assert!(acknowledged.len() > 1_000, "{}", acknowledged.len());
}

/// What a child has acknowledged when it is killed after so many lines.
fn settle_and_kill(folder: &Path, round: usize, lines: usize) -> Vec<String> {
    let mut child = child::start("settles_until_it_is_killed", folder, &format!("{round}"));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut seen = 0;
    let mut line = String::new();
    // After the kill, this reads what the child had still written.
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(ids) = line.strip_prefix("acknowledged ")
            && line.ends_with('\n')
        {
            acknowledged.extend(ids.split_whitespace().map(str::to_owned));
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "killed, not ended: {status}");
    assert!(seen >= lines, "{seen} of {lines} lines");
    acknowledged
}

fn stored_call_ids(folder: &Path) -> HashSet<String> {
    let connection = raw_in(folder);
    let mut query = connection
        .prepare("SELECT call_id FROM settlements")
        .unwrap();
    let ids = query.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

#[tokio::test]
async fn opening_again_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    stores.keys.insert(key("bob")).await.unwrap();
    stores.keys.revoke("key_bob", UnixMillis(7)).await.unwrap();
    let batch = Arc::new(vec![settlement("a"), settlement("b")]);
    stores.ledger.settle(Arc::clone(&batch)).await.unwrap();
    let keys = stores.keys.list().await.unwrap();
    let usage = stores.ledger.usage(BY_USER).await.unwrap();
    let generation = stores.keys.generation().await.unwrap();
    stores.lifecycle.close().await;

    let stores = open_in(folder.path());
    stores.ledger.settle(batch).await.unwrap();
    assert_eq!(stores.keys.list().await.unwrap(), keys);
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap(), usage);
    assert_eq!(stores.keys.generation().await.unwrap(), generation);
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_refuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    stores.lifecycle.close().await;
    assert_eq!(files_in(folder.path()), ["s.db"]);

    let error = stores.keys.insert(key("bob")).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(
        format!("{error}: {source}"),
        "the sqlite store failed: the store is closed"
    );
    stores.keys.list().await.unwrap_err();
    stores.ledger.usage(BY_USER).await.unwrap_err();
}

#[tokio::test]
async fn everyone_who_closes_waits_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    let batch = (0..5_000).map(|n| settlement(&format!("{n}"))).collect();
    let close = || async {
        stores.lifecycle.close().await;
        files_in(folder.path())
    };
    let (settled, first, second) =
        tokio::join!(stores.ledger.settle(Arc::new(batch)), close(), close());
    settled.unwrap();
    assert_eq!(first, ["s.db"]);
    assert_eq!(second, ["s.db"]);
}

#[tokio::test]
async fn a_clean_stop_empties_the_log_that_another_process_keeps_open() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    let other = raw_in(folder.path());
    let count = "SELECT count(*) FROM api_keys";
    let keys: u32 = other.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(keys, 1);
    stores.lifecycle.close().await;
    let log = std::fs::metadata(folder.path().join("s.db-wal")).unwrap();
    assert_eq!(log.len(), 0);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    let keys = stores.keys.clone();
    drop(stores);
    keys.insert(key("bob")).await.unwrap();
    drop(keys);
    assert_eq!(files_in(folder.path()), ["s.db"]);
}

#[tokio::test]
async fn what_is_queued_is_written_before_the_store_closes() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    let mut waiting = Vec::new();
    for number in 0..100 {
        let batch = Arc::new(vec![settlement(&format!("{number}"))]);
        let mut settling = stores.ledger.settle(batch);
        match poll_once(&mut settling).await {
            Poll::Ready(settled) => settled.unwrap(),
            Poll::Pending => waiting.push(settling),
        }
    }
    stores.lifecycle.close().await;
    for settling in waiting {
        settling.await.unwrap();
    }
    assert_eq!(stored_call_ids(folder.path()).len(), 100);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_undo_what_it_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    for number in 0..50 {
        let batch = Arc::new(vec![settlement(&format!("{number}"))]);
        drop(poll_once(&mut stores.ledger.settle(batch)).await);
    }
    stores.lifecycle.close().await;
    assert_eq!(stored_call_ids(folder.path()).len(), 50);
}

/// Gets a request into the queue without waiting for its answer.
async fn poll_once<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Poll<T> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
