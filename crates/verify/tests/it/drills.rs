//! Reports of drills as evidence: what they show, and when they count no more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::{Timestamp, ToSpan as _};
use seaworthy_verify::drill::evidence::{file_name, render};
use seaworthy_verify::drill::{Subject, plan, run as carry_out};
use seaworthy_verify::{
    Asked, Check, Drill, DrillOptions, DrillReport, Need, Options, Outcome, Report, Scope, Status,
    catalogue, run,
};
use tempfile::TempDir;

use super::support::{check, complaints, ids, options, start};

fn of_drills() -> impl Iterator<Item = &'static Check> {
    catalogue().filter(|check| check.needs.contains(&Need::Drills))
}

/// A report as a drill leaves it.
fn report(name: &str, answers: &'static [&'static str], scratch: bool) -> DrillReport {
    DrillReport {
        drill: Drill::named(name).expect("a drill"),
        subject: Subject {
            scratch,
            name: "http://127.0.0.1:1".to_owned(),
            version: Some("9.8.7".to_owned()),
            environment: None,
        },
        started_at: Timestamp::now(),
        duration_ms: 1.0,
        outcome: Outcome::Pass {
            found: "it held".to_owned(),
        },
        steps: &[],
        answers,
        measures: Vec::new(),
        evidence: Vec::new(),
    }
}

fn keep(folder: &Path, report: &DrillReport) {
    fs::write(folder.join(file_name(report)), render(report)).expect("written");
}

fn drills_in(folder: &Path, mut options: Options) -> Options {
    options.drills = Some(folder.to_owned());
    options.asked = Asked::Only(of_drills().map(|check| check.id.to_owned()).collect());
    options
}

async fn of_files(folder: &Path) -> Report {
    let mut options = drills_in(folder, Options::new("http://127.0.0.1:9"));
    options.scope = Scope::Files;
    run(options, |_| {}).await.expect("a report")
}

