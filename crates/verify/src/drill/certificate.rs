//! A certificate renewed under load: new connections see it, open ones go on, and a broken one is
//! never put in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Stage;
use super::authority::{Authority, Pair};
use super::away::shell;
use super::deployment::{CALLERS, MODEL, Provider, Setup, call, launch, quiet, until};
use super::outage::{calm, phase};
use super::traffic::{Tally, Target, Traffic};
use crate::http::{Caller, Dialer, Request};
use crate::metrics::Metrics;
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::scratch::Bench;
use crate::session::Session;

pub(super) const STEPS: &[&str] = &[
    "make an authority and a certificate, and start a scripted provider and an instance with TLS",
    "make 20 calls a second for 2 s, every other one over a new connection: all are answered",
    "write another certificate and its key over the first: new connections see it",
    "call over a connection from before: it goes on, and no handshake and no call has failed",
    "write half a certificate, one with the key of another, and none at all: the one in force stays, \
     the metrics say so, and callers notice nothing",
    "write a certificate that is whole: new connections see it, and no call has failed",
];

pub(super) const AWAY_STEPS: &[&str] = &[
    "make 20 calls a second for 2 s to the deployment, every other one over a new connection",
    "run the command of --break, which renews the certificate: new connections see another one",
    "call over a connection from before: it goes on, and no handshake and no call has failed",
    "run the command of --mend, and go on for a phase: no handshake and no call fails",
];

/// How long a broken certificate is offered; a server that would take it has done so by then.
const OFFERED: Duration = Duration::from_secs(2);

