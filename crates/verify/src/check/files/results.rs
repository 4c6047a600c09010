//! Results of other tools: test reports, coverage, scans and evaluations.

use std::collections::BTreeMap;

use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};
use crate::profile::Profile;

const REPOSITORY: &[Need] = &[Need::Repository];
const CASES: &str =
    "JUnit reports in the repository: test cases that are named so, and how they ended.";

/// A row on test cases whose name or file has one of these words.
macro_rules! tested {
    ($id:literal, $expected:literal, $($word:literal),*) => {
        Row {
            id: $id,
            needs: REPOSITORY,
            kind: crate::check::Kind::Files,
            how: CASES,
            probe: |s| super::in_repository(s, $expected, |r| cases(r, &[$($word),*])),
        }
    };
}

pub(super) static ROWS: &[Row] = &[
    tested!("test.suite-passes", "tests that ran, and none that failed",),
    tested!("test.unit", "unit tests that pass", "unit"),
    tested!(
        "test.integration",
        "integration tests that pass",
        "integration"
    ),
    tested!(
        "test.integration-api",
        "tests of the API that pass",
        "api",
        "http"
    ),
    tested!(
        "test.integration-database",
        "tests with a database that pass",
        "database",
        "postgres",
        "sqlite",
        "db"
    ),
    tested!(
        "test.integration-redis",
        "tests with Redis that pass",
        "redis"
    ),
    tested!(
        "test.end-to-end",
        "end-to-end tests that pass",
        "e2e",
        "end_to_end",
        "end-to-end"
    ),
    row!(
        "test.flake-free",
        REPOSITORY,
        in_repository,
        "no test that both passed and failed",
        "Two JUnit reports or more: cases that ended in both ways.",
        flakes
    ),
    row!(
        "test.regression",
        REPOSITORY,
        in_repository,
        "no test that passed before and fails now",
        "Two JUnit reports or more, by name: a case of an earlier one that fails in a later one.",
        regressions
    ),
    Row {
        id: "test.coverage",
        needs: REPOSITORY,
        kind: crate::check::Kind::Files,
        how: "Reports of lcov, Cobertura and coverage.py: lines that tests reach.",
        probe: |s| {
            Box::pin(async move {
                let Some(r) = s.repository() else {
                    return super::missing("a repository");
                };
                super::conclude(
                    s,
                    "as many lines as the profile asks",
                    coverage(r, &s.options().profile),
                )
            })
        },
    },
    row!(
        "test.behavioral",
        REPOSITORY,
        in_repository,
        "an evaluation that passes",
        "Results of promptfoo or a like evaluation: nine of ten cases pass.",
        evaluation
    ),
    row!(
        "security.scan-passed",
        REPOSITORY,
        in_repository,
        "a scan without errors",
        "SARIF files in the repository: results of level error.",
        sarif
    ),
    row!(
        "deps.no-known-vulns",
        REPOSITORY,
        in_repository,
        "no known vulnerability",
        "Reports of cargo audit, npm audit, pip-audit, OSV and Trivy in the repository.",
        |r| vulnerabilities(r, false)
    ),
    row!(
        "container.image-scanned",
        REPOSITORY,
        in_repository,
        "an image without high or critical findings",
        "Reports of Trivy and Grype on an image in the repository.",
        |r| vulnerabilities(r, true)
    ),
];

/// One test case of a report.
struct Case {
    path: String,
    name: String,
    failed: bool,
    skipped: bool,
}

/// Every case of every JUnit report, in the order of files.
fn all_cases(r: &Repository) -> Vec<Case> {
    let mut out = Vec::new();
    for (path, text) in r.texts_of(|path| path.ends_with(".xml")) {
        if !text.contains("<testsuite") {
            continue;
        }
        for part in text.split("<testcase").skip(1) {
            let head = part.split('>').next().unwrap_or_default();
            let attribute = |name: &str| {
                let rest = head.split(&format!("{name}=\"")).nth(1)?;
                rest.split('"').next()
            };
            let inside = if head.ends_with('/') {
                ""
            } else {
                part.split("</testcase>").next().unwrap_or_default()
            };
            let name = [
                attribute(" classname"),
                attribute(" file"),
                attribute(" name"),
            ];
            out.push(Case {
                path: path.to_owned(),
                name: name.into_iter().flatten().collect::<Vec<_>>().join(" "),
                failed: inside.contains("<failure") || inside.contains("<error"),
                skipped: inside.contains("<skipped"),
            });
        }
    }
    out
}

