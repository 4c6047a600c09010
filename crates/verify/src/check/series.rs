//! Series that operators ask for: exported by name, and moving when something happens.

use super::metrics::scrape;
use super::rows::Row;
use super::{Kind, Need};
use crate::metrics::Metrics;
use crate::outcome::{Probed, fail, not_verified};
use crate::session::Session;

/// A row on series: each list needs one name that holds one of its words.
macro_rules! exported {
    ($id:literal, $how:literal, $($words:expr),+) => {
        Row {
            id: $id,
            needs: NONE,
            kind: Kind::Live,
            how: $how,
            probe: |s| Box::pin(exported(s, &[$(&$words),+])),
        }
    };
}

const NONE: &[Need] = &[];

pub(super) static ROWS: &[Row] = &[
    exported!(
        "metrics.breaker-state",
        "The names on the metrics page: one on breakers.",
        ["breaker"]
    ),
    exported!(
        "metrics.budget-usage",
        "The names on the metrics page: one on budgets or spending limits.",
        ["budget", "spend_limit"]
    ),
    exported!(
        "metrics.cache-hit-rate",
        "The names on the metrics page: one on cache lookups or hits.",
        [
            "cache_hit",
            "cache_lookup",
            "cache_requests",
            "cache_total",
            "cache_result"
        ]
    ),
    Row {
        id: "metrics.errors",
        needs: NONE,
        kind: Kind::Live,
        how: "The metrics page: a series on errors, or requests by status, code or outcome.",
        probe: |s| Box::pin(errors(s)),
    },
    exported!(
        "metrics.quota-remaining",
        "The names on the metrics page: one on what a provider's quota has left.",
        ["quota", "ratelimit_remaining", "limit_remaining"]
    ),
    exported!(
        "metrics.rate-limited",
        "The names on the metrics page: one on requests that a rate limit refused.",
        [
            "rate_limit",
            "ratelimit",
            "limited",
            "throttled",
            "limit_refusals"
        ]
    ),
    exported!(
        "metrics.retries",
        "The names on the metrics page: one on retries or attempts.",
        ["retr", "attempt"]
    ),
    exported!(
        "metrics.sessions",
        "The names on the metrics page: one on sessions or conversations.",
        ["session", "conversation"]
    ),
    exported!(
        "metrics.task-outcomes",
        "The names on the metrics page: one on tasks or runs and how they ended.",
        [
            "task",
            "run_outcome",
            "runs_total",
            "escalation",
            "feedback"
        ]
    ),
    exported!(
        "metrics.timeouts",
        "The names on the metrics page: one on timeouts.",
        ["timeout", "timed_out"]
    ),
    exported!(
        "metrics.tokens-cost",
        "The names on the metrics page: one on tokens and one on cost.",
        ["token"],
        ["cost", "spend", "usd", "price"]
    ),
    exported!(
        "metrics.upstream-latency",
        "The names on the metrics page: a latency of providers.",
        [
            "upstream_latency",
            "provider_latency",
            "upstream_duration",
            "provider_duration",
            "upstream_request_duration",
            "backend_latency",
            "llm_api_latency",
            "first_byte"
        ]
    ),
    exported!(
        "metrics.resources",
        "The names on the metrics page: CPU, memory and open files or connections.",
        ["cpu"],
        ["memory", "resident"],
        ["open_fds", "connections"]
    ),
    exported!(
        "trace.exported",
        "The names on the metrics page: spans that were exported or lost.",
        [
            "spans_exported",
            "span_export",
            "otel_spans",
            "exported_spans",
            "otlp",
            "spans_dropped",
            "spans_total"
        ]
    ),
    Row {
        id: "metrics.latency",
        needs: NONE,
        kind: Kind::Live,
        how: "A latency histogram on the metrics page with eight bounds or more, or a summary.",
        probe: |s| Box::pin(latency(s)),
    },
    Row {
        id: "perf.latency-p95",
        needs: NONE,
        kind: Kind::Live,
        how: "The bounds of the busiest latency histogram on the metrics page, held against the profile; twenty requests at least.",
        probe: |s| Box::pin(p95(s)),
    },
    Row {
        id: "metrics.key-metrics-present",
        needs: NONE,
        kind: Kind::Live,
        how: "The names on the metrics page: requests, latency, errors or status, tokens, requests in flight.",
        probe: |s| Box::pin(key_metrics(s)),
    },
];

/// Every name that the scrape declares or shows.
fn names(metrics: &Metrics) -> Vec<String> {
    let shown = metrics.samples.iter().map(|sample| sample.name.as_str());
    let declared = metrics.types.keys().map(String::as_str);
    let mut names: Vec<String> = shown.chain(declared).map(str::to_ascii_lowercase).collect();
    names.sort();
    names.dedup();
    names
}

fn first<'a>(names: &'a [String], words: &[&str]) -> Option<&'a str> {
    let fits = |name: &&String| words.iter().any(|word| name.contains(word));
    names.iter().find(fits).map(String::as_str)
}

