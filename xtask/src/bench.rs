//! `cargo xtask bench`: what the project claims, measured; one file or folder a suite.
//!
//! Every suite prints its figures with their limits and on which machine they were measured, and is
//! false when a limit is not kept. Ratios within one run, CPU time or counts; never bare seconds.

mod guards;
mod machine;
mod money;
mod overload;
mod proxy;
mod verify;

/// Options of `cargo xtask bench`
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub(crate) struct Args {
    #[command(subcommand)]
    suite: Option<Suite>,
    /// Of the proxy suite, which runs when none is named
    #[command(flatten)]
    proxy: proxy::Args,
}

#[derive(clap::Subcommand)]
enum Suite {
    /// Chat completions passed through, whole and streamed, beside a bare hyper proxy and nginx
    Proxy(proxy::Args),
    /// Budgets and the ledger under load, kills and outages
    Money(money::Args),
    /// Failing and silent providers, three times too much work, slow clients, remembered answers
    Overload(overload::Args),
    /// The verifier: a large repository, a full run, what its tests break and match
    Verify(verify::Args),
    /// Guards and sandbox: what they find and miss, what they cost, what gets out
    Guards(guards::Args),
}

/// Measures, prints the tables; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    match &args.suite {
        None => proxy::run(&args.proxy),
        Some(Suite::Proxy(args)) => proxy::run(args),
        Some(Suite::Money(args)) => money::run(args),
        Some(Suite::Overload(args)) => overload::run(args),
        Some(Suite::Guards(args)) => guards::run(args),
        Some(Suite::Verify(args)) => verify::run(args),
    }
}
