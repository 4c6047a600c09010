//! Whether alerts can fire at all: labels that series have, and thresholds that values can reach.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::alerts::series_in;
use super::{Looked, conclude};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::manifests::Rule;
use crate::http::Request;
use crate::metrics::Metrics;
use crate::outcome::{Probed, not_applicable, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[Check {
    id: "alert.can-fire",
    title: "Every alert can fire",
    why: "A rule that no value can satisfy looks like peace for ever.",
    severity: Severity::Critical,
    areas: &[Area::Observability],
    needs: &[Need::Manifests],
    verified_by: "Every alert expression beside /metrics: labels that it asks for and the series lack, quantiles above the last bucket, shares above one, rates below zero.",
    remedy: "Correct the label or the threshold; add buckets above it.",
    kind: Kind::Live,
    standard: true,
    probe: |s| Box::pin(can_fire(s)),
}];

/// Labels that Prometheus adds to what it scrapes.
const ADDED: [&str; 14] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "container",
    "node",
    "cluster",
    "service",
    "app",
    "env",
    "environment",
    "region",
    "zone",
    "replica",
];

async fn can_fire(s: &Session<'_>) -> Probed {
    let Some(manifests) = s.manifests() else {
        return not_verified("a folder of manifests");
    };
    if manifests.rules.is_empty() {
        return not_applicable("the manifests hold no alert rules");
    }
    let answer = s.send(Request::get("/metrics")).await;
    let page = answer.ok().filter(|answer| answer.status() == 200);
    let metrics = page.and_then(|answer| Metrics::parse(&answer.text()).ok());
    let Some(metrics) = metrics else {
        return not_verified("metrics of the server at /metrics");
    };
    let mut problems = Vec::new();
    for rule in &manifests.rules {
        if let Some(why) = never(&rule.expression, &metrics) {
            problems.push(problem(rule, &why));
        }
    }
    let looked = format!("{} expressions and /metrics", manifests.rules.len());
    conclude(s, "alerts that can fire", Looked::At(looked, problems))
}

fn problem(rule: &Rule, why: &str) -> Problem {
    let found = format!("alert {} never fires: {why}", rule.name);
    Problem::new(&rule.path, rule.line, found)
}

/// Why an expression is never true, as far as that can be told.
fn never(expression: &str, metrics: &Metrics) -> Option<String> {
    missing_label(expression, metrics)
        .or_else(|| beyond_buckets(expression, metrics))
        .or_else(|| impossible(expression))
}

/// A label that a selector asks for, and that none of the series has.
fn missing_label(expression: &str, metrics: &Metrics) -> Option<String> {
    static SELECTOR: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}").ok());
    static MATCHER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"([a-zA-Z_]\w*)\s*=~?\s*["']([^"']+)["']"#).ok());
    for selector in SELECTOR.as_ref()?.captures_iter(expression) {
        let name = selector.get(1)?.as_str();
        let samples = metrics.samples.iter().filter(|sample| sample.name == name);
        let labels: BTreeSet<&str> = samples
            .clone()
            .flat_map(|sample| sample.labels.iter().map(|(label, _)| label.as_str()))
            .collect();
        // A family shows its labels once it has a value.
        if samples.count() == 0 {
            continue;
        }
        for matcher in MATCHER.as_ref()?.captures_iter(selector.get(2)?.as_str()) {
            let label = matcher.get(1)?.as_str();
            // A pattern that fits nothing at all fits a series without the label.
            let fits_empty = matches!(matcher.get(2)?.as_str(), ".*" | "|");
            if !labels.contains(label) && !ADDED.contains(&label) && !fits_empty {
                return Some(format!("no series of `{name}` has a label `{label}`"));
            }
        }
    }
    None
}

