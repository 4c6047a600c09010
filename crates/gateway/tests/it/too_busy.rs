//! A worker that has more to do than it can, and what it makes of the targets meanwhile.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use seaworthy_core::dialect::Dialect;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::TestApp;
use crate::support::client::Call;
use crate::support::upstream::Step;
use crate::support::wire::{ask, ok, path, request};

const OPENAI: Dialect = Dialect::OpenAiChat;
/// Callers who ask again at once; a thousand that wait are more than a worker bears.
const CALLERS: usize = 1_500;
/// Calls that a target may have at first, and about which it is judged.
const AT_FIRST: usize = 4;
/// How long the target takes, and how long it seems to take while its worker is slow.
const USUAL: Duration = Duration::from_millis(10);
const SEEMING: Duration = Duration::from_secs(1);
/// How long anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = "[resilience.concurrency]\ninitial = 4\nmin = 1\n\
                      [resilience.priorities]\nmay_raise = true\n";

/// How many calls the target may have now.
async fn limit(app: &TestApp) -> u64 {
    let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
    let status = status.json();
    let limit = &status["targets"]["openai/gpt-real"]["concurrency_limit"];
    limit.as_u64().unwrap_or_else(|| panic!("{status}"))
}

async fn is_overloaded(app: &TestApp) -> bool {
    app.metric("seaworthy_workers_overloaded").await == "1"
}

fn critical(app: &TestApp) -> Call {
    let call = app.post(path(OPENAI), ask(OPENAI, false));
    call.header("x-seaworthy-priority", "critical")
}

/// As many calls as the target may have, all of whose answers are seen late.
async fn ask_slowly(app: &TestApp) {
    let before = app.upstream.requests();
    let go_on: Vec<Arc<Notify>> = (0..AT_FIRST).map(|_| Arc::default()).collect();
    for told in &go_on {
        let told = Step::Until(Arc::clone(told));
        app.upstream.will([told, Step::Send(ok(OPENAI))]);
    }
    let time_passes = async {
        let began = Instant::now();
        while app.upstream.requests() < before + AT_FIRST {
            assert!(began.elapsed() < PATIENCE, "the target is not asked");
            tokio::task::yield_now().await;
        }
        tokio::time::advance(SEEMING).await;
        go_on.iter().for_each(|go_on| go_on.notify_one());
    };
    let calls = join_all((0..AT_FIRST).map(|_| critical(app).send()));
    let (answers, ()) = tokio::join!(calls, time_passes);
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_a_worker_sees_late_because_it_is_overloaded_cost_their_target_nothing() {
    for is_overload in [true, false] {
        let app = TestApp::with(CONFIG).await;
        let control = format!("overload_control = {is_overload}");
        app.reload("overload_control = false", &control)
            .await
            .unwrap();
        app.upstream
            .will([Step::Pause(USUAL), Step::Send(ok(OPENAI))]);
        assert_eq!(critical(&app).send().await.status, 200);
        let before = limit(&app).await;
        let is_over = Cell::new(!is_overload);
        let crowd = join_all((0..CALLERS).map(|_| async {
            while !is_over.get() {
                let echo = request(OPENAI, false, &json!({"model": "echo"}));
                let answer = app.post(path(OPENAI), echo).send().await;
                assert!([200, 503].contains(&answer.status), "{}", answer.text());
            }
        }));
        let checks = async {
            let began = Instant::now();
            while is_overload && !is_overloaded(&app).await {
                assert!(began.elapsed() < PATIENCE, "the worker bears all of it");
            }
            ask_slowly(&app).await;
            assert_eq!(is_overloaded(&app).await, is_overload);
            let after = limit(&app).await;
            // The same calls at a worker with nothing else to do are the target's own slowness.
            assert_eq!(after >= before, is_overload, "{after} of {before}");
            is_over.set(true);
        };
        tokio::join!(crowd, checks);
        // Some of the crowd were in line while that second passed.
        let log = app.finish().await;
        assert_eq!(log.contains("\"waited_ms\":1000."), is_overload);
    }
}
