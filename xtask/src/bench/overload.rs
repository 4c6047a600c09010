//! What callers notice of providers that fail or say nothing, of three times too much work and of slow
//! clients, and what a remembered answer costs.
//!
//! The gateway is pinned to core 0; provider and clients share core 1. What is compared is measured in
//! the same run.

mod cpu;
mod fleet;
mod hit;
mod ill;
mod slow;
mod surge;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

use self::fleet::Programs;
use super::machine;
use crate::command::{self, cargo, quiet, say};

/// Options of `cargo xtask bench overload`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure: all of it unless something is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Seconds of three times too much work
    #[arg(long, default_value_t = 120.0)]
    seconds: f64,
    /// Slow readers, and as many slow senders
    #[arg(long, default_value_t = 1_000)]
    slow: usize,
    /// Measure this binary instead of building one
    #[arg(long)]
    seaworthy: Option<PathBuf>,
    /// Take the benchmark programs from this folder instead of building them
    #[arg(long)]
    programs: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A provider that fails half of its calls, beside a healthy one
    Half,
    /// A provider that takes calls and says nothing
    Hole,
    /// Three times as much work as the provider can do
    Surge,
    /// Three and six times as much work as the gateway's own processor can do
    Cpu,
    /// Clients that read and send a few bytes a second
    Slow,
    /// A remembered answer beside a bare proxy's request
    Hit,
}

/// The figures of a run, with their limits.
#[derive(Default)]
struct Figures {
    text: String,
    failed: usize,
}

impl Figures {
    fn add(&mut self, name: &str, limit: &str, measured: &str, is_kept: bool) {
        let verdict = if is_kept { "pass" } else { "**FAIL**" };
        self.failed += usize::from(!is_kept);
        say(&format!("   {name}: {measured} ({limit}) {verdict}"));
        let _ = writeln!(self.text, "| {name} | {limit} | {measured} | {verdict} |");
    }

    fn at_most(&mut self, name: &str, most: f64, unit: &str, measured: f64) {
        let (limit, text) = (
            format!("at most {most}{unit}"),
            format!("{measured:.2}{unit}"),
        );
        self.add(name, &limit, &text, measured <= most);
    }

    fn at_least(&mut self, name: &str, least: f64, unit: &str, measured: f64) {
        let (limit, text) = (
            format!("at least {least}{unit}"),
            format!("{measured:.2}{unit}"),
        );
        self.add(name, &limit, &text, measured >= least);
    }

    /// Something to know that has no limit.
    fn note(&mut self, name: &str, measured: &str) {
        say(&format!("   {name}: {measured}"));
        let _ = writeln!(self.text, "| {name} | | {measured} | |");
    }
}

/// A number within a report.
fn number(report: &Value, path: &str) -> f64 {
    report
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

/// Microseconds of a report in milliseconds.
fn ms(report: &Value, path: &str) -> f64 {
    number(report, path) / 1000.0
}

/// Measures, prints one table; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let programs = programs(args)?;
    let work = std::env::temp_dir().join(format!("seaworthy-overload-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    say(&format!(
        "   logs in {}, removed when all goes well",
        work.display()
    ));
    let parts = match args.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    let mut figures = Figures::default();
    for part in parts {
        let name = part.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        say(&format!("── {name}"));
        let folder = work.join(name);
        std::fs::create_dir_all(&folder)?;
        let programs = programs.within(&folder);
        match part {
            Part::Half => ill::half(&programs, &mut figures),
            Part::Hole => ill::hole(&programs, &mut figures),
            Part::Surge => surge::run(&programs, args.seconds, &mut figures),
            Part::Cpu => cpu::run(&programs, args.seconds, &mut figures),
            Part::Slow => slow::run(&programs, args.slow, &mut figures),
            Part::Hit => hit::run(&programs, &mut figures),
        }
        .with_context(|| format!("the part `{name}`"))?;
    }
    let text = format!(
        "\n{}\n\n| figure | limit | measured | |\n|---|---|--:|---|\n{}",
        machine::description(),
        figures.text
    );
    std::io::stdout().write_all(text.as_bytes())?;
    if figures.failed == 0 {
        std::fs::remove_dir_all(&work).context("cannot remove the work folder")?;
    }
    Ok(figures.failed == 0)
}

fn programs(args: &Args) -> anyhow::Result<Programs> {
    let release = command::target_dir()?.join("release");
    let build = |package: &str| {
        say(&format!("── building {package}"));
        quiet(&mut cargo(&[
            "build",
            "--release",
            "--package",
            package,
            "--bins",
        ]))
        .map(drop)
    };
    let bench = match &args.programs {
        Some(folder) => folder.canonicalize().context("--programs")?,
        None => {
            build("seaworthy-bench")?;
            release.clone()
        }
    };
    let seaworthy = match &args.seaworthy {
        Some(path) => path.canonicalize().context("--seaworthy")?,
        None => {
            build("seaworthy")?;
            release.join("seaworthy")
        }
    };
    Ok(Programs::new(seaworthy, bench))
}
