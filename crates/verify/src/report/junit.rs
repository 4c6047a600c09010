//! The report as JUnit XML, which every CI shows as tests.

use std::fmt::Write as _;

use super::{CheckResult, Report};
use crate::check::Area;
use crate::outcome::{Outcome, Status};

/// The report as JUnit XML: a suite an area, a case a check. What was not verified is an error and
/// never a skipped test, because skipped looks like fine.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&CheckResult> = report.results.iter().collect();
    // Schemas in use know no skipped tests of all suites together.
    let (sums, _) = numbers(&all);
    let _ = writeln!(out, "<testsuites name=\"seaworthy\" {sums}>");
    for area in Area::ALL {
        let inside: Vec<&CheckResult> = all
            .iter()
            .copied()
            .filter(|r| r.check.areas.first() == Some(&area))
            .collect();
        if inside.is_empty() {
            continue;
        }
        let (sums, skipped) = numbers(&inside);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" timestamp=\"{}\" {sums} skipped=\"{skipped}\">",
            area.name(),
            report.started_at,
        );
        for result in inside {
            case(&mut out, result);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// How many cases there are, and of which ends; and how many were skipped.
fn numbers(results: &[&CheckResult]) -> (String, usize) {
    let count = |status| {
        results
            .iter()
            .filter(|r| r.outcome.status() == status)
            .count()
    };
    let seconds: f64 = results.iter().map(|r| r.duration_ms / 1000.0).sum();
    let sums = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\"",
        results.len(),
        count(Status::Fail),
        count(Status::NotVerified),
    );
    (sums, count(Status::NotApplicable))
}

fn case(out: &mut String, result: &CheckResult) {
    let check = result.check;
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        check.id,
        escape(check.title),
        result.duration_ms / 1000.0
    );
    let inner = match &result.outcome {
        Outcome::Pass { .. } => {
            out.push_str("/>\n");
            return;
        }
        Outcome::Fail { expected, found } => format!(
            "<failure type=\"{}\" message=\"{}\">{}</failure>",
            check.severity.name(),
            escape(&format!("expected {expected}")),
            escape(&format!("found {found}\n{}", check.remedy))
        ),
        Outcome::NotVerified { missing } => {
            format!(
                "<error type=\"not verified\" message=\"needs {}\"/>",
                escape(missing)
            )
        }
        Outcome::NotApplicable { why } => format!("<skipped message=\"{}\"/>", escape(why)),
    };
    let _ = writeln!(out, ">\n      {inner}\n    </testcase>");
}

/// Text for XML and HTML; characters that XML forbids become a replacement.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
