//! The report as one HTML file that needs nothing else: charts, filter, folded evidence, printable.

use std::fmt::Write as _;

use serde_json::Value;

use super::junit::escape;
use super::{CheckResult, Report, risks};
use crate::check::Area;
use crate::checklist::{ItemStatus, Judged, JudgedItem};
use crate::outcome::{Outcome, Status};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/filter.js");

/// The statuses of charts and filters: class, name.
const STATUSES: [(&str, &str); 6] = [
    ("pass", "pass"),
    ("fail", "fail"),
    ("attested", "attested"),
    ("waived", "waived"),
    ("na", "not applicable"),
    ("unknown", "not verified"),
];

/// The report as HTML. Everything that came from outside is escaped.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let subject = escape(&report.subject.url);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Readiness of {subject}</title>\n<style>{STYLE}</style></head><body>\n\
         <header><h1>Readiness of {subject}</h1>\n<p class=\"verdict {:?}\">{}</p>\n<p>{}</p>\n\
         <p class=\"quiet\">{} · {} checks in {:.1} s · profile {} · seaworthy {}<br>\
         configuration {} · evidence <code>{}</code></p></header>\n",
        report.verdict,
        report.verdict.words(),
        escape(&report.reasons.join(", ")),
        report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        report.results.len(),
        report.duration_ms / 1000.0,
        report.profile,
        env!("CARGO_PKG_VERSION"),
        escape(report.subject.config_hash.as_deref().unwrap_or("unknown")),
        super::seal::transcript(report),
    );
    filter(&mut out);
    charts(&mut out, report);
    for area in Area::ALL {
        let inside = report
            .results
            .iter()
            .filter(|r| r.check.areas.first() == Some(&area));
        // What needs somebody comes first; sorting keeps the order otherwise.
        let mut inside: Vec<_> = inside.collect();
        inside.sort_by_key(|r| (urgency(r.outcome.status()), r.check.severity));
        let rows: Vec<String> = inside.into_iter().map(check).collect();
        if !rows.is_empty() {
            let _ = writeln!(
                out,
                "<section><h2>{}</h2>{}</section>",
                area.name(),
                rows.concat()
            );
        }
    }
    for judged in &report.checklists {
        checklist(&mut out, judged);
    }
    closing(&mut out, report);
    let _ = writeln!(out, "<script>{SCRIPT}</script></body></html>");
    out
}

/// What is read first: failures, then what nobody knows.
const fn urgency(status: Status) -> u8 {
    match status {
        Status::Fail => 0,
        Status::NotVerified => 1,
        Status::Pass => 2,
        Status::NotApplicable => 3,
    }
}

/// The register of risks and the table of signatures.
fn closing(out: &mut String, report: &Report) {
    let risks = risks::risks(report);
    let _ = writeln!(out, "<section><h2>Risks: {}</h2>", risks.len());
    if !risks.is_empty() {
        out.push_str(
            "<div class=\"wide\"><table><tr><th>Severity</th><th>Risk</th><th>State</th>\
             <th>Mitigation</th><th>Owner</th></tr>\n",
        );
        for risk in &risks {
            let owner = if risk.owner.is_empty() {
                "nobody yet"
            } else {
                &risk.owner
            };
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}<br><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                risk.severity.name(),
                escape(&risk.title),
                escape(&risk.id),
                risk.status,
                escape(&risk.mitigation),
                escape(owner)
            );
        }
        out.push_str("</table></div>\n");
    }
    out.push_str(
        "</section>\n<section class=\"signatures\"><h2>Sign-off</h2><div class=\"wide\"><table>\
         <tr><th>Role</th><th>Name</th><th>Counts until</th></tr>\n",
    );
    for line in risks::sign_offs(report) {
        let (name, until) = line.signed.unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"sign\">{}</td><td class=\"sign\">{}</td></tr>",
            escape(&line.role),
            escape(&name),
            escape(&until)
        );
    }
    out.push_str("</table></div></section>\n");
}

fn filter(out: &mut String) {
    out.push_str("<nav><input id=\"words\" type=\"search\" placeholder=\"Filter by words\" aria-label=\"Filter by words\">");
    for (class, name) in STATUSES {
        let _ = write!(
            out,
            "<label class=\"{class}\"><input type=\"checkbox\" value=\"{class}\" checked> {name}</label>"
        );
    }
    out.push_str("</nav>\n");
}

/// A bar for each area and checklist: how many ended in each way, with the numbers in it.
fn charts(out: &mut String, report: &Report) {
    out.push_str("<section class=\"charts\"><h2>Overview</h2>\n");
    for area in Area::ALL {
        let inside = report
            .results
            .iter()
            .filter(|r| r.check.areas.first() == Some(&area));
        bar(
            out,
            area.name(),
            inside.map(|r| class_of(r.outcome.status())),
        );
    }
    for judged in &report.checklists {
        bar(
            out,
            file_name(&judged.name),
            judged.items.iter().map(|item| item_class(item.status)),
        );
    }
    out.push_str("</section>\n");
}

