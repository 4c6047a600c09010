//! What a remembered answer costs, beside a request of the bare proxy.

use anyhow::ensure;

use super::fleet::{Programs, Started};
use super::{Figures, number};

pub(super) fn run(programs: &Programs, figures: &mut Figures) -> anyhow::Result<()> {
    let provider = programs.provider("provider", &["--defaults", "answer_bytes=1024"])?;
    let at = provider.addr;
    let config = format!(
        "[cache]\nenabled = true\n\n[providers.p]\nkind = \"openai\"\nbase_url = \"http://{at}/v1\"\n\
         api_key = \"secret://env/UPSTREAM_KEY\"\n\n[models.fake-gpt]\ntargets = [\"p/fake-gpt\"]\n"
    );
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let floor = cpu(programs, &programs.floor(at)?)?;
        let hit = cpu(programs, &programs.gateway("gateway", &config)?)?;
        ratios.push(hit / floor);
        figures.note(
            "CPU of the bare proxy and of a hit",
            &format!("{floor:.1} µs, {hit:.1} µs"),
        );
    }
    ratios.sort_by(f64::total_cmp);
    figures.at_most(
        "CPU of a hit, of the bare proxy's request (median of 3)",
        1.2,
        "",
        ratios[1],
    );
    Ok(())
}

/// CPU time of one request.
fn cpu(programs: &Programs, server: &Started) -> anyhow::Result<f64> {
    let (addr, pid) = (server.addr.to_string(), server.process.pid().to_string());
    let args = [
        "closed",
        "--addr",
        &addr,
        "--pid",
        &pid,
        "--header",
        "authorization: Bearer any",
    ];
    let report = programs.clients("loadgen", &args)?;
    ensure!(
        number(&report, "/failed") + number(&report, "/refused") == 0.0,
        "requests failed: {report}"
    );
    Ok(number(&report, "/cpu_us_per_request"))
}
