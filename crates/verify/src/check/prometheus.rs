//! What a Prometheus server knows: targets, rules, alerts, and data behind dashboards.

use std::fmt::Write as _;

use serde_json::Value;

use super::files::{Looked, conclude, plain_query};
use super::rows::Row;
use super::{Kind, Need};
use crate::files::Problem;
use crate::http::{Base, Request};
use crate::outcome::{Probed, Stop, ensure, not_applicable, not_verified};
use crate::session::Session;

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "alert.none-firing",
        needs: &[Need::Prometheus],
        kind: Kind::Live,
        how: "GET /api/v1/alerts at Prometheus: no alert with severity critical fires.",
        probe: |s| Box::pin(none_firing(s)),
    },
    Row {
        id: "monitor.active",
        needs: &[Need::Prometheus],
        kind: Kind::Live,
        how: "GET /api/v1/targets and /api/v1/rules at Prometheus: targets are up and rules are loaded and healthy.",
        probe: |s| Box::pin(active(s)),
    },
    Row {
        id: "dash.real-data",
        needs: &[Need::Prometheus, Need::Manifests],
        kind: Kind::Live,
        how: "Every query of every dashboard, asked of Prometheus: each has data.",
        probe: |s| Box::pin(real_data(s)),
    },
];

/// Queries that are asked at most.
const MAX_QUERIES: usize = 200;

/// Asks Prometheus and returns the data of its answer.
async fn ask(s: &Session<'_>, path: &str) -> Result<Value, Stop> {
    let Some(url) = &s.options().prometheus else {
        return not_verified("a Prometheus server (--prometheus URL)");
    };
    let base = Base::parse(url).or_else(|why| not_verified(format!("a Prometheus URL: {why}")))?;
    let subject = base.url();
    let there = s.of_instance(base, subject.clone());
    let Ok(answer) = there.send(Request::get(path)).await else {
        return not_verified(format!("an answer from Prometheus at {subject}"));
    };
    let json = answer.json().unwrap_or(Value::Null);
    if answer.status() != 200 || json["status"] != "success" {
        let (status, error) = (answer.status(), json["error"].as_str().unwrap_or_default());
        return not_verified(format!(
            "data from Prometheus: {path} answers {status} {error}"
        ));
    }
    Ok(json["data"].clone())
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

async fn none_firing(s: &Session<'_>) -> Probed {
    let data = ask(s, "/api/v1/alerts").await?;
    let alerts = list(&data, "alerts");
    let firing: Vec<&str> = alerts
        .iter()
        .filter(|a| a["state"] == "firing")
        .filter(|a| matches!(a["labels"]["severity"].as_str(), Some("critical" | "page")))
        .filter_map(|a| a["labels"]["alertname"].as_str())
        .collect();
    ensure(
        firing.is_empty(),
        "no critical alert firing",
        firing.join(", "),
    )?;
    Ok(format!(
        "{} alerts are pending or firing, none of them critical",
        alerts.len()
    ))
}

async fn active(s: &Session<'_>) -> Probed {
    let targets = ask(s, "/api/v1/targets?state=active").await?;
    let targets = list(&targets, "activeTargets");
    let down: Vec<&str> = targets
        .iter()
        .filter(|target| target["health"] != "up")
        .filter_map(|target| target["scrapeUrl"].as_str())
        .collect();
    ensure(!targets.is_empty(), "targets that are scraped", "none")?;
    ensure(
        down.is_empty(),
        "every target up",
        format!("down: {}", down.join(", ")),
    )?;
    let rules = ask(s, "/api/v1/rules").await?;
    let groups = list(&rules, "groups");
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|group| list(group, "rules"))
        .collect();
    ensure(!rules.is_empty(), "rules that are loaded", "none")?;
    let sick: Vec<&str> = rules
        .iter()
        .filter(|rule| rule["health"] == "err")
        .filter_map(|rule| rule["name"].as_str())
        .collect();
    ensure(
        sick.is_empty(),
        "rules that can be evaluated",
        sick.join(", "),
    )?;
    Ok(format!(
        "{} targets up, {} rules loaded",
        targets.len(),
        rules.len()
    ))
}

async fn real_data(s: &Session<'_>) -> Probed {
    let Some(manifests) = s.manifests() else {
        return not_verified("a folder of manifests");
    };
    let (mut problems, mut asked) = (Vec::new(), 0);
    for dashboard in &manifests.dashboards {
        for (line, query) in dashboard
            .queries
            .iter()
            .take(MAX_QUERIES - asked.min(MAX_QUERIES))
        {
            asked += 1;
            let path = format!("/api/v1/query?query={}", encoded(&plain_query(query)));
            let data = ask(s, &path).await?;
            if list(&data, "result").is_empty() {
                let found = format!("dashboard {}: `{query}` has no data", dashboard.title);
                problems.push(Problem::new(&dashboard.path, *line, found));
            }
        }
    }
    if asked == 0 {
        return not_applicable("the manifests hold no dashboard with queries");
    }
    let looked = Looked::At(format!("{asked} queries have data"), problems);
    conclude(s, "data behind every panel", looked)
}

/// A value for a query string.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
