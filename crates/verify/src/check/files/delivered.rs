//! How changes are delivered: linters, types, staging, migrations and records.

use super::pipeline::{Step, steps, stopping_step};
use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::repository::Repository;

const REPOSITORY: &[Need] = &[Need::Repository];

pub(super) static ROWS: &[Row] = &[
    row!(
        "code.type-check-clean",
        REPOSITORY,
        in_repository,
        "a type checker in the pipeline",
        "Steps of workflows that check types; its findings stop the pipeline.",
        |r| step(
            r,
            &[
                "mypy",
                "pyright",
                "tsc",
                "cargo check",
                "cargo clippy",
                "typecheck",
                "go vet",
                "xtask test"
            ],
            "no step checks types"
        )
    ),
    row!(
        "deploy.staging-first",
        REPOSITORY,
        in_repository,
        "staging before production",
        "Steps of workflows that deploy or promote to staging, and whether production in the same workflow waits for them.",
        staging_first
    ),
    row!(
        "test.run-against-staging",
        REPOSITORY,
        in_repository,
        "tests against staging",
        "Steps of workflows that name staging and run tests.",
        |r| staged(r, &["test", "smoke", "e2e"], "no step tests staging")
    ),
    row!(
        "code.lint-clean",
        REPOSITORY,
        in_repository,
        "a linter in the pipeline",
        "Steps of workflows that run a linter; its findings stop the pipeline.",
        |r| {
            step(
                r,
                &[
                    "clippy",
                    "ruff",
                    "eslint",
                    "flake8",
                    "pylint",
                    "golangci-lint",
                    "npm run lint",
                    "make lint",
                    "biome",
                    "xtask test",
                ],
                "no step runs a linter",
            )
        }
    ),
    row!(
        "deps.licenses-compatible",
        REPOSITORY,
        in_repository,
        "licences that are checked",
        "A policy of licences (deny.toml, licence lists) and a step that checks it.",
        licences
    ),
    row!(
        "config.versioned",
        REPOSITORY,
        in_repository,
        "configuration in the repository",
        "Files of configuration and manifests that version control keeps.",
        |r| { file(r, "configuration", is_configuration) }
    ),
    row!(
        "deploy.db-migrations",
        REPOSITORY,
        in_repository,
        "numbered migrations that lose nothing at once",
        "Migration files: numbered or dated names, and no dropped column or table.",
        migrations
    ),
    row!(
        "deploy.recorded",
        REPOSITORY,
        in_repository,
        "a record of releases",
        "A changelog with versions and dates.",
        recorded
    ),
    row!(
        "test.externals-mocked",
        REPOSITORY,
        in_repository,
        "stand-ins for what tests must not reach",
        "Imports of mock and recording libraries in test files, and stand-in servers.",
        stand_ins
    ),
];

fn step(r: &Repository, signs: &[&str], missing: &str) -> Looked {
    match stopping_step(r, signs, missing) {
        Looked::Nothing(why) => Looked::Unknown(format!("workflows: {why}")),
        looked => looked,
    }
}

/// A step that names staging and does one of these things.
fn staged(r: &Repository, does: &[&str], missing: &str) -> Looked {
    let steps = match steps(r) {
        Ok(steps) => steps,
        Err(broken) => return Looked::At(String::new(), broken),
    };
    let fits = |step: &&Step| {
        step.words.contains("staging") && does.iter().any(|sign| step.deeds.contains(sign))
    };
    match (steps.first(), steps.iter().find(fits)) {
        (None, _) => Looked::Unknown("workflows: the repository has none".to_owned()),
        (_, Some(step)) => Looked::At(format!("{}:{}", step.path, step.line), Vec::new()),
        (Some(first), None) => {
            Looked::At(String::new(), vec![Problem::new(&first.path, 1, missing)])
        }
    }
}

/// What steps do that put something in its place.
const DEPLOYS: [&str; 4] = ["deploy", "apply", "upgrade", "promote"];

/// Staging gets it, and production in the same workflow does not go ahead of it.
fn staging_first(r: &Repository) -> Looked {
    let looked = staged(r, &DEPLOYS, "no step deploys to staging");
    let (Looked::At(examined, problems), Ok(steps)) = (&looked, steps(r)) else {
        return looked;
    };
    if !problems.is_empty() {
        return looked;
    }
    let does = |step: &Step| DEPLOYS.iter().any(|sign| step.deeds.contains(sign));
    let places = |word: &'static str| {
        let named = move |step: &&Step| step.words.contains(word) && does(step);
        steps.iter().filter(named)
    };
    let hurried = places("prod").find(|production| {
        let mut stagings = places("staging").filter(|s| s.path == production.path);
        let waits = |s: &Step| s.job == production.job || production.after.contains(&s.job);
        let any = stagings.clone().next().is_some();
        any && !stagings.any(waits)
    });
    let problems = hurried.map(|step| {
        Problem::new(
            &step.path,
            step.line,
            "deploys to production without waiting for staging",
        )
    });
    Looked::At(examined.clone(), problems.into_iter().collect())
}

fn file(r: &Repository, what: &str, fits: impl Fn(&str) -> bool) -> Looked {
    match r.paths.iter().find(|path| fits(path)) {
        Some(path) => Looked::At(path.clone(), Vec::new()),
        None => {
            let found = format!("no file is {what}, among {}", r.paths.len());
            Looked::At(String::new(), vec![Problem::new(".", 1, found)])
        }
    }
}