async fn exported(s: &Session<'_>, groups: &[&[&str]]) -> Probed {
    let names = names(&scrape(s).await?);
    let mut found = Vec::new();
    for words in groups {
        match first(&names, words) {
            Some(name) => found.push(name.to_owned()),
            None => {
                return fail(
                    format!("a series with one of the words {}", words.join(", ")),
                    format!("none among {} names", names.len()),
                );
            }
        }
    }
    Ok(found.join(", "))
}

async fn errors(s: &Session<'_>) -> Probed {
    let metrics = scrape(s).await?;
    let named = |name: &str| {
        ["error", "failure", "exception"]
            .iter()
            .any(|word| name.contains(word))
    };
    let by_end = |name: &str| name.contains("request") || name.contains("response");
    let found = metrics.samples.iter().find(|sample| {
        let ends = ["status", "code", "outcome", "result"]
            .iter()
            .any(|label| sample.label(label).is_some());
        named(&sample.name) || (ends && by_end(&sample.name))
    });
    match found {
        Some(sample) => Ok(sample.name.clone()),
        None => fail("a series on errors, or requests by status", "none"),
    }
}

async fn latency(s: &Session<'_>) -> Probed {
    const BOUNDS: usize = 8;
    let metrics = scrape(s).await?;
    let timed = |name: &str| {
        ["latency", "duration", "seconds"]
            .iter()
            .any(|word| name.contains(word))
    };
    let quantiles = metrics
        .samples
        .iter()
        .find(|x| timed(&x.name) && x.label("quantile").is_some());
    if let Some(summary) = quantiles {
        return Ok(format!("{} has quantiles", summary.name));
    }
    let mut best: Option<(&str, usize)> = None;
    for (name, _) in metrics
        .types
        .iter()
        .filter(|(name, kind)| *kind == "histogram" && timed(name))
    {
        let bucket = format!("{name}_bucket");
        let mut bounds: Vec<&str> = metrics
            .samples
            .iter()
            .filter(|x| x.name == bucket)
            .filter_map(|x| x.label("le"))
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        if best.is_none_or(|(_, most)| bounds.len() > most) {
            best = Some((name, bounds.len()));
        }
    }
    let expected = format!("a latency histogram with {BOUNDS} bounds or more");
    match best {
        Some((name, n)) if n >= BOUNDS => Ok(format!("{name} has {n} bounds")),
        Some((name, n)) => fail(expected, format!("{name} has {n}")),
        None => fail(expected, "no latency histogram"),
    }
}

async fn key_metrics(s: &Session<'_>) -> Probed {
    const KEY: [(&str, &[&str]); 5] = [
        (
            "requests",
            &["requests_total", "request_count", "http_requests"],
        ),
        ("latency", &["latency", "duration"]),
        ("errors or status", &["error", "failure", "requests_total"]),
        ("tokens", &["token"]),
        (
            "work in flight",
            &["in_flight", "inflight", "active", "in_progress"],
        ),
    ];
    let names = names(&scrape(s).await?);
    let missing: Vec<&str> = KEY
        .iter()
        .filter(|(_, words)| first(&names, words).is_none())
        .map(|(what, _)| *what)
        .collect();
    if missing.is_empty() {
        Ok(format!(
            "all {} kinds are among {} names",
            KEY.len(),
            names.len()
        ))
    } else {
        let wanted: Vec<&str> = KEY.iter().map(|(what, _)| *what).collect();
        fail(
            format!("series on {}", wanted.join(", ")),
            format!("none on {}", missing.join(", ")),
        )
    }
}

/// Requests below which a percentile says nothing.
const ENOUGH: f64 = 20.0;

async fn p95(s: &Session<'_>) -> Probed {
    let metrics = scrape(s).await?;
    let most = s.options().profile.p95_seconds;
    let timed = |name: &str| {
        name.contains("seconds")
            && ["latency", "duration"]
                .iter()
                .any(|word| name.contains(word))
    };
    let histograms = metrics
        .types
        .iter()
        .filter(|(name, kind)| *kind == "histogram" && timed(name));
    let busiest = histograms
        .filter_map(|(name, _)| Some((name, metrics.sum(&format!("{name}_count"))?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((name, count)) = busiest.filter(|(_, count)| *count >= ENOUGH) else {
        return not_verified("a latency histogram with twenty requests or more");
    };
    let mut bounds: Vec<(f64, f64)> = Vec::new();
    let bucket = format!("{name}_bucket");
    for sample in metrics
        .samples
        .iter()
        .filter(|sample| sample.name == bucket)
    {
        let Some(bound) = sample.label("le").and_then(|le| le.parse::<f64>().ok()) else {
            continue;
        };
        match bounds
            .iter_mut()
            .find(|(known, _)| known.total_cmp(&bound).is_eq())
        {
            Some((_, sum)) => *sum += sample.value,
            None => bounds.push((bound, sample.value)),
        }
    }
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = bounds
        .iter()
        .find(|(_, below)| *below >= 0.95 * count)
        .map_or(f64::INFINITY, |(bound, _)| *bound);
    let found = format!("{name}: 95 % of {count} within {at} s");
    if at <= most {
        Ok(found)
    } else {
        fail(format!("95 % within {most} s"), found)
    }
}
