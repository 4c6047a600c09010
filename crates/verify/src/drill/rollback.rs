//! A configuration that does harm, and the way back to the one before.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;

use super::Stage;
use super::deployment::{Provider, Setup, callers, ensure_call, launch, quiet, until};
use super::outage::{ensure_answered, phase};
use super::traffic::{Sample, Tally};
use crate::http::Request;
use crate::outcome::{Probed, Stop, ensure};
use crate::scratch::{Bench, free_port};

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider and an instance, with calls of 20 a second",
    "put a broken configuration in place: it is refused, and callers notice nothing",
    "put one in place that is valid and does harm, a provider that is not there: calls fail",
    "put the first one back: calls are answered again, and the status shows the first hash",
    "go back over a restart as well: stop the process, start it with the first configuration",
];

pub(super) async fn rollback(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let provider = Provider::start(&bench, "").await?;
    let nobody = free_port().await.map_err(|e| Stop::NotVerified {
        missing: format!("a free port: {e}"),
    })?;
    let at = |port| Setup {
        providers: vec![("first", port)],
        more: "[resilience.retries]\nmax_attempts = 1\n",
        ..Setup::default()
    };
    let (good, harmful) = (at(provider.port), at(nobody));
    good.write(&bench)?;
    let mut running = launch(stage, &bench).await?;
    let hash = async || config_hash(&bench, &running.admin_key).await;
    let first = hash().await?;
    let traffic = callers(&bench.session, &running.key);

    stage.next_step();
    let began = Instant::now();
    bench.write_config("[server\nlisten = 7\n")?;
    running.instance.signal(Signal::SIGHUP)?;
    sleep(Duration::from_secs(1)).await;
    let during = phase(stage, &traffic, began, "calls over a broken configuration");
    ensure_answered(options, &during, "over a broken configuration")?;

    stage.next_step();
    harmful.write(&bench)?;
    running.instance.signal(Signal::SIGHUP)?;
    let other = async || Ok(hash().await? != first);
    until("another configuration in force", options.recovery, other).await?;
    let harmed = Instant::now();
    sleep(Duration::from_secs(1)).await;
    let during = phase(
        stage,
        &traffic,
        harmed,
        "calls over a harmful configuration",
    );
    let harm = Tally::of(&during);
    ensure(
        harm.failed() > 0,
        "a harmful configuration that does harm",
        harm.words(),
    )?;

    stage.next_step();
    let decided = Instant::now();
    good.write(&bench)?;
    running.instance.signal(Signal::SIGHUP)?;
    let same = async || Ok(hash().await? == first);
    until("the first configuration in force", options.recovery, same).await?;
    until("answered calls", options.recovery, async || {
        let recent = traffic.since(Instant::now() - Duration::from_millis(300));
        Ok(recent.len() > 2 && recent.iter().all(Sample::is_answered))
    })
    .await?;
    let back = decided.elapsed();
    let all = Tally::of(&traffic.finish().await);

    stage.next_step();
    let stopped = Instant::now();
    running.instance.signal(Signal::SIGTERM)?;
    let _ended = running.instance.exit(Duration::from_secs(25)).await;
    let again = bench.serve().await?;
    ensure_call(&bench.session, &running.key, "after the restart").await?;
    let restart = stopped.elapsed();
    drop(again);
    let limit = options.recovery.as_secs_f64();
    stage.measure("back by reload", back.as_secs_f64(), "s", Some(limit));
    stage.measure("back by restart", restart.as_secs_f64(), "s", Some(300.0));
    Ok(format!(
        "a broken configuration was refused; back from a harmful one in {:.1} s by a reload and in \
         {:.1} s by a restart ({})",
        back.as_secs_f64(),
        restart.as_secs_f64(),
        all.words()
    ))
}

async fn config_hash(bench: &Bench<'_>, admin_key: &str) -> Result<String, Stop> {
    let request = Request::get("/admin/v1/status").bearer(admin_key);
    let json = quiet(&bench.session, request)
        .await?
        .json()
        .unwrap_or(Value::Null);
    Ok(json["config"]["hash"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}
