//! Metrics: there, well-formed, bounded, and telling the truth about traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::sleep;

use super::dialect::{self, Dialect};
use super::{Area, Check, Kind, Need, Severity};
use crate::http::{Answer, Request};
use crate::metrics::{Metrics, Sample};
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::session::{Session, canary};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "metrics.exposed",
        title: "Metrics are exposed for Prometheus",
        why: "No metrics, no alerts: the first to notice an outage are the users.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "GET /metrics, without a key and then with the given ones.",
        remedy: "Serve GET /metrics in the Prometheus text format.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(exposed(s)),
    },
    Check {
        id: "metrics.well-formed",
        title: "Metrics follow the exposition format",
        why: "One bad line makes Prometheus drop the whole scrape.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "Content type, and a strict parse: names, labels, HELP and TYPE, no series twice.",
        remedy: "Use a metrics library's encoder, and fix the line that is named.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(well_formed(s)),
    },
    Check {
        id: "metrics.histograms-consistent",
        title: "Histograms add up",
        why: "Buckets that contradict each other make every latency quantile a lie.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "Every histogram: buckets rise, there is +Inf, and it equals the count.",
        remedy: "Make buckets cumulative, and write all series of a histogram at once.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(histograms(s)),
    },
    Check {
        id: "metrics.labels-bounded",
        title: "No metric has an unbounded label",
        why: "A label per user, key, request or path fills Prometheus until it falls over.",
        severity: Severity::High,
        areas: &[Area::Observability, Area::Security],
        needs: &[],
        verified_by: "Label names, the number of series, and words of ours that must not come back.",
        remedy: "Put IDs into logs and traces, and label with route templates and classes.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(labels_bounded(s)),
    },
    Check {
        id: "metrics.rise-with-traffic",
        title: "Request counters rise with requests",
        why: "A counter that nobody increments keeps every alert on it silent.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "Counters before and after requests of our own.",
        remedy: "Count every request once, when it ends, refused ones included.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| Box::pin(rise(s)),
    },
    Check {
        id: "metrics.in-flight-returns",
        title: "A client that leaves frees its place",
        why: "Requests that are never settled hold permits and budget until nothing is left.",
        severity: Severity::Critical,
        areas: &[Area::Reliability, Area::Observability],
        needs: &[Need::Key, Need::Model],
        verified_by: "Streams that we leave in the middle, and the gauge of requests in flight.",
        remedy: "Settle a request when its client goes, and cancel what it waits for.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| Box::pin(in_flight_returns(s)),
    },
];

/// The metrics endpoint's answer: open, or with one of the keys.
async fn fetch(s: &Session<'_>) -> Result<Answer, Stop> {
    let open = s.send(Request::get("/metrics")).await?;
    if !matches!(open.status(), 401 | 403) {
        return Ok(open);
    }
    let mut last = open;
    for key in [&s.options().admin_key, &s.options().key]
        .into_iter()
        .flatten()
    {
        last = s.send(Request::get("/metrics").bearer(key)).await?;
        if last.status() == 200 {
            break;
        }
    }
    Ok(last)
}

async fn exposed(s: &Session<'_>) -> Probed {
    let answer = fetch(s).await?;
    match answer.status() {
        200 if answer
            .text()
            .lines()
            .any(|line| line.starts_with("# TYPE ")) =>
        {
            Ok(format!("200 with {} bytes", answer.body.len()))
        }
        200 => fail("metrics with their types", "200 with something else"),
        401 | 403 => not_verified("a key that may read /metrics"),
        status => fail("200 from GET /metrics", status.to_string()),
    }
}

/// A scrape; a check about its content says nothing when there is none.
async fn scrape_answer(s: &Session<'_>) -> Result<Answer, Stop> {
    let answer = fetch(s).await?;
    match answer.status() {
        200 => Ok(answer),
        status => not_verified(format!("metrics: GET /metrics answers {status}")),
    }
}

pub(super) async fn scrape(s: &Session<'_>) -> Result<Metrics, Stop> {
    Metrics::parse(&scrape_answer(s).await?.text())
        .or_else(|e| not_verified(format!("metrics that follow the format: {e}")))
}

