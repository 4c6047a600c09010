//! An alert end to end: something breaks, a rule notices, and word of it arrives.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Stage;
use super::away::shell;
use super::deployment::{CALLERS, MODEL, callers, launch, one_provider, quiet, until};
use super::outage::{ensure_answered, phase};
use super::prometheus::{Alert, Prometheus, Rules, alerts};
use super::traffic::Traffic;
use crate::http::{Base, Request};
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::scratch::Bench;
use crate::session::Session;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider, an instance, and Prometheus with the rules of --rules or our own; waits \
     of rules become 2 s and windows 10 s",
    "make 20 calls a second for 8 s: no critical alert fires",
    "let the provider fail every call: an alert is pending, fires, and arrives where Alertmanager would \
     be",
    "let the provider answer again: alerts end",
    "kill the instance: an alert fires and arrives",
    "start the instance again: alerts end",
];

pub(super) const AWAY_STEPS: &[&str] = &[
    "look at the alerts of --prometheus and at its Alertmanagers, and make 20 calls a second",
    "run the command of --break: an alert fires that did not before",
    "run the command of --mend: alerts end",
];

/// How long a shortened rule may take to fire, or to end.
const QUICK: Duration = Duration::from_secs(30);

/// How long a rule of a deployment may take.
const SLOW: Duration = Duration::from_secs(900);

pub(super) async fn scratch(stage: &Stage<'_>) -> Probed {
    stage.next_step();
    let rules = Rules::read(stage.options.rules.as_deref()).or_else(not_verified)?;
    let bench = Bench::empty(&stage.session).await?;
    let provider = one_provider(&bench, "", "").await?;
    let running = launch(stage, &bench).await?;
    let prometheus = Prometheus::start(&stage.session, bench.session.base(), &rules).await?;
    let told = Told {
        prometheus: &prometheus.session,
        within: QUICK,
    };
    let traffic = callers(&bench.session, &running.key);

    stage.next_step();
    let since = Instant::now();
    sleep(Duration::from_secs(8)).await;
    let calm = phase(stage, &traffic, since, "calls before anything broke");
    ensure_answered(stage.options, &calm, "without a fault")?;
    let before = told.firing().await?;
    let false_alarm = before.iter().find(|alert| alert.severity == "critical");
    if let Some(alarm) = false_alarm {
        return fail(
            "no critical alert while nothing is wrong",
            format!("{} fires", alarm.name),
        );
    }

    stage.next_step();
    provider.fault("status=500", 1_000_000).await?;
    let errors = told.fires(&before, "failing calls").await?;
    arrives(&prometheus, &errors.alert).await?;

    stage.next_step();
    provider.reset().await?;
    told.ends(&before, &errors.alert).await?;

    stage.next_step();
    drop(running.instance);
    let gone = told.fires(&before, "an instance that is gone").await?;
    arrives(&prometheus, &gone.alert).await?;

    stage.next_step();
    drop(traffic);
    let _again = bench.serve().await?;
    told.ends(&before, &gone.alert).await?;
    stage.measure(
        "failing calls, until it fires",
        errors.after,
        "s",
        Some(QUICK.as_secs_f64()),
    );
    stage.measure(
        "no instance, until it fires",
        gone.after,
        "s",
        Some(QUICK.as_secs_f64()),
    );
    stage.measure("rules that alert", rules.alerts as f64, "rules", None);
    Ok(format!(
        "{} fired {:.0} s after {MODEL} began to fail and {} {:.0} s after the instance was gone; both \
         arrived and ended with their cause",
        errors.alert, errors.after, gone.alert, gone.after
    ))
}