/// A path is too long for a chart.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn bar<'a>(out: &mut String, name: &str, classes: impl Iterator<Item = &'a str>) {
    let classes: Vec<&str> = classes.collect();
    if classes.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<div class=\"row\"><span>{}</span><div class=\"bar\">",
        escape(name)
    );
    for (class, words) in STATUSES {
        let n = classes.iter().filter(|c| **c == class).count();
        if n > 0 {
            let _ = write!(
                out,
                "<i class=\"{class}\" style=\"flex:{n}\" title=\"{n} {words}\">{n}</i>"
            );
        }
    }
    out.push_str("</div></div>\n");
}

fn check(result: &CheckResult) -> String {
    let check = result.check;
    let class = class_of(result.outcome.status());
    let mut out = String::new();
    let open = if class == "fail" { " open" } else { "" };
    let _ = write!(
        out,
        "<details class=\"entry {class}\"{open}><summary><b class=\"{class}\">{}</b> {} <code>{}</code> \
         <em>{}</em></summary>",
        words_of(class),
        escape(check.title),
        check.id,
        check.severity.name()
    );
    let found = match &result.outcome {
        Outcome::Pass { found } => format!("<p>{}</p>", escape(found)),
        Outcome::Fail { expected, found } => format!(
            "<p><strong>Expected</strong> {}<br><strong>Found</strong> {}</p>",
            escape(expected),
            escape(found)
        ),
        Outcome::NotApplicable { why } => format!("<p>{}</p>", escape(why)),
        Outcome::NotVerified { missing } => format!("<p>Needs {}</p>", escape(missing)),
    };
    let _ = write!(
        out,
        "{found}<p class=\"quiet\">Why: {}<br>How: {}<br>To do: {}</p>",
        escape(check.why),
        escape(check.verified_by),
        escape(check.remedy)
    );
    if !result.evidence.is_empty() {
        let _ = write!(
            out,
            "<details class=\"evidence\"><summary>Evidence: {}</summary>",
            result.evidence.len()
        );
    }
    for evidence in &result.evidence {
        let value = serde_json::to_value(evidence).unwrap_or(Value::Null);
        let _ = write!(out, "<pre>{}</pre>", escape(&format!("{value:#}")));
    }
    if !result.evidence.is_empty() {
        out.push_str("</details>");
    }
    out.push_str("</details>\n");
    out
}

fn checklist(out: &mut String, judged: &Judged) {
    let _ = writeln!(
        out,
        "<section><h2>{}</h2><p><strong>{}</strong> · {} of {} items understood</p>",
        escape(&judged.name),
        judged.verdict.words(),
        judged.matched(),
        judged.items.len()
    );
    for part in parts(judged) {
        let inside = judged.items.iter().filter(|item| part_of(item) == part);
        bar(out, part, inside.map(|item| item_class(item.status)));
    }
    let mut section = None;
    for item in &judged.items {
        if section != Some(&item.section) {
            let _ = writeln!(out, "<h3>{}</h3>", escape(&item.section));
            section = Some(&item.section);
        }
        let class = item_class(item.status);
        let _ = write!(
            out,
            "<details class=\"entry {class}\"><summary><b class=\"{class}\">{}</b> {}</summary>",
            words_of(class),
            escape(&item.text)
        );
        for answer in &item.answers {
            let _ = write!(
                out,
                "<p><code>{}</code> {}: {}</p>",
                escape(&answer.id),
                answer.status.name(),
                escape(&answer.words)
            );
        }
        out.push_str("</details>\n");
    }
    out.push_str("</section>\n");
}

/// The large parts of a checklist: headings of the second level, or of the first where there is none.
fn parts(judged: &Judged) -> Vec<&str> {
    let mut parts: Vec<&str> = judged.items.iter().map(part_of).collect();
    parts.dedup();
    let mut seen = std::collections::BTreeSet::new();
    parts.retain(|part| seen.insert(*part));
    parts
}

fn part_of(item: &JudgedItem) -> &str {
    let named = item.sections.get(1).or(item.sections.first());
    named.map_or("", String::as_str)
}

fn class_of(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Fail => "fail",
        Status::NotApplicable => "na",
        Status::NotVerified => "unknown",
    }
}

fn item_class(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::Attested => "attested",
        ItemStatus::Waived => "waived",
        ItemStatus::Pass => "pass",
        ItemStatus::Fail => "fail",
        ItemStatus::NotApplicable => "na",
        ItemStatus::NotVerified => "unknown",
    }
}

fn words_of(class: &str) -> &'static str {
    let known = STATUSES.iter().find(|(other, _)| *other == class);
    known.map_or("not verified", |(_, words)| words)
}
