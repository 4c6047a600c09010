//! Health endpoints: there, cheap, and saying what they looked at.

use std::time::Duration;

use serde_json::Value;

use super::dialect::ensure_status;
use super::{Area, Check, Kind, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, Stop, ensure, fail, not_applicable, not_verified};
use crate::session::{Session, millis};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "health.summary",
        title: "/health answers within 100 ms",
        why: "Load balancers and people look there first.",
        severity: Severity::High,
        areas: &[Area::Reliability],
        needs: &[],
        verified_by: "GET /health without a key; the fastest of three.",
        remedy: "Serve GET /health without credentials, from memory.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| Box::pin(in_time(s, &["/health"], &[], 100)),
    },
    Check {
        id: "health.liveness",
        title: "Liveness answers within 100 ms",
        why: "A slow or missing liveness probe gets a healthy process killed.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[],
        verified_by: "GET on the liveness path without a key; the fastest of three.",
        remedy: "Serve GET /health/live without credentials and without touching a dependency.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| {
            let others = &["/healthz", "/livez", "/live", "/health/liveliness"];
            Box::pin(in_time(s, &["/health/live"], others, 100))
        },
    },
    Check {
        id: "health.readiness",
        title: "Readiness answers within 500 ms",
        why: "Without it, traffic reaches an instance that is starting, draining or cut off.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[],
        verified_by: "GET on the readiness path without a key; the fastest of three.",
        remedy: "Serve GET /health/ready without credentials, checking what this instance needs.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| {
            let others = &["/readyz", "/ready", "/health/readiness"];
            Box::pin(in_time(s, &["/health/ready"], others, 500))
        },
    },
    Check {
        id: "health.ready-alias",
        title: "/ready says the same as /health/ready",
        why: "Deployment templates use either path; one that differs misleads the other's users.",
        severity: Severity::Low,
        areas: &[Area::Reliability],
        needs: &[],
        verified_by: "The status of both paths, one after the other.",
        remedy: "Serve both paths from one handler.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| Box::pin(ready_alias(s)),
    },
    Check {
        id: "health.readiness-explains-itself",
        title: "Readiness names what it checked",
        why: "At three in the morning, `not ready` alone sends people to the wrong place.",
        severity: Severity::Medium,
        areas: &[Area::Reliability, Area::Observability],
        needs: &[],
        verified_by: "The JSON of GET /health/ready: status, checks, duration_ms and version.",
        remedy: "Answer with status, version, duration_ms and one named entry a check.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(explains_itself(s)),
    },
];

/// A path for ours, or one of several for a stranger, answers 200 in time.
async fn in_time(s: &Session<'_>, ours: &[&str], strangers: &[&str], limit_ms: u64) -> Probed {
    let others: &[&str] = if s.facts().seaworthy { &[] } else { strangers };
    let mut statuses = Vec::new();
    for path in ours.iter().chain(others) {
        let first = s.send(Request::get(*path)).await?;
        if first.status() != 200 {
            statuses.push(format!("{} from {path}", first.status()));
            continue;
        }
        let mut fastest = first.elapsed;
        for _ in 0..2 {
            let answer = s.send(Request::get(*path)).await?;
            ensure_status(&answer, &[200], &format!("GET {path}, again"))?;
            fastest = fastest.min(answer.elapsed);
        }
        if s.facts().nowhere.get == Some(200) {
            return not_verified(
                "a path that tells: this server answers 200 to each, also to one that does not exist",
            );
        }
        let found = format!("200 from {path} in {:.1} ms", millis(fastest));
        let limit = Duration::from_millis(limit_ms);
        ensure(
            fastest <= limit,
            format!("an answer within {limit_ms} ms"),
            &found,
        )?;
        return Ok(found);
    }
    fail("200", statuses.join(", "))
}

