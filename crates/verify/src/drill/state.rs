//! The servers of state lost and back: Redis with limits and budgets, PostgreSQL with the ledger.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Stage;
use super::deployment::{Provider, Setup, callers, launch, ledger, quiet, until};
use super::outage::{calm, ensure_answered, phase};
use super::servers::Server;
use super::traffic::{Sample, Tally};
use crate::http::Request;
use crate::outcome::{Probed, ensure};
use crate::scratch::Bench;

pub(super) const REDIS_STEPS: &[&str] = &[
    "start Redis, a scripted provider and an instance that keeps limits in Redis",
    "make 20 calls a second for 2 s: all are answered",
    "crash Redis for 3 s: callers are answered all the same",
    "spend a limit of 5 calls while Redis is gone: the sixth is refused",
    "start Redis again, empty: the instance uses it again, and callers are answered",
];

pub(super) const DATABASE_STEPS: &[&str] = &[
    "start PostgreSQL, a scripted provider and an instance that keeps keys and ledger there",
    "make 20 calls a second for 2 s: all are answered",
    "crash PostgreSQL for 3 s: callers are answered all the same, and the process stays ready",
    "start PostgreSQL again: what was owed to it is written",
    "compare the ledger with what the provider saw: no call is lost, none is there twice",
];

const FAULT: Duration = Duration::from_secs(3);

pub(super) async fn redis_loss(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let mut redis = Server::redis(&stage.session).await?;
    let bench = Bench::empty(&stage.session).await?;
    let provider = Provider::start(&bench, "").await?;
    let setup = Setup {
        shared: Some(redis.url()),
        providers: vec![("first", provider.port)],
        more: "[rate_limits.per_agent]\nrequests_per_hour = 5\n",
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    calm(stage, &traffic, "calls before the loss").await?;

    stage.next_step();
    redis.crash(&stage.session).await;
    let lost = Instant::now();
    sleep(FAULT).await;
    let during = phase(stage, &traffic, lost, "calls while Redis was gone");
    ensure_answered(options, &during, "while Redis is gone")?;

    stage.next_step();
    let mut passed = 0;
    for n in 0..8 {
        let request =
            super::deployment::call("drill", &format!("limited {n}"), &running.key, false)
                .header("x-seaworthy-agent", "drill-limited");
        let answer = bench.session.send(request).await?;
        passed += usize::from(answer.status() == 200);
    }
    ensure(
        (1..=5).contains(&passed),
        "1 to 5 of 8 calls under a limit of 5 while Redis is gone",
        format!("{passed} passed"),
    )?;

    stage.next_step();
    redis.start(&stage.session).await?;
    let back = until(
        "an instance that uses Redis again",
        options.recovery,
        async || {
            let page = quiet(&bench.session, Request::get("/metrics")).await?;
            Ok(page
                .text()
                .lines()
                .any(|line| line == "seaworthy_shared_state_up 1"))
        },
    )
    .await?;
    let samples = traffic.finish().await;
    let after: Vec<Sample> = samples.iter().filter(|s| s.sent >= lost).cloned().collect();
    ensure_answered(options, &after, "from the loss to the end")?;
    stage.measure_recovery(back);
    Ok(format!(
        "answered without Redis and within the limit, used again {:.1} s after it came back ({})",
        back.as_secs_f64(),
        Tally::of(&samples).words()
    ))
}

pub(super) async fn database_loss(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let mut postgres = Server::postgres(&stage.session).await?;
    let bench = Bench::empty(&stage.session).await?;
    let provider = Provider::start(&bench, "").await?;
    let setup = Setup {
        storage: Some(postgres.url()),
        providers: vec![("first", provider.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    calm(stage, &traffic, "calls before the loss").await?;

    stage.next_step();
    postgres.crash(&stage.session).await;
    let lost = Instant::now();
    sleep(FAULT).await;
    let during = phase(stage, &traffic, lost, "calls while PostgreSQL was gone");
    ensure_answered(options, &during, "while PostgreSQL is gone")?;
    let ready = bench.session.quiet_status("/health/ready").await;
    ensure(
        ready == Some(200),
        "a process that stays ready while a store is gone that all replicas share",
        format!("{ready:?} from /health/ready"),
    )?;

    stage.next_step();
    postgres.start(&stage.session).await?;
    let began = Instant::now();
    let samples = traffic.finish().await;
    let has = ledger(&bench.session, &running.admin_key).await?;
    let back = began.elapsed();

    stage.next_step();
    let seen = provider.calls().await?;
    ensure(
        has.calls == seen,
        format!("{seen} calls in the ledger, as the provider saw"),
        format!("{} calls", has.calls),
    )?;
    let answered = Tally::of(&samples).answered as u64;
    ensure(
        has.calls - has.estimated >= answered,
        format!("exact figures for the {answered} calls that were answered"),
        format!("{} estimated of {}", has.estimated, has.calls),
    )?;
    stage.measure_recovery(back);
    stage.measure("calls lost", 0.0, "calls", Some(0.0));
    Ok(format!(
        "answered without PostgreSQL; all {seen} calls were in the ledger {:.1} s after it came back ({})",
        back.as_secs_f64(),
        Tally::of(&samples).words()
    ))
}
