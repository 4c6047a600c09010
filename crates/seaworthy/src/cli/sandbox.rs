//! `seaworthy sandbox`: code in the sandbox from the command line, with the defaults of the gateway.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use seaworthy_config::Sandbox;
use seaworthy_sandbox::{Exit, Job, Language, LaunchError, Limits, Outcome};
use serde_json::json;

use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Run a file of JavaScript. What it is given on standard input it finds in `stdin`, further
    /// arguments in `args`. Exits with 0 when it ran to its end, and 1 otherwise.
    Run {
        /// The file.
        file: PathBuf,
        /// What the code finds in `args`.
        arguments: Vec<String>,
        /// How the outcome is shown.
        #[arg(long, value_enum, default_value = "pretty")]
        format: Format,
    },
    /// See whether this system has what the sandbox needs. Exits with 69 when it has not.
    Check {
        /// The form to print.
        #[arg(long, value_enum, default_value = "pretty")]
        format: Format,
    },
}

pub(super) fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run {
            file,
            arguments,
            format,
        } => {
            let code = std::fs::read_to_string(&file).map_err(|error| {
                Failure::new(exit::USAGE, format!("{}: {error}", file.display()))
            })?;
            let outcome = execute(code, input()?, arguments)?;
            match format {
                Format::Json => output::json(&json!({
                    "exit": outcome.exit,
                    "result": outcome.result,
                    "error": outcome.error,
                    "stdout": outcome.stdout,
                    "stderr": outcome.stderr,
                    "usage": {
                        "cpu_ms": outcome.cpu_ms,
                        "memory_bytes": outcome.memory_bytes,
                        "wall_ms": outcome.wall_ms,
                    },
                }))?,
                Format::Pretty => show(&outcome)?,
            }
            Ok(match outcome.exit {
                Exit::Completed => exit::OK,
                _ => exit::FAILED,
            })
        }
        Command::Check { format } => {
            let tried = execute("0".to_owned(), String::new(), Vec::new());
            match format {
                Format::Json => {
                    let why = tried.as_ref().err().map(|failure| &failure.message);
                    output::json(&json!({"usable": tried.is_ok(), "error": why}))?;
                }
                Format::Pretty if tried.is_ok() => {
                    output::line("Code can be run here, apart from everything.")?;
                }
                Format::Pretty => {}
            }
            tried.map(|_| exit::OK)
        }
    }
}

/// Standard input, unless a person sits there.
fn input() -> Result<String, Failure> {
    let mut text = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_string(&mut text)?;
    }
    Ok(text)
}

fn execute(code: String, stdin: String, arguments: Vec<String>) -> Result<Outcome, Failure> {
    let most = Sandbox::default();
    let millis =
        |length: std::time::Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let job = Job {
        language: Language::JavaScript,
        code,
        stdin,
        arguments,
        limits: Limits {
            cpu_ms: millis(most.max_cpu_time.into()),
            wall_ms: millis(most.max_time.into()),
            memory_bytes: most.max_memory.bytes(),
            output_bytes: most.max_output.bytes(),
        },
    };
    let failed = |error: LaunchError| Failure::of(exit::UNAVAILABLE, &error);
    super::block_on(async { app::launcher().run(&job).await.map_err(failed) })
}

fn show(outcome: &Outcome) -> Result<(), Failure> {
    output::write(&outcome.stdout)?;
    if !outcome.stderr.is_empty() {
        output::note(outcome.stderr.trim_end());
    }
    if let Some(result) = &outcome.result {
        output::line(result.get())?;
    }
    match (&outcome.error, outcome.exit) {
        (Some(error), _) => output::note(format_args!("{}: {}", error.name, error.message)),
        (None, Exit::Completed) => {}
        (None, exit) => output::note(format_args!("The run ended: {}.", exit.as_str())),
    }
    Ok(())
}
