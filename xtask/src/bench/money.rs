//! What budgets and ledger are held to, as often as the limits say: the same tests that run with
//! every change, repeated, with figures that are counted by the provider or read from the ledger.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use clap::ValueEnum;

use super::machine;
use crate::command::say;

mod cpu;
mod repeat;

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
    /// How to build what is killed and asked: a profile of cargo with debug assertions, without which
    /// no process dies at a named place. The simulator has one of its own.
    #[arg(long, default_value = "dev")]
    profile: String,
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
    /// 64 writers on PostgreSQL
    Writers,
    /// Callers that give up, of PostgreSQL and of a gateway before it
    Aborts,
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
            Self::Writers => "64 writers on PostgreSQL",
            Self::Aborts => "callers that give up",
            Self::Simulator => "the simulator",
            Self::RoundTrips => "round trips to Redis",
            Self::Cpu => "CPU of limits and budgets",
        }
    }

    /// The profile of cargo that it has to be built with.
    fn profile(self) -> Option<&'static str> {
        (self == Self::Simulator).then_some("checked")
    }

    /// Whether a binary that is there can take the place of the one that the tests build. What is
    /// killed has to come to named places, which a release has not.
    fn takes_binary(self) -> bool {
        self != Self::Kills
    }

    /// The tests that hold it.
    fn tests(self) -> Option<&'static [Tests]> {
        match self {
            Self::Spend => Some(&[Tests("seaworthy", "spend::")]),
            Self::Kills => Some(&[Tests("seaworthy", "kills::")]),
            Self::Redis => Some(&[Tests("seaworthy", "outages::")]),
            Self::Writers => Some(&[Tests("seaworthy-store", "pressure::sixty_four")]),
            Self::Aborts => Some(&[
                Tests("seaworthy-store", "pressure::callers"),
                Tests("seaworthy", "leavers::"),
            ]),
            Self::Simulator => Some(&[
                Tests("seaworthy-core", "simulation::"),
                Tests("seaworthy-store", "simulation::"),
            ]),
            Self::RoundTrips => Some(&[Tests("seaworthy", "round_trips::")]),
            Self::Cpu => None,
        }
    }
}

/// The integration tests of a crate whose names begin with this.
struct Tests(&'static str, &'static str);

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
            Some(tests) => repeat::run(tests, *part, args)?,
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
