//! Load up to twice the stated peak, in a closed and in an open loop, with honest percentiles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Stage;
use super::deployment::{MODEL, call, launch, ledger, one_provider};
use super::latency::{Latency, corrected};
use super::traffic::{Pattern, Sample, Tally, Target, Traffic};
use crate::outcome::{Probed, Stop, ensure};
use crate::scratch::Bench;
use crate::session::Session;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider that takes 20 ms, and an instance; or take the deployment that is named",
    "make a few calls to warm up",
    "closed loop: 16 callers, each with its next call when the last has ended",
    "open loop at the stated peak, whether or not earlier calls have ended",
    "open loop at twice the stated peak",
    "compare errors and p95 with the profile, and memory with its bound",
];

/// Callers of the closed loop.
const CLOSED_CALLERS: usize = 16;

/// Most calls at the same time in the open loop.
const OPEN_CALLERS: usize = 512;

/// The longest wait for one answer under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long after a phase the last answers may come; a rate that is not sustained piles up more.
const GRACE: Duration = Duration::from_secs(1);

/// How much of the offered calls must be answered in time for a rate to count as sustained.
const SUSTAINED: f64 = 0.95;

pub(super) async fn scratch(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let _provider = one_provider(&bench, "latency_ms=20", "").await?;
    let running = launch(stage, &bench).await?;
    let began = Instant::now();
    let said = push(stage, &bench.session, &running.key, MODEL).await?;
    let took = began.elapsed().as_secs_f64();
    let has = ledger(&bench.session, &running.admin_key).await?;
    stage.measure("tokens", has.tokens as f64 / took, "tokens/s", None);
    let resources = running.instance.pid().and_then(resources);
    let Some(taken) = resources else {
        return Err(Stop::NotVerified {
            missing: "the memory of the process, which this system does not show".to_owned(),
        });
    };
    let bound = stage.options.memory_mib as f64;
    stage.measure("peak memory", taken.peak_mib, "MiB", Some(bound));
    stage.measure("threads", taken.threads, "threads", None);
    stage.measure("open files", taken.files, "files", None);
    ensure(
        taken.peak_mib <= bound,
        format!("at most {bound:.0} MiB of memory under load"),
        format!("{:.0} MiB", taken.peak_mib),
    )?;
    Ok(format!("{said}; {:.0} MiB at most", taken.peak_mib))
}

pub(super) async fn away(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let key = stage.session.key()?;
    let model = stage.options.model.as_deref().unwrap_or("echo");
    push(stage, &stage.session, key, model).await
}

