//! What the pages say against what the code says.

use std::fmt::Write as _;

use seaworthy_core::code::{Code, Fault};

use crate::tree::{self, read, with_extension};
use crate::{generated, verdict};

fn fault(code: Code) -> &'static str {
    match code.fault() {
        Fault::Caller => "caller",
        Fault::Upstream => "provider",
        Fault::Operator => "operator",
        Fault::Gateway => "gateway",
    }
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let mut broken = Vec::new();
    for code in Code::ALL {
        let path = format!("docs/errors/{}.md", code.as_str());
        let head = format!(
            "# {}\n\n{}\n\n- Status: {}\n- Fault: {}\n- Retry: ",
            code.as_str(),
            code.meaning(),
            code.status(),
            fault(*code)
        );
        match tree::files().iter().find(|file| file.path == path) {
            None => broken.push(format!("{path} is missing; it begins with\n{head}")),
            Some(page) if !page.text.starts_with(&head) => {
                broken.push(format!("{path} does not begin with\n{head}"));
            }
            Some(page) => {
                for heading in ["## Likely causes", "## What to do"] {
                    if !page.text.contains(heading) {
                        broken.push(format!("{path} has no \"{heading}\""));
                    }
                }
            }
        }
    }
    for page in with_extension("md") {
        let name = page
            .path
            .strip_prefix("docs/errors/")
            .and_then(|path| path.strip_suffix(".md"));
        let is_known = |name| Code::ALL.iter().any(|code| code.as_str() == name);
        if name.is_some_and(|name| name != "README" && !is_known(name)) {
            broken.push(format!("{} is about a code that does not exist", page.path));
        }
    }
    verdict(
        "Error codes and their pages differ:",
        "write or correct the page; the facts are those of crates/core/src/code.rs",
        broken,
    );
}

#[test]
fn the_index_of_error_codes_is_complete() {
    let mut page = "# Error codes

<!-- Generated from the table of codes. `SEAWORTHY_BLESS=1 cargo test -p seaworthy --test tidy` writes it anew. -->

A code is stable: programs may match on it.
OpenAI's dialect carries it in `error.code`, Anthropic's in `error.details.error_code`, logs in `error_code`, metrics in the label `code`.

| code | status | fault | meaning |
|---|--:|---|---|
"
    .to_owned();
    for code in Code::ALL {
        let (name, status, fault) = (code.as_str(), code.status(), fault(*code));
        let meaning = code.meaning();
        let _infallible = writeln!(
            page,
            "| [`{name}`]({name}.md) | {status} | {fault} | {meaning} |"
        );
    }
    generated("docs/errors/README.md", &page);
}

/// The first string literal after each occurrence of `marker`.
fn literals_after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(marker)
        .filter_map(|(at, _)| text[at + marker.len()..].split('"').nth(1))
}

/// The first cells of a page's tables, without their backticks.
fn first_cells(page: &str) -> Vec<&str> {
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.collect()
}

#[test]
fn the_reference_of_metrics_lists_every_metric_and_no_other() {
    let mut names = Vec::new();
    let rendered = seaworthy_gateway::Metrics::new().render();
    for line in rendered
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        names.push(match line.split_once(' ') {
            Some((name, "counter")) => format!("{name}_total"),
            Some((name, _)) => name.to_owned(),
            None => line.to_owned(),
        });
    }
    assert!(names.len() > 10, "the metrics were not found: {names:?}");
    let documented = first_cells(read("docs/reference/metrics.md"));
    let documented: Vec<&str> = documented
        .into_iter()
        .filter(|name| name.starts_with("seaworthy_") || name.starts_with("process_"))
        .collect();
    compare(
        "docs/reference/metrics.md",
        "crates/gateway/src/metrics.rs",
        &documented,
        &names,
    );
}

#[test]
fn the_reference_of_the_api_lists_every_route_and_no_other() {
    let source = read("crates/gateway/src/routes/table.rs");
    let table = source
        .split_once("ROUTES: &[Route] = &[")
        .and_then(|(_, rest)| rest.split_once("\n];"));
    let table = table.expect("the route table").0;
    let routes = table.split("route(").skip(1).map(|row| {
        let method = row
            .split_once("Method::")
            .and_then(|(_, rest)| rest.split_once(','));
        let path = row.split('"').nth(1);
        format!("{} {}", method.expect("a method").0, path.expect("a path"))
    });
    let routes: Vec<String> = routes.collect();
    assert!(routes.len() > 5, "the routes were not found: {routes:?}");
    let documented = first_cells(read("docs/reference/http.md"));
    let documented: Vec<&str> = documented
        .into_iter()
        .filter(|cell| cell.contains(" /"))
        .collect();
    compare(
        "docs/reference/http.md",
        "crates/gateway/src/routes/table.rs",
        &documented,
        &routes,
    );
}

