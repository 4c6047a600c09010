//! The metrics reader on good and on broken scrapes.

use super::Metrics;

const GOOD: &str = r#"# HELP seaworthy_requests_total Requests, by route.
# TYPE seaworthy_requests_total counter
seaworthy_requests_total{route="chat",status="200"} 3 1700000000000
seaworthy_requests_total{route="a\"b\\c\n",status="500",} 1
# TYPE seaworthy_requests_in_flight gauge
seaworthy_requests_in_flight 0
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} 1
latency_seconds_bucket{le="+Inf"} 2
latency_seconds_sum 1.5e-1
latency_seconds_count 2
"#;

#[test]
fn reads_names_labels_and_escapes() {
    let metrics = Metrics::parse(GOOD).expect("valid");
    assert_eq!(metrics.sum("seaworthy_requests_total"), Some(4.0));
    assert_eq!(metrics.samples[1].label("route"), Some("a\"b\\c\n"));
    assert_eq!(metrics.sum("no_such_series"), None);
    assert!(
        metrics.histogram_faults().is_empty(),
        "{:?}",
        metrics.histogram_faults()
    );
}

#[test]
fn reads_open_metrics_counters_and_exemplars() {
    let text =
        "# TYPE requests counter\nrequests_total{a=\"b\"} 7 # {trace_id=\"abc\"} 1.0\n# EOF\n";
    let metrics = Metrics::parse(text).expect("valid");
    assert_eq!(metrics.counters().get("requests_total"), Some(&7.0));
}

#[test]
fn refuses_what_breaks_the_format_and_names_the_line() {
    for (text, complaint) in [
        ("", "empty"),
        ("<html>\n", "line 1"),
        ("a 1\na 2\n", "line 2: the series a appears twice"),
        (
            "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\n",
            "appears twice",
        ),
        ("a{x=\"1\",x=\"2\"} 1\n", "the label x appears twice"),
        ("a{x=1} 1\n", "not in quotes"),
        ("a{x=\"1} 1\n", "not properly quoted"),
        ("a{1x=\"1\"} 1\n", "not a label name"),
        ("1a 1\n", "not a metric name"),
        ("a one\n", "no valid value"),
        ("a 1 2 3\n", "something other than a time"),
        ("# TYPE a countr\n", "unknown type"),
        ("# TYPE a counter\n# TYPE a counter\n", "a second TYPE"),
        ("# HELP a x\n# HELP a y\n", "a second HELP"),
        ("a 1\n# TYPE a counter\n", "comes after its samples"),
    ] {
        let found = Metrics::parse(text).expect_err(text);
        assert!(found.contains(complaint), "{text:?}: {found}");
    }
}

#[test]
fn finds_histograms_that_contradict_themselves() {
    let histogram = |lines: &str| {
        let text = format!("# TYPE h histogram\n{lines}");
        Metrics::parse(&text).expect("valid").histogram_faults()
    };
    for (lines, complaint) in [
        (
            "h_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 4\nh_count 4\n",
            "fewer than a smaller",
        ),
        ("h_bucket{le=\"1\"} 5\nh_count 5\n", "no +Inf"),
        ("h_bucket{le=\"+Inf\"} 5\nh_count 6\n", "_count says 6"),
        ("h_bucket{le=\"+Inf\"} 5\n", "no _count"),
        ("h_count 6\n", "no buckets"),
        ("h_bucket 5\nh_count 5\n", "without a valid le"),
    ] {
        let faults = histogram(lines);
        assert!(
            faults.iter().any(|f| f.contains(complaint)),
            "{lines:?}: {faults:?}"
        );
    }
}
