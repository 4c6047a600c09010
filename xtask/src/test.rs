//! `cargo xtask test`: one command that needs nothing but Rust and a C compiler, and runs all.

mod node;
mod python;
mod tally;

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::ValueEnum;

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

    fn run(self, args: &Args) -> anyhow::Result<Tally> {
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
                servers()?;
                rust(args.filter.as_deref())
            }
            Self::Sdk => python::sdk(args.filter.as_deref()),
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
    let mut results = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        say(&format!(
            "\n── {} of {}: {}",
            at + 1,
            parts.len(),
            part.title()
        ));
        let began = Instant::now();
        let tally = part.run(args).unwrap_or_else(|error| {
            say(&format!("error: {error:#}"));
            Tally {
                passed: 0,
                failed: 1,
            }
        });
        results.push((part.title(), tally, began.elapsed()));
    }
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

/// Installs the servers and clients that tests start, on Debian.
pub(crate) fn servers() -> anyhow::Result<()> {
    for client in ["curl", "openssl"] {
        if !command::is_there(client, &["--help"]) {
            command::install(client)?;
        }
    }
    if !command::is_there("redis-server", &["--version"]) {
        command::install("redis-server")?;
    }
    if !std::path::Path::new("/usr/lib/postgresql").is_dir()
        && !command::is_there("initdb", &["--version"])
    {
        command::install("postgresql")?;
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
