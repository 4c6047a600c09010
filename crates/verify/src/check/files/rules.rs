//! More alert rules, dashboards and the ways of an alert, each asked for by a checklist.

use super::alerts::{error_share, is_within, mentions, severity_is, some_rule};
use super::thresholds::{Above, above};
use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::cloud::find;
use crate::files::manifests::{Dashboard, Manifests};
use crate::files::yaml::Node;
use crate::profile::Profile;

const MANIFESTS: &[Need] = &[Need::Manifests];

/// A rule whose expression holds a word of each list.
macro_rules! rule_on {
    ($id:literal, $what:literal, $how:literal, $($words:expr),+) => {
        row!($id, MANIFESTS, in_manifests, $what, $how, |m| {
            some_rule(m, $what, |r| $(mentions(&r.expression, &$words))&&+)
        })
    };
}

/// A dashboard whose titles and queries hold a word of each list.
macro_rules! dashboard_on {
    ($id:literal, $expected:literal, $how:literal, $($words:expr),+) => {
        row!($id, MANIFESTS, in_manifests, $expected, $how, |m| {
            dashboard_on(m, &[$(&$words),+])
        })
    };
}

pub(super) static ROWS: &[Row] = &[
    row!(
        "alert.breaker-open",
        MANIFESTS,
        in_manifests,
        "a rule on an open circuit breaker",
        "An alert expression that names a breaker, in a state that a breaker has.",
        |m| some_rule(m, "a rule on an open circuit breaker", |r| {
            mentions(&r.expression, &["breaker"]) && !is_no_state(&r.expression)
        })
    ),
    row!(
        "alert.budget",
        MANIFESTS,
        by_profile,
        "a rule on spent budgets, early enough for the profile",
        "An alert expression that names a budget or spending; its share is judged by the profile.",
        budget
    ),
    rule_on!(
        "alert.cost-anomaly",
        "a rule on unusual cost",
        "An alert expression on cost that compares with an earlier time or an average.",
        ["cost", "spend", "usd"],
        [
            "offset",
            "avg_over_time",
            "stddev",
            "predict_linear",
            "quantile_over_time"
        ]
    ),
    row!(
        "alert.elevated-error-rate",
        MANIFESTS,
        in_manifests,
        "a warning on the share of errors",
        "A rule with severity warning that divides errors by requests.",
        elevated
    ),
    row!(
        "alert.high-memory",
        MANIFESTS,
        in_manifests,
        "a rule on memory",
        "An alert expression that names memory and compares with what can be reached.",
        |m| some_rule(m, "a rule on memory", |r| {
            let fits =
                |c: &Above<'_>| mentions(c.left, &["memory", "resident"]) && !is_out_of_reach(c);
            above(&r.expression).iter().any(fits)
        })
    ),
    rule_on!(
        "alert.high-token-usage",
        "a rule on the rate of tokens",
        "An alert expression that names tokens and compares.",
        ["token"],
        [">"]
    ),
    rule_on!(
        "alert.low-cache-hit-rate",
        "a rule on few cache hits",
        "An alert expression that names the cache and fires below a share.",
        ["cache"],
        ["<"]
    ),
    rule_on!(
        "alert.pod-restarts",
        "a rule on restarts",
        "An alert expression that names restarts.",
        ["restart", "process_start_time", "crashloop"]
    ),
    rule_on!(
        "alert.quota-exhausted",
        "a rule on a quota that runs out",
        "An alert expression that names a quota or what is left of it.",
        ["quota", "remaining"]
    ),
    rule_on!(
        "alert.rate-limit-hits",
        "a rule on refused requests",
        "An alert expression on rate limits or status 429.",
        ["rate_limit", "ratelimit", "429", "limited", "throttl"]
    ),
    row!(
        "alert.receivers-configured",
        MANIFESTS,
        in_manifests,
        "receivers with a destination for every route",
        "The Alertmanager configuration: each route's receiver exists and sends somewhere.",
        receivers
    ),
    row!(
        "alert.routes-to-oncall",
        MANIFESTS,
        in_manifests,
        "critical alerts that page somebody",
        "The Alertmanager configuration: a route for severity critical to a receiver that pages.",
        pages
    ),
    row!(
        "slo.slis-defined",
        MANIFESTS,
        in_manifests,
        "objectives as data, on recorded or named series",
        "OpenSLO, Sloth or Pyrra documents, or recording rules named after an objective.",
        objectives
    ),
    row!(
        "dash.overview",
        MANIFESTS,
        in_manifests,
        "a dashboard that shows the whole",
        "Titles of dashboards.",
        |m| titled(m, &["overview", "summary", "home", "golden"])
    ),
    row!(
        "dash.performance",
        MANIFESTS,
        in_manifests,
        "a dashboard on latency and throughput",
        "Titles and queries of dashboards.",
        |m| dashboard_on(
            m,
            &[
                &["latency", "duration", "quantile"],
                &["rate(", "throughput"]
            ]
        )
    ),
    dashboard_on!(
        "dash.cost",
        "a dashboard on cost",
        "Titles and queries of dashboards.",
        ["cost", "spend", "usd", "budget"]
    ),
    dashboard_on!(
        "dash.security",
        "a dashboard on refused and blocked requests",
        "Titles and queries of dashboards.",
        [
            "security",
            "auth",
            "401",
            "403",
            "guard",
            "injection",
            "blocked",
            "moderation",
            "limited"
        ]
    ),
    dashboard_on!(
        "dash.compliance",
        "a dashboard on audit and readiness",
        "Titles and queries of dashboards.",
        ["compliance", "audit", "readiness"]
    ),
    row!(
        "dash.key-metrics",
        MANIFESTS,
        in_manifests,
        "panels on requests, errors, latency and tokens",
        "The queries of all dashboards together.",
        key_metrics
    ),
];

