//! Results of other tools: test reports, coverage, scans and evaluations.

mod scans;

use std::collections::BTreeMap;

use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};
use crate::profile::Profile;

use scans::{sarif, vulnerabilities};

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
        "SARIF files in the repository: results of level error, by themselves or by their rule, in scans that ended.",
        sarif
    ),
    row!(
        "deps.no-known-vulns",
        REPOSITORY,
        in_repository,
        "no known vulnerability",
        "Reports of cargo audit, npm audit, pip-audit, OSV, Snyk, Dependency-Check and Trivy in the repository; of those that tell severities, high and critical ones.",
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
        // What a suite counts and no case tells, such as an error while files were collected.
        let told = out
            .iter()
            .filter(|case| case.path == path && case.failed)
            .count();
        let counted = failures_of_suites(text);
        if counted > told {
            out.push(Case {
                path: path.to_owned(),
                name: format!(
                    "{} of {counted} failures that the suites count",
                    counted - told
                ),
                failed: true,
                skipped: false,
            });
        }
    }
    out
}

/// Failures and errors that the suites of a report count. Those around others mostly count what these
/// do, so that the depth which counts most is taken.
fn failures_of_suites(text: &str) -> usize {
    let number = |head: &str, name: &str| -> usize {
        let rest = head.split(&format!("{name}=\"")).nth(1);
        let digits = rest.and_then(|rest| rest.split('"').next());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
    let mut depth = 0_usize;
    for tag in text.split('<').filter_map(|part| part.split('>').next()) {
        if tag.starts_with("testsuite ") {
            *depths.entry(depth).or_default() += number(tag, " failures") + number(tag, " errors");
            depth += usize::from(!tag.ends_with('/'));
        } else if tag == "/testsuite" {
            depth = depth.saturating_sub(1);
        }
    }
    depths.into_values().max().unwrap_or(0)
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
        .flat_map(|(path, text)| {
            let first = |text: &str| yaml::parse(text).ok()?.into_iter().next();
            let whole = first(text).into_iter();
            // Some tools write one object after another.
            let stream = text.split_inclusive("\n}\n").filter_map(first);
            let objects: Vec<Node> = match text.contains("\n}\n{") {
                true => stream.collect(),
                false => whole.collect(),
            };
            objects.into_iter().map(move |node| (path, node))
        })
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
        // A case that could not be asked did not pass either.
        let bad = bad + stats.number_at("errors").unwrap_or(0.0);
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

#[cfg(test)]
mod tests {
    use super::failures_of_suites;

    #[test]
    fn suites_around_others_count_what_these_do() {
        let inner = "<testsuite name=\"a\" failures=\"1\" errors=\"1\"><testcase/></testsuite>";
        let beside = "<testsuite name=\"b\" failures=\"3\"/>";
        let around = format!("<testsuite name=\"all\" failures=\"4\">{inner}{beside}</testsuite>");
        assert_eq!(failures_of_suites(&format!("{inner}{beside}")), 5);
        assert_eq!(failures_of_suites(&around), 5);
        let silent = around.replace("failures=\"4\"", "tests=\"9\"");
        assert_eq!(failures_of_suites(&silent), 5);
        assert_eq!(failures_of_suites(&around.replace("\"4\"", "\"7\"")), 7);
    }
}
