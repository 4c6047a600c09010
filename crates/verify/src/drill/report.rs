//! What came of drills, for a terminal.

use std::fmt::Write as _;

use super::DrillReport;
use crate::outcome::{Outcome, Status};

/// The exit code of drills: 0 when all held, 1 when one did not, 2 when one could not be carried out.
#[must_use]
pub fn exit_code(reports: &[DrillReport]) -> u8 {
    let any = |wanted| {
        reports
            .iter()
            .any(|report| report.outcome.status() == wanted)
    };
    match (any(Status::Fail), any(Status::NotVerified)) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    }
}

/// One drill, with its measures.
#[must_use]
pub fn render(report: &DrillReport, colour: bool) -> String {
    let (symbol, code) = match report.outcome.status() {
        Status::Pass => ("✓", "32"),
        Status::Fail => ("✗", "31"),
        Status::NotVerified => ("?", "33"),
        Status::NotApplicable => ("-", "2"),
    };
    let symbol = if colour {
        format!("\u{1b}[{code}m{symbol}\u{1b}[0m")
    } else {
        symbol.to_owned()
    };
    let drill = report.drill;
    let seconds = report.duration_ms / 1000.0;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{symbol} {:<18} {} ({seconds:.1} s)",
        drill.name, drill.title
    );
    let mut detail = |name: &str, text: &str| {
        let _ = writeln!(out, "      {name:<9} {text}");
    };
    match &report.outcome {
        Outcome::Pass { found } => detail("found", found),
        Outcome::Fail { expected, found } => {
            detail("expected", expected);
            detail("found", found);
            detail("why", drill.why);
        }
        Outcome::NotApplicable { why } => detail("because", why),
        Outcome::NotVerified { missing } => detail("needs", missing),
    }
    for measure in &report.measures {
        let bound = match measure.limit {
            Some(limit) => format!(" (at most {limit})"),
            None => String::new(),
        };
        detail(
            "measured",
            &format!(
                "{}: {} {}{bound}",
                measure.name, measure.value, measure.unit
            ),
        );
    }
    out
}
