//! Whether the manifests fit the server: paths that probes ask for, series that rules name.

use std::collections::{BTreeMap, BTreeSet};

use super::alerts::series_in;
use super::{Looked, conclude};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::http::Request;
use crate::outcome::{Probed, Stop, not_applicable, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "k8s.probe-paths-served",
        title: "Probes ask for paths that the server serves",
        why: "A probe of a path that is not served restarts or starves healthy pods.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[Need::Manifests],
        verified_by: "GET on every path of an httpGet probe in the manifests.",
        remedy: "Make the manifests and the server agree on the paths.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(probe_paths(s)),
    },
    Check {
        id: "alert.series-exported",
        title: "Alerts ask for series that the server exports",
        why: "A rule on a series that nobody exports never fires.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The names in every alert expression, compared with /metrics; series of well-known exporters are left out.",
        remedy: "Correct the names in the rules, or export the series.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(alert_series(s)),
    },
    Check {
        id: "dash.series-exported",
        title: "Dashboards ask for series that the server exports",
        why: "An empty panel looks like peace.",
        severity: Severity::Medium,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The names in every panel's expression, compared with /metrics; series of well-known exporters are left out.",
        remedy: "Correct the names in the panels, or export the series.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(dashboard_series(s)),
    },
];

/// Asks the server for every path that a probe of the manifests names.
async fn probe_paths(session: &Session<'_>) -> Probed {
    let Some(manifests) = session.manifests() else {
        return not_verified("a folder of manifests");
    };
    let mut paths: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for object in manifests.services() {
        for container in object.containers() {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let Some(node) = container.at(probe) else {
                    continue;
                };
                let Some(path) = node.text_at("httpGet.path") else {
                    continue;
                };
                let problem = object.problem(node.line, format!("its {probe} asks {path}"));
                paths.entry(path.to_owned()).or_default().push(problem);
            }
        }
    }
    if paths.is_empty() {
        return not_applicable("the manifests name no HTTP probe");
    }
    let mut problems = Vec::new();
    for (path, asking) in paths.iter().take(MAX_PATHS) {
        let answer = session.send(Request::get(path)).await;
        let found = match answer {
            Ok(answer) if (200..400).contains(&answer.status()) => continue,
            Ok(answer) => format!(", and the server answers {}", answer.status()),
            Err(error) => format!(", and the server answers nothing: {error}"),
        };
        problems.extend(asking.iter().map(|p| Problem {
            found: format!("{}{found}", p.found),
            ..p.clone()
        }));
    }
    let shown: Vec<&str> = paths.keys().map(String::as_str).collect();
    let looked = Looked::At(format!("the server answers {}", shown.join(", ")), problems);
    conclude(
        session,
        "probes that ask for paths which the server serves",
        looked,
    )
}

/// Different probe paths that are asked for.
const MAX_PATHS: usize = 20;

/// Series that other exporters serve: a rule may name them though this server does not.
const FOREIGN: [&str; 15] = [
    "up",
    "ALERTS",
    "kube_",
    "container_",
    "node_",
    "machine_",
    "kubelet_",
    "probe_",
    "scrape_",
    "redis_",
    "pg_",
    "nginx_",
    "go_",
    "process_",
    "apiserver_",
];

/// Which of these series the server does not export; `None` when it exports nothing at all.
async fn unexported(
    session: &Session<'_>,
    expressions: &[(Problem, String)],
    recorded: &BTreeSet<String>,
) -> Result<Vec<Problem>, Stop> {
    let answer = session.send(Request::get("/metrics")).await;
    let text = match answer {
        Ok(answer) if answer.status() == 200 => String::from_utf8_lossy(&answer.body).into_owned(),
        _ => return not_verified("metrics of the server at /metrics"),
    };
    let exported: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| match line.strip_prefix("# TYPE ") {
            Some(rest) => rest.split(' ').next(),
            None => line
                .split(['{', ' '])
                .next()
                .filter(|name| !name.starts_with('#')),
        })
        .collect();
    let known = |name: &str| {
        let base = ["_bucket", "_sum", "_count", "_total"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        exported.contains(name)
            || base.is_some_and(|base| exported.contains(base))
            || recorded.contains(name)
            || FOREIGN
                .iter()
                .any(|f| name == *f || f.ends_with('_') && name.starts_with(f))
    };
    let mut problems = Vec::new();
    for (place, expression) in expressions {
        for name in series_in(expression).iter().filter(|name| !known(name)) {
            let found = format!("{}, and the server does not export `{name}`", place.found);
            problems.push(Problem {
                found,
                ..place.clone()
            });
        }
    }
    Ok(problems)
}

async fn alert_series(session: &Session<'_>) -> Probed {
    let Some(manifests) = session.manifests() else {
        return not_verified("a folder of manifests");
    };
    let rules = manifests.rules.iter();
    let expressions: Vec<(Problem, String)> = rules
        .map(|r| {
            let place = Problem::new(
                &r.path,
                r.line,
                format!("alert {} asks for a series", r.name),
            );
            (place, r.expression.clone())
        })
        .collect();
    series(session, &expressions, "the manifests hold no alert rules").await
}

async fn dashboard_series(session: &Session<'_>) -> Probed {
    let Some(manifests) = session.manifests() else {
        return not_verified("a folder of manifests");
    };
    let expressions: Vec<(Problem, String)> = manifests
        .dashboards
        .iter()
        .flat_map(|d| {
            d.queries.iter().map(|(line, query)| {
                let place = Problem::new(
                    &d.path,
                    *line,
                    format!("dashboard {} asks for a series", d.title),
                );
                (place, plain_query(query))
            })
        })
        .collect();
    series(session, &expressions, "the manifests hold no dashboard").await
}

/// A dashboard's query without its variables.
pub(in crate::check) fn plain_query(query: &str) -> String {
    let query = query.replace("$__rate_interval", "5m");
    let query = query.replace("$__interval", "1m").replace("$__range", "1h");
    query.replace('$', "")
}

async fn series(session: &Session<'_>, expressions: &[(Problem, String)], none: &str) -> Probed {
    if expressions.is_empty() {
        return not_applicable(none);
    }
    let recorded = session
        .manifests()
        .map(|m| m.recorded.clone())
        .unwrap_or_default();
    let problems = unexported(session, expressions, &recorded).await?;
    let looked = Looked::At(
        format!("{} expressions and /metrics", expressions.len()),
        problems,
    );
    conclude(session, "only series that the server exports", looked)
}
