//! More work than the gateway's own processor can do, while the provider could do all of it.

use seaworthy_bench::process;
use serde_json::Value;

use super::fleet::{Programs, Started};
use super::{Figures, ms, number, surge};

/// Long bodies that guards read, so that clients on the other core can offer six times too much.
const BODY_BYTES: &str = "65536";
const GUARDS: [&str; 4] = ["email", "iban", "credit_card", "phone_number"];
/// Requests a second to find out what one costs.
const SLOWLY: f64 = 40.0;
/// So much more is offered each time to find the peak, for so long, until so much more is not served.
const STEP: f64 = 1.2;
const STEP_SECONDS: f64 = 5.0;
const NO_MORE: f64 = 1.05;

pub(super) fn run(programs: &Programs, seconds: f64, figures: &mut Figures) -> anyhow::Result<()> {
    let defaults = ["--defaults", "latency_ms=20,output_tokens=20"];
    let provider = programs.provider("provider", &defaults)?;
    let gateway = programs.gateway("gateway", &config(&provider))?;
    let load = |rate: f64, seconds: f64, more: &[&str]| {
        let more = [&["--body-bytes", BODY_BYTES], more].concat();
        programs.load(&gateway, rate, seconds, &more)
    };
    let cpu = || process::usage(gateway.process.pid()).cpu.as_secs_f64();
    let before = cpu();
    let calm = load(SLOWLY, 10.0, &[])?;
    let cost = (cpu() - before) / number(&calm, "/all/served");
    let peak = climb(0.9 / cost, |rate| load(rate, STEP_SECONDS, &[]))?;
    let capacity = served(&peak);
    figures.note(
        "what the gateway's core can do",
        &format!(
            "{capacity:.0} calls a second; a single one takes {:.2} ms",
            cost * 1000.0
        ),
    );
    let usual = ms(&calm, "/served_us/p99");
    for times in [3.0, 6.0] {
        let surge = load(capacity * times, seconds / 2.0, &surge::CRITICAL)?;
        judge(&format!("{times} times"), &surge, &peak, figures);
        let offered = number(&surge, "/all/offered") / number(&surge, "/seconds");
        figures.at_least(
            "offered, of what was meant",
            0.9,
            "",
            offered / capacity / times,
        );
        let p99 = ms(&surge, "/served_us/p99");
        figures.note("p99 of answers, calm", &format!("{usual:.1} ms"));
        // Calls wait at the door for 100 ms at most, and take their usual time and some more then.
        figures.at_most("p99 of answers", usual + 300.0, " ms", p99);
    }
    let after = load(capacity * 0.5, 15.0, &[])?;
    surge::recovery(&after, usual, figures);
    Ok(())
}

/// Offers more and more until no more is served, and returns what was served most: calls that follow
/// each other cost less than a single one.
fn climb(rate: f64, load: impl Fn(f64) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    let mut best = load(rate)?;
    loop {
        let next = load(served(&best) * STEP)?;
        let is_top = served(&next) < served(&best) * NO_MORE;
        if served(&next) > served(&best) {
            best = next;
        }
        if is_top {
            return Ok(best);
        }
    }
}

/// Calls a second.
fn served(report: &Value) -> f64 {
    number(report, "/all/served") / number(report, "/seconds")
}

fn judge(what: &str, surge: &Value, peak: &Value, figures: &mut Figures) {
    let share = served(surge) / served(peak) * 100.0;
    figures.at_least(&format!("goodput of the peak's, {what}"), 90.0, " %", share);
    surge::critical(surge, figures);
    surge::refusals(surge, figures);
    surge::probes(surge, figures);
    surge::memory(surge, figures);
}

/// A gateway for which a call is work.
fn config(provider: &Started) -> String {
    let at = provider.addr;
    let mut text = format!(
        "[resilience.priorities]\nmay_raise = true\n\n[providers.p]\nkind = \"openai\"\n\
         base_url = \"http://{at}/v1\"\napi_key = \"secret://env/UPSTREAM_KEY\"\n\n\
         [models.fake-gpt]\ntargets = [\"p/fake-gpt\"]\n\n"
    );
    for detector in GUARDS {
        text.push_str(&format!(
            "[guards.policies.{detector}]\ndetector = \"{detector}\"\nplaces = [\"input\"]\n\
             action = \"flag\"\n\n"
        ));
    }
    text
}