const NO_REPORT: &str = "a JUnit report in the repository";

fn cases(r: &Repository, words: &[&str]) -> Looked {
    let all = all_cases(r);
    if all.is_empty() {
        return Looked::Unknown(NO_REPORT.to_owned());
    }
    let named = |case: &&Case| {
        let place = format!("{} {}", case.path, case.name).to_lowercase();
        words.is_empty()
            || place
                .split(|c: char| !c.is_alphanumeric() && c != '-')
                .any(|part| words.contains(&part))
            || words
                .iter()
                .any(|word| word.len() > 3 && place.contains(word))
    };
    let ran: Vec<&Case> = all
        .iter()
        .filter(named)
        .filter(|case| !case.skipped)
        .collect();
    if ran.is_empty() {
        return Looked::Unknown(format!("test cases that are named {}", words.join(" or ")));
    }
    let problems = ran
        .iter()
        .filter(|case| case.failed)
        .map(|case| Problem::new(&case.path, 1, format!("{} failed", case.name)))
        .collect();
    Looked::At(format!("{} cases ran", ran.len()), problems)
}

/// The ends of each case, by report.
fn histories(r: &Repository) -> BTreeMap<String, Vec<(String, bool)>> {
    let mut out: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for case in all_cases(r).into_iter().filter(|case| !case.skipped) {
        out.entry(case.name)
            .or_default()
            .push((case.path, case.failed));
    }
    out.retain(|_, ends| ends.len() > 1);
    out
}

const TWO_REPORTS: &str = "two JUnit reports of the same tests";

fn flakes(r: &Repository) -> Looked {
    let all = histories(r);
    let flaky = |ends: &[(String, bool)]| {
        ends.iter().any(|(_, failed)| *failed) && ends.iter().any(|(_, failed)| !failed)
    };
    let problems = all
        .iter()
        .filter(|(_, ends)| flaky(ends))
        .filter_map(|(name, ends)| {
            Some(Problem::new(
                &ends.first()?.0,
                1,
                format!("{name} passed and failed"),
            ))
        })
        .collect();
    match all.len() {
        0 => Looked::Unknown(TWO_REPORTS.to_owned()),
        n => Looked::At(format!("{n} cases in several reports"), problems),
    }
}

fn regressions(r: &Repository) -> Looked {
    let all = histories(r);
    let worse = |ends: &[(String, bool)]| {
        let first = ends.iter().position(|(_, failed)| !failed)?;
        ends.iter()
            .skip(first)
            .find(|(_, failed)| *failed)
            .map(|(path, _)| path.clone())
    };
    let problems = all
        .iter()
        .filter_map(|(name, ends)| {
            Some(Problem::new(
                &worse(ends)?,
                1,
                format!("{name} passed before"),
            ))
        })
        .collect();
    match all.len() {
        0 => Looked::Unknown(TWO_REPORTS.to_owned()),
        n => Looked::At(format!("{n} cases in several reports"), problems),
    }
}

