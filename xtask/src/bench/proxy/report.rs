//! The tables: medians, ratios to the bare hyper proxy, and whether the limits are kept.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::contender::Contender;
use super::measure::{MOST_FOREIGN, Visit};
use crate::bench::machine;

/// Medians over the visits to one contender.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    cpu_us_per_request: Option<f64>,
    cpu_us_at_rate: Option<f64>,
    requests_per_second: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    cpu_us_per_chunk: Option<f64>,
    chunks_per_second: Option<f64>,
    first_text_us: Option<f64>,
    rss_idle_mib: Option<f64>,
    rss_after_mib: Option<f64>,
    cold_start_ms: Option<f64>,
}

/// The report, and whether every limit is kept.
pub(crate) fn render(
    contenders: &[Contender],
    visits: &[Visit],
    rounds: usize,
    seconds: f64,
) -> (String, bool) {
    let figures = |name: &str| {
        let of: Vec<&Visit> = visits
            .iter()
            .filter(|visit| visit.contender == name)
            .collect();
        medians(&of)
    };
    let (direct, floor) = (figures("direct"), figures("hyper"));
    let mut text = format!("\n{}\n\n", machine::description());
    let _ = writeln!(
        text,
        "Medians of {rounds} rounds, {seconds} s each. Ratios are to `hyper` in the same run; latency is \
         added to `direct`, at 2000 requests a second, from the moment a request was due.\n"
    );
    text.push_str(
        "| | CPU µs/request | CPU µs/request at 2000/s | requests/s | added p50 µs | added p99 µs | added p99.9 µs \
         | CPU µs/chunk | chunks/s | added first text µs | RSS idle / after MiB | cold start ms |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for contender in contenders {
        let own = figures(contender.name);
        let _ = writeln!(
            text,
            "| {} |",
            row(contender.name, &own, &floor, &direct).join(" | ")
        );
    }
    text.push('\n');
    for contender in contenders {
        let _ = writeln!(text, "- `{}`: {}", contender.name, contender.does);
    }
    let disturbed = visits
        .iter()
        .flat_map(|visit| [&visit.closed, &visit.open, &visit.stream]);
    let disturbed = disturbed
        .filter_map(|result| result["foreign_share"].as_f64())
        .fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "- other programs used at most {:.1} % of the machine",
        disturbed * 100.0
    );
    if disturbed > MOST_FOREIGN {
        text.push_str(
            "- **disturbed run**: measure again on a quiet machine before quoting any of this\n",
        );
    }
    let ours = contenders
        .iter()
        .any(|contender| contender.name == "seaworthy");
    let (limits, kept) = if ours {
        limits(&figures("seaworthy"), &floor)
    } else {
        Default::default()
    };
    text.push_str(&limits);
    (text, kept || !ours)
}

fn row(name: &str, own: &Figures, floor: &Figures, direct: &Figures) -> Vec<String> {
    let added = |of: Option<f64>, base: Option<f64>| Some(of? - base?).filter(|_| name != "direct");
    let added_ratio = |pick: fn(&Figures) -> Option<f64>| {
        let ours = added(pick(own), pick(direct));
        with_ratio(ours, added(pick(floor), pick(direct)), 0)
    };
    let pair = match (own.rss_idle_mib, own.rss_after_mib) {
        (Some(idle), Some(after)) => format!("{idle:.1} / {after:.1}"),
        _ => "–".to_owned(),
    };
    vec![
        name.to_owned(),
        with_ratio(own.cpu_us_per_request, floor.cpu_us_per_request, 1),
        with_ratio(own.cpu_us_at_rate, floor.cpu_us_at_rate, 1),
        with_ratio(own.requests_per_second, floor.requests_per_second, 0),
        added_ratio(|figures| figures.p50_us),
        added_ratio(|figures| figures.p99_us),
        added_ratio(|figures| figures.p999_us),
        with_ratio(own.cpu_us_per_chunk, floor.cpu_us_per_chunk, 2),
        with_ratio(own.chunks_per_second, floor.chunks_per_second, 0),
        added_ratio(|figures| figures.first_text_us),
        pair,
        with_ratio(own.cold_start_ms, floor.cold_start_ms, 0),
    ]
}

