//! SIGTERM under load: what runs is finished, what comes is told to go elsewhere.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Stage;
use super::deployment::{callers, launch, ledger, one_provider, until};
use super::traffic::{Seen, Tally};
use crate::outcome::{Probed, ensure, fail};
use crate::scratch::Bench;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider that takes 500 ms, and an instance",
    "make 20 calls a second for 2 s, a quarter of them streams",
    "send SIGTERM in the middle of calls: readiness goes off",
    "every call that was on its way is finished; the process exits with 0",
    "start it again and compare the ledger with what the provider saw",
];

pub(super) async fn drain(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let provider = one_provider(&bench, "latency_ms=500", "").await?;
    let mut running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    stage.next_step();
    sleep(Duration::from_secs(2)).await;

    stage.next_step();
    let told = Instant::now();
    running.instance.signal(Signal::SIGTERM)?;
    let session = &bench.session;
    until("readiness off", Duration::from_secs(3), async || {
        Ok(session.quiet_status("/health/ready").await != Some(200))
    })
    .await?;

    stage.next_step();
    let exit = running.instance.exit(Duration::from_secs(25)).await;
    let took = told.elapsed();
    let samples = traffic.finish().await;
    let on_its_way = || samples.iter().filter(|s| s.sent < told && s.ended > told);
    let cut = Tally::of(on_its_way());
    stage.saw_calls("calls that were on their way", &cut.words());
    let later = samples.iter().filter(|s| s.sent >= told);
    // A connection that is refused tells a client as much as a 503 does.
    let torn = later.clone().find_map(|sample| match &sample.seen {
        Seen::Broken(why) if !why.starts_with("cannot connect") => Some(why.clone()),
        _ => None,
    });
    stage.saw_calls("calls after SIGTERM", &Tally::of(later).words());
    ensure(
        cut.calls > 0 && cut.failed() == 0,
        "every call that was on its way finished",
        cut.words(),
    )?;
    ensure(
        torn.is_none(),
        "later calls answered, refused with 503 or not connected",
        torn.unwrap_or_default(),
    )?;
    match exit {
        Some(status) if status.success() => {}
        Some(status) => return fail("exit code 0", status.to_string()),
        None => return fail("an exit within 25 s", "still running"),
    }

    stage.next_step();
    let _again = bench.serve().await?;
    let has = ledger(&bench.session, &running.admin_key).await?;
    let seen = provider.calls().await?;
    ensure(
        has.calls == seen,
        format!("{seen} calls in the ledger, as the provider saw"),
        format!("{} calls", has.calls),
    )?;
    stage.measure("drain", took.as_secs_f64(), "s", Some(25.0));
    Ok(format!(
        "{} calls on their way were finished, exit code 0 after {:.1} s, all {seen} calls in the ledger",
        cut.calls,
        took.as_secs_f64()
    ))
}
