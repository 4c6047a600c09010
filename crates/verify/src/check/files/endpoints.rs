//! Whether the endpoints that the repository documents are served.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{Looked, conclude};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::repository::Repository;
use crate::files::{Problem, yaml};
use crate::http::Request;
use crate::outcome::{Probed, Stop, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[Check {
    id: "docs.endpoints-served",
    title: "The endpoints that are documented are served",
    why: "Who builds on a page that is wrong finds out in production.",
    severity: Severity::High,
    areas: &[Area::Compatibility],
    needs: &[Need::Repository],
    verified_by: "Each method and path in READMEs, pages on the API and OpenAPI documents, asked of the server without a key; a POST carries a body that is no JSON. Paths with parameters and methods that change or delete are left out.",
    remedy: "Correct the page, or serve what it says.",
    kind: Kind::Live,
    standard: true,
    probe: |s| Box::pin(served(s)),
}];

/// Endpoints that are asked for.
const MAX_ENDPOINTS: usize = 80;

/// A method and a path, and where they stand.
type Endpoints = BTreeMap<(String, String), Problem>;

async fn served(s: &Session<'_>) -> Probed {
    let Some(repository) = s.repository() else {
        return not_verified("a repository");
    };
    let endpoints = documented(repository);
    if endpoints.is_empty() {
        return not_verified("pages that name endpoints, such as `GET /health`");
    }
    let (mut asked, mut problems) = (0, Vec::new());
    let elsewhere = control_plane_is_elsewhere(s).await?;
    let here = |path: &str| !(elsewhere && path.starts_with("/admin/"));
    let endpoints = endpoints.iter().filter(|((_, path), _)| here(path));
    for ((method, path), place) in endpoints.take(MAX_ENDPOINTS) {
        asked += 1;
        if let Some(status) = refusal(s, method, path).await? {
            let found = format!("{method} {path} is documented, and the server answers {status}");
            problems.push(Problem {
                found,
                ..place.clone()
            });
        }
    }
    if problems.len() * 2 > asked && asked > 1 {
        return not_verified(format!(
            "the repository of this server: of {asked} endpoints that it documents, {} are not served",
            problems.len()
        ));
    }
    let looked = format!("{asked} endpoints of the pages are served");
    conclude(s, "endpoints that are served", Looked::At(looked, problems))
}

/// Our own servers may have an address of its own for `/admin`, where this run does not ask.
async fn control_plane_is_elsewhere(s: &Session<'_>) -> Result<bool, Stop> {
    let ours = s.facts().seaworthy;
    Ok(ours && s.send(Request::get("/admin/v1/status")).await?.status() == 404)
}

/// The status that says that an endpoint is not there.
async fn refusal(s: &Session<'_>, method: &str, path: &str) -> Result<Option<u16>, Stop> {
    let request = match method {
        "POST" => {
            // Nothing acts on what it cannot read.
            let mut request = Request::post(path).header("content-type", "application/json");
            request.body = b"{".to_vec();
            request
        }
        _ => Request::get(path),
    };
    let answer = s.send(request).await?;
    Ok(Some(answer.status()).filter(|status| matches!(status, 404 | 405 | 501)))
}

/// The endpoints of all pages and documents, each once.
fn documented(r: &Repository) -> Endpoints {
    let mut all = Endpoints::new();
    for (path, text) in r.texts_of(is_about_api) {
        if path.to_ascii_lowercase().ends_with(".md") {
            of_page(path, text, &mut all);
        } else {
            of_openapi(path, text, &mut all);
        }
    }
    all
}

/// Pages and documents that describe the API of the repository's own server.
fn is_about_api(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let aside = ["test", "vendor/", "node_modules/", "example", "changelog"];
    let (name, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let named = |wanted: &[&str]| wanted.iter().any(|word| words.contains(word));
    !aside.iter().any(|part| lower.contains(part))
        && match ending {
            "md" => named(&["readme", "api", "http", "rest", "endpoints", "endpoint"]),
            "json" | "yaml" | "yml" => named(&["openapi", "swagger"]),
            _ => false,
        }
}

fn of_page(path: &str, text: &str, all: &mut Endpoints) {
    static NAMED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b(GET|POST)\s+`?(/[A-Za-z0-9_\-./]*)([{:<*?]?)").ok());
    let Some(named) = NAMED.as_ref() else { return };
    for (index, line) in text.lines().enumerate() {
        for found in named.captures_iter(line) {
            let part = |n| found.get(n).map_or("", |m| m.as_str());
            let (method, endpoint, parameter) = (part(1), part(2), part(3));
            // `{id}`, `:id` and `…` stand for something that only a reader knows.
            let rest = line
                .get(found.get(0).map_or(0, |m| m.end())..)
                .unwrap_or_default();
            let open = matches!(parameter, "{" | ":" | "<" | "*") || rest.starts_with(['…', '$']);
            if open || endpoint.contains("//") {
                continue;
            }
            let endpoint = endpoint.trim_end_matches('.');
            let key = (method.to_owned(), endpoint.to_owned());
            all.entry(key)
                .or_insert_with(|| Problem::new(path, index + 1, ""));
        }
    }
}

fn of_openapi(path: &str, text: &str, all: &mut Endpoints) {
    let Some(document) = yaml::parse(text)
        .ok()
        .and_then(|all| all.into_iter().next())
    else {
        return;
    };
    let Some(paths) = document.get("paths") else {
        return;
    };
    for (endpoint, methods) in paths.entries() {
        if endpoint.contains('{') || !endpoint.starts_with('/') {
            continue;
        }
        for (method, node) in methods.entries() {
            let method = method.to_ascii_uppercase();
            if matches!(method.as_str(), "GET" | "POST") {
                let key = (method, endpoint.clone());
                all.entry(key)
                    .or_insert_with(|| Problem::new(path, node.line, ""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoints, is_about_api, of_openapi, of_page};

    fn named(endpoints: &Endpoints) -> Vec<String> {
        endpoints.keys().map(|(m, p)| format!("{m} {p}")).collect()
    }

    #[test]
    fn reads_what_a_client_can_ask_for_and_leaves_parameters_out() {
        let mut all = Endpoints::new();
        let page = "`GET /health` lives.\n| `POST /v1/chat` | x |\nDELETE /v1/all\n\
                    GET /v1/items/{id}, GET /v1/items/:id, POST /v1/…\nGET /v1/items?limit=3.\n";
        of_page("README.md", page, &mut all);
        assert_eq!(
            named(&all),
            ["GET /health", "GET /v1/items", "POST /v1/chat"]
        );
        let mut all = Endpoints::new();
        let document =
            "paths:\n  /a: {get: {}, delete: {}}\n  /b/{id}: {get: {}}\n  /c: {post: {}}\n";
        of_openapi("openapi.yaml", document, &mut all);
        assert_eq!(named(&all), ["GET /a", "POST /c"]);
    }

    #[test]
    fn reads_pages_on_the_api_only() {
        for path in [
            "README.md",
            "docs/api.md",
            "docs/http-reference.md",
            "openapi.json",
        ] {
            assert!(is_about_api(path), "{path}");
        }
        for path in [
            "docs/fake-provider.md",
            "CHANGELOG.md",
            "tests/api.md",
            "therapist.md",
        ] {
            assert!(!is_about_api(path), "{path}");
        }
    }
}
