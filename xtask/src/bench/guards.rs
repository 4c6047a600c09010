//! The guards and the sandbox against their bars: what they find and miss, what they cost, what gets out.

use std::path::PathBuf;

use crate::bench::machine;
use crate::command::{cargo, say, shown};

/// Options of `cargo xtask bench guards`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders with other people's code, in which secrets must not be seen; by default the sources of
    /// the dependencies
    #[arg(long, value_name = "FOLDER")]
    code: Vec<PathBuf>,
    /// How many plants go through the gateway
    #[arg(long, default_value_t = 10_000)]
    plants: usize,
    /// Only what the guards alone do, without gateway and sandbox
    #[arg(long)]
    alone: bool,
}

/// Measures, prints the tables; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    say(&machine::description());
    if std::env::var_os("SEAWORTHY_CORPORA").is_none() {
        say("SEAWORTHY_CORPORA names no folder of corpora: what needs one is left out.");
    }
    let mut bench = cargo(&[
        "run",
        "--release",
        "--package",
        "seaworthy-guard",
        "--example",
        "guards",
        "--",
    ]);
    bench.args(match args.code.is_empty() {
        true => dependencies(),
        false => args.code.clone(),
    });
    let mut kept = shown(&mut bench)?.succeeded;
    if args.alone {
        return Ok(kept);
    }
    say("── plants and forbidden calls through the gateway, in every dialect");
    let mut plants = test("seaworthy-gateway", "guards_flood");
    plants.env("SEAWORTHY_TEST_CASES", args.plants.to_string());
    kept &= shown(&mut plants)?.succeeded;
    say("── escapes from the sandbox");
    kept &= shown(&mut test("seaworthy-sandbox", ""))?.succeeded;
    Ok(kept)
}

/// Tests of a crate, which print what they counted.
fn test(package: &str, filter: &str) -> std::process::Command {
    cargo(&[
        "test",
        "--package",
        package,
        "--test",
        "it",
        filter,
        "--",
        "--nocapture",
    ])
}

/// Where cargo keeps the sources of what the project depends on.
fn dependencies() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let default = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let sources = home.or_else(default).map(|home| home.join("registry/src"));
    sources
        .filter(|folder| folder.is_dir())
        .into_iter()
        .collect()
}
