//! Clients that read and send a few bytes a second: others keep their latency, and memory is bounded.
//!
//! The slow ones have a provider of their own: what is measured is the gateway's part, not how well the
//! fake provider writes a thousand streams.

use std::time::Duration;

use seaworthy_bench::process;

use super::fleet::Programs;
use super::{Figures, ms, number};

pub(super) fn run(
    programs: &Programs,
    clients: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let provider =
        programs.provider("provider", &["--defaults", "output_tokens=20,latency_ms=5"])?;
    let theirs = programs.provider("slow-provider", &[])?;
    let mut config = String::new();
    for (name, model, at) in [
        ("p", "fake-gpt", provider.addr),
        ("slow", "slow-gpt", theirs.addr),
    ] {
        config.push_str(&format!(
            "[providers.{name}]\nkind = \"openai\"\nbase_url = \"http://{at}/v1\"\n\
             api_key = \"secret://env/UPSTREAM_KEY\"\n\n\
             [models.{model}]\ntargets = [\"{name}/{model}\"]\n\n"
        ));
    }
    let gateway = programs.gateway("gateway", &config)?;
    let before = programs.load(&gateway, 200.0, 10.0, &[])?;
    let memory = || process::usage(gateway.process.pid()).rss_kib as f64 / 1024.0;
    let without = memory();
    let (addr, count) = (gateway.addr.to_string(), clients.to_string());
    let args = [
        "slow",
        "--addr",
        &addr,
        "--model",
        "slow-gpt",
        "--readers",
        &count,
        "--senders",
        &count,
        "--seconds",
        "120",
    ];
    let slow = programs.beside(&args)?;
    settle(|| process::usage(gateway.process.pid()).cpu);
    let during = programs.load(&gateway, 200.0, 20.0, &[])?;
    let with = memory();
    drop(slow);
    let served = number(&during, "/all/served") / number(&during, "/all/offered") * 100.0;
    figures.at_least("others served beside slow clients", 100.0, " %", served);
    for quantile in ["p50", "p99"] {
        let path = format!("/served_us/{quantile}");
        let (alone, beside) = (ms(&before, &path), ms(&during, &path));
        figures.note(
            &format!("{quantile} of others, alone and beside slow clients"),
            &format!("{alone:.1} ms, {beside:.1} ms"),
        );
        figures.at_most(
            &format!("{quantile} of others beside slow clients, of alone"),
            2.0,
            "",
            beside / alone,
        );
    }
    figures.note(
        "memory without and with them",
        &format!("{without:.0} MiB, {with:.0} MiB"),
    );
    let each = (with - without) * 1024.0 / (2.0 * clients as f64);
    figures.at_most("memory for each slow client", 160.0, " KiB", each);
    Ok(())
}

/// Until all of them are there and have what their buffers hold.
fn settle(cpu: impl Fn() -> Duration) {
    const SECOND: Duration = Duration::from_secs(1);
    std::thread::sleep(SECOND * 5);
    for _ in 0..40 {
        let before = cpu();
        std::thread::sleep(SECOND);
        if cpu().saturating_sub(before) < SECOND * 3 / 10 {
            break;
        }
    }
}