fn budget(m: &Manifests, profile: &Profile) -> Looked {
    some_rule(m, "about a budget, early enough", |r| {
        above(&r.expression).iter().any(|c| {
            // What is compared with itself of yesterday is no budget.
            mentions(c.left, &["budget", "spend", "cost"])
                && (c.at.is_some() || mentions(&r.expression, &["budget", "limit"]))
                && !is_out_of_reach(c)
                && is_within(c.share(), profile.budget_alert)
        })
    })
}

/// Whether one breaker is compared with a state that none has: they are closed, open, or half open.
fn is_no_state(expression: &str) -> bool {
    const LAST: f64 = 3.0;
    let state = expression.rsplit_once("==").map(|(_, state)| state.trim());
    let counts = mentions(expression, &["sum", "count", "rate(", "increase("]);
    !counts && state.is_some_and(|state| state.parse::<f64>().is_ok_and(|state| state > LAST))
}

/// A part of a limit or budget that is more than twice of all of it.
fn is_out_of_reach(c: &Above<'_>) -> bool {
    let whole = c.left.split_once('/').map_or("", |(_, whole)| whole);
    mentions(whole, &["limit", "budget", "total", "max"])
        && c.share().is_some_and(|share| share > 2.0)
}

fn elevated(m: &Manifests) -> Looked {
    some_rule(m, "a warning about the share of errors", |r| {
        severity_is(r, "warning") && error_share(r).is_some()
    })
}

/// Documents that configure Alertmanager.
fn alertmanager(m: &Manifests) -> impl Iterator<Item = (&str, &Node)> {
    m.documents.iter().filter_map(|d| {
        let spec = d.node.get("spec").unwrap_or(&d.node);
        (spec.get("receivers").is_some() && spec.get("route").is_some())
            .then_some((d.path.as_str(), spec))
    })
}

const NO_ALERTMANAGER: &str = "an Alertmanager configuration in the manifests";

/// Every route below and including this one.
fn routes<'a>(route: &'a Node, out: &mut Vec<&'a Node>) {
    out.push(route);
    route
        .items_at("routes")
        .iter()
        .for_each(|child| routes(child, out));
}

fn receivers(m: &Manifests) -> Looked {
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, node) in alertmanager(m) {
        let receivers = node.items_at("receivers");
        let mut all = Vec::new();
        node.get("route")
            .iter()
            .for_each(|route| routes(route, &mut all));
        for route in all {
            let Some(name) = route.text_at("receiver") else {
                continue;
            };
            seen += 1;
            let receiver = receivers.iter().find(|r| r.text_at("name") == Some(name));
            let wrong = match receiver {
                None => format!("the route's receiver `{name}` does not exist"),
                Some(r) if !sends(r) => format!("the receiver `{name}` sends nowhere"),
                Some(_) => continue,
            };
            problems.push(Problem::new(path, route.line, wrong));
        }
    }
    match seen {
        0 => Looked::Unknown(NO_ALERTMANAGER.to_owned()),
        n => Looked::At(format!("{n} routes"), problems),
    }
}

/// Whether a receiver has somewhere to send to.
fn sends(receiver: &Node) -> bool {
    let others = receiver.entries().iter().filter(|(key, _)| key != "name");
    others.into_iter().any(|(_, value)| value.says_something())
}

