//! What was acknowledged stays, however the process ends.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

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
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let ledger = stores.ledger.clone();
        tasks.spawn(async move {
            let id = format!("{number}");
            let settled = ledger.settle(Arc::new(vec![settlement(&id)])).await;
            settled.ok().map(|()| id)
        });
    }
    // Lets the tasks queue their batches; none of them has its answer yet.
    tokio::task::yield_now().await;
    stores.lifecycle.close().await;
    let acknowledged: HashSet<String> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(acknowledged.len(), 200);
    assert_eq!(stored_call_ids(folder.path()), acknowledged);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_undo_what_it_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    for number in 0..50 {
        let batch = Arc::new(vec![settlement(&format!("{number}"))]);
        let mut settling = stores.ledger.settle(batch);
        // One poll queues the batch.
        std::future::poll_fn(|context| {
            drop(settling.as_mut().poll(context));
            std::task::Poll::Ready(())
        })
        .await;
    }
    stores.lifecycle.close().await;
    assert_eq!(stored_call_ids(folder.path()).len(), 50);
}
