//! Faults of a deployment that is there, begun and ended by commands of its owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::Stage;
use super::deployment::{CALLERS, call, until};
use super::outage::{ensure_answered, phase};
use super::traffic::{Sample, Tally, Target, Traffic};
use crate::evidence::{Action, Observed};
use crate::outcome::{Probed, Stop, ensure, not_verified};
use crate::session::{Session, Started};

pub(super) const ANSWERED_STEPS: &[&str] = &[
    "make 20 calls a second to the deployment for 2 s: all are answered",
    "run the command of --break, and go on for a phase: callers are answered",
    "run the command of --mend: callers are answered",
];

pub(super) const BACK_STEPS: &[&str] = &[
    "make 20 calls a second to the deployment for 2 s: all are answered",
    "run the command of --break, and go on for a phase: callers are answered or told in time",
    "run the command of --mend: callers are answered again",
];

/// The fault must not be noticed.
pub(super) async fn answered(stage: &Stage<'_>) -> Probed {
    endure(stage, true).await
}

/// The fault may be noticed, and must end with its cause.
pub(super) async fn comes_back(stage: &Stage<'_>) -> Probed {
    endure(stage, false).await
}

async fn endure(stage: &Stage<'_>, unnoticed: bool) -> Probed {
    let (s, options) = (&stage.session, stage.options);
    let (Some(begin), Some(end)) = (&options.break_command, &options.mend_command) else {
        return not_verified("the commands of --break and --mend");
    };
    let model = options.model.as_deref().unwrap_or("echo");
    let target = target(s, model, s.key()?);
    stage.next_step();
    let traffic = Traffic::start(&target, CALLERS);
    let calm = Instant::now();
    sleep(Duration::from_secs(2)).await;
    let before = phase(stage, &traffic, calm, "calls before the fault");
    ensure_answered(options, &before, "without a fault")?;

    stage.next_step();
    let broken = Instant::now();
    shell(stage, begin).await?;
    sleep(options.phase).await;
    let during = phase(stage, &traffic, broken, "calls during the fault");

    stage.next_step();
    // What was broken is mended whatever was seen.
    let mended = Instant::now();
    shell(stage, end).await?;
    if unnoticed {
        ensure_answered(options, &during, "during the fault")?;
    }
    let back = until("answered calls", options.recovery, async || {
        let recent = traffic.since(Instant::now() - Duration::from_millis(500));
        Ok(recent.len() > 4 && recent.iter().all(Sample::is_answered))
    })
    .await?;
    let samples = traffic.finish().await;
    let hung = samples
        .iter()
        .filter(|call| call.service_time() >= CALLERS.limit)
        .count();
    ensure(
        hung == 0,
        format!("an end of every call within {} s", CALLERS.limit.as_secs()),
        format!("{hung} calls without one"),
    )?;
    let during = Tally::of(&during);
    stage.measure(
        "failed calls during the fault",
        during.failed() as f64,
        "calls",
        None,
    );
    stage.measure_recovery(back);
    Ok(format!(
        "during {:.0} s of fault {}; answered {:.1} s after its end",
        mended.duration_since(broken).as_secs_f64(),
        during.words(),
        back.as_secs_f64()
    ))
}

/// Where the calls of a key to a deployment go.
pub(super) fn target(s: &Session<'_>, model: &str, key: &str) -> Target {
    let (model, key) = (model.to_owned(), key.to_owned());
    Target {
        dialer: s.dialer().clone(),
        base: s.base().clone(),
        request: Arc::new(move |n| call(&model, &format!("call {n}"), &key, n % 4 == 3)),
    }
}

/// Runs a command of the owner, which must end well.
pub(super) async fn shell(stage: &Stage<'_>, command: &str) -> Result<(), Stop> {
    const LIMIT: Duration = Duration::from_secs(60);
    let began = Started::now();
    let running = Command::new("sh")
        .args(["-c", command])
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, running).await.ok().and_then(Result::ok);
    let argv = ["sh", "-c", command].map(ToOwned::to_owned).to_vec();
    let observed = Observed {
        status: output.as_ref().and_then(|output| output.status.code()),
        ..Observed::default()
    };
    stage
        .session
        .record(&began, Action::Command { argv }, observed);
    match output {
        Some(output) if output.status.success() => Ok(()),
        Some(output) => not_verified(format!("`{command}` that ends well: {}", output.status)),
        None => not_verified(format!(
            "`{command}` that ends within {} s",
            LIMIT.as_secs()
        )),
    }
}