async fn well_formed(s: &Session<'_>) -> Probed {
    let answer = scrape_answer(s).await?;
    let text = answer.text();
    let kind = answer.header("content-type").unwrap_or("no content type");
    // Read as plain text, an OpenMetrics body loses the types of its counters.
    let is_open_metrics = text.trim_end().ends_with("# EOF");
    ensure(
        is_open_metrics == kind.starts_with("application/openmetrics-text"),
        "a content type that fits the body: OpenMetrics ends with # EOF, plain text does not",
        format!("{kind}, with # EOF: {is_open_metrics}"),
    )?;
    match Metrics::parse(&text) {
        Ok(metrics) => Ok(format!(
            "{} series of {} families",
            metrics.samples.len(),
            metrics.types.len()
        )),
        Err(fault) => fail("text that Prometheus accepts", fault),
    }
}

async fn histograms(s: &Session<'_>) -> Probed {
    let metrics = scrape(s).await?;
    match metrics.histogram_faults().first() {
        Some(fault) => fail("histograms that add up", fault.as_str()),
        None if metrics.histogram_count() == 0 => not_verified("a histogram: none is exposed"),
        None => Ok(format!("{} histograms add up", metrics.histogram_count())),
    }
}

/// Labels whose values grow with users, requests or time.
const UNBOUNDED_LABELS: [&str; 18] = [
    "user",
    "user_id",
    "username",
    "email",
    "request_id",
    "correlation_id",
    "trace_id",
    "span_id",
    "session",
    "session_id",
    "conversation_id",
    "key",
    "api_key",
    "token",
    "prompt",
    "ip",
    "client_ip",
    "url",
];

/// A gauge on a few things that exist, such as the age of each key, and not on who asks.
fn is_about(metrics: &Metrics, sample: &Sample, label: &str) -> bool {
    /// More than these are not a few.
    const FEW: usize = 200;
    let same = metrics
        .samples
        .iter()
        .filter(|other| other.name == sample.name);
    metrics
        .types
        .get(&sample.name)
        .is_some_and(|kind| kind == "gauge")
        && sample.name.split('_').any(|part| part == label)
        && same.count() <= FEW
}

async fn labels_bounded(s: &Session<'_>) -> Probed {
    const MAX_SERIES: usize = 2_000;
    let word = canary("canary-");
    let strange = Request::get(format!("/{word}/{word}"))
        .header("x-request-id", word.clone())
        .header("user-agent", word.clone())
        .header("x-user-id", word.clone());
    s.send(s.with_key(strange)).await?;
    for dialect in dialect::served(s).unwrap_or_default() {
        let body = dialect::body(&word, "hi", 1, false).to_string();
        let request = dialect.request(body);
        s.send(match &s.options().key {
            Some(key) => dialect.with_key(request, key),
            None => request,
        })
        .await?;
    }
    let metrics = scrape(s).await?;
    let mut series: BTreeMap<&str, usize> = BTreeMap::new();
    let expected = "labels with a small, known set of values";
    for sample in &metrics.samples {
        *series.entry(sample.name.as_str()).or_default() += 1;
        for (name, value) in &sample.labels {
            let place = format!("{}{{{name}={value:?}}}", sample.name);
            let unbounded = UNBOUNDED_LABELS.contains(&name.as_str());
            ensure(
                !unbounded || is_about(&metrics, sample, name),
                expected,
                &place,
            )?;
            ensure(
                !value.contains(&word),
                expected,
                format!("{place}, a word from our request"),
            )?;
        }
    }
    if let Some((name, count)) = series.iter().find(|(_, count)| **count > MAX_SERIES) {
        return fail(
            format!("at most {MAX_SERIES} series"),
            format!("{count} series of {name}"),
        );
    }
    let labels: BTreeSet<_> = metrics
        .samples
        .iter()
        .flat_map(|s| s.labels.iter().map(|(name, _)| name))
        .collect();
    Ok(format!(
        "{} labels in {} series",
        labels.len(),
        metrics.samples.len()
    ))
}