/// `23.6 (1.15×)`; a dash where nothing was measured.
fn with_ratio(value: Option<f64>, floor: Option<f64>, digits: usize) -> String {
    match (value, floor) {
        (Some(value), Some(floor)) if floor > 0.0 => {
            format!("{value:.digits$} ({:.2}×)", value / floor)
        }
        (Some(value), _) => format!("{value:.digits$}"),
        (None, _) => "–".to_owned(),
    }
}

/// What was promised, beside what was measured.
fn limits(own: &Figures, floor: &Figures) -> (String, bool) {
    let ratio = |of: Option<f64>, base: Option<f64>| Some(of? / base?);
    let rows = [
        (
            "CPU a request, of `hyper`",
            ratio(own.cpu_us_per_request, floor.cpu_us_per_request),
            1.5,
            "×",
        ),
        (
            "CPU a chunk, of `hyper`",
            ratio(own.cpu_us_per_chunk, floor.cpu_us_per_chunk),
            1.5,
            "×",
        ),
        ("RSS after load", own.rss_after_mib, 40.0, " MiB"),
        ("start to first answer", own.cold_start_ms, 100.0, " ms"),
    ];
    let mut text =
        "\n| limit of `seaworthy` | at most | measured | |\n|---|--:|--:|---|\n".to_owned();
    let mut all_kept = true;
    for (name, measured, most, unit) in rows {
        // What was not measured is not kept.
        let kept = measured.is_some_and(|measured| measured <= most);
        all_kept &= kept;
        let shown = measured.map_or("not measured".to_owned(), |value| {
            format!("{value:.2}{unit}")
        });
        let verdict = if kept { "pass" } else { "**FAIL**" };
        let _ = writeln!(text, "| {name} | {most}{unit} | {shown} | {verdict} |");
    }
    (text, all_kept)
}

fn medians(visits: &[&Visit]) -> Figures {
    let of = |pick: &dyn Fn(&Visit) -> Option<f64>| {
        median(visits.iter().filter_map(|visit| pick(visit)).collect())
    };
    let number = |value: &Value| value.as_f64();
    let mib = |kib: u64| {
        u32::try_from(kib)
            .ok()
            .filter(|kib| *kib > 0)
            .map(|kib| f64::from(kib) / 1024.0)
    };
    Figures {
        cpu_us_per_request: of(&|visit| number(&visit.closed["cpu_us_per_request"])),
        cpu_us_at_rate: of(&|visit| number(&visit.open["cpu_us_per_request"])),
        requests_per_second: of(&|visit| number(&visit.closed["requests_per_second"])),
        p50_us: of(&|visit| number(&visit.open["latency_us"]["p50"])),
        p99_us: of(&|visit| number(&visit.open["latency_us"]["p99"])),
        p999_us: of(&|visit| number(&visit.open["latency_us"]["p999"])),
        cpu_us_per_chunk: of(&|visit| number(&visit.stream["cpu_us_per_event"])),
        chunks_per_second: of(&|visit| number(&visit.stream["events_per_second"])),
        first_text_us: of(&|visit| number(&visit.stream["first_text_us"]["p50"])),
        rss_idle_mib: of(&|visit| mib(visit.rss_idle_kib)),
        rss_after_mib: of(&|visit| mib(visit.rss_after_kib)),
        cold_start_ms: of(&|visit| visit.cold_start.map(millis)),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => values.get(middle).copied(),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_limit_fails_when_it_is_exceeded_or_was_not_measured() {
        let floor = Figures {
            cpu_us_per_request: Some(20.0),
            cpu_us_per_chunk: Some(10.0),
            ..Figures::default()
        };
        let good = Figures {
            cpu_us_per_request: Some(30.0),
            cpu_us_per_chunk: Some(12.0),
            rss_after_mib: Some(20.0),
            cold_start_ms: Some(9.0),
            ..Figures::default()
        };
        assert!(limits(&good, &floor).1);
        assert!(
            !limits(
                &Figures {
                    cpu_us_per_request: Some(30.1),
                    ..good
                },
                &floor
            )
            .1
        );
        assert!(
            !limits(
                &Figures {
                    cold_start_ms: None,
                    ..good
                },
                &floor
            )
            .1
        );
    }
}
