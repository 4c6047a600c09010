//! Files broken on purpose: exactly the check behind each fault turns red, then green again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use seaworthy_verify::{Asked, Kind, Need, Options, Report, Scope, Status, catalogue, run};
use tempfile::TempDir;

use super::support::{check, complaints, ids, options, start};

mod asked;
mod faults;
mod judged;
mod strangers;

use faults::{FAULTS, Fault};

pub(crate) fn good_files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good")
}

/// A copy of the good files that may be broken.
fn copy() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    copy_into(&good_files(), folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_into(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

fn with_folders(mut options: Options, folder: &Path) -> Options {
    options.repository = Some(folder.join("repo"));
    options.manifests = Some(folder.join("manifests"));
    options
}

fn standard(mut options: Options) -> Options {
    options.asked = Asked::Standard;
    options
}

async fn check_files(folder: &Path) -> Report {
    let mut options = with_folders(Options::new("http://127.0.0.1:9"), folder);
    options.scope = Scope::Files;
    options.asked = Asked::All;
    options.cloud = Some(folder.join("cloud"))
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    run(options, |_| {}).await.expect("a report")
}

/// Breaks one file and returns what it was.
fn apply(folder: &Path, fault: &Fault) -> Option<String> {
    let path = folder.join(fault.file);
    let before = fs::read_to_string(&path).ok();
    let after = match fault.find {
        "" => fault.replace.to_owned(),
        find => {
            let text = before.as_deref().expect("a file");
            assert!(
                text.contains(find),
                "{}: `{find}` is not in {}",
                fault.id,
                fault.file
            );
            text.replace(find, fault.replace)
        }
    };
    if after.is_empty() {
        fs::remove_file(&path).expect("removed");
    } else {
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, after).expect("written");
    }
    before
}

fn outcome_of(report: &Report, id: &str) -> String {
    let result = report.results.iter().find(|r| r.check.id == id);
    format!("; its own: {:?}", result.map(|r| &r.outcome))
}

fn mend(folder: &Path, fault: &Fault, before: Option<String>) {
    let path = folder.join(fault.file);
    match before {
        Some(text) => fs::write(path, text).expect("written"),
        None => fs::remove_file(path).expect("removed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_file_turns_exactly_its_own_check_red() {
    let folder = copy();
    let report = check_files(folder.path()).await;
    let all: Vec<_> = catalogue()
        .filter(|c| c.kind == Kind::Files && !c.needs.contains(&Need::Drills))
        .map(|c| c.id)
        .collect();
    assert_eq!(ids(&report, Status::Pass), all, "{}", complaints(&report));
    let (mut broken, mut wrong) = (BTreeSet::new(), Vec::new());
    let faults = || FAULTS.iter().chain(asked::ALL.into_iter().flatten());
    for fault in faults() {
        let before = apply(folder.path(), fault);
        let report = check_files(folder.path()).await;
        let red: BTreeSet<&str> = ids(&report, Status::Fail).into_iter().collect();
        let expected: BTreeSet<&str> = fault.also.iter().copied().chain([fault.id]).collect();
        if red != expected {
            let found = format!("{} in {}: red {red:?}", fault.id, fault.file);
            wrong.push(found + &outcome_of(&report, fault.id));
        }
        let result = report.results.iter().find(|r| r.check.id == fault.id);
        if result.is_none_or(|r| r.evidence.is_empty()) {
            wrong.push(format!("{} shows no evidence", fault.id));
        }
        mend(folder.path(), fault, before);
        broken.insert(fault.id);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let untouched: Vec<_> = all.iter().filter(|id| !broken.contains(*id)).collect();
    assert!(untouched.is_empty(), "nobody broke {untouched:?}");
    let report = check_files(folder.path()).await;
    assert_eq!(
        ids(&report, Status::Fail),
        Vec::<&str>::new(),
        "green again"
    );
    println!(
        "sabotaged {} of {} checks of files with {} faults",
        broken.len(),
        all.len(),
        faults().count()
    );
}

/// Ways for files not to fit the server: the check that tells, the file, and what is put in whose place.
const MISFITS: [(&str, &str, &str, &str); 7] = [
    (
        "k8s.probe-paths-served",
        "manifests/service.yaml",
        "path: /health/ready",
        "path: /readyness",
    ),
    (
        "alert.series-exported",
        "manifests/rules.yaml",
        "seaworthy_request_latency_seconds_bucket",
        "llm_latency_bucket",
    ),
    (
        "dash.series-exported",
        "manifests/dashboard.json",
        "seaworthy_requests_total",
        "agent_calls_total",
    ),
    (
        "alert.can-fire",
        "manifests/rules.yaml",
        "[5m]))) > 10",
        "[5m]))) > 1000",
    ),
    (
        "alert.can-fire",
        "manifests/rules.yaml",
        "[5m])) / sum(rate(seaworthy_requests_total[5m])) > 0.01",
        "[5m])) / sum(rate(seaworthy_requests_total[5m])) > 5",
    ),
    (
        "alert.can-fire",
        "manifests/rules.yaml",
        "rate(seaworthy_requests_total{status=~\"5..\"}[5m])) / sum by",
        "rate(seaworthy_requests_total{code=~\"5..\"}[5m])) / sum by",
    ),
    (
        "docs.endpoints-served",
        "repo/docs/api.md",
        "`GET /health` answers",
        "`GET /health` and `POST /v1/undo` exist. `GET /health` answers",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_do_not_fit_the_server_are_found() {
    const FITTING: [&str; 5] = [
        "alert.can-fire",
        "docs.endpoints-served",
        "alert.series-exported",
        "dash.series-exported",
        "k8s.probe-paths-served",
    ];
    let server = start(None).await;
    let folder = copy();
    let report = check(standard(with_folders(
        options(server.address),
        folder.path(),
    )))
    .await;
    assert_eq!(
        ids(&report, Status::Fail),
        Vec::<&str>::new(),
        "{}",
        complaints(&report)
    );
    for id in FITTING {
        assert!(
            ids(&report, Status::Pass).contains(&id),
            "{id}\n{}",
            complaints(&report)
        );
    }
    for (id, file, find, replace) in MISFITS {
        let fault = Fault {
            id,
            file,
            find,
            replace,
            also: &[],
        };
        let before = apply(folder.path(), &fault);
        let report = check(standard(with_folders(
            options(server.address),
            folder.path(),
        )))
        .await;
        assert_eq!(ids(&report, Status::Fail), [id], "{}", complaints(&report));
        mend(folder.path(), &fault, before);
    }
}

#[tokio::test]
async fn a_check_of_files_runs_only_when_its_files_were_given() {
    let mut options = Options::new("http://127.0.0.1:9");
    options.scope = Scope::Files;
    options.repository = Some(good_files().join("repo"));
    let report = run(options, |_| {}).await.expect("a report");
    assert!(
        report
            .results
            .iter()
            .all(|r| r.check.needs == [Need::Repository])
    );
    assert!(!report.results.is_empty());
}

#[tokio::test]
async fn an_empty_folder_passes_nothing_that_asks_for_files() {
    let folder = TempDir::new().expect("a folder");
    for name in ["repo", "manifests"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    let report = check_files(folder.path()).await;
    // What an empty repository does hold true of: there is nothing in it that leaks.
    let honest = ["secrets.none-in-source", "secrets.env-files-not-committed"];
    assert_eq!(
        ids(&report, Status::Pass),
        honest,
        "{}",
        complaints(&report)
    );
}

#[tokio::test]
async fn what_helm_and_kustomize_have_not_put_together_is_not_judged() {
    let folder = TempDir::new().expect("a folder");
    let manifests = folder.path().join("manifests");
    fs::create_dir(folder.path().join("repo")).expect("a folder");
    fs::create_dir_all(manifests.join("chart/templates")).expect("a folder");
    let template = "kind: Deployment\nspec: {replicas: {{ .Values.replicas }}}\n";
    fs::write(manifests.join("chart/templates/app.yaml"), template).expect("written");
    let report = check_files(folder.path()).await;
    for id in [
        "k8s.liveness-probe",
        "k8s.manifests-valid",
        "ha.min-replicas",
    ] {
        assert!(ids(&report, Status::NotVerified).contains(&id), "{id}");
    }
    fs::remove_dir_all(manifests.join("chart")).expect("removed");
    fs::write(
        manifests.join("kustomization.yaml"),
        "patches: [{path: more.yaml}]\n",
    )
    .expect("written");
    let patch =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec: {replicas: 5}\n";
    fs::write(manifests.join("more.yaml"), patch).expect("written");
    let report = check_files(folder.path()).await;
    assert!(
        !ids(&report, Status::Fail).contains(&"k8s.manifests-valid"),
        "{}",
        complaints(&report)
    );
}

#[tokio::test]
async fn an_export_that_cannot_be_read_passes_nothing() {
    let folder = copy();
    fs::write(folder.path().join("cloud/cut.json"), "{\"a\": [").expect("written");
    let report = check_files(folder.path()).await;
    let unknown = ids(&report, Status::NotVerified);
    assert!(unknown.contains(&"cloud.security-groups"), "{unknown:?}");
    assert!(
        ids(&report, Status::Fail).is_empty(),
        "{}",
        complaints(&report)
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let mut options = Options::new("http://127.0.0.1:9");
    options.scope = Scope::Files;
    options.repository = Some(good_files().join("nowhere"));
    let error = run(options, |_| {}).await.expect_err("an error");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn hostile_files_crash_nothing_and_pass_nothing() {
    let folder = TempDir::new().expect("a folder");
    let manifests = folder.path().join("manifests");
    fs::create_dir_all(&manifests).expect("a folder");
    fs::create_dir(folder.path().join("repo")).expect("a folder");
    fs::write(manifests.join("deep.yaml"), "[".repeat(10_000)).expect("written");
    fs::write(manifests.join("cut.json"), "{\"panels\": [").expect("written");
    fs::write(manifests.join("bytes.yml"), [0xff, 0xfe, 0x00]).expect("written");
    let odd = "apiVersion: apps/v1\nkind: Deployment\nmetadata: [1]\nspec: {template: {spec: {containers: [1, null, {}]}}}\n";
    fs::write(manifests.join("odd.yaml"), odd).expect("written");
    let report = check_files(folder.path()).await;
    assert!(ids(&report, Status::Fail).contains(&"k8s.manifests-valid"));
}
