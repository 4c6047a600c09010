//! A crowd of clients: many that ask at a constant rate whatever becomes of them, or that are slow on
//! purpose. Prints one JSON object.
//!
//! - `load`: an open loop. Each request is sent when it is due, on a connection that is free or on a new
//!   one, and given up after the caller's patience. Beside it, probes ask for the gateway's health.
//! - `slow`: connections that read an answer, or send a request, a few bytes a second.

mod http;
mod load;
mod slow;

use std::io::Write as _;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A crowd of clients; prints one JSON object.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Requests at a constant rate
    Load(load::Args),
    /// Clients that read or send a few bytes a second
    Slow(slow::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // Each connection is a descriptor.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        match args.kind {
            Kind::Load(args) => load::run(args).await,
            Kind::Slow(args) => slow::run(args).await,
        }
    })?;
    Ok(writeln!(std::io::stdout(), "{report}")?)
}