async fn push(stage: &Stage<'_>, s: &Session<'_>, key: &str, model: &str) -> Probed {
    let options = stage.options;
    let (key, model) = (key.to_owned(), model.to_owned());
    let target = Target {
        dialer: s.dialer().clone(),
        base: s.base().clone(),
        request: Arc::new(move |n| call(&model, &format!("load {n}"), &key, n % 10 == 9)),
    };
    let closed = |lasts| Pattern {
        rate: None,
        callers: CLOSED_CALLERS,
        lasts: Some(lasts),
        limit: PATIENCE,
    };
    stage.next_step();
    let warm = Duration::from_secs(1);
    let samples = Traffic::start(&target, closed(warm))
        .until_its_end(warm + PATIENCE)
        .await;
    let tally = Tally::of(&samples);
    ensure(tally.answered > 0, "calls that are answered", tally.words())?;

    stage.next_step();
    let (samples, took) = drive(&target, closed(options.phase)).await;
    // As if each caller had kept the pace of the stated peak.
    let pace = Duration::from_secs_f64(CLOSED_CALLERS as f64 / options.peak);
    let times: Vec<Duration> = samples.iter().map(Sample::service_time).collect();
    let latency = Latency::of(corrected(&times, pace));
    let throughput = answered(&samples) / took;
    stage.measure("closed loop, throughput", throughput, "calls/s", None);
    note(stage, "closed loop", &samples, latency, None);
    within(stage, "in the closed loop", &samples, latency)?;

    let mut words = vec![format!(
        "closed loop {throughput:.0} calls/s, p95 {:.0} ms",
        latency.p95
    )];
    for (name, rate) in [
        ("peak", options.peak),
        ("twice the peak", options.peak * 2.0),
    ] {
        stage.next_step();
        let pattern = Pattern {
            rate: Some(rate),
            callers: OPEN_CALLERS,
            ..closed(options.phase)
        };
        let in_time = Instant::now() + options.phase + GRACE;
        let (samples, _) = drive(&target, pattern).await;
        let latency = Latency::of(samples.iter().map(Sample::response_time).collect());
        let early = samples
            .iter()
            .filter(|sample| sample.is_answered() && sample.ended <= in_time);
        let sustained = early.count() as f64 / options.phase.as_secs_f64();
        stage.measure(&format!("{name}, throughput"), sustained, "calls/s", None);
        note(
            stage,
            name,
            &samples,
            latency,
            Some(options.profile.p95_seconds * 1000.0),
        );
        within(stage, &format!("at {name}"), &samples, latency)?;
        let offered = samples.len() as f64 / options.phase.as_secs_f64();
        ensure(
            sustained >= SUSTAINED * rate.min(offered),
            format!(
                "at least {:.0} answered calls a second at {name}",
                SUSTAINED * rate
            ),
            format!("{sustained:.1}"),
        )?;
        words.push(format!(
            "{name} {sustained:.0} calls/s, p95 {:.0} ms, p99.9 {:.0} ms",
            latency.p95, latency.p999
        ));
    }
    stage.next_step();
    Ok(words.join("; "))
}

/// Drives a pattern to its end; how long that took, from the first call to the last answer.
async fn drive(target: &Target, pattern: Pattern) -> (Vec<Sample>, f64) {
    let began = Instant::now();
    let lasts = pattern.lasts.unwrap_or_default();
    let samples = Traffic::start(target, pattern)
        .until_its_end(lasts + PATIENCE)
        .await;
    let end = samples
        .iter()
        .map(|sample| sample.ended)
        .max()
        .unwrap_or(began);
    let took = end.duration_since(began).max(lasts).as_secs_f64();
    // The next phase begins on a quiet server.
    sleep(Duration::from_millis(100)).await;
    (samples, took)
}

fn answered(samples: &[Sample]) -> f64 {
    samples.iter().filter(|sample| sample.is_answered()).count() as f64
}

fn note(stage: &Stage<'_>, name: &str, samples: &[Sample], latency: Latency, bound: Option<f64>) {
    let tally = Tally::of(samples);
    stage.saw_calls(name, &format!("{}; {}", tally.words(), latency.words()));
    for (percentile, value) in [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p95", latency.p95),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ] {
        let limit = bound.filter(|_| percentile == "p95");
        stage.measure(&format!("{name}, {percentile}"), value, "ms", limit);
    }
    stage.measure(
        &format!("{name}, failed calls"),
        tally.failed() as f64,
        "calls",
        None,
    );
}

fn within(stage: &Stage<'_>, when: &str, samples: &[Sample], latency: Latency) -> Result<(), Stop> {
    super::outage::ensure_answered(stage.options, samples, when)?;
    let bound = stage.options.profile.p95_seconds * 1000.0;
    ensure(
        latency.p95 <= bound,
        format!("a p95 of at most {bound:.0} ms {when}"),
        latency.words(),
    )
}

/// What a process takes.
struct Resources {
    peak_mib: f64,
    threads: f64,
    files: f64,
}

fn resources(pid: u32) -> Option<Resources> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Some(Resources {
        peak_mib: field("VmHWM:")? / 1024.0,
        threads: field("Threads:")?,
        files: files as f64,
    })
}