fn documents(r: &Repository, fits: impl Fn(&str) -> bool) -> Vec<(&str, Node)> {
    r.texts_of(|path| path.ends_with(".json") || path.ends_with(".sarif"))
        .filter(|(path, _)| fits(path))
        .filter_map(|(path, text)| Some((path, yaml::parse(text).ok()?.into_iter().next()?)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of lines")]
fn coverage(r: &Repository, profile: &Profile) -> Looked {
    let mut all: Vec<(String, f64)> = Vec::new();
    for (path, text) in r.texts_of(|path| path.ends_with("lcov.info") || path.ends_with(".xml")) {
        if path.ends_with(".info") {
            let sum = |prefix: &str| -> usize {
                text.lines()
                    .filter_map(|line| line.strip_prefix(prefix)?.trim().parse::<usize>().ok())
                    .sum()
            };
            let (hit, lines) = (sum("LH:"), sum("LF:"));
            all.extend((lines > 0).then(|| (path.to_owned(), hit as f64 / lines as f64)));
        } else if let Some(rest) = text.split("<coverage").nth(1) {
            let rate = rest
                .split("line-rate=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next()?.parse().ok());
            all.extend(rate.map(|rate| (path.to_owned(), rate)));
        }
    }
    for (path, node) in documents(r, |path| path.contains("coverage")) {
        let percent = node
            .number_at("totals.percent_covered")
            .or_else(|| node.number_at("total.lines.pct"));
        all.extend(percent.map(|percent| (path.to_owned(), percent / 100.0)));
    }
    // A good report does not make up for a bad one.
    let Some((path, share)) = all.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Looked::Unknown("a report of coverage in the repository".to_owned());
    };
    let words = format!("{:.1} % of the lines", share * 100.0);
    if share >= profile.coverage {
        Looked::At(words, Vec::new())
    } else {
        Looked::At(String::new(), vec![Problem::new(&path, 1, words)])
    }
}

fn evaluation(r: &Repository) -> Looked {
    let (mut seen, mut problems) = (Vec::new(), Vec::new());
    for (path, node) in documents(r, |_| true) {
        let stats = node.at("results.stats").or_else(|| node.get("stats"));
        let Some(stats) = stats else { continue };
        let (Some(good), Some(bad)) = (stats.number_at("successes"), stats.number_at("failures"))
        else {
            continue;
        };
        let words = format!("{good} cases passed, {bad} failed");
        if good < 9.0 * bad || good < 1.0 {
            problems.push(Problem::new(path, stats.line, words.clone()));
        }
        seen.push(words);
    }
    if seen.is_empty() {
        return Looked::Unknown("results of an evaluation in the repository".to_owned());
    }
    Looked::At(seen.join("; "), problems)
}

fn sarif(r: &Repository) -> Looked {
    let all = documents(r, |path| {
        path.ends_with(".sarif") || path.ends_with("sarif.json")
    });
    let mut problems = Vec::new();
    for (path, node) in &all {
        for result in node
            .items_at("runs")
            .iter()
            .flat_map(|run| run.items_at("results"))
        {
            let open = result.items_at("suppressions").is_empty()
                && !matches!(result.text_at("kind"), Some("pass" | "notApplicable"));
            if open && result.text_at("level").unwrap_or("warning") == "error" {
                let rule = result.text_at("ruleId").unwrap_or("a rule");
                problems.push(Problem::new(
                    path,
                    result.line,
                    format!("{rule} found an error"),
                ));
            }
        }
    }
    match all.len() {
        0 => Looked::Unknown("a SARIF file of a scanner in the repository".to_owned()),
        n => Looked::At(format!("{n} scans"), problems),
    }
}

/// Findings of a report, or none when it is no report that is known.
fn findings(node: &Node, image: bool) -> Option<Vec<(usize, String)>> {
    let grave = |n: &Node, key: &str| {
        matches!(
            n.text_at(key).map(str::to_ascii_uppercase).as_deref(),
            Some("HIGH" | "CRITICAL")
        )
    };
    if node.get("Results").is_some() && node.get("ArtifactName").is_some() {
        if (node.text_at("ArtifactType") == Some("container_image")) != image {
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
    if let Some(counts) = node.at("metadata.vulnerabilities") {
        let bad =
            counts.number_at("high").unwrap_or(0.0) + counts.number_at("critical").unwrap_or(0.0);
        return Some(if bad > 0.0 {
            vec![(counts.line, format!("{bad} packages"))]
        } else {
            vec![]
        });
    }
    if let Some(found) = of_osv(node) {
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

/// What osv-scanner writes.
fn of_osv(node: &Node) -> Option<Vec<(usize, String)>> {
    let results = node.items_at("results").iter();
    let packages: Vec<&Node> = results.flat_map(|r| r.items_at("packages")).collect();
    let is_one = packages.iter().any(|p| p.get("vulnerabilities").is_some());
    let all = packages.iter().flat_map(|p| p.items_at("vulnerabilities"));
    let ids = all.map(|v| (v.line, v.text_at("id").unwrap_or_default().to_owned()));
    is_one.then(|| ids.collect())
}

fn vulnerabilities(r: &Repository, image: bool) -> Looked {
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, node) in documents(r, |_| true) {
        let Some(found) = findings(&node, image) else {
            continue;
        };
        seen += 1;
        problems.extend(
            found
                .into_iter()
                .map(|(line, id)| Problem::new(path, line, format!("{id} is known and open"))),
        );
    }
    match seen {
        0 => Looked::Unknown("a report of a scanner in the repository".to_owned()),
        n => Looked::At(format!("{n} reports"), problems),
    }
}
