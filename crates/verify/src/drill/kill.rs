//! `kill -9` under load, and what the next process makes of it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Stage;
use super::deployment::{Ledger, callers, ensure_call, launch, ledger, one_provider};
use super::traffic::Tally;
use crate::outcome::{Probed, Stop, ensure};
use crate::scratch::Bench;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider that takes 100 ms, and an instance",
    "make 20 calls a second for 2 s",
    "kill -9 the instance in the middle of calls",
    "start it again: it answers, with the keys and what it knew",
    "compare the ledger with what the provider saw and callers got: no work is lost, none is there twice",
];

pub(super) async fn kill(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let provider = one_provider(&bench, "latency_ms=100", "").await?;
    let mut running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    stage.next_step();
    sleep(Duration::from_secs(2)).await;

    stage.next_step();
    // In the middle of calls: as soon as the provider is working on one.
    let deadline = Instant::now() + Duration::from_secs(2);
    while provider.stats().await?["in_flight"].as_u64() == Some(0) && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
    let before = traffic.so_far();
    running.instance.signal(Signal::SIGKILL)?;
    let killed = Instant::now();
    let _gone = running.instance.exit(Duration::from_secs(5)).await;
    let samples = traffic.finish().await;
    stage.saw_calls(
        "calls up to the kill and after it",
        &Tally::of(&samples).words(),
    );
    let answered = samples.iter().filter(|s| s.is_answered()).count() as u64;
    if before.is_empty() {
        return Err(Stop::NotVerified {
            missing: "calls before the kill".to_owned(),
        });
    }

    stage.next_step();
    let again = bench.serve().await?;
    ensure_call(
        &bench.session,
        &running.key,
        "with the key of before the kill",
    )
    .await?;
    let back = killed.elapsed();

    stage.next_step();
    let has = ledger(&bench.session, &running.admin_key).await?;
    drop(again);
    let seen = provider.calls().await?;
    stage.measure_recovery(back);
    // A call that was written down and never left counts as well: better once too much than not at
    // all. There are at most as many of those as were on their way.
    compare(stage, has, seen, samples.len() as u64 + 1, answered + 1)?;
    let limit = options.recovery.as_secs_f64();
    ensure(
        back <= options.recovery,
        format!("an answer within {limit:.0} s"),
        format!("{:.1} s", back.as_secs_f64()),
    )?;
    Ok(format!(
        "answered again {:.1} s after the kill; the provider saw {seen} calls and the ledger has {}, \
         {} of them at their worst case",
        back.as_secs_f64(),
        has.calls,
        has.estimated
    ))
}

/// Every call that the provider saw is in the ledger, at most those that were made are, and those
/// that were answered are there with exact figures.
fn compare(
    stage: &Stage<'_>,
    has: Ledger,
    seen: u64,
    made: u64,
    answered: u64,
) -> Result<(), Stop> {
    let lost = seen.saturating_sub(has.calls);
    stage.measure("calls lost", lost as f64, "calls", Some(0.0));
    ensure(
        (seen..=made).contains(&has.calls),
        format!("every one of the {seen} calls that the provider saw in the ledger, once"),
        format!("{} calls in the ledger", has.calls),
    )?;
    ensure(
        has.calls - has.estimated >= answered,
        format!("exact figures for the {answered} calls that were answered"),
        format!("{} estimated of {}", has.estimated, has.calls),
    )
}
