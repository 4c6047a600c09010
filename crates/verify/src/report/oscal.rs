//! The report as OSCAL assessment results (1.1.2), for those who collect evidence that way.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{CheckResult, Report};
use crate::check::Kind;
use crate::checklist::JudgedItem;
use crate::outcome::{Outcome, Status};

/// The report as a JSON document with one result.
#[must_use]
pub fn render(report: &Report) -> String {
    let seed = format!("{}{}", report.subject.url, report.started_at);
    let id = |what: &str| uuid(&format!("{seed}{what}"));
    let start = report.started_at.to_string();
    let observations: Vec<Value> = report
        .results
        .iter()
        .filter(|r| r.outcome.status() != Status::NotVerified)
        .map(|r| observation(r, &id(r.check.id), &start))
        .collect();
    let checks = report.results.iter().map(|r| finding(r, &id));
    let items = report.checklists.iter().flat_map(|list| &list.items);
    let items = items.map(|item| item_finding(item, &id(&format!("{}{}", item.hash, item.line))));
    let findings: Vec<Value> = checks.chain(items).collect();
    let mut result = json!({
        "uuid": id("result"),
        "title": format!("Readiness of {}", report.subject.url),
        "description": format!("{}: {}", report.verdict.words(), report.reasons.join(", ")),
        "start": start,
        "reviewed-controls": {"control-selections": [{"include-all": {}}]},
    });
    // Lists that are there hold something.
    if !findings.is_empty() {
        result["findings"] = Value::Array(findings);
    }
    if !observations.is_empty() {
        result["observations"] = Value::Array(observations);
    }
    let document = json!({"assessment-results": {
        "uuid": id("document"),
        "metadata": {
            "title": format!("Readiness of {}", report.subject.url),
            "last-modified": start,
            "version": env!("CARGO_PKG_VERSION"),
            "oscal-version": "1.1.2",
        },
        "import-ap": {"href": "#seaworthy-check"},
        "results": [result],
    }});
    format!("{document:#}\n")
}

fn observation(result: &CheckResult, uuid: &str, start: &str) -> Value {
    let method = match result.check.kind {
        Kind::Files => "EXAMINE",
        _ => "TEST",
    };
    let collected = result
        .evidence
        .last()
        .map_or(start.to_owned(), |e| e.time.to_string());
    json!({
        "uuid": uuid,
        "title": result.check.title,
        "description": words(result),
        "methods": [method],
        "collected": collected,
        "props": [{"name": "evidence", "value": result.evidence.len().to_string()}],
    })
}

fn words(result: &CheckResult) -> String {
    match &result.outcome {
        Outcome::Pass { found } => found.clone(),
        Outcome::Fail { expected, found } => format!("expected {expected}; found {found}"),
        Outcome::NotApplicable { why } => why.clone(),
        Outcome::NotVerified { missing } => format!("needs {missing}"),
    }
}

fn finding(result: &CheckResult, id: &impl Fn(&str) -> String) -> Value {
    let check = result.check;
    let (state, reason) = match result.outcome.status() {
        Status::Pass => ("satisfied", "pass"),
        Status::NotApplicable => ("satisfied", "not-applicable"),
        Status::Fail => ("not-satisfied", "fail"),
        Status::NotVerified => ("not-satisfied", "not-verified"),
    };
    let mut finding = json!({
        "uuid": id(&format!("finding {}", check.id)),
        "title": check.title,
        "description": words(result),
        "target": {
            "type": "objective-id",
            "target-id": check.id,
            "status": {"state": state, "reason": reason},
        },
    });
    if result.outcome.status() != Status::NotVerified {
        finding["related-observations"] = json!([{"observation-uuid": id(check.id)}]);
    }
    finding
}

fn item_finding(item: &JudgedItem, uuid: &str) -> Value {
    let state = if item.status.is_satisfied() {
        "satisfied"
    } else {
        "not-satisfied"
    };
    let answers: Vec<String> = item
        .answers
        .iter()
        .map(|a| {
            format!("{} {}: {}", a.id, a.status.name(), a.words)
                .trim_start()
                .to_owned()
        })
        .collect();
    json!({
        "uuid": uuid,
        "title": item.text,
        "description": answers.join("; "),
        "target": {
            "type": "statement-id",
            "target-id": format!("item-{}", item.hash),
            "status": {"state": state, "reason": item.status.name().replace(' ', "-")},
        },
    })
}

/// A UUID that the same words always give.
fn uuid(words: &str) -> String {
    let digest = Sha256::digest(words.as_bytes());
    let mut bytes = [0_u8; 16];
    bytes
        .iter_mut()
        .zip(digest.iter())
        .for_each(|(to, from)| *to = *from);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    uuid::Uuid::from_bytes(bytes).to_string()
}