fn pages(m: &Manifests) -> Looked {
    const PAGERS: [&str; 8] = [
        "pagerduty_configs",
        "opsgenie_configs",
        "victorops_configs",
        "webhook_configs",
        "pagerdutyConfigs",
        "opsgenieConfigs",
        "webhookConfigs",
        "pushover_configs",
    ];
    let mut first = None;
    for (path, node) in alertmanager(m) {
        first.get_or_insert((path, node.line));
        let mut all = Vec::new();
        node.get("route")
            .iter()
            .for_each(|route| routes(route, &mut all));
        for route in all {
            let critical =
                find(route, &["match", "match_re", "matchers"]).is_some_and(says_critical);
            let receiver = route.text_at("receiver").unwrap_or_default();
            let pager = node.items_at("receivers").iter().any(|r| {
                r.text_at("name") == Some(receiver)
                    && PAGERS.iter().any(|kind| r.said_at(kind).is_some())
            });
            if critical && pager {
                return Looked::At(format!("critical alerts go to {receiver}"), Vec::new());
            }
        }
    }
    match first {
        None => Looked::Unknown(NO_ALERTMANAGER.to_owned()),
        Some((path, line)) => {
            let found = "no route of critical alerts leads to a pager";
            Looked::At(String::new(), vec![Problem::new(path, line, found)])
        }
    }
}

fn says_critical(node: &Node) -> bool {
    let texts = node.items().iter().chain(Some(node)).filter_map(Node::text);
    let inside = node
        .items()
        .iter()
        .chain(node.entries().iter().map(|(_, v)| v))
        .filter_map(|n| n.text_at("value").or(n.text()));
    texts
        .chain(inside)
        .any(|text| text.contains("critical") || text.contains("page"))
}

fn objectives(m: &Manifests) -> Looked {
    let kinds = [
        "SLO",
        "ServiceLevelObjective",
        "PrometheusServiceLevel",
        "SLI",
    ];
    let named = m.objects.iter().find(|o| kinds.contains(&o.kind()));
    let sloth = m
        .documents
        .iter()
        .find(|d| !d.node.items_at("slos").is_empty());
    if let Some(found) = named.or(sloth) {
        return Looked::At(found.path.clone(), Vec::new());
    }
    let recorded = m.recorded.iter().find(|name| {
        ["sli", "slo", "objective", "error_budget"]
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word))
    });
    match recorded {
        Some(name) => Looked::At(format!("the rule {name}"), Vec::new()),
        None if m.rules.is_empty() => {
            Looked::Unknown("objectives or recording rules in the manifests".to_owned())
        }
        None => Looked::At(
            String::new(),
            vec![Problem::new(".", 1, "no objective is written as data")],
        ),
    }
}

const NO_DASHBOARD: &str = "a dashboard: the manifests hold none";

fn text_of(d: &Dashboard) -> String {
    let queries: Vec<&str> = d.queries.iter().map(|(_, query)| query.as_str()).collect();
    format!(
        "{} {} {}",
        d.title,
        d.panel_titles.join(" "),
        queries.join(" ")
    )
    .to_ascii_lowercase()
}

fn one_dashboard(m: &Manifests, fits: impl Fn(&Dashboard) -> bool) -> Looked {
    let Some(first) = m.dashboards.first() else {
        return Looked::Unknown(NO_DASHBOARD.to_owned());
    };
    // What asks for nothing shows nothing, whatever its title says.
    match m.dashboards.iter().find(|d| d.asking > 0 && fits(d)) {
        Some(found) => Looked::At(format!("dashboard `{}`", found.title), Vec::new()),
        None => {
            let found = format!("none of {} dashboards is about it", m.dashboards.len());
            Looked::At(String::new(), vec![Problem::new(&first.path, 1, found)])
        }
    }
}

fn titled(m: &Manifests, words: &[&str]) -> Looked {
    one_dashboard(m, |d| {
        words
            .iter()
            .any(|word| d.title.to_ascii_lowercase().contains(word))
    })
}

fn dashboard_on(m: &Manifests, groups: &[&[&str]]) -> Looked {
    one_dashboard(m, |d| {
        let text = text_of(d);
        groups
            .iter()
            .all(|words| words.iter().any(|word| text.contains(word)))
    })
}

fn key_metrics(m: &Manifests) -> Looked {
    const KEY: [&[&str]; 4] = [
        &["requests_total", "request_count", "http_requests"],
        &["error", "5..", "status"],
        &["latency", "duration"],
        &["token"],
    ];
    let Some(first) = m.dashboards.first() else {
        return Looked::Unknown(NO_DASHBOARD.to_owned());
    };
    let mut queries = m.dashboards.iter().flat_map(|d| &d.queries).peekable();
    if queries.peek().is_none() && m.dashboards.iter().any(|d| d.asking > 0) {
        return Looked::Unknown("dashboards whose queries are those of Prometheus".to_owned());
    }
    let all: Vec<String> = queries.map(|(_, query)| query.to_lowercase()).collect();
    let all = all.join(" ");
    let problems = KEY
        .iter()
        .filter(|words| !words.iter().any(|word| all.contains(word)))
        .map(|words| {
            Problem::new(
                &first.path,
                1,
                format!("no panel on {}", words.join(" or ")),
            )
        })
        .collect();
    Looked::At(format!("{} dashboards", m.dashboards.len()), problems)
}
