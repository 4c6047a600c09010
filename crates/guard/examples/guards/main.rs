//! Measures the guards against their bars: `SEAWORTHY_CORPORA=DIR guards [FOLDER OF CODE …]`.
//!
//! `SEAWORTHY_TEXTS=DIR` counts the texts of own files, lines of `{"text": …, "label": 1 for an attack}`.
//! What needs a corpus is left out without `SEAWORTHY_CORPORA` and said to be; everything else is made
//! here, from fixed seeds. `cargo xtask bench guards` builds and calls this.
#![expect(clippy::print_stdout, reason = "a report for a person")]

mod cost;
mod injection;
mod pii;
mod report;
mod secrets;
mod streams;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let corpora = std::env::var_os("SEAWORTHY_CORPORA").map(PathBuf::from);
    let code: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut report = Report::default();
    match &corpora {
        Some(folder) => {
            injection::measure(folder, &mut report)?;
            pii::measure(folder, &mut report)?;
        }
        None => {
            println!("Not measured: injections and personal data, which need SEAWORTHY_CORPORA.\n")
        }
    }
    if let Some(folder) = std::env::var_os("SEAWORTHY_TEXTS") {
        injection::measure_own(folder.as_ref(), &mut report)?;
    }
    secrets::measure(&code, corpora.as_deref(), &mut report)?;
    streams::measure(&mut report)?;
    cost::measure(&mut report)?;
    report.print();
    Ok(match report.is_kept() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
