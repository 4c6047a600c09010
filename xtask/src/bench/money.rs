//! What budgets and ledger are held to, as often as the limits say: the same tests that run with
//! every change, repeated, with figures that are counted by the provider or read from the ledger.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use clap::ValueEnum;

use super::machine;
use crate::command::{cargo, say, shown};

mod cpu;

/// Options of `cargo xtask bench money`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure: all of it unless something is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Rounds, kills and outages
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Seeds of the simulator
    #[arg(long, default_value_t = 10_000)]
    seeds: usize,
    /// Seconds for which 64 writers write
    #[arg(long, default_value_t = 60)]
    seconds: usize,
    /// Callers that give up
    #[arg(long, default_value_t = 10_000)]
    leavers: usize,
    #[command(flatten)]
    cpu: cpu::Args,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 200 calls at once over three replicas, budget for 20
    Spend,
    /// `kill -9` under load, with SQLite and with PostgreSQL
    Kills,
    /// Redis killed and brought back in mid-load
    Redis,
    /// 64 writers and callers that give up, on PostgreSQL
    Writers,
    /// Ledger, limits and budgets through crashes, duplicates, reordering and clock jumps
    Simulator,
    /// Round trips to Redis of a request
    RoundTrips,
    /// CPU of a request with limits and budgets beside one without
    Cpu,
}

impl Part {
    fn title(self) -> &'static str {
        match self {
            Self::Spend => "a budget under 200 calls at once",
            Self::Kills => "kill -9 under load",
            Self::Redis => "Redis lost and found",
            Self::Writers => "writers and leavers on PostgreSQL",
            Self::Simulator => "the simulator",
            Self::RoundTrips => "round trips to Redis",
            Self::Cpu => "CPU of limits and budgets",
        }
    }

    /// The crate whose integration tests hold it, and their names.
    fn tests(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Spend => Some(("seaworthy", &["spend::"])),
            Self::Kills => Some(("seaworthy", &["kills::"])),
            Self::Redis => Some(("seaworthy", &["outages::"])),
            Self::Writers => Some(("seaworthy-store", &["pressure::"])),
            Self::Simulator => Some(("seaworthy-core", &["simulation::"])),
            Self::RoundTrips => Some(("seaworthy", &["round_trips::"])),
            Self::Cpu => None,
        }
    }
}

/// Runs the parts, prints one table; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    crate::test::servers()?;
    let parts = match args.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    let mut text = format!("\n{}\n", machine::description());
    let mut all_kept = true;
    for part in parts {
        say(&format!("── {}", part.title()));
        let began = Instant::now();
        let (figures, passed) = match part.tests() {
            Some(tests) => repeat(tests, args)?,
            None => cpu::run(&args.cpu)?,
        };
        // What was not measured is not kept.
        let passed = passed && !figures.is_empty();
        all_kept &= passed;
        let seconds = began.elapsed().as_secs();
        let verdict = if passed { "passed" } else { "**FAILED**" };
        let _ = writeln!(
            text,
            "\n{}, {verdict} after {seconds} s:\n\n| figure | limit | measured | |\n|---|---|--:|---|",
            part.title()
        );
        text.extend(figures.iter().map(|figure| format!("| {figure} |\n")));
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(all_kept)
}

/// Runs tests with the counts that are asked for; what they tell, and whether they passed.
fn repeat((package, filters): (&str, &[&str]), args: &Args) -> anyhow::Result<(Vec<String>, bool)> {
    let mut tests = cargo(&["test", "--package", package, "--test", "it", "--"]);
    tests
        .args(filters)
        .args(["--nocapture", "--test-threads=1"]);
    tests
        .env("SEAWORTHY_TEST_ROUNDS", args.rounds.to_string())
        .env("SEAWORTHY_TEST_SECONDS", args.seconds.to_string())
        .env("SEAWORTHY_TEST_CASES", args.leavers.to_string())
        .env("SEAWORTHY_SIMULATION_SEEDS", args.seeds.to_string());
    let ran = shown(&mut tests)?;
    let told = figures(&ran.output);
    Ok((told.into_iter().map(str::to_owned).collect(), ran.succeeded))
}

/// The lines of tests that tell a figure: `figure: NAME | LIMIT | MEASURED | VERDICT`.
fn figures(output: &str) -> Vec<&str> {
    // The first one follows the name of its test on the same line.
    let told = output
        .lines()
        .filter_map(|line| line.split_once("figure: "));
    told.map(|(_, figure)| figure.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_what_tests_say() {
        let output = "running 1 test\ntest a ... figure: drift | at most 0 | 0 | pass\nhello\n\
                      figure: x | at least 1 | 0 | **FAIL**\n";
        assert_eq!(
            figures(output),
            [
                "drift | at most 0 | 0 | pass",
                "x | at least 1 | 0 | **FAIL**"
            ]
        );
    }
}
