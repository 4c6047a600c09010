//! `cargo xtask test`: one command that needs nothing but Rust and a C compiler, and runs all.
//!
//! What the tests need from elsewhere is fetched while the first parts compile.

mod node;
mod peers;
mod python;
mod tally;

use std::cell::LazyCell;
use std::io::Write as _;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use self::peers::Peers;
pub(crate) use self::peers::servers;
use self::tally::{Tally, tally};
use crate::command::{self, Ran, cargo, say, shown};

/// Options of `cargo xtask test`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this part
    #[arg(long)]
    only: Option<Part>,
    /// Run only tests whose name contains this (an expression of pytest for `sdk`)
    #[arg(long)]
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting
    Fmt,
    /// Lints, on all targets
    Clippy,
    /// Unit, integration and documentation tests
    Rust,
    /// The official SDKs for Python and Node against the binary
    Sdk,
}

impl Part {
    fn title(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Clippy => "lints",
            Self::Rust => "Rust tests",
            Self::Sdk => "official SDKs against the binary",
        }
    }

    /// Whether it needs servers, interpreters or packages.
    fn needs_peers(self) -> bool {
        matches!(self, Self::Rust | Self::Sdk)
    }

    /// Runs it; `peers` waits until what it needs is there.
    fn run(
        self,
        args: &Args,
        peers: impl FnOnce() -> anyhow::Result<Peers>,
    ) -> anyhow::Result<Tally> {
        match self {
            Self::Fmt => {
                component("rustfmt", "fmt")?;
                Ok(verdict(&shown(&mut cargo(&["fmt", "--all", "--check"]))?))
            }
            Self::Clippy => {
                component("clippy", "clippy")?;
                let lint = [
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ];
                Ok(verdict(&shown(&mut cargo(&lint))?))
            }
            Self::Rust => {
                peers()?;
                rust(args.filter.as_deref())
            }
            Self::Sdk => python::sdk(&peers()?, args.filter.as_deref()),
        }
    }
}

/// Runs the parts; true when nothing failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let chosen = |part: &Part| args.only.is_none_or(|only| only == *part);
    let parts: Vec<Part> = Part::value_variants()
        .iter()
        .copied()
        .filter(chosen)
        .collect();
    // Fetching is mostly waiting, so it goes on beside the first parts, which compile.
    let results: Vec<_> = std::thread::scope(|scope| {
        let fetching = parts
            .iter()
            .any(|part| part.needs_peers())
            .then(|| scope.spawn(peers::fetch));
        let fetched = LazyCell::new(|| fetching.map(ScopedJoinHandle::join));
        let peers = || match &*fetched {
            Some(Ok(Ok(peers))) => Ok(peers.clone()),
            Some(Ok(Err(error))) => Err(anyhow::anyhow!("{error:#}")),
            Some(Err(_)) | None => Err(anyhow::anyhow!("what the tests need was not fetched")),
        };
        let run = |(at, part): (usize, &Part)| {
            say(&format!(
                "\n── {} of {}: {}",
                at + 1,
                parts.len(),
                part.title()
            ));
            let began = Instant::now();
            let tally = part.run(args, peers).unwrap_or_else(|error| {
                say(&format!("error: {error:#}"));
                Tally {
                    passed: 0,
                    failed: 1,
                }
            });
            (part.title(), tally, began.elapsed())
        };
        parts.iter().enumerate().map(run).collect()
    });
    let total = results
        .iter()
        .fold(Tally::default(), |sum, (_, tally, _)| sum.plus(*tally));
    std::io::stdout().write_all(summary(&results, total).as_bytes())?;
    Ok(total.failed == 0)
}

fn summary(results: &[(&str, Tally, Duration)], total: Tally) -> String {
    let line = |(title, tally, took): &(&str, Tally, Duration)| {
        let mark = if tally.failed == 0 {
            "ok    "
        } else {
            "FAILED"
        };
        format!("{mark}  {title}: {tally} in {:.1} s\n", took.as_secs_f64())
    };
    format!(
        "\n{}\n{total}\n",
        results.iter().map(line).collect::<String>()
    )
}

/// A part that is one yes or no.
fn verdict(ran: &Ran) -> Tally {
    Tally {
        passed: usize::from(ran.succeeded),
        failed: usize::from(!ran.succeeded),
    }
}

/// Adds a part of the Rust toolchain when it is missing.
fn component(name: &str, subcommand: &str) -> anyhow::Result<()> {
    if command::quiet(&mut cargo(&[subcommand, "--version"])).is_err() {
        say(&format!("   installing {name}"));
        command::quiet(&mut command::command("rustup", &["component", "add", name]))?;
    }
    Ok(())
}

/// Tests of the workspace, with nextest where it is installed, and documentation tests.
fn rust(filter: Option<&str>) -> anyhow::Result<Tally> {
    let has_nextest = command::quiet(&mut cargo(&["nextest", "--version"])).is_ok();
    let run: &[&str] = if has_nextest {
        &[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--no-tests=pass",
            "--status-level=fail",
        ]
    } else {
        &[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--all-targets",
            "--quiet",
        ]
    };
    let tests = shown(cargo(run).args(filter))?;
    let docs = shown(cargo(&["test", "--workspace", "--doc", "--quiet"]).args(filter))?;
    Ok(tally(&tests).plus(tally(&docs)))
}
