//! `seaworthy config`: validate, show, compare and describe configurations.

use std::path::{Path, PathBuf};

use seaworthy_config::Format;
use serde_json::json;

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check a file and report everything that is wrong with it, by line and column.
    Validate {
        #[command(flatten)]
        config: ConfigArgument,
        /// The file, if not given by --config.
        file: Option<PathBuf>,
        /// The form to print.
        #[arg(long, value_enum, default_value_t = output::Format::Pretty)]
        format: output::Format,
    },
    /// Print the effective configuration: the file with defaults and environment, secrets redacted.
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// The file, if not given by --config.
        file: Option<PathBuf>,
        /// The form to print.
        #[arg(long, value_enum, default_value_t = Form::Toml)]
        format: Form,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print the reference of all options as Markdown.
    Reference,
    /// Print what differs between two files.
    Diff {
        /// The old file.
        old: PathBuf,
        /// The new file.
        new: PathBuf,
        /// The form to print.
        #[arg(long, value_enum, default_value_t = output::Format::Pretty)]
        format: output::Format,
    },
}

/// The form of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    Toml,
    Yaml,
    Json,
}

pub(super) fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Validate {
            config,
            file,
            format,
        } => {
            let path = file.or(config.config).ok_or_else(|| {
                Failure::new(exit::USAGE, "name a file: `seaworthy config validate FILE`")
            })?;
            if format == output::Format::Json {
                return validate_as_json(&path);
            }
            let loaded = app::load(Some(&path), &app::environment())?;
            seaworthy_gateway::check_guards(&loaded.config)
                .map_err(|error| Failure::of(exit::CONFIG, &error))?;
            if !loaded.warnings.is_empty() {
                output::note(loaded.warnings.render(output::colour()));
            }
            output::line(format_args!(
                "{} is valid (hash {})",
                path.display(),
                loaded.hash
            ))?;
        }
        Command::Show {
            config,
            file,
            format,
        } => {
            let path = file.or(config.config);
            let loaded = app::load(path.as_deref(), &app::environment())?;
            match format {
                Form::Toml => output::write(seaworthy_config::show(&loaded.config, Format::Toml))?,
                Form::Yaml => output::write(seaworthy_config::show(&loaded.config, Format::Yaml))?,
                Form::Json => output::json(&*loaded.config)?,
            }
        }
        Command::Schema => output::json(&seaworthy_config::schema())?,
        Command::Reference => output::write(seaworthy_config::reference())?,
        Command::Diff { old, new, format } => {
            let load = |path: &PathBuf| app::load(Some(path), &app::environment());
            let changes = seaworthy_config::diff(&load(&old)?.config, &load(&new)?.config);
            if format == output::Format::Json {
                output::json(&changes)?;
                return Ok(exit::OK);
            }
            for change in changes {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "(unset)".to_owned());
                output::line(format_args!(
                    "{}: {} -> {}",
                    change.key,
                    shown(change.old),
                    shown(change.new)
                ))?;
            }
        }
    }
    Ok(exit::OK)
}

/// What is wrong with a file, for programs.
fn validate_as_json(path: &Path) -> Result<u8, Failure> {
    let loaded = seaworthy_config::load(path, &app::environment());
    let (hash, problems, guards) = match loaded {
        Ok(loaded) => {
            let guards = seaworthy_gateway::check_guards(&loaded.config).err();
            (Some(loaded.hash), loaded.warnings, guards)
        }
        Err(problems) => (None, problems, None),
    };
    let is_valid = hash.is_some() && guards.is_none();
    output::json(&json!({
        "file": path,
        "valid": is_valid,
        "hash": hash.filter(|_| is_valid),
        "problems": problems,
        "error": guards.map(|error| Failure::of(exit::CONFIG, &error).message),
    }))?;
    Ok(if is_valid { exit::OK } else { exit::CONFIG })
}
