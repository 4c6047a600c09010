//! The report as JSON, for machines and for later comparison.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{CheckResult, Counts, Report, Subject, Verdict};
use crate::check::{Area, Need, Severity};
use crate::checklist::{ItemStatus, Judged, JudgedItem, JudgedLine};
use crate::evidence::Evidence;
use crate::outcome::{Outcome, Status};

/// Name and version of the format; the number grows when a field changes its meaning or goes.
pub const SCHEMA: &str = "seaworthy.check/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool_version: &'static str,
    subject: &'a Subject,
    started_at: String,
    duration_ms: f64,
    /// The hash of all evidence.
    transcript: String,
    profile: &'static str,
    verdict: Verdict,
    verdict_text: &'static str,
    reasons: &'a [String],
    counts: Counts,
    counts_by_severity: BySeverity,
    results: Vec<Item<'a>>,
    checklists: Vec<Checklist<'a>>,
}

#[derive(Serialize)]
struct BySeverity {
    critical: Counts,
    high: Counts,
    medium: Counts,
    low: Counts,
}

#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    title: &'a str,
    why: &'a str,
    severity: Severity,
    areas: &'a [Area],
    needs: &'a [Need],
    verified_by: &'a str,
    remedy: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    /// Why it does not apply, or what is missing to verify it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Who accepts that it does not hold, until when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    waived: Option<&'a str>,
    duration_ms: f64,
    evidence: &'a [Evidence],
}

/// A checklist that was judged.
#[derive(Serialize)]
struct Checklist<'a> {
    name: &'a str,
    verdict: Verdict,
    matched: usize,
    counts: BTreeMap<String, usize>,
    items: &'a [JudgedItem],
    lines: &'a [JudgedLine],
}

fn checklist(judged: &Judged) -> Checklist<'_> {
    let name = |status: ItemStatus| status.name().replace(' ', "_");
    Checklist {
        name: &judged.name,
        verdict: judged.verdict,
        matched: judged.matched(),
        counts: judged
            .counts()
            .into_iter()
            .map(|(status, n)| (name(status), n))
            .collect(),
        items: &judged.items,
        lines: &judged.lines,
    }
}

/// The report as a JSON document of the format [`SCHEMA`].
#[must_use]
pub fn render(report: &Report) -> String {
    let document = Document {
        schema: SCHEMA,
        tool_version: env!("CARGO_PKG_VERSION"),
        subject: &report.subject,
        started_at: report.started_at.to_string(),
        duration_ms: report.duration_ms,
        transcript: super::seal::transcript(report),
        profile: report.profile,
        verdict: report.verdict,
        verdict_text: report.verdict.words(),
        reasons: &report.reasons,
        counts: report.counts(),
        counts_by_severity: BySeverity {
            critical: report.counts_of(Severity::Critical),
            high: report.counts_of(Severity::High),
            medium: report.counts_of(Severity::Medium),
            low: report.counts_of(Severity::Low),
        },
        results: report.results.iter().map(|r| item(r, report)).collect(),
        checklists: report.checklists.iter().map(checklist).collect(),
    };
    // Every field is a plain value with text keys, which always serialises.
    let value = serde_json::to_value(&document).unwrap_or(Value::Null);
    format!("{value:#}\n")
}

fn item<'a>(result: &'a CheckResult, report: &'a Report) -> Item<'a> {
    let (expected, found, reason) = match &result.outcome {
        Outcome::Pass { found } => (None, Some(found.as_str()), None),
        Outcome::Fail { expected, found } => (Some(expected.as_str()), Some(found.as_str()), None),
        Outcome::NotApplicable { why } => (None, None, Some(why.as_str())),
        Outcome::NotVerified { missing } => (None, None, Some(missing.as_str())),
    };
    let check = result.check;
    Item {
        id: check.id,
        title: check.title,
        why: check.why,
        severity: check.severity,
        areas: check.areas,
        needs: check.needs,
        verified_by: check.verified_by,
        remedy: check.remedy,
        status: result.outcome.status(),
        expected,
        found,
        reason,
        waived: report.waiver_for(result),
        duration_ms: result.duration_ms,
        evidence: &result.evidence,
    }
}
