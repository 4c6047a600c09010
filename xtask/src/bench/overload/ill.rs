//! A provider that fails half of its calls, and one that swallows them.

use std::net::TcpListener;

use super::fleet::Programs;
use super::{Figures, ms, number};

/// A gateway whose model `gpt` has a target that is ill and one that is well.
fn config(ill: &str, well: &str, more: &str) -> String {
    format!(
        "{more}\n[providers.ill]\nkind = \"openai\"\nbase_url = \"http://{ill}/v1\"\n\
         api_key = \"secret://env/UPSTREAM_KEY\"\ntimeouts = {{ connect = \"300ms\", first_byte = \"300ms\" }}\n\n\
         [providers.well]\nkind = \"openai\"\nbase_url = \"http://{well}/v1\"\n\
         api_key = \"secret://env/UPSTREAM_KEY\"\n\n\
         [models.gpt]\ntargets = [\"ill/ill\", \"well/well\"]\n\n\
         [models.alone]\ntargets = [\"ill/ill\"]\n\n\
         [models.well]\ntargets = [\"well/well\"]\n"
    )
}

/// Half of the calls of one target fail, by chance: callers notice nothing, and the providers are
/// hardly asked more often than that.
pub(super) fn half(programs: &Programs, figures: &mut Figures) -> anyhow::Result<()> {
    for (way, more) in [("whole", None), ("streamed", Some("--stream"))] {
        let defaults = ["--defaults", "output_tokens=20"];
        let provider = programs.provider(&format!("provider-{way}"), &defaults)?;
        let at = provider.addr.to_string();
        let gateway = programs.gateway(&format!("gateway-{way}"), &config(&at, &at, ""))?;
        provider.post("/__control/faults", &by_chance(900))?;
        let options: Vec<&str> = ["--model", "gpt"].into_iter().chain(more).collect();
        let report = programs.load(&gateway, 300.0, 30.0, &options)?;
        let (offered, served) = (
            number(&report, "/all/offered"),
            number(&report, "/all/served"),
        );
        let calls = number(&provider.json("/__control/stats")?, "/calls");
        let failed = number(&provider.json("/__control/stats")?, "/by_status/500");
        figures.note(
            &format!("{way}: requests, calls, of which failed"),
            &format!("{offered}, {calls}, {failed}"),
        );
        figures.at_least(
            &format!("{way}: served while a target fails half"),
            99.9,
            " %",
            served / offered * 100.0,
        );
        figures.at_most(
            &format!("{way}: calls for each request"),
            1.2,
            "",
            calls / offered,
        );
    }
    Ok(())
}

/// Faults for the calls of the model `ill`, as many as may wait, half of them harmless, in an order without a pattern.
fn by_chance(count: usize) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.is_multiple_of(2)
    };
    let faults = (0..count).map(|_| {
        let fault = if next() { "status=500" } else { "latency_ms=0" };
        format!("{{\"fault\":\"{fault}\",\"model\":\"ill\"}}")
    });
    format!("[{}]", faults.collect::<Vec<_>>().join(","))
}

/// A target takes connections and says nothing.
pub(super) fn hole(programs: &Programs, figures: &mut Figures) -> anyhow::Result<()> {
    let provider =
        programs.provider("provider", &["--defaults", "output_tokens=20,latency_ms=5"])?;
    // The system makes its connections, and nobody reads from them.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (hole, well) = (
        listener.local_addr()?.to_string(),
        provider.addr.to_string(),
    );
    let unbroken = "[resilience.circuit_breaker]\nenabled = false\n";
    let gateway = programs.gateway("without-breaker", &config(&hole, &well, unbroken))?;
    for (way, more) in [("whole", None), ("streamed", Some("--stream"))] {
        let deadline = [
            "--model",
            "alone",
            "--header",
            "x-seaworthy-timeout-ms: 200",
        ];
        let options: Vec<&str> = deadline.into_iter().chain(more).collect();
        // The backlog of the listener is 128 deep: later calls wait for a connection instead.
        let report = programs.load(&gateway, 20.0, 10.0, &options)?;
        let late = ms(&report, "/refused_us/max") - 200.0;
        figures.at_most(
            &format!("{way}: longest wait beyond a caller's deadline of 200 ms"),
            50.0,
            " ms",
            late,
        );
        let answered = number(&report, "/statuses/504");
        let offered = number(&report, "/all/offered");
        figures.at_least(
            &format!("{way}: told that the deadline has passed"),
            100.0,
            " %",
            answered / offered * 100.0,
        );
    }
    drop(gateway);
    let open = "[resilience.circuit_breaker]\nopen_for = \"10m\"\nmax_open_for = \"10m\"\n";
    let gateway = programs.gateway("with-breaker", &config(&hole, &well, open))?;
    let first = programs.load(&gateway, 20.0, 1.0, &["--model", "gpt"])?;
    figures.at_most(
        "longest answer until the breaker opens, the target's limit being 300 ms",
        600.0,
        " ms",
        ms(&first, "/served_us/max"),
    );
    let report = programs.load(&gateway, 200.0, 20.0, &["--model", "gpt,well", "--stream"])?;
    let p99 = |model: usize| ms(&report, &format!("/served_us_of_models/{model}/p99"));
    figures.note("p99 of the fallback itself", &format!("{:.2} ms", p99(1)));
    figures.at_most(
        "p99 of the fallback beyond that, the breaker open",
        5.0,
        " ms",
        p99(0) - p99(1),
    );
    figures.at_least(
        "served meanwhile",
        100.0,
        " %",
        number(&report, "/all/served") / number(&report, "/all/offered") * 100.0,
    );
    Ok(())
}
