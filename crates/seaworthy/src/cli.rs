//! The command line: one file a command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::exit::Failure;
use crate::output;

mod backup;
mod check;
mod config;
mod decide;
mod drill;
mod fake_provider;
mod health;
mod init;
pub(crate) mod keys;
mod migrate;
mod sandbox;
mod switch;
mod usage;

/// Runs AI agents in production and proves that they are ready.
#[derive(Debug, Parser)]
#[command(name = "seaworthy", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The configuration that a command works with.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgument {
    /// The configuration file (TOML or YAML); without it, the built-in defaults.
    #[arg(long, value_name = "FILE", env = "SEAWORTHY_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway. SIGTERM drains, SIGHUP or a changed file reloads the configuration.
    Serve {
        #[command(flatten)]
        config: ConfigArgument,
        /// The address to listen on, instead of `server.listen`.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Write a commented configuration to start from.
    Init(init::Arguments),
    /// Judge a running instance, with evidence. Exits with 0 (ready), 1 (not ready) or 2 (could
    /// not run).
    Check(Box<check::Arguments>),
    /// Rehearse faults on purpose: outages, kills, restores, load. Exits with 0 (all held), 1 (one did
    /// not) or 2 (one could not be carried out).
    Drill(Box<drill::Arguments>),
    /// Say by name, until a day, that something holds which no check can see.
    Attest(decide::Attest),
    /// Accept by name, until a day, that something does not hold.
    Waive(decide::Waive),
    /// Sign for a role.
    Sign(decide::Sign),
    /// Validate, show, compare and describe configurations.
    #[command(subcommand)]
    Config(config::Command),
    /// Create, list, rotate and revoke API keys.
    Keys(keys::Arguments),
    /// Choose a degradation tier, or let go of it.
    Tier(switch::TierArguments),
    /// List and switch features.
    Features(switch::FeatureArguments),
    /// Show what was used.
    Usage(usage::Arguments),
    /// Run code in the sandbox, or see whether it can be run here.
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Copy everything that is kept into a folder, while the gateway serves.
    Backup(backup::BackupArguments),
    /// Bring a backup back. The gateway must not run.
    Restore(backup::RestoreArguments),
    /// Bring the schema of the store up to date, while replicas serve. Exits with 0 (it is), 1 (with
    /// `--plan`: steps are missing) or 69 (the store cannot be used).
    Migrate(migrate::Arguments),
    /// Play OpenAI and Anthropic, with exact usage and faults on command.
    FakeProvider(fake_provider::Arguments),
    /// Ask a running instance for its health: exits with 0 when it is well.
    Health(health::Arguments),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    // Before anything else: a worker must have one thread and hold nothing.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == crate::app::SANDBOX_WORKER)
    {
        return seaworthy_sandbox::worker::run();
    }
    match dispatch(Arguments::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::note(format_args!("seaworthy: {}", failure.message));
            ExitCode::from(&failure)
        }
    }
}

fn dispatch(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Serve { config, listen } => crate::serve::run(config.config, listen)?,
        Command::Init(arguments) => init::run(&arguments)?,
        Command::Check(arguments) => return check::run(*arguments),
        Command::Drill(arguments) => return drill::run(*arguments),
        Command::Attest(arguments) => decide::attest(arguments)?,
        Command::Waive(arguments) => decide::waive(arguments)?,
        Command::Sign(arguments) => decide::sign(arguments)?,
        Command::Config(command) => return config::run(command),
        Command::Keys(arguments) => keys::run(arguments)?,
        Command::Tier(arguments) => switch::run_tier(arguments)?,
        Command::Features(arguments) => switch::run_features(arguments)?,
        Command::Usage(arguments) => return usage::run(&arguments),
        Command::Sandbox(command) => return sandbox::run(command),
        Command::Backup(arguments) => backup::back_up(&arguments)?,
        Command::Restore(arguments) => backup::restore(&arguments)?,
        Command::Migrate(arguments) => return migrate::run(&arguments),
        Command::FakeProvider(arguments) => fake_provider::run(arguments)?,
        Command::Health(arguments) => return health::run(&arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "seaworthy", &mut script);
            output::write(String::from_utf8_lossy(&script))?;
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            output::write(String::from_utf8_lossy(&page))?;
        }
    }
    Ok(crate::exit::OK)
}

/// Runs a future of a short command.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