async fn ready_alias(s: &Session<'_>) -> Probed {
    if !s.facts().seaworthy {
        return not_applicable("the pair of paths is a promise of Seaworthy servers only");
    }
    let named = s.send(Request::get("/health/ready")).await?;
    let alias = s.send(Request::get("/ready")).await?;
    ensure_status(
        &alias,
        &[named.status()],
        "GET /ready, as for /health/ready",
    )?;
    Ok(format!("{} from both", alias.status()))
}

async fn explains_itself(s: &Session<'_>) -> Probed {
    let json = readiness(s).await?;
    let checks = match &json["checks"] {
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        _ => return fail("a list of checks", format!("keys {}", keys(&json))),
    };
    for (key, present) in [
        ("status", json["status"].is_string()),
        ("duration_ms", json["duration_ms"].is_number()),
        ("version", json["version"].is_string()),
    ] {
        ensure(
            present,
            format!("{key} in the answer"),
            format!("keys {}", keys(&json)),
        )?;
    }
    ensure(checks > 0, "at least one named check", "none")?;
    Ok(format!("status {}, {checks} checks", json["status"]))
}

async fn readiness(s: &Session<'_>) -> Result<Value, Stop> {
    let answer: Answer = s.send(Request::get("/health/ready")).await?;
    if answer.status() == 404 {
        return not_applicable("GET /health/ready is not served: it answers 404");
    }
    match answer.json() {
        Some(json) if json.is_object() => Ok(json),
        _ => fail(
            "a JSON object",
            format!("{} with another body", answer.status()),
        ),
    }
}

fn keys(json: &Value) -> String {
    let keys = json
        .as_object()
        .map(|map| map.keys().cloned().collect::<Vec<_>>());
    keys.unwrap_or_default().join(", ")
}

/// A dependency that is away by name while the whole says that all is well.
pub(super) fn contradiction(json: &Value) -> Option<String> {
    const WELL: [&str; 8] = [
        "ok", "healthy", "up", "pass", "passing", "ready", "green", "success",
    ];
    const ILL: [&str; 11] = [
        "down",
        "unreachable",
        "error",
        "unhealthy",
        "failed",
        "fail",
        "failing",
        "critical",
        "unavailable",
        "timeout",
        "disconnected",
    ];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    if !WELL.contains(&word(&json["status"]).as_str()) {
        return None;
    }
    let is_ill = |value: &Value| {
        let own = ["status", "state"]
            .iter()
            .any(|key| ILL.contains(&word(&value[*key]).as_str()));
        let off = ["ok", "healthy"]
            .iter()
            .any(|key| value[*key] == Value::Bool(false));
        ILL.contains(&word(value).as_str()) || own || off || *value == Value::Bool(false)
    };
    ["checks", "dependencies", "components"]
        .iter()
        .find_map(|key| match &json[*key] {
            Value::Object(map) => map
                .iter()
                .find(|(_, v)| is_ill(v))
                .map(|(name, _)| name.clone()),
            Value::Array(list) => {
                let ill = list.iter().find(|v| is_ill(v))?;
                Some(ill["name"].as_str().unwrap_or("one of them").to_owned())
            }
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::contradiction;

    #[test]
    fn all_is_not_well_while_something_is_away() {
        for (told, expected) in [
            (
                json!({"status": "ok", "checks": {"redis": "down"}}),
                Some("redis"),
            ),
            (
                json!({"status": "UP", "components": {"db": {"status": "DOWN"}}}),
                Some("db"),
            ),
            (
                json!({"status": "ok", "checks": [{"name": "db", "healthy": false}]}),
                Some("db"),
            ),
            (
                json!({"status": "degraded", "checks": {"redis": "down"}}),
                None,
            ),
            (
                json!({"status": "ok", "checks": {"redis": "ok", "note": "error budget"}}),
                None,
            ),
            (
                json!({"status": "ok", "checks": [{"name": "db", "status": "up"}]}),
                None,
            ),
        ] {
            assert_eq!(contradiction(&told).as_deref(), expected, "{told}");
        }
    }
}
