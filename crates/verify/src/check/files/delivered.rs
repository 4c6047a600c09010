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
        "Steps of workflows that deploy or promote to staging.",
        |r| staged(
            r,
            &["deploy", "apply", "upgrade", "promote"],
            "no step deploys to staging"
        )
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
        |r| {
            file(r, "a stand-in", |p| {
                let lower = p.to_lowercase();
                [
                    "mock", "fake", "stub", "vcr", "cassette", "wiremock", "respx", "nock",
                ]
                .iter()
                .any(|word| lower.contains(word))
            })
        }
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

fn file(r: &Repository, what: &str, fits: impl Fn(&str) -> bool) -> Looked {
    match r.paths.iter().find(|path| fits(path)) {
        Some(path) => Looked::At(path.clone(), Vec::new()),
        None => {
            let found = format!("no file is {what}, among {}", r.paths.len());
            Looked::At(String::new(), vec![Problem::new(".", 1, found)])
        }
    }
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
        for (index, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            if lower.contains("drop column")
                || lower.trim_start().starts_with("drop table") && !file.contains("down")
            {
                problems.push(Problem::new(
                    path,
                    index + 1,
                    "drops what the version before still reads",
                ));
            }
        }
    }
    match all.len() {
        0 => Looked::Nothing("the repository has no migrations"),
        n => Looked::At(format!("{n} migrations"), problems),
    }
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
                line.starts_with('#') && line.contains(|c: char| c.is_ascii_digit())
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
