//! `seaworthy init`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to write it.
    #[arg(long, short, value_name = "FILE", default_value = "seaworthy.toml")]
    output: PathBuf,
    /// Replace a file that exists already.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.output;
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    if arguments.force {
        options.truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(seaworthy_config::starting_config().as_bytes()));
    match written {
        Ok(()) => output::line(format_args!(
            "Wrote {0}. Run it with `seaworthy serve --config {0}`.",
            path.display()
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::new(
            exit::FAILED,
            format!("{} exists already; --force replaces it", path.display()),
        )),
        Err(error) => Err(Failure::new(
            exit::FAILED,
            format!("{} cannot be written: {error}", path.display()),
        )),
    }
}