pub(super) async fn away(stage: &Stage<'_>) -> Probed {
    let options = stage.options;
    stage.next_step();
    let (Some(begin), Some(end)) = (&options.break_command, &options.mend_command) else {
        return not_verified("the commands of --break and --mend");
    };
    let Some(url) = &options.prometheus else {
        return not_verified("a Prometheus server (--prometheus URL)");
    };
    let base = Base::parse(url).or_else(not_verified)?;
    let prometheus = stage
        .session
        .of_instance(base, format!("Prometheus at {url}"));
    let told = Told {
        prometheus: &prometheus,
        within: SLOW,
    };
    let managers = managers(&prometheus).await?;
    let key = stage.session.key()?;
    let model = options.model.as_deref().unwrap_or("echo");
    let traffic = Traffic::start(&super::away::target(&stage.session, model, key), CALLERS);
    let before = told.firing().await?;

    stage.next_step();
    shell(stage, begin).await?;
    let fired = told.fires(&before, "what --break did").await;

    stage.next_step();
    // What was broken is mended whatever was seen.
    shell(stage, end).await?;
    let fired = fired?;
    told.ends(&before, &fired.alert).await?;
    drop(traffic);
    stage.measure("until it fires", fired.after, "s", Some(SLOW.as_secs_f64()));
    Ok(format!(
        "{} fired {:.0} s after the fault and ended with it; alerts go to {managers}",
        fired.alert, fired.after
    ))
}

/// The Alertmanagers that a Prometheus sends to; without one, nobody is told.
async fn managers(prometheus: &Session<'_>) -> Result<String, Stop> {
    let answer = quiet(prometheus, Request::get("/api/v1/alertmanagers")).await?;
    let json = answer.json().unwrap_or_default();
    let active = json["data"]["activeAlertmanagers"].as_array();
    let urls: Vec<&str> = active
        .into_iter()
        .flatten()
        .filter_map(|manager| manager["url"].as_str())
        .collect();
    ensure(
        !urls.is_empty(),
        "an Alertmanager that is told of alerts",
        "none",
    )?;
    Ok(urls.join(", "))
}

/// An alert that fired, and how long that took.
struct Fired {
    alert: String,
    after: f64,
}

/// What Prometheus tells, asked until it does.
struct Told<'s, 'a> {
    prometheus: &'s Session<'a>,
    within: Duration,
}

impl Told<'_, '_> {
    async fn firing(&self) -> Result<BTreeSet<Alert>, Stop> {
        let mut all = alerts(self.prometheus).await?;
        all.retain(|alert| alert.is_firing);
        Ok(all)
    }

    /// Waits for an alert that did not fire before; the gravest of those that fire first.
    async fn fires(&self, before: &BTreeSet<Alert>, cause: &str) -> Result<Fired, Stop> {
        let clock = Instant::now();
        let mut waiting = BTreeSet::new();
        while clock.elapsed() < self.within {
            let all = alerts(self.prometheus).await?;
            let new = all
                .iter()
                .filter(|alert| alert.is_firing && !before.contains(alert));
            if let Some(alert) = new.min_by_key(|alert| alert.severity != "critical") {
                let after = clock.elapsed().as_secs_f64();
                // The exchange that shows it is kept.
                self.prometheus.send(Request::get("/api/v1/alerts")).await?;
                return Ok(Fired {
                    alert: alert.name.clone(),
                    after,
                });
            }
            waiting.extend(all.into_iter().map(|alert| alert.name));
            sleep(Duration::from_millis(250)).await;
        }
        let waiting: Vec<String> = waiting.into_iter().collect();
        fail(
            format!("an alert on {cause} within {} s", self.within.as_secs()),
            match waiting.is_empty() {
                true => "none fired, and none was pending".to_owned(),
                false => format!("none fired; pending: {}", waiting.join(", ")),
            },
        )
    }

    /// Waits until nothing fires that did not before.
    async fn ends(&self, before: &BTreeSet<Alert>, name: &str) -> Result<(), Stop> {
        let what = format!("an end of {name} and its like, whose cause is gone,");
        until(&what, self.within, async || {
            Ok(self.firing().await?.is_subset(before))
        })
        .await?;
        Ok(())
    }
}

/// Waits until the receiver has an alert.
async fn arrives(prometheus: &Prometheus<'_>, name: &str) -> Result<(), Stop> {
    let what = format!("{name} at the receiver");
    let limit = Duration::from_secs(20);
    until(&what, limit, async || Ok(prometheus.receiver.has(name))).await?;
    Ok(())
}
