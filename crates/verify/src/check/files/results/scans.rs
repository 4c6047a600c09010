//! What scanners found: SARIF, and the reports of tools that know of holes.

use std::collections::BTreeSet;

use super::documents;
use crate::check::files::Looked;
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::Node;

pub(super) fn sarif(r: &Repository) -> Looked {
    let all = documents(r, |path| {
        path.ends_with(".sarif") || path.ends_with("sarif.json")
    });
    let mut problems = Vec::new();
    let mut unfinished = None;
    for (path, node) in &all {
        let runs = node.items_at("runs");
        let failed = |run: &Node| {
            let mut said = run.items_at("invocations").iter();
            said.any(|one| one.is_false_at("executionSuccessful"))
        };
        if runs.is_empty() || runs.iter().any(failed) {
            unfinished = Some(*path);
        }
        for run in runs {
            for result in run.items_at("results") {
                let open = result.items_at("suppressions").is_empty()
                    && !matches!(result.text_at("kind"), Some("pass" | "notApplicable"));
                if open && is_grave(run, result) {
                    let rule = result.text_at("ruleId").unwrap_or("a rule");
                    let found = format!("{rule} found an error");
                    problems.push(Problem::new(path, result.line, found));
                }
            }
        }
    }
    match (all.len(), unfinished) {
        (0, _) => Looked::Unknown("a SARIF file of a scanner in the repository".to_owned()),
        (_, Some(path)) if problems.is_empty() => Looked::Unknown(format!(
            "a scan that ended: {path} holds no run, or one that says that it failed"
        )),
        (n, _) => Looked::At(format!("{n} scans"), problems),
    }
}

/// Whether a result is an error, by its own level or by what its rule says of all of its results.
fn is_grave(run: &Node, result: &Node) -> bool {
    const GRAVE: f64 = 7.0;
    let rules = run.items_at("tool.driver.rules");
    let extensions = run.items_at("tool.extensions").iter();
    let rules = rules
        .iter()
        .chain(extensions.flat_map(|e| e.items_at("rules")));
    let id = result
        .text_at("ruleId")
        .or_else(|| result.text_at("rule.id"));
    let rule = rules
        .into_iter()
        .find(|rule| id.is_some() && rule.text_at("id") == id);
    let security = rule
        .and_then(|rule| rule.get("properties"))
        .and_then(|p| p.number_at("security-severity"));
    if security.is_some_and(|score| score >= GRAVE) {
        return true;
    }
    let by_rule = rule.and_then(|rule| rule.text_at("defaultConfiguration.level"));
    let level = result.text_at("level").or(by_rule);
    level.unwrap_or("warning") == "error"
}

/// Whether a severity is high or critical.
fn grave(node: &Node, key: &str) -> bool {
    let severity = node.text_at(key).map(str::to_ascii_uppercase);
    matches!(severity.as_deref(), Some("HIGH" | "CRITICAL"))
}

/// Findings of a report, or none when it is no report that is known.
fn findings(node: &Node, image: bool) -> Option<Vec<(usize, String)>> {
    if node.get("Results").is_some() && node.get("ArtifactName").is_some() {
        let is_image = node.text_at("ArtifactType") == Some("container_image");
        // Where nothing was looked at, nothing was found.
        if is_image != image || node.items_at("Results").is_empty() {
            return None;
        }
        let all = node
            .items_at("Results")
            .iter()
            .flat_map(|result| result.items_at("Vulnerabilities"));
        return Some(
            all.filter(|v| grave(v, "Severity"))
                .map(|v| {
                    (
                        v.line,
                        v.text_at("VulnerabilityID").unwrap_or_default().to_owned(),
                    )
                })
                .collect(),
        );
    }
    if image {
        let matches = node
            .items_at("matches")
            .iter()
            .filter(|m| m.get("vulnerability").is_some());
        let grype = node.at("source.type").is_some();
        return grype.then(|| {
            matches
                .filter(|m| grave(m, "vulnerability.severity"))
                .map(|m| {
                    (
                        m.line,
                        m.text_at("vulnerability.id").unwrap_or_default().to_owned(),
                    )
                })
                .collect()
        });
    }
    if let Some(list) = node.at("vulnerabilities.list") {
        return Some(
            list.items()
                .iter()
                .map(|v| {
                    (
                        v.line,
                        v.text_at("advisory.id").unwrap_or_default().to_owned(),
                    )
                })
                .collect(),
        );
    }
    let others = [of_npm, of_go, of_osv, of_lists];
    if let Some(found) = others.into_iter().find_map(|of| of(node)) {
        return Some(found);
    }
    let packages = node.items_at("dependencies");
    if packages.iter().any(|p| p.get("vulns").is_some()) {
        let all = packages.iter().flat_map(|p| p.items_at("vulns"));
        return Some(
            all.map(|v| (v.line, v.text_at("id").unwrap_or_default().to_owned()))
                .collect(),
        );
    }
    None
}

