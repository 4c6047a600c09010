//! The report as Markdown, for a pull request or a wiki.

use std::fmt::Write as _;

use super::{CheckResult, Report, risks};
use crate::check::Area;
use crate::outcome::{Outcome, Status};

/// The report as Markdown: the verdict, the counts, and every check under its area.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "# Readiness of {}\n\n**{}**",
        cell(&report.subject.url),
        report.verdict.words()
    );
    if !report.reasons.is_empty() {
        let _ = write!(out, ": {}", report.reasons.join(", "));
    }
    let _ = writeln!(
        out,
        "\n\n{} · {} checks\n",
        report.started_at,
        report.results.len()
    );
    out.push_str("| status | checks |\n|---|---|\n");
    let counts = report.counts();
    for (name, n) in [
        ("passed", counts.pass),
        ("failed", counts.fail),
        ("not verified", counts.not_verified),
        ("not applicable", counts.not_applicable),
    ] {
        let _ = writeln!(out, "| {name} | {n} |");
    }
    for area in Area::ALL {
        let inside = report
            .results
            .iter()
            .filter(|r| r.check.areas.first() == Some(&area));
        let rows: Vec<String> = inside.map(row).collect();
        if !rows.is_empty() {
            let _ = write!(
                out,
                "\n## {}\n\n| | check | severity | result |\n|---|---|---|---|\n{}",
                area.name(),
                rows.concat()
            );
        }
    }
    for judged in &report.checklists {
        let _ = writeln!(
            out,
            "\n## {}\n\n**{}**\n",
            cell(&judged.name),
            judged.verdict.words()
        );
        out.push_str("| line | item | status | requirements |\n|---|---|---|---|\n");
        for item in &judged.items {
            let ids: Vec<String> = item.answers.iter().map(|a| format!("`{}`", a.id)).collect();
            let ids = ids.join(" ").replace("``", "a person");
            let status = item.status.name();
            let _ = writeln!(
                out,
                "| {} | {} | {status} | {ids} |",
                item.line,
                cell(&item.text)
            );
        }
    }
    closing(&mut out, report);
    out
}

/// The register of risks and the table of signatures.
fn closing(out: &mut String, report: &Report) {
    let risks = risks::risks(report);
    if !risks.is_empty() {
        out.push_str("\n## Risks\n\n| severity | risk | state | mitigation | owner |\n|---|---|---|---|---|\n");
    }
    for risk in risks {
        let _ = writeln!(
            out,
            "| {} | {} `{}` | {} | {} | {} |",
            risk.severity.name(),
            cell(&risk.title),
            risk.id,
            risk.status,
            cell(&risk.mitigation),
            cell(&risk.owner)
        );
    }
    out.push_str("\n## Sign-off\n\n| role | name | counts until |\n|---|---|---|\n");
    for line in risks::sign_offs(report) {
        let (name, until) = line.signed.unwrap_or_default();
        let _ = writeln!(out, "| {} | {} | {until} |", line.role, cell(&name));
    }
}

fn row(result: &CheckResult) -> String {
    let (sign, words) = match &result.outcome {
        Outcome::Pass { found } => ("✅", cell(found)),
        Outcome::Fail { expected, found } => (
            "❌",
            format!(
                "expected {}; found {}. {}",
                cell(expected),
                cell(found),
                result.check.remedy
            ),
        ),
        Outcome::NotVerified { missing } => {
            ("❔", format!("not verified: needs {}", cell(missing)))
        }
        Outcome::NotApplicable { why } => ("➖", format!("not applicable: {}", cell(why))),
    };
    let check = result.check;
    let weight = match result.outcome.status() {
        Status::Fail => format!("**{}**", check.severity.name()),
        _ => check.severity.name().to_owned(),
    };
    format!(
        "| {sign} | {}<br>`{}` | {weight} | {words} |\n",
        check.title, check.id
    )
}

/// Text from outside, made safe for a cell: no markup, no new line, no column.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(400) {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
