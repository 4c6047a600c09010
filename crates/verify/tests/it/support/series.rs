//! The scripted server's series that operators ask for, each of which can be missing.

/// The histogram of latency, with a count that may contradict its buckets.
pub(crate) fn latency(broken: Option<&str>, count: u32) -> String {
    let mut text = "# TYPE seaworthy_request_latency_seconds histogram\n".to_owned();
    let bounds: &[&str] = match broken {
        Some("metrics.latency") => &["0.1"],
        _ => &["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "30"],
    };
    let below = if broken == Some("perf.latency-p95") {
        2
    } else {
        20
    };
    for bound in bounds {
        text += &format!("seaworthy_request_latency_seconds_bucket{{le=\"{bound}\"}} {below}\n");
    }
    text += "seaworthy_request_latency_seconds_bucket{le=\"+Inf\"} 21\n\
             seaworthy_request_latency_seconds_sum 0.5\n";
    text += &format!("seaworthy_request_latency_seconds_count {count}\n");
    text
}

/// The other series, without the one that is broken.
pub(crate) fn others(broken: Option<&str>) -> String {
    const SERIES: [(&str, &str); 14] = [
        ("metrics.breaker-state", "seaworthy_breaker_state"),
        ("metrics.budget-usage", "seaworthy_budget_used_ratio"),
        ("metrics.cache-hit-rate", "seaworthy_cache_hits_total"),
        ("metrics.quota-remaining", "seaworthy_provider_quota_left"),
        ("metrics.rate-limited", "seaworthy_rate_limited_total"),
        ("metrics.retries", "seaworthy_provider_retries_total"),
        ("metrics.sessions", "seaworthy_sessions"),
        ("metrics.task-outcomes", "seaworthy_tasks_total"),
        ("metrics.timeouts", "seaworthy_provider_timeouts_total"),
        ("metrics.tokens-cost", "seaworthy_spent_usd_total"),
        (
            "metrics.upstream-latency",
            "seaworthy_provider_latency_seconds_sum",
        ),
        ("metrics.resources", "process_resident_memory_bytes"),
        ("trace.exported", "seaworthy_spans_exported_total"),
        ("", "seaworthy_tokens_total"),
    ];
    let mut text = String::new();
    for (id, name) in SERIES {
        if broken != Some(id) {
            text += &format!("# TYPE {name} gauge\n{name} 1\n");
        }
    }
    text + "process_cpu_seconds_total 1\nprocess_open_fds 9\n"
}
