//! The gateway beside a bare hyper proxy and nginx, in one run, as ratios.
//!
//! The contender is pinned to core 0; the fake provider and the load generator share core 1. Each round
//! visits every contender once, so that a slow drift of the machine hits all of them alike; figures
//! are medians over the rounds.

pub(super) mod contender;
pub(super) mod measure;
mod report;

use std::io::Write as _;
use std::path::PathBuf;

use self::contender::{Contender, Fake, Setup};
use crate::command::{self, cargo, quiet, say};
use anyhow::{Context as _, ensure};

/// Options of `cargo xtask bench proxy`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Visits to each contender
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Measure only these: direct, hyper, hyper-inspect, nginx, seaworthy
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure this binary instead of building one
    #[arg(long)]
    seaworthy: Option<PathBuf>,
}

/// Measures, prints the tables; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(
        cores >= 2,
        "expected at least 2 cores (one for the gateway, one for the load), found {cores}"
    );
    let release = command::target_dir()?.join("release");
    say("── building");
    quiet(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "seaworthy-bench",
        "--bins",
    ]))?;
    let seaworthy = match &args.seaworthy {
        Some(path) => path.canonicalize().context("--seaworthy")?,
        None => {
            quiet(&mut cargo(&[
                "build",
                "--release",
                "--package",
                "seaworthy",
            ]))?;
            release.join("seaworthy")
        }
    };
    let work = tempdir()?;
    say(&format!(
        "   logs and data in {}, removed when all goes well",
        work.display()
    ));
    let fake = Fake::start(&seaworthy, &work)?;
    let setup = Setup::new(&seaworthy, &release, &work, &fake)?;
    let mut contenders = Vec::new();
    for contender in Contender::all() {
        let wanted = args.only.is_empty() || args.only.iter().any(|name| name == contender.name);
        if wanted && contender.is_available() {
            contenders.push(contender);
        }
    }
    let mut visits = Vec::new();
    for round in 1..=args.rounds {
        for contender in &contenders {
            say(&format!(
                "── round {round} of {}: {}",
                args.rounds, contender.name
            ));
            visits.push(measure::visit(contender, &setup, &fake, args.seconds)?);
        }
    }
    drop(fake);
    let (text, kept) = report::render(&contenders, &visits, args.rounds, args.seconds);
    std::io::stdout().write_all(text.as_bytes())?;
    std::fs::remove_dir_all(&work).context("cannot remove the work folder")?;
    Ok(kept)
}

fn tempdir() -> anyhow::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("seaworthy-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
