//! Three times as much work as the provider can do, from clients that do not wait for each other.

use serde_json::Value;

use super::fleet::Programs;
use super::{Figures, ms, number};

/// What the provider can do: so many calls at a time, each for so long.
const SLOTS: f64 = 40.0;
const LATENCY_MS: f64 = 100.0;

/// One in ten requests says that it is critical.
pub(super) const CRITICAL: [&str; 2] = ["--critical-each", "10"];

pub(super) fn run(programs: &Programs, seconds: f64, figures: &mut Figures) -> anyhow::Result<()> {
    let slots = SLOTS.to_string();
    let defaults = format!("latency_ms={LATENCY_MS},output_tokens=20");
    let provider = programs.provider("provider", &["--slots", &slots, "--defaults", &defaults])?;
    let at = provider.addr;
    let gateway = programs.gateway(
        "gateway",
        &format!(
            "[resilience.priorities]\nmay_raise = true\n\n[providers.p]\nkind = \"openai\"\n\
             base_url = \"http://{at}/v1\"\napi_key = \"secret://env/UPSTREAM_KEY\"\n\n\
             [models.fake-gpt]\ntargets = [\"p/fake-gpt\"]\n"
        ),
    )?;
    let capacity = SLOTS / LATENCY_MS * 1000.0;
    let calm = programs.load(&gateway, capacity * 0.5, 10.0, &[])?;
    let peak = programs.load(&gateway, capacity * 0.95, 15.0, &[])?;
    let surge = programs.load(&gateway, capacity * 3.0, seconds, &CRITICAL)?;
    let after = programs.load(&gateway, capacity * 0.5, 15.0, &[])?;
    let rate = |report: &Value| number(report, "/all/served") / number(report, "/seconds");
    figures.note(
        "answers a second: calm, at 95 % of what the provider can, at three times that",
        &format!(
            "{:.0}, {:.0}, {:.0}",
            rate(&calm),
            rate(&peak),
            rate(&surge)
        ),
    );
    // Clients without a processor offer less, and then nothing was measured.
    let offered = number(&surge, "/all/offered") / number(&surge, "/seconds");
    figures.at_least(
        "offered, of what the provider can",
        2.7,
        "",
        offered / capacity,
    );
    figures.at_least(
        "goodput of the peak's",
        90.0,
        " %",
        rate(&surge) / rate(&peak) * 100.0,
    );
    let usual = ms(&calm, "/served_us/p99");
    figures.note("p99 of answers, calm", &format!("{usual:.1} ms"));
    figures.at_most(
        "p99 of answers, of that",
        3.0,
        "",
        ms(&surge, "/served_us/p99") / usual,
    );
    critical(&surge, figures);
    refusals(&surge, figures);
    probes(&surge, figures);
    memory(&surge, figures);
    recovery(&after, usual, figures);
    Ok(())
}

pub(super) fn critical(surge: &Value, figures: &mut Figures) {
    let share = number(surge, "/critical/served") / number(surge, "/critical/offered") * 100.0;
    figures.at_least("critical requests served", 99.9, " %", share);
}

pub(super) fn refusals(surge: &Value, figures: &mut Figures) {
    let text = format!(
        "{:.1} ms, {:.1} ms",
        ms(surge, "/refused_us/p50"),
        ms(surge, "/refused_us/p99")
    );
    figures.note("refusals after, p50 and p99", &text);
    let statuses = surge["statuses"].as_object().into_iter().flatten();
    let statuses: Vec<String> = statuses.map(|(code, n)| format!("{n} of {code}")).collect();
    figures.note("answers by status", &statuses.join(", "));
    figures.at_most(
        "refusals that do not say when to come back",
        0.0,
        "",
        number(surge, "/all/refused_without_when"),
    );
    let lost = number(surge, "/all/broken") + number(surge, "/all/given_up");
    figures.at_most("requests without any answer", 0.0, "", lost);
}

/// Health is told in time.
pub(super) fn probes(surge: &Value, figures: &mut Figures) {
    for (name, path, most) in [
        ("readiness", "/ready_us/max", 500.0),
        ("liveness", "/live_us/max", 100.0),
    ] {
        let name = format!("longest answer of {name} meanwhile");
        figures.at_most(&name, most, " ms", ms(surge, path));
    }
    let failed = number(surge, "/failed_probes");
    figures.at_most("probes that failed", 0.0, "", failed);
}

/// Memory does not grow from the first quarter to the last one.
pub(super) fn memory(surge: &Value, figures: &mut Figures) {
    let samples: Vec<f64> = surge["memory_kib"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    let quarter = (samples.len() / 4).max(1);
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (early, late) = (
        most(&samples[..quarter.min(samples.len())]),
        most(&samples[samples.len().saturating_sub(quarter)..]),
    );
    figures.note(
        "memory at most",
        &format!(
            "{:.0} MiB, {} connections at the end",
            most(&samples) / 1024.0,
            number(surge, "/connections")
        ),
    );
    figures.at_most(
        "memory of the last quarter, of the first one's",
        1.1,
        "",
        late / early.max(1.0),
    );
}

/// From the fifth second on all is as before.
pub(super) fn recovery(after: &Value, usual: f64, figures: &mut Figures) {
    let counts = |path: &str| -> Vec<f64> {
        let seconds = after[path].as_array().into_iter().flatten();
        seconds.filter_map(Value::as_f64).collect()
    };
    let (served, offered) = (counts("served_each_second"), counts("offered_each_second"));
    let sum = |counts: &[f64], from: usize| counts.iter().skip(from).sum::<f64>();
    let normal = (0..5).find(|from| sum(&served, *from) >= sum(&offered, *from) * 0.999);
    let text = normal.map_or("later".to_owned(), |second| {
        format!("within {} s", second + 1)
    });
    figures.add(
        "normal again after the end",
        "within 5 s",
        &text,
        normal.is_some(),
    );
    figures.at_most(
        "p99 after the end, of the calm one",
        2.0,
        "",
        ms(after, "/served_us/p99") / usual,
    );
}
