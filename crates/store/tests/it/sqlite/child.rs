//! Other processes that use the same database: this test program, started again to run one of the
//! ignored tests below, which are the bodies of those processes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use seaworthy_store::open;

use crate::fixtures::{key, settlement};

/// Tells a child how to name what it writes.
const NAME: &str = "SEAWORTHY_TEST_CHILD";

/// Starts the child process `body` with `folder` as its working folder.
pub(super) fn start(body: &str, folder: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("sqlite::child::{body}")])
        .args(["--ignored", "--nocapture", "--quiet"])
        .current_dir(folder)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn name() -> String {
    std::env::var(NAME).expect("this is the body of a child process, started by other tests")
}

#[tokio::test]
#[ignore = "the body of a child process"]
async fn opens_and_adds_a_key() {
    let stores = open("sqlite:s.db").unwrap();
    stores.keys.insert(key(&name())).await.unwrap();
    stores.lifecycle.close().await;
}

/// Writes the call IDs of each batch to standard output once they are acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the body of a child process"]
async fn settles_until_it_is_killed() {
    let name = name();
    let stores = open("sqlite:s.db").unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let ledger = stores.ledger.clone();
        let name = name.clone();
        tasks.spawn(async move {
            for batch in 0.. {
                let ids: Vec<String> = (0..=batch % 16)
                    .map(|row| format!("{name}-{task}-{batch}-{row}"))
                    .collect();
                let settlements = ids.iter().map(|id| settlement(id)).collect();
                ledger.settle(Arc::new(settlements)).await.unwrap();
                // Fails, and so ends the process, when the parent has gone.
                let line = format!("acknowledged {}\n", ids.join(" "));
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}
