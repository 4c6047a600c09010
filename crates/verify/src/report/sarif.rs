//! The report as SARIF 2.1.0, which code hosts show beside the code.

use serde_json::{Value, json};

use super::{CheckResult, Report};
use crate::check::Severity;
use crate::evidence::Action;
use crate::outcome::Outcome;

/// The report as a SARIF log with one run; passed checks are in it, so that none is taken for missing.
#[must_use]
pub fn render(report: &Report) -> String {
    let rules: Vec<Value> = report.results.iter().map(rule).collect();
    let results: Vec<Value> = report.results.iter().enumerate().map(result).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "seaworthy",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": true,
                "startTimeUtc": report.started_at.to_string(),
            }],
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(result: &CheckResult) -> Value {
    let check = result.check;
    json!({
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {"text": check.remedy},
        "defaultConfiguration": {"level": level(check.severity)},
    })
}

fn result((index, result): (usize, &CheckResult)) -> Value {
    let (kind, text) = match &result.outcome {
        Outcome::Pass { found } => ("pass", found.clone()),
        Outcome::Fail { expected, found } => {
            ("fail", format!("expected {expected}; found {found}"))
        }
        Outcome::NotApplicable { why } => ("notApplicable", why.clone()),
        Outcome::NotVerified { missing } => ("open", format!("not verified: needs {missing}")),
    };
    // Only a failure has a level.
    let level = if kind == "fail" {
        level(result.check.severity)
    } else {
        "none"
    };
    let locations: Vec<Value> = result
        .evidence
        .iter()
        .filter_map(|e| location(&e.action))
        .collect();
    json!({
        "ruleId": result.check.id,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": text},
        "locations": locations,
    })
}

/// Evidence in files has a place; what was seen of a server has none.
fn location(action: &Action) -> Option<Value> {
    let Action::Read { path, line } = action else {
        return None;
    };
    Some(json!({"physicalLocation": {
        "artifactLocation": {"uri": path},
        "region": {"startLine": line},
    }}))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}
