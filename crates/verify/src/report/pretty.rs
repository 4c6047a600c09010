//! The report for a terminal: one line a check, grouped, with details where something is wrong.

use std::fmt::Write;

use super::{CheckResult, Counts, Report, Verdict};
use crate::check::{Area, Severity};
use crate::evidence::{Action, Evidence};
use crate::outcome::{Outcome, Status};

mod checklist;

/// How the report looks; whether colours are welcome is for the caller to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Use ANSI colours.
    pub colour: bool,
    /// Show what was found and the evidence for every check, not only for failed ones.
    pub details: bool,
}

/// The report as text.
#[must_use]
pub fn render(report: &Report, style: Style) -> String {
    let mut out = String::new();
    let subject = &report.subject;
    let version = subject.version.as_deref().unwrap_or("version unknown");
    line(
        &mut out,
        &format!("Readiness of {} ({version})", subject.url),
    );
    for area in Area::ALL {
        let results = report
            .results
            .iter()
            .filter(|r| r.check.areas.first() == Some(&area));
        let results: Vec<_> = results.collect();
        if results.is_empty() {
            continue;
        }
        let counts = super::count(results.iter().copied());
        line(&mut out, "");
        let heading = paint(area.name(), "1", style);
        line(&mut out, &format!("{heading}  {}", count_words(counts)));
        for result in results {
            out.push_str(&item(result, style));
        }
    }
    out.push_str(&summary(report, style));
    for judged in &report.checklists {
        out.push_str(&checklist::render(judged, style));
    }
    out
}

fn item(result: &CheckResult, style: Style) -> String {
    let check = result.check;
    let (symbol, colour) = symbol(result.outcome.status());
    let severity = match result.outcome.status() {
        Status::Fail | Status::NotVerified => format!(" [{}]", check.severity.name()),
        Status::Pass | Status::NotApplicable => String::new(),
    };
    let mut out = String::new();
    let head = format!("  {} {:<36}", paint(symbol, colour, style), check.id);
    let tail = match &result.outcome {
        Outcome::Pass { .. } | Outcome::Fail { .. } => String::new(),
        Outcome::NotApplicable { why } => format!(": {why}"),
        Outcome::NotVerified { missing } => format!(": needs {missing}"),
    };
    line(
        &mut out,
        &format!(
            "{head} {}{severity}{}",
            check.title,
            paint(&tail, "2", style)
        ),
    );
    let mut detail = |name: &str, text: &str| line(&mut out, &format!("      {name:<9} {text}"));
    match &result.outcome {
        Outcome::Fail { expected, found } => {
            detail("expected", expected);
            detail("found", found);
            detail("why", check.why);
            detail("to do", check.remedy);
        }
        Outcome::Pass { found } if style.details => detail("found", found),
        _ => {}
    }
    let shown = match (result.outcome.status(), style.details) {
        (_, true) => result.evidence.len(),
        (Status::Fail, false) => 2,
        _ => 0,
    };
    for evidence in result.evidence.iter().rev().take(shown).rev() {
        detail("evidence", &evidence_words(evidence));
    }
    out
}

/// One exchange on one line.
fn evidence_words(evidence: &Evidence) -> String {
    let action = match &evidence.action {
        Action::Request { method, path, .. } => format!("{method} {path}"),
        Action::Raw { sent } => sent.clone(),
        Action::Command { argv } => argv.join(" "),
        Action::Wait { until } => format!("waited until {until}"),
        Action::Signal { name } => name.clone(),
        Action::Load { what } => what.clone(),
        Action::Read { path, line } => format!("{path}:{line}"),
    };
    let observed = &evidence.observed;
    let mut words = match (&observed.error, observed.status) {
        (Some(error), _) => format!("{action} → {error}"),
        (None, Some(status)) => format!("{action} → {status}"),
        (None, None) => action,
    };
    if !observed.excerpt.is_empty() {
        let _ = write!(words, " {}", observed.excerpt);
    }
    let _ = write!(words, " ({} ms)", evidence.duration_ms);
    words
}

fn summary(report: &Report, style: Style) -> String {
    let mut out = String::new();
    line(&mut out, "");
    for severity in Severity::ALL {
        let counts = count_words(report.counts_of(severity));
        line(&mut out, &format!("  {:<9} {counts}", severity.name()));
    }
    let total = report.results.len();
    let seconds = report.duration_ms / 1000.0;
    line(
        &mut out,
        &format!("  {:<9} {} ({total} checks in {seconds:.1} s)", "all", {
            count_words(report.counts())
        }),
    );
    line(&mut out, "");
    let colour = match report.verdict {
        Verdict::Ready => "1;32",
        Verdict::ReadyWithRisks => "1;33",
        Verdict::NotReady => "1;31",
    };
    let words = paint(report.verdict.words(), colour, style);
    if report.reasons.is_empty() {
        line(&mut out, &words);
    } else {
        line(&mut out, &format!("{words}: {}", report.reasons.join(", ")));
    }
    out
}

/// Counts with every part named, so that what is unknown never hides in a total.
fn count_words(counts: Counts) -> String {
    let parts = [
        (counts.pass, "passed"),
        (counts.fail, "failed"),
        (counts.not_verified, "not verified"),
        (counts.not_applicable, "not applicable"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

fn symbol(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Pass => ("✓", "32"),
        Status::Fail => ("✗", "31"),
        Status::NotVerified => ("?", "33"),
        Status::NotApplicable => ("-", "2"),
    }
}

fn paint(text: &str, code: &str, style: Style) -> String {
    if style.colour && !text.is_empty() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}
