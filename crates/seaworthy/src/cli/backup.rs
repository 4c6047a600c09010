//! `seaworthy backup` and `seaworthy restore`: everything that is kept, into a folder and back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use seaworthy_store::backup::{self, BackupError, Manifest};
use serde_json::json;

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The folder to write, which must not exist yet.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The folder that `backup` has written.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Move a database aside that is there already, and keep it beside the restored one.
    #[arg(long)]
    replace: bool,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

pub(super) fn back_up(arguments: &BackupArguments) -> Result<(), Failure> {
    let url = store_url(&arguments.config)?;
    let (folder, began) = (&arguments.output, Instant::now());
    let bar = busy("copying the database and checking the copy");
    let made = backup::back_up(&url, folder, app::VERSION, &*app::clock());
    bar.finish_and_clear();
    let made = made.map_err(|error| failure(&error))?;
    match arguments.format {
        Format::Json => output::json(&json!({
            "folder": folder,
            "took_ms": millis(began.elapsed()),
            "bytes": made.bytes(),
            "backup": made,
        })),
        Format::Pretty => {
            output::line(format_args!(
                "Backed up to {}: {}.",
                folder.display(),
                contents(&made)
            ))?;
            output::line(format_args!(
                "Bring it back with `seaworthy restore --from {}`.",
                folder.display()
            ))
        }
    }
}

pub(super) fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let url = store_url(&arguments.config)?;
    let began = Instant::now();
    let bar = busy("checking the backup and copying it");
    let restored = backup::restore(&arguments.from, &url, arguments.replace, &*app::clock());
    bar.finish_and_clear();
    let restored = restored.map_err(|error| failure(&error))?;
    match arguments.format {
        Format::Json => output::json(&json!({
            "database": restored.database,
            "moved_to": restored.moved_to,
            "took_ms": millis(began.elapsed()),
            "bytes": restored.manifest.bytes(),
            "backup": restored.manifest,
        })),
        Format::Pretty => {
            let database = restored.database.display();
            let contents = contents(&restored.manifest);
            output::line(format_args!("Restored {database}: {contents}."))?;
            if let Some(moved_to) = &restored.moved_to {
                output::line(format_args!(
                    "What was there is now {}.",
                    moved_to.display()
                ))?;
            }
            output::line("Calls that were open are settled when the gateway starts.")
        }
    }
}

fn store_url(config: &ConfigArgument) -> Result<String, Failure> {
    let loaded = app::load(config.config.as_deref(), &app::environment())?;
    Ok(loaded.config.storage.url.to_string())
}

fn contents(manifest: &Manifest) -> String {
    let Manifest {
        settlements, keys, ..
    } = manifest;
    let journals = manifest.files.len().saturating_sub(1);
    let kib = manifest.bytes().div_ceil(1024);
    format!("{settlements} settled calls, {keys} keys, {journals} files of the journal, {kib} KiB")
}

/// A sign of life on a terminal, for what takes its time.
pub(super) fn busy(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A command line that asks for the impossible, or something that went wrong.
fn failure(error: &BackupError) -> Failure {
    let code = match error {
        BackupError::NotAFile { .. }
        | BackupError::Occupied(_)
        | BackupError::WouldReplace(_)
        | BackupError::NoBackup { .. } => exit::USAGE,
        BackupError::InUse(_) | BackupError::Open(_) | BackupError::NoDatabase(_) => {
            exit::UNAVAILABLE
        }
        _ => exit::FAILED,
    };
    Failure::of(code, error)
}
