//! The checklists of `seaworthy check`: read before the run, judged after it, written back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seaworthy_verify::checklist::document::{Document, MAX_BYTES};
use seaworthy_verify::checklist::{Basis, Judge, Understood, write_back_bytes};
use seaworthy_verify::decisions::Decisions;
use seaworthy_verify::{Report, Requirements};

use super::super::decide;
use crate::exit::{self, Failure};
use crate::output;

/// A checklist that was read.
pub(super) struct Checklist {
    name: String,
    understood: Understood,
}

/// Reads every checklist, so that a wrong path stops the run before it begins.
pub(super) fn read(paths: &[PathBuf], output: Option<&Path>) -> Result<Vec<Checklist>, Failure> {
    if output.is_some() && paths.len() > 1 {
        return Err(Failure::new(
            exit::USAGE,
            "--output takes one checklist; use --write for several",
        ));
    }
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let requirements = decide::requirements()?;
    let judge = Judge::new(&requirements);
    let each = paths.iter().map(|path| read_one(path, &judge));
    each.collect()
}

fn read_one(path: &Path, judge: &Judge<'_>) -> Result<Checklist, Failure> {
    let name = path.display().to_string();
    let wrong = |why: String| Failure::new(exit::USAGE, format!("{name}: {why}"));
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > MAX_BYTES as u64 {
        return Err(wrong(format!(
            "{size} bytes are more than the {MAX_BYTES} that are read"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let document = Document::read_bytes(&bytes);
    if document.items.is_empty() {
        return Err(wrong(
            "no items; expected a list or a table in Markdown".to_owned(),
        ));
    }
    let understood = judge.understand(document);
    Ok(Checklist { name, understood })
}

/// The checks that the checklists ask for.
pub(super) fn asks(lists: &[Checklist], requirements: &Requirements) -> BTreeSet<String> {
    if lists.is_empty() {
        return BTreeSet::new();
    }
    let judge = Judge::new(requirements);
    let each = lists.iter().flat_map(|list| judge.asks(&list.understood));
    each.collect()
}

/// Judges the checklists by the run, and tells which decisions did nothing.
pub(super) fn judge(
    lists: Vec<Checklist>,
    report: &mut Report,
    decisions: &Decisions,
) -> Result<(), Failure> {
    let (requirements, today) = (decide::requirements()?, decide::today());
    for idle in decisions.idle(&requirements, today) {
        output::note(format_args!("seaworthy: {idle}"));
    }
    if lists.is_empty() {
        return Ok(());
    }
    let judge = Judge::new(&requirements);
    for list in lists {
        let basis = Basis {
            report,
            decisions,
            today,
        };
        let judged = judge.judge(&list.name, list.understood, basis);
        report.checklists.push(judged);
    }
    Ok(())
}

/// Writes each judged checklist to its own file, or the only one to `output`.
pub(super) fn write(
    report: &Report,
    paths: &[PathBuf],
    output: Option<&Path>,
) -> Result<(), Failure> {
    for (judged, path) in report.checklists.iter().zip(paths) {
        let path = output.unwrap_or(path);
        std::fs::write(path, write_back_bytes(judged)).map_err(|error| {
            Failure::new(
                exit::USAGE,
                format!("{} cannot be written: {error}", path.display()),
            )
        })?;
    }
    Ok(())
}
