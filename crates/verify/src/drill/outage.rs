//! Providers that die, freeze and refuse: callers keep getting answers from the other one.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::deployment::{CALLERS, Provider, Setup, callers, launch, until};
use super::traffic::{Sample, Seen, Tally, Traffic};
use super::{DrillOptions, Stage};
use crate::outcome::{Probed, Stop, ensure};
use crate::scratch::Bench;

pub(super) const OUTAGE_STEPS: &[&str] = &[
    "start two scripted providers and an instance that asks the second when the first fails",
    "make 20 calls a second for 2 s: all are answered",
    "kill the first provider for 3 s: the second answers",
    "start the first again: it is asked again",
    "freeze the first for 3 s, so that it takes calls and says nothing: the second answers",
    "freeze the second as well: every caller gets an error in time, none hangs",
    "let both go on: calls are answered as before",
];

pub(super) const LIMIT_STEPS: &[&str] = &[
    "start two scripted providers and an instance that asks the second when the first fails",
    "let the first answer 429 with retry-after: 2 for every call",
    "make 20 calls a second for 4 s: the second answers, and the first is left alone",
    "let the first answer again: it is asked again",
];

/// How long faults last.
const FAULT: Duration = Duration::from_secs(3);

/// How many calls of some second may fail while the deployment notices a fault.
pub(super) fn ensure_answered(
    options: &DrillOptions,
    samples: &[Sample],
    when: &str,
) -> Result<(), Stop> {
    let tally = Tally::of(samples);
    let bound = options.error_share();
    ensure(
        tally.calls > 0 && tally.failed_share() <= bound,
        format!("at most {:.0} % failed calls {when}", bound * 100.0),
        tally.words(),
    )
}

/// Keeps what callers saw in a phase, and returns it.
pub(super) fn phase(
    stage: &Stage<'_>,
    traffic: &Traffic,
    since: Instant,
    what: &str,
) -> Vec<Sample> {
    let samples = traffic.since(since);
    stage.saw_calls(what, &Tally::of(&samples).words());
    samples
}

/// Looks at callers for a while in which nothing is wrong yet.
pub(super) async fn calm(stage: &Stage<'_>, traffic: &Traffic, what: &str) -> Result<(), Stop> {
    stage.next_step();
    let since = Instant::now();
    sleep(Duration::from_secs(2)).await;
    let before = phase(stage, traffic, since, what);
    ensure_answered(stage.options, &before, "without a fault")
}

pub(super) async fn provider_outage(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let mut first = Provider::start(&bench, "").await?;
    let mut second = Provider::start(&bench, "").await?;
    let setup = Setup {
        providers: vec![("first", first.port), ("second", second.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    calm(stage, &traffic, "calls before the outage").await?;

    stage.next_step();
    let killed = Instant::now();
    first.signal(Signal::SIGKILL).await;
    sleep(FAULT).await;
    let during = phase(
        stage,
        &traffic,
        killed,
        "calls while the first provider was gone",
    );
    ensure_answered(options, &during, "while one provider is gone")?;

    stage.next_step();
    first.start_again(&bench).await?;
    let mut slowest = asked_again(options, &first).await?;

    stage.next_step();
    let frozen = Instant::now();
    first.signal(Signal::SIGSTOP).await;
    sleep(FAULT).await;
    let during = phase(
        stage,
        &traffic,
        frozen,
        "calls while the first provider was frozen",
    );
    ensure_answered(options, &during, "while one provider is frozen")?;

    stage.next_step();
    let dark = Instant::now();
    second.signal(Signal::SIGSTOP).await;
    sleep(FAULT).await;
    second.signal(Signal::SIGCONT).await;
    first.signal(Signal::SIGCONT).await;

    stage.next_step();
    let back = until("answered calls", options.recovery, async || {
        let recent = traffic.since(Instant::now() - Duration::from_millis(500));
        Ok(recent.len() > 4 && recent.iter().all(Sample::is_answered))
    });
    slowest = slowest
        .max(back.await?)
        .max(asked_again(options, &first).await?);
    let samples = traffic.finish().await;
    stage.saw_calls("calls from the moment at which both were frozen", &{
        Tally::of(samples.iter().filter(|sample| sample.sent >= dark)).words()
    });
    none_hangs(&samples)?;
    let all = Tally::of(&samples);
    stage.measure_recovery(slowest);
    stage.measure("failed calls", all.failed() as f64, "calls", None);
    Ok(format!(
        "callers were answered while one provider was dead or frozen, got errors in time while both \
         were, and the first was asked again {:.1} s after it came back at the latest ({})",
        slowest.as_secs_f64(),
        all.words()
    ))
}

/// Waits until a provider sees calls again; the time that took.
async fn asked_again(options: &DrillOptions, provider: &Provider<'_>) -> Result<Duration, Stop> {
    let before = provider.calls().await?;
    let what = "calls at the provider that came back";
    until(what, options.recovery, async || {
        Ok(provider.calls().await? > before)
    })
    .await
}

/// Without any provider, a caller must be told so, in words that it understands.
fn none_hangs(samples: &[Sample]) -> Result<(), Stop> {
    let broken = samples.iter().find_map(|sample| match &sample.seen {
        Seen::Broken(why) => Some(why.clone()),
        Seen::Refused {
            status,
            is_error: false,
        } => Some(format!("{status} without an error")),
        _ => None,
    });
    let limit = CALLERS.limit.as_secs();
    ensure(
        broken.is_none(),
        format!("an answer or an error in JSON within {limit} s for every call"),
        broken.unwrap_or_default(),
    )
}

pub(super) async fn provider_limits(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let first = Provider::start(&bench, "").await?;
    let second = Provider::start(&bench, "").await?;
    let setup = Setup {
        providers: vec![("first", first.port), ("second", second.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;

    stage.next_step();
    first.fault("status=429,retry_after=2", 1_000_000).await?;

    stage.next_step();
    let traffic = callers(&bench.session, &running.key);
    let began = Instant::now();
    sleep(Duration::from_secs(4)).await;
    let during = phase(
        stage,
        &traffic,
        began,
        "calls while the first provider refused them",
    );
    ensure_answered(options, &during, "while one provider limits its calls")?;
    let asked = first.calls().await?;
    // A call or two at the beginning, and a few after each wait that the provider asked for.
    let bound = (during.len() as u64 / 4).max(4);
    stage.measure(
        "calls to the limited provider",
        asked as f64,
        "calls",
        Some(bound as f64),
    );
    ensure(
        asked <= bound,
        format!("at most {bound} calls to a provider that asked to be left alone"),
        format!("{asked} of {}", during.len()),
    )?;

    stage.next_step();
    first.reset().await?;
    let back = asked_again(options, &first).await?;
    let all = Tally::of(&traffic.finish().await);
    stage.measure_recovery(back);
    Ok(format!(
        "{asked} calls went to the limited provider, the other answered ({}), and it was asked again \
         after {:.1} s",
        all.words(),
        back.as_secs_f64()
    ))
}
