//! Writing to the terminal: results on standard output, words for people on standard error. A
//! reader that went away (`| head`) is not an error.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use crate::exit::Failure;

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

/// Writes one line of a result.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    write(format_args!("{text}\n"))
}

/// Writes a result as it is.
pub(crate) fn write(text: impl Display) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes one line for the person at the terminal.
pub(crate) fn note(text: impl Display) {
    // There is nowhere left to report that standard error is gone.
    let _written = writeln!(anstream::stderr(), "{text}");
}

/// Writes a value as indented JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => Err(Failure::of(crate::exit::FAILED, &error)),
    }
}

/// Whether colours are welcome on standard output.
pub(crate) fn colour() -> bool {
    let choice = anstream::AutoStream::choice(&std::io::stdout());
    choice != anstream::ColorChoice::Never && std::io::stdout().is_terminal()
}

/// A table with a heading line, columns as wide as they have to be.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let render = |cells: &[&str]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(render(heading))?;
    for row in rows {
        line(render(&row.iter().map(String::as_str).collect::<Vec<_>>()))?;
    }
    Ok(())
}