async fn rise(s: &Session<'_>) -> Probed {
    const REQUESTS: usize = 3;
    let before = scrape(s).await?;
    let served = dialect::served(s).unwrap_or_default();
    for _ in 0..REQUESTS {
        // A refusal for an unknown model is a request like any other, and costs nothing.
        let request = match (served.first(), &s.options().key) {
            (Some(dialect), Some(key)) => {
                let body = dialect::body(dialect::NO_SUCH_MODEL, "hi", 1, false).to_string();
                dialect.with_key(dialect.request(body), key)
            }
            _ => Request::get("/health"),
        };
        s.send(request).await?;
    }
    // Some servers count when the connection ends.
    let mut found = String::new();
    for _ in 0..10 {
        let after = scrape(s).await?;
        match risen(&before, &after, REQUESTS, s.facts().seaworthy) {
            Ok(words) => return Ok(words),
            Err(words) => found = words,
        }
        sleep(Duration::from_millis(100)).await;
    }
    let wanted = if s.facts().seaworthy {
        "seaworthy_requests_total"
    } else {
        "a request counter"
    };
    fail(format!("{wanted} to rise by {REQUESTS}"), found)
}

#[expect(clippy::cast_precision_loss, reason = "a handful of requests")]
fn risen(before: &Metrics, after: &Metrics, by: usize, ours: bool) -> Result<String, String> {
    let old = before.counters();
    let mut best: Option<(f64, &str)> = None;
    for (name, now) in after.counters() {
        let counts = if ours {
            name == "seaworthy_requests_total"
        } else {
            name.contains("request") || name.contains("accesses")
        };
        if counts {
            let by = now - old.get(name).copied().unwrap_or_default();
            if best.is_none_or(|(most, _)| by > most) {
                best = Some((by, name));
            }
        }
    }
    match best {
        Some((most, name)) if most >= by as f64 => Ok(format!("{name} rose by {most}")),
        Some((most, name)) => Err(format!("{name} rose by {most}")),
        None => Err("there is no such counter".to_owned()),
    }
}

/// The gauge of requests in flight, by the names that servers give it.
fn in_flight(metrics: &Metrics, ours: bool) -> Option<(String, f64)> {
    let gauges = metrics.types.iter().filter(|(_, kind)| *kind == "gauge");
    let name = gauges.map(|(name, _)| name).find(|name| {
        if ours {
            *name == "seaworthy_requests_in_flight"
        } else {
            ["in_flight", "inflight", "active_requests", "in_progress"]
                .iter()
                .any(|word| name.contains(word))
        }
    })?;
    Some((name.clone(), metrics.sum(name).unwrap_or_default()))
}

async fn in_flight_returns(s: &Session<'_>) -> Probed {
    const STREAMS: usize = 2;
    s.facts().chat.required()?;
    let ours = s.facts().seaworthy;
    let Some((name, before)) = in_flight(&scrape(s).await?, ours) else {
        return if ours {
            fail("the gauge seaworthy_requests_in_flight", "no such metric")
        } else {
            not_verified("a gauge of requests in flight")
        };
    };
    let prompt = long_prompt();
    let body = dialect::body(s.model()?, &prompt, 1_000_000, true).to_string();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let request = Dialect::OpenAi.request(body.clone()).bearer(s.key()?);
        let mut stream = s.open(request).await?;
        if matches!(stream.head.status, 401 | 403) {
            return not_verified("a key that the server accepts");
        }
        if matches!(stream.head.status, 400 | 413) {
            return not_verified(format!(
                "a prompt of {} bytes that is taken, so that its answer can be left in the middle; it \
                 got {}",
                prompt.len(),
                stream.head.status
            ));
        }
        ensure(
            stream.head.status == 200,
            "200 and a stream",
            stream.head.status.to_string(),
        )?;
        stream.next().await?;
        streams.push(stream);
    }
    let during = in_flight(&scrape(s).await?, ours).map_or(before, |(_, value)| value);
    ensure(
        during > before,
        format!("{name} above {before} while streams are open"),
        during.to_string(),
    )?;
    drop(streams);
    let mut after = during;
    for _ in 0..30 {
        after = in_flight(&scrape(s).await?, ours).map_or(during, |(_, value)| value);
        if after <= before {
            return Ok(format!(
                "{name} was {during} during and {after} after leaving"
            ));
        }
        sleep(Duration::from_millis(100)).await;
    }
    fail(
        format!("{name} back at {before} within 3 s"),
        format!("still {after}"),
    )
}

/// Longer than all buffers between server and client, so that an echo of it cannot end early.
pub(super) fn long_prompt() -> String {
    "the quick brown fox jumps over the lazy dog ".repeat(8_000)
}
