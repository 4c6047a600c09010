//! Ten thousand clients that leave.

use std::time::Duration;

use seaworthy_core::ledger::Outcome;

use crate::support::app::{TestApp, eventually};
use crate::support::upstream::Step;
use crate::support::wire::{DIALECTS, ask, chunk, events, path, stream_head};

#[tokio::test(start_paused = true)]
async fn ten_thousand_aborted_requests_leave_no_task_permit_slot_or_connection() {
    const CLIENTS: usize = 10_000;
    const AT_A_TIME: usize = 250;
    let app = TestApp::builder()
        .server("max_concurrent_requests = 300")
        .start()
        .await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let begun = DIALECTS.map(|dialect| events(dialect, false)[..4].concat());
    for wave in 0..CLIENTS / AT_A_TIME {
        let leaves_in_stream = wave % 2 == 0;
        let mut clients = Vec::new();
        for number in 0..AT_A_TIME {
            let which = number % 2;
            let dialect = DIALECTS[which];
            let script = match leaves_in_stream {
                true => vec![stream_head(), chunk(&begun[which]), Step::Silence],
                false => vec![Step::Silence],
            };
            app.upstream.will(script);
            clients.push(app.post(path(dialect), ask(dialect, true)));
        }
        let asked = (wave + 1) * AT_A_TIME;
        if leaves_in_stream {
            let mut open = Vec::new();
            for client in clients {
                open.push(client.open().await);
            }
            drop(open);
        } else {
            let clients: Vec<_> = clients
                .into_iter()
                .map(|client| tokio::spawn(client.send()))
                .collect();
            eventually("all have asked", || app.upstream.requests() == asked).await;
            clients.iter().for_each(tokio::task::JoinHandle::abort);
        }
        eventually("all are cancelled", || app.upstream.left_early() == asked).await;
    }
    app.idle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(tasks(), before);
    assert_eq!(app.open_connections(), 0);
    assert_eq!(app.upstream.open_connections(), 0);
    let settlements = app.settlements().await;
    assert_eq!(settlements.len(), CLIENTS);
    assert!(
        settlements
            .iter()
            .all(|settled| { settled.outcome == Outcome::Cancelled && settled.usage.total() > 0 })
    );
    app.finish().await;
}