#[test]
fn the_reference_of_logs_lists_every_field_of_a_request() {
    let source = read("crates/gateway/src/request_log.rs");
    let json = source
        .split_once("fn json_line")
        .and_then(|(_, rest)| rest.split_once("fn pretty_line"));
    let json = json.expect("the JSON line").0;
    // The first member is written with the brace, the others by calls of `line`.
    let first = json
        .split("{{\\\"")
        .nth(1)
        .and_then(|rest| rest.split('\\').next());
    let others = json.split("line.").skip(1).filter_map(|call| {
        let (method, rest) = call.split_once("(\"")?;
        method
            .bytes()
            .all(|byte| byte.is_ascii_lowercase())
            .then(|| rest.split('"').next())?
    });
    let mut fields: Vec<String> = first.into_iter().chain(others).map(str::to_owned).collect();
    fields.sort();
    fields.dedup();
    assert!(fields.len() > 15, "the fields were not found: {fields:?}");
    let page = read("docs/reference/logging.md");
    let table = page
        .split_once("## Lines of requests")
        .map_or("", |(_, rest)| rest);
    let table = table.split_once("\n## ").map_or(table, |(table, _)| table);
    compare(
        "docs/reference/logging.md",
        "crates/gateway/src/request_log.rs",
        &first_cells(table),
        &fields,
    );
}

#[test]
fn the_pages_on_accounting_and_metrics_name_every_outcome() {
    let source = read("crates/core/src/ledger.rs");
    let names = source
        .split_once("impl Outcome")
        .and_then(|(_, rest)| rest.split_once("impl "));
    let names: Vec<&str> = literals_after(names.expect("the outcomes").0, " => ").collect();
    assert!(names.len() >= 3, "the outcomes were not found: {names:?}");
    let mut broken = Vec::new();
    for page in ["docs/reference/accounting.md", "docs/reference/metrics.md"] {
        let unnamed = names
            .iter()
            .filter(|name| !read(page).contains(&format!("`{name}`")));
        broken.extend(unnamed.map(|name| format!("{page} does not mention `{name}`")));
    }
    verdict(
        "Calls end in ways that the pages do not know:",
        "say when a call is recorded like that, and what usage it gets",
        broken,
    );
}

fn compare(page: &str, source: &str, documented: &[&str], existing: &[String]) {
    let missing = existing
        .iter()
        .filter(|name| !documented.contains(&name.as_str()));
    let extra = documented
        .iter()
        .filter(|name| !existing.iter().any(|known| known == *name));
    let broken = missing
        .map(|name| format!("{page} lacks a row that begins with | `{name}`"))
        .chain(extra.map(|name| format!("{page} has `{name}`, which does not exist")));
    verdict(
        &format!("{page} and {source} differ:"),
        "correct the page in the same change as the code",
        broken.collect(),
    );
}

#[test]
fn links_and_paths_in_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in with_extension("md") {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, _) in page.text.match_indices("](") {
            let target = page.text[at + 2..]
                .split([')', ' ', '#'])
                .next()
                .unwrap_or_default();
            let is_elsewhere =
                target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !tree::root().join(folder).join(target).exists() {
                broken.push(format!("{}: link to {target}", page.path));
            }
        }
        for path in page.text.split('`').skip(1).step_by(2) {
            let is_ours = ["crates/", "docs/", "tests/", "xtask/", "fixtures/", ".ci/"]
                .iter()
                .any(|folder| path.starts_with(folder));
            let is_pattern = path.contains(['<', '*', '{', '…', ' ', '\n']);
            if is_ours && !is_pattern && !tree::root().join(path).exists() {
                broken.push(format!("{}: `{path}`", page.path));
            }
        }
    }
    verdict(
        "These do not exist:",
        "correct the link or the path, from the project's root",
        broken,
    );
}

#[test]
fn the_commands_of_the_readme_are_those_that_are_run() {
    let mut broken = Vec::new();
    let readme = read("README.md");
    for command in ["cargo run --release -- serve", "cargo xtask test"] {
        if !readme.contains(command) {
            broken.push(format!("README.md does not say `{command}`"));
        }
    }
    if !read(".ci/run").contains("cargo xtask test") {
        broken.push(".ci/run does not run `cargo xtask test`".to_owned());
    }
    let tasks = read("xtask/src/main.rs").to_lowercase();
    for page in with_extension("md") {
        for (at, marker) in page.text.match_indices("cargo xtask ") {
            let name = page.text[at + marker.len()..]
                .split(|c: char| !c.is_alphanumeric())
                .next();
            let name = name.unwrap_or_default();
            if !tasks.contains(&format!("task::{name}(")) {
                broken.push(format!("{}: there is no `cargo xtask {name}`", page.path));
            }
        }
    }
    verdict(
        "The commands differ:",
        "correct the page, .ci/run or xtask",
        broken,
    );
}

#[test]
fn the_tests_that_the_page_of_budgets_names_exist() {
    let page = read("docs/reference/budgets.md");
    let rows = page.lines().filter(|line| line.starts_with("| R-B"));
    let names: Vec<&str> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| name.matches('_').count() > 3)
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let is_there = |name: &&str| {
        let needle = format!("fn {name}(");
        with_extension("rs").any(|file| file.text.contains(&needle))
    };
    let missing = names.iter().filter(|name| !is_there(name));
    verdict(
        "These tests are named in docs/reference/budgets.md and do not exist:",
        "name the test that holds the promise now",
        missing.map(|name| (*name).to_owned()).collect(),
    );
}