pub(super) async fn scratch(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let mut bench = Bench::empty(&stage.session).await?;
    let authority = Authority::new().or_else(not_verified)?;
    let first = authority.pair().or_else(not_verified)?;
    let place = Place::of(&bench);
    place.write(&first.certificate, &first.key)?;
    let ca = bench.folder().join("ca.pem");
    std::fs::write(&ca, authority.pem()).or_else(|e| not_verified(format!("a file: {e}")))?;
    bench.speak_tls(Dialer::new(Some(&ca)).or_else(not_verified)?);
    let provider = Provider::start(&bench, "").await?;
    let more = format!(
        "[server.tls]\ncertificate = \"{}\"\nkey = \"secret://file/{}\"\n",
        place.certificate.display(),
        place.key.display()
    );
    let setup = Setup {
        providers: vec![("first", provider.port)],
        more: &more,
        ..Setup::default()
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    let s = &bench.session;
    let target = every_other_anew(s, MODEL, &running.key);
    let mut open = Caller::new(s.dialer().clone(), s.base().clone(), CALLERS.limit);
    goes_on(&mut open, &target, "before the change").await?;
    let began = Instant::now();
    let traffic = Traffic::start(&target, CALLERS);
    calm(stage, &traffic, "calls with the first certificate").await?;

    stage.next_step();
    let second = authority.pair().or_else(not_verified)?;
    place.write(&second.certificate, &second.key)?;
    let seen = sees(stage, s, &second.leaf).await?;
    stage.measure_recovery(seen);

    stage.next_step();
    goes_on(&mut open, &target, "after the change").await?;
    nobody_noticed(stage, &traffic, began, "while the certificate changed")?;

    stage.next_step();
    let third = authority.pair().or_else(not_verified)?;
    let half = &third.certificate[..third.certificate.len() / 2];
    let broken = [
        ("half a certificate", half, third.key.as_str()),
        (
            "a certificate with another's key",
            &third.certificate,
            &second.key,
        ),
        ("no certificate", "", &third.key),
    ];
    for (what, certificate, key) in broken {
        place.write(certificate, key)?;
        ensure_kept(s, &second, what).await?;
    }
    nobody_noticed(
        stage,
        &traffic,
        began,
        "while broken certificates were there",
    )?;

    stage.next_step();
    place.write(&third.certificate, &third.key)?;
    sees(stage, s, &third.leaf).await?;
    goes_on(&mut open, &target, "after all changes").await?;
    let all = finish(stage, traffic).await?;
    Ok(format!(
        "new connections saw the new certificate after {:.1} s, an open one went on, {} broken ones \
         were left alone, and no call failed ({})",
        seen.as_secs_f64(),
        broken.len(),
        all.words()
    ))
}

pub(super) async fn away(stage: &Stage<'_>) -> Probed {
    let (s, options) = (&stage.session, stage.options);
    let (Some(renew), Some(back)) = (&options.break_command, &options.mend_command) else {
        return not_verified("the commands of --break and --mend");
    };
    if !s.base().https {
        return not_verified(format!("an https URL, not {}", s.base().url()));
    }
    let model = options.model.as_deref().unwrap_or("echo");
    let target = every_other_anew(s, model, s.key()?);
    let mut open = Caller::new(s.dialer().clone(), s.base().clone(), CALLERS.limit);
    let before = s.dialer().inspect(s.base()).await?.leaf;
    goes_on(&mut open, &target, "before the change").await?;
    let began = Instant::now();
    let traffic = Traffic::start(&target, CALLERS);
    calm(stage, &traffic, "calls with the first certificate").await?;

    stage.next_step();
    shell(stage, renew).await?;
    let what = "new connections with another certificate";
    let seen = until(
        what,
        options.recovery,
        async || Ok(leaf(s).await? != before),
    )
    .await?;
    stage.measure_recovery(seen);

    stage.next_step();
    goes_on(&mut open, &target, "after the change").await?;
    let noticed = nobody_noticed(stage, &traffic, began, "while the certificate changed");

    stage.next_step();
    // What was changed is put back whatever was seen.
    shell(stage, back).await?;
    noticed?;
    sleep(options.phase).await;
    let all = finish(stage, traffic).await?;
    Ok(format!(
        "new connections saw the new certificate {:.1} s after the command had ended, an open one went \
         on, and no call failed ({})",
        seen.as_secs_f64(),
        all.words()
    ))
}

/// Where the instance has its certificate and key.
struct Place {
    certificate: PathBuf,
    key: PathBuf,
}

impl Place {
    fn of(bench: &Bench<'_>) -> Self {
        Self {
            certificate: bench.folder().join("tls.crt"),
            key: bench.folder().join("tls.key"),
        }
    }

    fn write(&self, certificate: &str, key: &str) -> Result<(), Stop> {
        let written = std::fs::write(&self.certificate, certificate)
            .and_then(|()| std::fs::write(&self.key, key));
        written.or_else(|e| not_verified(format!("a file in the temporary folder: {e}")))
    }
}

/// Calls of a key, every other one over a connection of its own, so with a handshake.
fn every_other_anew(s: &Session<'_>, model: &str, key: &str) -> Target {
    let (model, key) = (model.to_owned(), key.to_owned());
    Target {
        dialer: s.dialer().clone(),
        base: s.base().clone(),
        request: Arc::new(move |n| {
            let request = call(&model, &format!("call {n}"), &key, n % 4 == 3);
            match n % 2 {
                0 => request,
                _ => request.header("connection", "close"),
            }
        }),
    }
}

/// The certificate that a new connection is shown.
async fn leaf(s: &Session<'_>) -> Result<Vec<u8>, Stop> {
    match s.dialer().inspect(s.base()).await {
        Ok(shown) => Ok(shown.leaf),
        Err(error) => fail("a handshake for every new connection", error.to_string()),
    }
}

/// Waits until new connections are shown this certificate.
async fn sees(stage: &Stage<'_>, s: &Session<'_>, wanted: &[u8]) -> Result<Duration, Stop> {
    let what = "new connections with the new certificate";
    let limit = stage.options.recovery;
    until(what, limit, async || Ok(leaf(s).await? == wanted)).await
}

/// One call over a connection that is kept, which must still be the first one.
async fn goes_on(open: &mut Caller, target: &Target, when: &str) -> Result<(), Stop> {
    let answer = open.call(&(target.request)(0)).await;
    let found = match &answer {
        Ok(answer) if answer.status() == 200 && open.connections() == 1 => return Ok(()),
        Ok(answer) if answer.status() == 200 => "it was closed, and another one was needed".into(),
        Ok(answer) => answer.status().to_string(),
        Err(error) => error.to_string(),
    };
    fail(format!("an open connection that goes on {when}"), found)
}

/// Offers something broken for a while: it is not put in force, and somebody is told.
async fn ensure_kept(s: &Session<'_>, in_force: &Pair, what: &str) -> Result<(), Stop> {
    let clock = Instant::now();
    let mut is_told = false;
    while clock.elapsed() < OFFERED || !is_told {
        // A server that shows nothing, or something else, has taken it.
        let shown = s.dialer().inspect(s.base()).await;
        ensure(
            shown
                .as_ref()
                .is_ok_and(|shown| shown.leaf == in_force.leaf),
            format!("the certificate in force, with {what} in its place"),
            shown.map_or_else(|e| e.to_string(), |_| "another one".to_owned()),
        )?;
        is_told = is_told || !is_current(s).await?;
        ensure(
            clock.elapsed() < OFFERED * 3,
            format!("seaworthy_tls_certificate_current 0 with {what}"),
            "1, as if nothing were wrong",
        )?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Whether the metrics say that the certificate in force is the one that is configured.
async fn is_current(s: &Session<'_>) -> Result<bool, Stop> {
    let page = quiet(s, Request::get("/metrics")).await?;
    let metrics = Metrics::parse(&page.text()).or_else(not_verified)?;
    Ok(metrics.sum("seaworthy_tls_certificate_current") != Some(0.0))
}

fn nobody_noticed(
    stage: &Stage<'_>,
    traffic: &Traffic,
    since: Instant,
    when: &str,
) -> Result<(), Stop> {
    let tally = Tally::of(&phase(stage, traffic, since, &format!("calls {when}")));
    ensure(
        tally.calls > 0 && tally.failed() == 0,
        format!("no failed handshake and no failed call {when}"),
        tally.words(),
    )
}

async fn finish(stage: &Stage<'_>, traffic: Traffic) -> Result<Tally, Stop> {
    let all = Tally::of(&traffic.finish().await);
    stage.measure("failed calls", all.failed() as f64, "calls", Some(0.0));
    ensure(
        all.failed() == 0,
        "no failed handshake and no failed call until the end",
        all.words(),
    )?;
    Ok(all)
}
