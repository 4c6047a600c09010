//! Errors outside the model APIs: right status, machine-readable, giving nothing away.

use super::dialect::{self, Dialect, ensure_status};
use super::{Area, Check, Kind, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, fail, not_verified};
use crate::session::{Session, canary};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "errors.unknown-path-is-404-json",
        title: "An unknown path is a 404 in JSON",
        why: "API clients parse error bodies; a web page breaks them.",
        severity: Severity::Medium,
        areas: &[Area::Compatibility],
        needs: &[],
        verified_by: "GET on a path that cannot exist, with the key when there is one.",
        remedy: "Answer unknown paths with 404 and a JSON error.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(unknown_path(s)),
    },
    Check {
        id: "errors.wrong-method-is-405",
        title: "A wrong method is a 405 that names the right ones",
        why: "A 404 or 500 there sends people looking for a routing problem.",
        severity: Severity::Low,
        areas: &[Area::Compatibility],
        needs: &[],
        verified_by: "DELETE on /v1/chat/completions, or on /health when that is not served.",
        remedy: "Answer 405 with an Allow header on known paths.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(wrong_method(s)),
    },
    Check {
        id: "errors.no-internals",
        title: "Errors show no stack trace, source path or panic",
        why: "They tell an attacker what to look for, and users nothing.",
        severity: Severity::High,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "The answers to four kinds of bad request, searched for traces of code.",
        remedy: "Log the cause, and answer with a sentence and a request ID.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(no_internals(s)),
    },
    Check {
        id: "errors.no-version-banner",
        title: "Headers do not state software versions",
        why: "A version is the first thing that a scanner matches against known holes.",
        severity: Severity::Low,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "The server and x-powered-by headers of an ordinary answer and of an error.",
        remedy: "Turn the version in the Server header off.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(no_banner(s)),
    },
];

async fn unknown_path(s: &Session<'_>) -> Probed {
    let answer = s
        .send(s.with_key(Request::get(format!("/v1/{}", canary("no-such-")))))
        .await?;
    ensure_status(&answer, &[404], "an unknown path")?;
    match answer.json() {
        Some(json) if json.is_object() => Ok("404 with a JSON object".to_owned()),
        _ => fail(
            "a JSON object",
            format!(
                "404 with {}",
                answer.header("content-type").unwrap_or("no content type")
            ),
        ),
    }
}

async fn wrong_method(s: &Session<'_>) -> Probed {
    let served = dialect::served(s)
        .ok()
        .and_then(|served| served.first().copied());
    let path = served.map_or("/health", Dialect::path);
    let answer = s.send(s.with_key(Request::new("DELETE", path))).await?;
    ensure_status(&answer, &[405], &format!("DELETE {path}"))?;
    match answer.header("allow") {
        Some(allow) if !allow.trim().is_empty() => Ok(format!("405 with allow: {allow}")),
        _ => fail("an allow header", "405 without one"),
    }
}

/// Requests that programs like to trip over.
fn provocations(s: &Session<'_>) -> Vec<Request> {
    let post = |body: &str| s.with_key(Request::post("/v1/chat/completions").json_bytes(body));
    vec![
        s.with_key(Request::get(format!("/v1/{}/..%2f..%00", canary("x")))),
        post(r#"{"model":"#),
        post(r#"{"model":{"a":[1]},"messages":{"role":null},"stream":"yes"}"#),
        s.with_key(Request::new("PATCH", "/v1/models").header("content-type", "text/html")),
    ]
}

async fn no_internals(s: &Session<'_>) -> Probed {
    let (mut statuses, mut refused) = (Vec::new(), false);
    for request in provocations(s) {
        let answer = s.send(request).await?;
        if let Some(trace) = trace_of_code(&answer.text()) {
            return fail(
                "an error without internals",
                format!("{} whose body shows {trace:?}", answer.status()),
            );
        }
        refused |= answer.status() >= 400;
        statuses.push(answer.status().to_string());
    }
    if !refused {
        return not_verified(format!(
            "an error to look at: bad requests were answered with {}",
            statuses.join(", ")
        ));
    }
    Ok(format!("nothing in the answers {}", statuses.join(", ")))
}

/// A piece of text that only code leaves behind.
fn trace_of_code(body: &str) -> Option<&'static str> {
    const TRACES: [&str; 12] = [
        "panicked at",
        "RUST_BACKTRACE",
        "Traceback (most recent call last)",
        "stack backtrace",
        "goroutine 1 [",
        "Exception in thread",
        "at java.",
        "node_modules/",
        "site-packages/",
        "/.cargo/registry/",
        "/src/main.rs",
        "/src/lib.rs",
    ];
    TRACES.into_iter().find(|trace| body.contains(trace))
}

async fn no_banner(s: &Session<'_>) -> Probed {
    for path in ["/health".to_owned(), format!("/{}", canary("no-such-"))] {
        let answer = s.send(Request::get(path)).await?;
        for name in ["server", "x-powered-by", "x-aspnet-version"] {
            if let Some(banner) = banner_with_version(&answer, name) {
                return fail("no version in it", format!("{name}: {banner}"));
            }
        }
    }
    Ok("no version in the headers".to_owned())
}

fn banner_with_version<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer
        .header(name)
        .filter(|banner| banner.bytes().any(|b| b.is_ascii_digit()))
}