/// What `npm audit` writes: what is listed counts, whatever the sum says.
fn of_npm(node: &Node) -> Option<Vec<(usize, String)>> {
    let counts = node.at("metadata.vulnerabilities")?;
    let counted =
        counts.number_at("high").unwrap_or(0.0) + counts.number_at("critical").unwrap_or(0.0);
    let listed = node.get("vulnerabilities").map_or(&[][..], Node::entries);
    let listed = listed.iter().filter(|(_, v)| grave(v, "severity")).count();
    Some(match listed {
        _ if counted > 0.0 => vec![(counts.line, format!("{counted} packages"))],
        0 => vec![],
        listed => vec![(counts.line, format!("{listed} packages"))],
    })
}

/// One object of those that govulncheck writes: what is called counts.
fn of_go(node: &Node) -> Option<Vec<(usize, String)>> {
    let finding = node.get("finding")?;
    let mut called = finding.items_at("trace").iter();
    let is_called = called.any(|step| step.get("function").is_some());
    let id = finding.text_at("osv")?.to_owned();
    Some(
        is_called
            .then_some((finding.line, id))
            .into_iter()
            .collect(),
    )
}

/// What Snyk and OWASP Dependency-Check write: lists of vulnerabilities with a severity.
fn of_lists(node: &Node) -> Option<Vec<(usize, String)>> {
    let snyk = node.get("ok").is_some() && node.get("vulnerabilities").is_some();
    let files = node.items_at("dependencies");
    let owasp =
        node.get("scanInfo").is_some() || files.iter().any(|f| f.get("vulnerabilities").is_some());
    let found: Vec<&Node> = match (snyk, owasp) {
        (true, _) => node.items_at("vulnerabilities").iter().collect(),
        (_, true) => files
            .iter()
            .flat_map(|f| f.items_at("vulnerabilities"))
            .collect(),
        _ => return None,
    };
    let severity = |v: &Node| {
        v.text_at("severity")
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let grave = found
        .into_iter()
        .filter(|v| matches!(severity(v).as_str(), "high" | "critical"));
    let name = |v: &Node| {
        v.text_at("id")
            .or_else(|| v.text_at("name"))
            .map(str::to_owned)
    };
    Some(
        grave
            .map(|v| (v.line, name(v).unwrap_or_default()))
            .collect(),
    )
}

/// What osv-scanner writes.
fn of_osv(node: &Node) -> Option<Vec<(usize, String)>> {
    let results = node.items_at("results").iter();
    let packages: Vec<&Node> = results.flat_map(|r| r.items_at("packages")).collect();
    let is_one = packages.iter().any(|p| p.get("vulnerabilities").is_some());
    let all = packages.iter().flat_map(|p| p.items_at("vulnerabilities"));
    let ids = all.map(|v| (v.line, v.text_at("id").unwrap_or_default().to_owned()));
    is_one.then(|| ids.collect())
}

pub(super) fn vulnerabilities(r: &Repository, image: bool) -> Looked {
    let (mut seen, mut problems) = (BTreeSet::new(), Vec::new());
    for (path, node) in documents(r, |_| true) {
        let Some(found) = findings(&node, image) else {
            continue;
        };
        seen.insert(path);
        problems.extend(
            found
                .into_iter()
                .map(|(line, id)| Problem::new(path, line, format!("{id} is known and open"))),
        );
    }
    match seen.len() {
        0 => Looked::Unknown("a report of a scanner in the repository".to_owned()),
        n => Looked::At(format!("{n} reports"), problems),
    }
}
