//! A network path that goes dead: bytes vanish and connections stay open.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Stage;
use super::deployment::{Provider, Setup, callers, launch, until};
use super::outage::{calm, ensure_answered, phase};
use super::proxy::Path;
use super::traffic::Tally;
use crate::outcome::{Probed, Stop};
use crate::scratch::Bench;

pub(super) const STEPS: &[&str] = &[
    "start two scripted providers, the first behind a path that can be cut, and an instance",
    "make 20 calls a second for 2 s: all are answered",
    "cut the path for 4 s, connections open and silent: the second provider answers",
    "join the path: the first provider is asked again",
];

pub(super) async fn partition(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let bench = Bench::empty(&stage.session).await?;
    let first = Provider::start(&bench, "").await?;
    let second = Provider::start(&bench, "").await?;
    let path = Path::to(first.port).await.map_err(|e| Stop::NotVerified {
        missing: format!("a port for the path: {e}"),
    })?;
    let setup = Setup {
        providers: vec![("first", path.port), ("second", second.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    let traffic = callers(&bench.session, &running.key);

    calm(stage, &traffic, "calls before the cut").await?;

    stage.next_step();
    path.cut();
    let cut = Instant::now();
    sleep(Duration::from_secs(4)).await;
    let during = phase(stage, &traffic, cut, "calls while the path was cut");
    ensure_answered(options, &during, "while the path is cut")?;

    stage.next_step();
    let before = first.calls().await?;
    path.join();
    let what = "calls at the provider behind the path";
    let back = until(what, options.recovery, async || {
        Ok(first.calls().await? > before)
    })
    .await?;
    let all = Tally::of(&traffic.finish().await);
    stage.measure_recovery(back);
    Ok(format!(
        "callers were answered over the other path, and the first one was used again after {:.1} s ({})",
        back.as_secs_f64(),
        all.words()
    ))
}
