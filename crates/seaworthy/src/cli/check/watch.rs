//! `seaworthy check --watch`: the cheap checks again and again, and an alarm when something drifts.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use seaworthy_verify::report::baseline::{self, Worse};
use seaworthy_verify::report::json;
use seaworthy_verify::{Report, RunError};

use super::{Arguments, once, read};
use crate::exit::{self, Failure};
use crate::output;

/// How a watch is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Check again and again, this many seconds apart, and tell what drifts. Checks that start an
    /// instance are left out.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Run this command in a shell when something got worse; SEAWORTHY_DRIFT holds what.
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    on_drift: Option<String>,
    /// Write the state of the watch to this file in the Prometheus text format.
    #[arg(long, value_name = "FILE", requires = "watch")]
    watch_metrics: Option<PathBuf>,
    /// Exit with 1 when something got worse.
    #[arg(long, requires = "watch")]
    until_drift: bool,
    /// End after so many rounds; without it, never.
    #[arg(long, value_name = "N", requires = "watch")]
    rounds: Option<u64>,
}

impl Watch {
    pub(super) fn is_asked(&self) -> bool {
        self.watch.is_some()
    }
}

/// Watches until told to stop.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let watch = &arguments.watch;
    let pause = Duration::from_secs(watch.watch.unwrap_or(60));
    let mut known = arguments.baseline.as_deref().map(read).transpose()?;
    let (mut round, mut drifts, mut was_gone) = (0, 0, false);
    loop {
        round += 1;
        let outcome = once(arguments)?;
        let mut worse = drift(&outcome, known.as_deref())?;
        let is_gone = outcome.is_err();
        if is_gone && was_gone {
            worse.clear();
        }
        was_gone = is_gone;
        for w in &worse {
            output::note(format_args!(
                "drift: {}: {} → {}  {}",
                w.id, w.before, w.now, w.title
            ));
        }
        drifts += worse.len();
        if let Some(path) = &watch.watch_metrics {
            let text = metrics(outcome.as_ref().ok(), round, drifts);
            std::fs::write(path, text).map_err(|error| {
                let message = format!("{} cannot be written: {error}", path.display());
                Failure::new(exit::USAGE, message)
            })?;
        }
        if !worse.is_empty() {
            alarm(watch.on_drift.as_deref(), &worse);
            if watch.until_drift {
                return Ok(exit::FAILED);
            }
        }
        // What is worse now is told once: the next round is compared with this one.
        if let Ok(report) = &outcome {
            known = Some(json::render(report));
        }
        if watch.rounds.is_some_and(|rounds| round >= rounds) {
            return Ok(exit::OK);
        }
        std::thread::sleep(pause);
    }
}

/// What got worse since the round before; a server that is gone is worse than any.
fn drift(outcome: &Result<Report, RunError>, known: Option<&str>) -> Result<Vec<Worse>, Failure> {
    let report = match outcome {
        Ok(report) => report,
        Err(error @ RunError::Unreachable { .. }) => {
            return Ok(vec![Worse {
                id: "server".to_owned(),
                before: "reachable".to_owned(),
                now: "unreachable".to_owned(),
                title: error.to_string(),
            }]);
        }
        Err(error) => return Err(Failure::of(exit::USAGE, error)),
    };
    let Some(known) = known else {
        return Ok(Vec::new());
    };
    baseline::worse(report, known).map_err(|why| Failure::new(exit::USAGE, why))
}

/// Runs the hook; one that fails is told and does not end the watch.
fn alarm(command: Option<&str>, worse: &[Worse]) {
    let Some(command) = command else { return };
    let words: Vec<String> = worse
        .iter()
        .map(|w| format!("{} {}", w.id, w.now))
        .collect();
    let ended = Command::new("sh")
        .args(["-c", command])
        .env("SEAWORTHY_DRIFT", words.join("\n"))
        .status();
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => output::note(format_args!(
            "seaworthy: the command of --on-drift ended with {status}"
        )),
        Err(error) => output::note(format_args!(
            "seaworthy: the command of --on-drift did not start: {error}"
        )),
    }
}

fn metrics(report: Option<&Report>, round: u64, drifts: usize) -> String {
    let counts = report.map(Report::counts).unwrap_or_default();
    let up = u8::from(report.is_some());
    format!(
        "# HELP seaworthy_watch_up Whether the last round reached the server.\n\
         # TYPE seaworthy_watch_up gauge\nseaworthy_watch_up {up}\n\
         # HELP seaworthy_watch_checks Checks of the last round by status.\n\
         # TYPE seaworthy_watch_checks gauge\n\
         seaworthy_watch_checks{{status=\"pass\"}} {}\n\
         seaworthy_watch_checks{{status=\"fail\"}} {}\n\
         seaworthy_watch_checks{{status=\"not_verified\"}} {}\n\
         # HELP seaworthy_watch_rounds_total Rounds since the watch began.\n\
         # TYPE seaworthy_watch_rounds_total counter\nseaworthy_watch_rounds_total {round}\n\
         # HELP seaworthy_watch_drifts_total Checks and items that got worse since the watch began.\n\
         # TYPE seaworthy_watch_drifts_total counter\nseaworthy_watch_drifts_total {drifts}\n",
        counts.pass, counts.fail, counts.not_verified
    )
}