/// One report for every requirement that drills answer.
const KEPT: [(&str, &[&str]); 13] = [
    (
        "provider-outage",
        &["dr.failover-tested", "chaos.recovery-validated"],
    ),
    (
        "provider-limits",
        &["chaos.provider-rate-limited", "chaos.recovery-validated"],
    ),
    ("network-partition", &["chaos.network-partition"]),
    (
        "redis-loss",
        &["chaos.redis-failure", "chaos.recovery-validated"],
    ),
    ("drain", &["chaos.pod-eviction", "deploy.zero-downtime"]),
    ("config-rollback", &["rollback.tested"]),
    ("restore", &["backup.restore-tested"]),
    ("key-rotation", &["secrets.zero-downtime-rotation"]),
    ("certificate", &["tls.certificate-reload"]),
    ("alert", &["alert.tested"]),
    ("budget", &["budget.enforcement-tested"]),
    (
        "load",
        &[
            "load.test-performed",
            "perf.throughput-measured",
            "limits.validated-under-load",
        ],
    ),
    ("kill", &["chaos.recovery-validated"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_failed_drill_turns_exactly_its_own_requirements_red() {
    let folder = TempDir::new().expect("a folder");
    let all: Vec<_> = of_drills().map(|check| check.id).collect();
    assert_eq!(
        ids(&of_files(folder.path()).await, Status::NotVerified),
        all
    );
    for (name, answers) in KEPT {
        keep(folder.path(), &report(name, answers, true));
    }
    let green = of_files(folder.path()).await;
    assert_eq!(ids(&green, Status::Pass), all, "{}", complaints(&green));
    let mut broken = BTreeSet::new();
    for (name, answers) in KEPT {
        let mut failed = report(name, answers, true);
        failed.outcome = Outcome::Fail {
            expected: "calls".to_owned(),
            found: "none".to_owned(),
        };
        keep(folder.path(), &failed);
        let red: BTreeSet<_> = ids(&of_files(folder.path()).await, Status::Fail)
            .into_iter()
            .collect();
        assert_eq!(red, answers.iter().copied().collect(), "{name}");
        broken.extend(red);
        keep(folder.path(), &report(name, answers, true));
    }
    assert_eq!(broken.len(), all.len());
    println!(
        "sabotaged {} of {} checks of drills",
        broken.len(),
        all.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_changed_or_from_the_future_does_not_count() {
    const ID: &str = "backup.restore-tested";
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("restore.json");
    let verdict = async |words: &str| {
        let seen = of_files(folder.path()).await;
        let result = seen
            .results
            .iter()
            .find(|r| r.check.id == ID)
            .expect("a result");
        match &result.outcome {
            Outcome::NotVerified { missing } => assert!(missing.contains(words), "{missing}"),
            other => panic!("{words}: {other:?}"),
        }
    };
    verdict("seaworthy drill restore").await;
    let mut old = report("restore", &[ID], true);
    old.started_at = Timestamp::now() - (100 * 24).hours();
    keep(folder.path(), &old);
    verdict("100 days old").await;
    old.started_at = Timestamp::now() + 48.hours();
    keep(folder.path(), &old);
    verdict("not in the future").await;
    let good = render(&report("restore", &[ID], true));
    fs::write(&path, good.replace("it held", "it held well")).expect("written");
    verdict("changed after the drill").await;
    fs::write(&path, "{}").expect("written");
    verdict("no report of a drill").await;
    fs::write(&path, "[[[").expect("written");
    verdict("does not count").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_counts_for_the_deployment_it_was_done_to_and_for_the_version_it_was_done_with() {
    let server = start(None).await;
    let folder = TempDir::new().expect("a folder");
    let of_server = async || check(drills_in(folder.path(), options(server.address))).await;
    let answers: &[&str] = &["budget.enforcement-tested"];
    let mut elsewhere = report("budget", answers, false);
    keep(folder.path(), &elsewhere);
    assert_eq!(of_server().await.counts().pass, 0, "another deployment");
    elsewhere.subject.name = format!("http://{}/", server.address);
    keep(folder.path(), &elsewhere);
    assert_eq!(ids(&of_server().await, Status::Pass), answers);
    fs::remove_dir_all(folder.path()).expect("removed");
    fs::create_dir(folder.path()).expect("a folder");
    let mut scratch = report("budget", answers, true);
    keep(folder.path(), &scratch);
    assert_eq!(
        ids(&of_server().await, Status::Pass),
        answers,
        "the same version"
    );
    scratch.subject.version = Some("1.0.0".to_owned());
    keep(folder.path(), &scratch);
    assert_eq!(of_server().await.counts().pass, 0, "another version");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_to_production_unless_that_is_said() {
    let mut options = DrillOptions::new("/no/such/program".into());
    options.url = Some("http://192.0.2.1:8080".to_owned());
    options.key = Some("sw-key-of-the-test-0123456789".to_owned());
    let load = Drill::named("load").expect("a drill");
    let said = plan(load, &options).render();
    assert!(said.contains("not on this machine"), "{said}");
    let done = carry_out(load, &options, &|_| {}).await.expect("a report");
    assert!(
        matches!(&done.outcome, Outcome::NotVerified { missing } if missing.contains("--yes-production")),
        "{:?}",
        done.outcome
    );
    assert!(done.evidence.is_empty(), "it was asked nothing");
    options.url = Some("http://127.0.0.1:9".to_owned());
    options.environment = Some("production".to_owned());
    let done = carry_out(load, &options, &|_| {}).await.expect("a report");
    assert!(
        matches!(&done.outcome, Outcome::NotVerified { missing } if missing.contains("environment")),
        "{:?}",
        done.outcome
    );
}

#[test]
fn a_plan_says_how_many_calls_come_at_most() {
    let mut options = DrillOptions::new("/no/such/program".into());
    options.peak = 30.0;
    for (name, calls) in [("kill", 20), ("load", 60), ("budget", 60)] {
        let said = plan(Drill::named(name).expect("a drill"), &options).render();
        let wanted = format!("{calls} calls a second");
        assert!(said.contains(&wanted), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_on_a_program_that_is_not_there_is_not_verified() {
    let options = DrillOptions::new("/no/such/program".into());
    let kill = Drill::named("kill").expect("a drill");
    let done = carry_out(kill, &options, &|_| {}).await.expect("a report");
    assert_eq!(
        done.outcome.status(),
        Status::NotVerified,
        "{:?}",
        done.outcome
    );
}
