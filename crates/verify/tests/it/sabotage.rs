//! Each control broken on purpose: exactly the check behind it turns red.

use futures_util::StreamExt;
use futures_util::stream;
use seaworthy_verify::{Asked, Check, Kind, Outcome, Status, Verdict};

use super::support::{ADMIN_KEY, KEY, asked_of_a_server, check, complaints, ids, options, start};

/// Whether the scripted server in this process can show the fault.
fn is_live(check: &Check) -> bool {
    matches!(check.kind, Kind::Live | Kind::LiveAlone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_passes_every_live_check() {
    let server = start(None).await;
    let report = check(options(server.address)).await;
    let passed = ids(&report, Status::Pass);
    let live: Vec<_> = asked_of_a_server()
        .filter(|c| is_live(c))
        .map(|c| c.id)
        .collect();
    assert_eq!(passed, live, "{}", complaints(&report));
    assert_eq!(report.subject.version.as_deref(), Some("9.8.7"));
    assert_eq!(report.subject.config_hash.as_deref(), Some("abc123"));
    assert!(report.subject.seaworthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_control_turns_exactly_its_own_check_red() {
    let live: Vec<_> = asked_of_a_server().filter(|c| is_live(c)).collect();
    let total = live.len();
    let wrong: Vec<String> = stream::iter(live)
        .map(|broken| async move {
            let server = start(Some(broken.id)).await;
            let mut options = options(server.address);
            if broken.id == "limits.slow-headers-cut-off" {
                return slow_sender_is_reported(options).await;
            }
            options.patience = std::time::Duration::from_secs(1);
            // What a checklist asks for is judged beside its like, the rest beside the rest.
            let beside = asked_of_a_server().filter(|c| c.standard == broken.standard);
            options.asked = Asked::Only(beside.map(|c| c.id.to_owned()).collect());
            let mut wrong = None;
            // A busy machine is slow, which some checks notice: what stays red is what is broken.
            for _ in 0..3 {
                let report = check(options.clone()).await;
                let red = ids(&report, Status::Fail);
                if red == [broken.id] {
                    return None;
                }
                let found = complaints(&report);
                wrong = Some(format!("broke {}, red: {red:?}\n{found}", broken.id));
            }
            wrong
        })
        .buffer_unordered(3)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} of {total}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("sabotaged {total} of {total}");
}

/// Red needs a minute of patience; with less, it is not verified and never passed.
async fn slow_sender_is_reported(options: seaworthy_verify::Options) -> Option<String> {
    let report = check(options).await;
    let result = report
        .results
        .iter()
        .find(|r| r.check.id == "limits.slow-headers-cut-off");
    let status = result.map(|r| r.outcome.status());
    (status != Some(Status::NotVerified)).then(|| format!("slow headers: {status:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_contains_a_key() {
    let server = start(Some("secrets.none-in-errors")).await;
    let report = check(options(server.address)).await;
    let style = seaworthy_verify::report::pretty::Style {
        colour: true,
        details: true,
    };
    let pretty = seaworthy_verify::report::pretty::render(&report, style);
    let json = seaworthy_verify::report::json::render(&report);
    for text in [&pretty, &json] {
        assert!(!text.contains(KEY) && !text.contains(ADMIN_KEY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_nothing_that_needs_them_passes() {
    let server = start(None).await;
    let mut options = options(server.address);
    (options.key, options.admin_key) = (None, None);
    let report = check(options).await;
    for result in &report.results {
        let given = result.check.needs.is_empty();
        let status = result.outcome.status();
        assert_eq!(
            status == Status::Pass,
            given,
            "{}: {:?}",
            result.check.id,
            result.outcome
        );
        if let Outcome::NotVerified { missing } = &result.outcome {
            assert!(!missing.is_empty());
        }
    }
    assert_eq!(report.verdict, Verdict::NotReady);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_out_of_time_says_so_for_every_check_it_did_not_reach() {
    let server = start(None).await;
    let mut options = options(server.address);
    options.total_timeout = std::time::Duration::from_millis(1);
    let report = check(options).await;
    let asked = asked_of_a_server().count();
    assert_eq!(report.results.len(), asked);
    assert_eq!(report.counts().pass, 0, "nothing can pass in no time");
}
