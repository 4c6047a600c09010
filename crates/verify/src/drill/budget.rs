//! A small budget and many callers at once: it ends where it should.

use futures_util::future::join_all;

use super::Stage;
use super::deployment::{MODEL, call, launch, ledger, one_provider};
use crate::http::Caller;
use crate::outcome::{Probed, ensure};
use crate::scratch::Bench;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider and an instance with a budget of 2,000 micro-dollars for each session",
    "make 60 calls at once in one session, each of about 120 micro-dollars",
    "some are answered, the others refused with 429; the ledger is not above the budget",
];

const BUDGET_MICROS: u64 = 2_000;
/// So many calls come at once.
pub(super) const CALLS: u16 = 60;

pub(super) async fn enforcement(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let _provider = one_provider(
        &bench,
        "latency_ms=20",
        "[budgets.drill]\nscope = \"session\"\nwindow = \"total\"\nbudget_usd = 0.002\n",
    )
    .await?;
    let running = launch(stage, &bench).await?;

    stage.next_step();
    let s = &bench.session;
    let statuses = join_all((0..CALLS).map(async |n| {
        let request = call(MODEL, &format!("spend {n}"), &running.key, false)
            .header("x-seaworthy-session-id", "drill");
        // A call may wait until others give back what they hold.
        let limit = std::time::Duration::from_secs(15);
        let mut caller = Caller::new(s.dialer().clone(), s.base().clone(), limit);
        caller
            .call(&request)
            .await
            .map(|answer| answer.status())
            .ok()
    }))
    .await;
    let count = |wanted| {
        statuses
            .iter()
            .filter(|status| **status == Some(wanted))
            .count()
    };
    let (answered, refused) = (count(200), count(429));
    let words = format!("{answered} answered, {refused} refused with 429, of {CALLS}");
    stage.saw_calls("calls at once in one session", &words);

    stage.next_step();
    let has = ledger(s, &running.admin_key).await?;
    let bound = Some(BUDGET_MICROS as f64);
    stage.measure("spent", has.cost as f64, "micro-dollars", bound);
    ensure(
        answered > 0 && refused > 0 && answered + refused == usize::from(CALLS),
        "some calls answered and the others refused with 429",
        &words,
    )?;
    ensure(
        has.cost <= BUDGET_MICROS,
        format!("at most {BUDGET_MICROS} micro-dollars spent"),
        format!("{} ({words})", has.cost),
    )?;
    Ok(format!(
        "{words}; {} of {BUDGET_MICROS} micro-dollars spent",
        has.cost
    ))
}