/// A quantile is never above the last finite bucket.
fn beyond_buckets(expression: &str, metrics: &Metrics) -> Option<String> {
    static QUANTILE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"^\s*histogram_quantile\(.*?([a-zA-Z_:][\w:]*)_bucket.*\)\s*>=?\s*([0-9.eE+]+)\s*$",
        )
        .ok()
    });
    let found = QUANTILE.as_ref()?.captures(expression)?;
    let (name, threshold) = (found.get(1)?.as_str(), found.get(2)?.as_str());
    let threshold: f64 = threshold.parse().ok()?;
    let buckets = metrics
        .samples
        .iter()
        .filter(|sample| sample.name.strip_suffix("_bucket") == Some(name))
        .filter_map(|sample| sample.label("le")?.parse::<f64>().ok())
        .filter(|bound| bound.is_finite());
    let last = buckets.max_by(f64::total_cmp)?;
    (threshold >= last).then(|| {
        format!("its threshold is {threshold}, and the last bucket of `{name}` ends at {last}")
    })
}

/// A share of the same counter is never above one, and a rate never below zero.
fn impossible(expression: &str) -> Option<String> {
    static ABOVE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[^<>=]*/[^<>]*>\s*([0-9.]+)\s*$").ok());
    static BELOW: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:sum\s*(?:by\s*\([^)]*\))?\s*\()?(?:rate|increase)\([^<>]*\)\s*<\s*0(?:\.0+)?\s*$")
            .ok()
    });
    let plain = without_matchers(expression);
    if let Some(found) = ABOVE.as_ref()?.captures(&plain) {
        let threshold: f64 = found.get(1)?.as_str().parse().ok()?;
        let names = series_in(expression);
        let divided = plain.matches('/').count() == 1 && !plain.contains('*');
        let same = names.first() == names.last()
            && names
                .first()
                .is_some_and(|name| plain.matches(name.as_str()).count() == 2);
        if divided && same && threshold >= 1.0 {
            return Some(format!("a share is never above {threshold}"));
        }
    }
    let below = BELOW.as_ref()?.is_match(&plain);
    below.then(|| "a rate is never below zero".to_owned())
}

/// The expression without what stands in braces.
fn without_matchers(expression: &str) -> String {
    let mut depth = 0_usize;
    let keep = |c: &char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    expression.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::never;
    use crate::metrics::Metrics;

    const PAGE: &str = "# TYPE calls_total counter\ncalls_total{status=\"200\"} 1\n\
        # TYPE took_seconds histogram\ntook_seconds_bucket{le=\"1\"} 1\n\
        took_seconds_bucket{le=\"300\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 1\n\
        took_seconds_sum 1\ntook_seconds_count 1\n";

    #[test]
    fn tells_what_can_never_be_true_from_what_can() {
        let metrics = Metrics::parse(PAGE).expect("a page");
        for expression in [
            r#"rate(calls_total{code=~"5.."}[5m]) > 0.1"#,
            "histogram_quantile(0.95, sum by (le) (rate(took_seconds_bucket[5m]))) > 400",
            r#"sum(rate(calls_total{status=~"5.."}[5m])) / sum(rate(calls_total[5m])) > 5"#,
            "rate(calls_total[5m]) < 0",
        ] {
            assert!(never(expression, &metrics).is_some(), "{expression}");
        }
        for expression in [
            r#"rate(calls_total{status=~"5..", job="agent"}[5m]) > 0.1"#,
            r#"rate(absent_total{code="500"}[5m]) > 1"#,
            "histogram_quantile(0.95, sum by (le) (rate(took_seconds_bucket[5m]))) > 10",
            "histogram_quantile(0.95, sum by (le) (rate(took_seconds_bucket[5m]))) * 1000 > 400",
            r#"sum(rate(calls_total{status=~"5.."}[5m])) / sum(rate(calls_total[5m])) > 0.05"#,
            r#"100 * sum(rate(calls_total{status=~"5.."}[5m])) / sum(rate(calls_total[5m])) > 5"#,
            "rate(calls_total[5m]) / rate(other_total[5m]) > 2",
            "up == 0",
        ] {
            assert_eq!(never(expression, &metrics), None, "{expression}");
        }
    }
}
