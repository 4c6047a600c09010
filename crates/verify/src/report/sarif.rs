//! The report as SARIF 2.1.0, which code hosts show beside the code.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{CheckResult, Report};
use crate::check::Severity;
use crate::evidence::{Action, Evidence};
use crate::outcome::Outcome;

/// The report as a SARIF log with one run; passed checks are in it, so that none is taken for missing.
#[must_use]
pub fn render(report: &Report) -> String {
    let rules: Vec<Value> = report.results.iter().map(rule).collect();
    let results = report.results.iter().enumerate();
    let results: Vec<Value> = results
        .map(|(index, one)| {
            let mut told = result(index, one, &report.subject.url);
            if let Some(why) = report.waiver_for(one) {
                told["suppressions"] = json!([{
                    "kind": "external",
                    "status": "accepted",
                    "justification": why,
                }]);
            }
            told
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "seaworthy",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
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
        "help": {
            "text": check.remedy,
            "markdown": format!(
                "{}\n\n**How it is verified**: {}\n\n**What to do**: {}",
                check.why, check.verified_by, check.remedy
            ),
        },
        "defaultConfiguration": {"level": level(check.severity)},
    })
}

fn result(index: usize, result: &CheckResult, subject: &str) -> Value {
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
    json!({
        "ruleId": result.check.id,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": text},
        "locations": locations(&result.evidence, subject),
    })
}

/// Where it was found: lines of files, or else what was asked. Code hosts refuse a whole report for one
/// result without a place, and want it as a path in a repository.
fn locations(evidence: &[Evidence], subject: &str) -> Vec<Value> {
    let lines = evidence.iter().filter_map(|one| match &one.action {
        Action::Read { path, line } => Some(physical(path, *line)),
        _ => None,
    });
    let lines: Vec<Value> = lines.collect();
    if !lines.is_empty() {
        return lines;
    }
    let asked = evidence.iter().find_map(|one| match &one.action {
        Action::Request { method, path, .. } => Some((one.subject.as_str(), method, path)),
        _ => None,
    });
    let mut location = physical(&host(asked.map_or(subject, |(server, ..)| server)), 1);
    if let Some((server, method, path)) = asked {
        // Some paths are made up for each run, and places must stay the same to be known again.
        let path = path.split('?').next().unwrap_or_default();
        location["logicalLocations"] = json!([{
            "fullyQualifiedName": format!("{method} {path} of {server}"),
            "kind": "resource",
        }]);
    }
    vec![location]
}

/// A server as a file of its name: a colon would make it a scheme.
fn host(subject: &str) -> String {
    let rest = subject.split_once("://").map(|(_, rest)| rest);
    let host = rest.and_then(|rest| rest.split('/').next());
    host.map_or_else(|| "no-file".to_owned(), |host| host.replace(':', "_"))
}

fn physical(path: &str, line: usize) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(path)},
        "region": {"startLine": line.max(1)},
    }})
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::locations;
    use crate::evidence::{Action, Evidence, Observed};

    fn of(actions: Vec<Action>, subject: &str) -> Vec<(String, u64)> {
        let evidence = actions.into_iter().map(|action| Evidence {
            time: Timestamp::UNIX_EPOCH,
            duration_ms: 0.0,
            subject: "https://agent.example:8443/base".to_owned(),
            action,
            observed: Observed::default(),
        });
        let found = locations(&evidence.collect::<Vec<_>>(), subject);
        let place = |location: &serde_json::Value| {
            let place = &location["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            (
                uri.to_owned(),
                place["region"]["startLine"].as_u64().unwrap(),
            )
        };
        found.iter().map(place).collect()
    }

    #[test]
    fn every_result_has_a_place_that_is_a_relative_uri() {
        let read = |path: &str, line| Action::Read {
            path: path.to_owned(),
            line,
        };
        let request = || Action::Request {
            method: "GET".to_owned(),
            path: "/base/health?full=1".to_owned(),
            headers: vec![],
            body: String::new(),
        };
        let files = of(
            vec![request(), read("a b/\u{fc}:%.md", 7), read("c", 2)],
            "x",
        );
        let expected = [("a%20b/%C3%BC%3A%25.md".to_owned(), 7), ("c".to_owned(), 2)];
        assert_eq!(files, expected);
        let live = ("agent.example_8443".to_owned(), 1);
        assert_eq!(of(vec![request(), request()], "x"), [live]);
        let server = ("127.0.0.1_80".to_owned(), 1);
        assert_eq!(of(vec![], "http://127.0.0.1:80/"), [server]);
        assert_eq!(of(vec![], "repo and deploy"), [("no-file".to_owned(), 1)]);
    }
}