/// A stand-in that a file is, or that tests use.
fn stand_ins(r: &Repository) -> Looked {
    if r.stand_ins > 0 {
        return Looked::At(
            format!("{} files of tests use some", r.stand_ins),
            Vec::new(),
        );
    }
    let words = [
        "mock", "fake", "stub", "vcr", "cassette", "wiremock", "respx", "nock",
    ];
    file(r, "a stand-in, or a test that uses one", |path| {
        let lower = path.to_lowercase();
        words.iter().any(|word| lower.contains(word))
    })
}

fn is_configuration(path: &str) -> bool {
    let lower = path.to_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let typed = [".yaml", ".yml", ".toml", ".json"]
        .iter()
        .any(|end| file.ends_with(end));
    let named = ["config", "settings", "values", "seaworthy"]
        .iter()
        .any(|word| file.contains(word));
    let placed = [
        "config/",
        "deploy/",
        "k8s/",
        "manifests/",
        "helm/",
        "charts/",
    ]
    .iter()
    .any(|part| lower.contains(part));
    typed && (named || placed) && !lower.contains("test")
}

fn licences(r: &Repository) -> Looked {
    let policy = r.paths.iter().find(|path| {
        let file = path.rsplit('/').next().unwrap_or(path);
        matches!(
            file,
            "deny.toml"
                | ".licensee.json"
                | "license-checker.json"
                | ".fossa.yml"
                | "about.toml"
                | "licenses.json"
        )
    });
    let signs = [
        "cargo deny",
        "cargo-deny",
        "license-checker",
        "pip-licenses",
        "licensee",
        "fossa",
        "go-licenses",
        "dependency-review",
    ];
    match (policy, step(r, &signs, "no step checks licences")) {
        (Some(path), _) => Looked::At(path.clone(), Vec::new()),
        (None, looked) => looked,
    }
}

fn migrations(r: &Repository) -> Looked {
    let is_way_back = |path: &str| path.contains("down");
    let all: Vec<(&str, &str)> = r.texts_of(|path| path.contains("migrations/")).collect();
    let mut problems = Vec::new();
    for (path, text) in &all {
        let file = path.rsplit('/').next().unwrap_or(path);
        let numbered = file
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_digit() || c == 'V');
        if !numbered && file.ends_with(".sql") {
            problems.push(Problem::new(
                path,
                1,
                "has no number, so that nobody knows its order",
            ));
        }
        if is_way_back(file) {
            continue;
        }
        // What some tools keep below a line of their own is the way back.
        let ways_back = ["+goose down", "migrate:down", "+migrate down"];
        let is_below = |line: &&str| {
            let lower = line.to_lowercase();
            !ways_back.iter().any(|mark| lower.contains(mark))
        };
        let forth: Vec<&str> = text.lines().take_while(is_below).collect();
        let text = forth.join("\n");
        let mut line = 1;
        for statement in text.split(';') {
            let lost = loses(statement);
            let begins = statement.len() - statement.trim_start().len();
            let skipped = statement.get(..begins).unwrap_or_default();
            if let Some(found) = lost {
                problems.push(Problem::new(
                    path,
                    line + skipped.matches('\n').count(),
                    found,
                ));
            }
            line += statement.matches('\n').count();
        }
    }
    match all.len() {
        0 => Looked::Nothing("the repository has no migrations"),
        n => Looked::At(format!("{n} migrations"), problems),
    }
}

/// What a statement takes away from the version that still runs.
fn loses(statement: &str) -> Option<&'static str> {
    let lines = statement
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join(" ").to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |wanted: &[&str]| words.windows(wanted.len()).any(|found| found == wanted);
    let begins = |wanted: &[&str]| words.starts_with(wanted);
    if has(&["drop", "column"]) || begins(&["drop", "table"]) || begins(&["drop", "schema"]) {
        return Some("drops what the version before still reads");
    }
    if begins(&["truncate"]) {
        return Some("empties a table");
    }
    let renames =
        begins(&["alter", "table"]) && (has(&["rename", "column"]) || has(&["rename", "to"]));
    renames.then_some("renames what the version before still reads")
}

fn recorded(r: &Repository) -> Looked {
    let is_log = |path: &str| {
        let upper = path.to_uppercase();
        ["CHANGELOG.MD", "HISTORY.MD", "RELEASES.MD", "CHANGES.MD"]
            .iter()
            .any(|name| upper.ends_with(name))
    };
    match r.texts_of(is_log).next() {
        None => Looked::At(
            String::new(),
            vec![Problem::new(".", 1, "no changelog records releases")],
        ),
        Some((path, text)) => {
            let versions = text.lines().filter(|line| {
                let is_next = line.to_ascii_lowercase().contains("unreleased");
                line.starts_with('#') && line.contains(|c: char| c.is_ascii_digit()) && !is_next
            });
            let waits = text.lines().any(|line| {
                line.starts_with('#') && line.to_ascii_lowercase().contains("unreleased")
            });
            let problems = match versions.count() {
                0 if waits => {
                    return Looked::Unknown(format!(
                        "a release: {path} holds changes that wait for the first one"
                    ));
                }
                0 => vec![Problem::new(path, 1, "names no version")],
                _ => Vec::new(),
            };
            Looked::At(path.to_owned(), problems)
        }
    }
}
