//! What is written down, and how the source is written.

use super::documents::find::{Wanted, document};
use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::repository::Repository;

const REPOSITORY: &[Need] = &[Need::Repository];
const HOW: &str = "A Markdown file or heading of that name that speaks of what belongs in it. Whether it is good, a person must judge.";

/// A row on a document: its names, and the words that must be in it.
macro_rules! written {
    ($id:literal, $named:expr, $($speaks:expr),*) => {
        Row {
            id: $id,
            needs: REPOSITORY,
            kind: crate::check::Kind::Files,
            how: HOW,
            probe: |s| super::in_repository(s, "a document that says it", |r| {
                document(r, &Wanted { named: &$named, speaks_of: &[$(&$speaks),*] })
            }),
        }
    };
}

pub(super) static ROWS: &[Row] = &[
    written!(
        "change.process-documented",
        ["change-process", "change-management", "contributing"],
        ["review", "approv"]
    ),
    written!(
        "change.deployment-windows",
        ["deployment-window", "release-window", "change-freeze"],
        ["day", "hour", "week"]
    ),
    written!(
        "docs.configuration",
        ["configuration", "config"],
        ["default", "option", "key"]
    ),
    written!(
        "oncall.contacts-listed",
        ["contacts", "emergency"],
        ["phone", "slack", "mail", "pager"]
    ),
    written!(
        "oncall.rotation",
        ["rotation", "on-call", "oncall"],
        ["week", "schedule"]
    ),
    written!(
        "perf.baseline-recorded",
        ["baseline", "benchmark"],
        ["p95", "p99", "latency"],
        ["commit", "version", "date", "measured"]
    ),
    written!(
        "privacy.data-classification",
        ["data-classification", "data-inventory", "classification"],
        ["class", "public", "confidential"],
        ["store", "field", "table"]
    ),
    written!(
        "scale.plan-documented",
        ["capacity", "scaling"],
        ["peak", "load"],
        ["replica", "node", "instance"]
    ),
    written!(
        "secrets.rotation-plan",
        ["rotation", "key-rotation"],
        ["day", "month"],
        ["owner", "who", "team"]
    ),
    written!(
        "dr.drills-scheduled",
        ["drill"],
        ["quarter", "month", "schedule", "every"]
    ),
    row!(
        "docs.api-reference",
        REPOSITORY,
        in_repository,
        "a reference of the API",
        "An OpenAPI document, or a Markdown file named after the API that shows requests.",
        api_reference
    ),
    row!(
        "docs.env-vars-documented",
        REPOSITORY,
        in_repository,
        "every variable in the documents",
        "The environment variables that source reads, looked for in .env.example and Markdown files.",
        variables
    ),
    row!(
        "risk.high-mitigated",
        REPOSITORY,
        in_repository,
        "an answer to every high risk",
        "Rows of the register of risks that say high or critical: mitigation and owner are filled in.",
        high_risks
    ),
    row!(
        "code.docstrings",
        REPOSITORY,
        in_repository,
        "comments on four of five public functions",
        "Public functions in Python, Rust, TypeScript and Go that ship.",
        |r| {
            share(
                r,
                r.source.documented,
                r.source.public,
                "public functions say what they do",
            )
        }
    ),
    row!(
        "code.type-annotations",
        REPOSITORY,
        in_repository,
        "types on four of five functions",
        "Functions in Python that ship; other languages have types of their own.",
        types
    ),
    row!(
        "code.no-bare-except",
        REPOSITORY,
        in_repository,
        "no swallowed errors",
        "Bare except, except with pass, and empty catch blocks in source that ships.",
        |r| { clean(r, &r.source.swallowed) }
    ),
    row!(
        "code.external-calls-guarded",
        REPOSITORY,
        in_repository,
        "a guard or a timeout round calls that leave",
        "Calls of requests and urllib in Python that ships. Other clients are not known.",
        |r| { clean(r, &r.source.unguarded) }
    ),
    row!(
        "config.externalized",
        REPOSITORY,
        in_repository,
        "addresses in the configuration",
        "URLs in literals of source that ships; examples, schemas and this machine are left out.",
        |r| { clean(r, &r.source.addresses) }
    ),
];

const NO_SOURCE: &str = "source code in the repository";

fn clean(r: &Repository, problems: &[Problem]) -> Looked {
    match r.sources {
        0 => Looked::Unknown(NO_SOURCE.to_owned()),
        n => Looked::At(format!("{n} files of source"), problems.to_vec()),
    }
}

fn share(r: &Repository, good: usize, all: usize, what: &str) -> Looked {
    if r.sources == 0 || all == 0 {
        return Looked::Unknown(NO_SOURCE.to_owned());
    }
    let words = format!("{good} of {all} {what}");
    if good * 5 >= all * 4 {
        Looked::At(words, Vec::new())
    } else {
        Looked::At(String::new(), vec![Problem::new(".", 1, words)])
    }
}

fn types(r: &Repository) -> Looked {
    match (r.sources, r.source.untyped_language) {
        (0, _) => Looked::Unknown(NO_SOURCE.to_owned()),
        (n, 0) => Looked::At(format!("{n} files in languages with types"), Vec::new()),
        (_, all) => share(r, r.source.annotated, all, "functions have types"),
    }
}

fn api_reference(r: &Repository) -> Looked {
    let openapi = r.paths.iter().find(|path| {
        let file = path.rsplit('/').next().unwrap_or(path).to_lowercase();
        (file.starts_with("openapi.") || file.starts_with("swagger.")) && !r.hollow.contains(*path)
    });
    if let Some(path) = openapi {
        return Looked::At(path.clone(), Vec::new());
    }
    let wanted = Wanted {
        named: &["api", "http", "endpoints"],
        speaks_of: &[&["get ", "post "], &["/"]],
    };
    document(r, &wanted)
}

fn variables(r: &Repository) -> Looked {
    if r.source.variables.is_empty() {
        return Looked::Nothing("the source reads no environment variable that is recognised");
    }
    let documents: Vec<&str> = r
        .texts_of(|path| path.ends_with(".md") || path.contains(".env"))
        .map(|(_, text)| text)
        .collect();
    let problems = r
        .source
        .variables
        .iter()
        .filter(|name| !documents.iter().any(|text| text.contains(name.as_str())))
        .map(|name| Problem::new(".", 1, format!("{name} is read and documented nowhere")))
        .collect();
    Looked::At(format!("{} variables", r.source.variables.len()), problems)
}

/// A cell that says that there is nothing to say yet.
fn is_open(cell: &str) -> bool {
    let open = [
        "tbd",
        concat!("to", "do"),
        "-",
        "?",
        "none",
        "n/a",
        "nobody",
        "unknown",
        "open",
    ];
    open.contains(&cell)
}

fn high_risks(r: &Repository) -> Looked {
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, text) in r.texts_of(|path| path.to_lowercase().ends_with(".md")) {
        let mut register = false;
        for (index, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            if lower.starts_with('#') {
                register = lower.contains("risk");
            }
            let cells: Vec<&str> = lower
                .trim()
                .trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            let high = cells
                .iter()
                .any(|cell| matches!(*cell, "high" | "critical"));
            if register && cells.len() >= 3 && high {
                seen += 1;
                if cells.iter().any(|cell| cell.is_empty() || is_open(cell)) {
                    problems.push(Problem::new(
                        path,
                        index + 1,
                        "a high risk has no answer or no owner",
                    ));
                }
            }
        }
    }
    match seen {
        0 => Looked::Unknown("a register of risks with high ones in a table".to_owned()),
        n => Looked::At(format!("{n} high risks"), problems),
    }
}
