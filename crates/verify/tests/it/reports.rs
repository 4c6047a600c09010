//! What people and machines read: the two renderings, and the exit code.

use seaworthy_verify::report::{json, pretty};
use seaworthy_verify::{FailOn, Report, RunError, Verdict, exit_code};
use serde_json::Value;

use super::support::process::Program;
use super::support::{asked_of_a_server, check, complaints, options, start};

/// A full run with a scratch program against a server that breaks one thing.
async fn run(broken: Option<&'static str>) -> Result<Report, RunError> {
    let server = start(broken).await;
    let program = Program::new(None);
    let mut options = options(server.address);
    options.local_binary = Some(program.path());
    seaworthy_verify::run(options, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_faults_is_ready_at_every_gate() {
    let outcome = run(None).await;
    let report = outcome.as_ref().expect("a report");
    assert_eq!(report.verdict, Verdict::Ready, "{}", complaints(report));
    for gate in [FailOn::Critical, FailOn::High, FailOn::Any] {
        assert_eq!(exit_code(&outcome, gate), 0, "{gate:?}");
    }
    let text = pretty::render(report, pretty::Style::default());
    assert!(text.ends_with("\nReady for production\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours unless asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesser_fault_is_a_risk_and_fails_only_the_strictest_gate() {
    let outcome = run(Some("errors.no-version-banner")).await;
    let report = outcome.as_ref().expect("a report");
    assert_eq!(report.verdict, Verdict::ReadyWithRisks);
    let codes = [FailOn::Critical, FailOn::High, FailOn::Any].map(|g| exit_code(&outcome, g));
    assert_eq!(codes, [0, 0, 1]);

    let text = pretty::render(
        report,
        pretty::Style {
            colour: true,
            details: false,
        },
    );
    for part in [
        "\u{1b}[31m✗\u{1b}[0m errors.no-version-banner",
        "found     server: scripted/1.2.3",
        "evidence  GET /health → 200",
        "Ready with risks\u{1b}[0m: 1 low check failed",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

/// Schemas in use refuse empty lists, and a sum over all suites that they do not know.
#[tokio::test(flavor = "multi_thread")]
async fn reports_for_others_hold_only_what_their_schemas_know() {
    use seaworthy_verify::report::{junit, oscal};
    let mut report = run(None).await.expect("a report");
    let text = junit::render(&report);
    let head = text.lines().nth(1).unwrap_or_default();
    assert!(
        head.starts_with("<testsuites ") && !head.contains("skipped"),
        "{head}"
    );
    assert!(
        text.contains("<testsuite ") && text.contains(" skipped="),
        "{text}"
    );
    report.results.clear();
    let document: Value = serde_json::from_str(&oscal::render(&report)).expect("JSON");
    let result = &document["assessment-results"]["results"][0];
    assert!(
        result["findings"].is_null() && result["observations"].is_null(),
        "{result}"
    );
}

const NOTHING: [&str; 0] = [];

fn worse(report: &Report, earlier: &str) -> Vec<String> {
    let worse = seaworthy_verify::report::baseline::worse(report, earlier).expect("comparable");
    let said = worse
        .iter()
        .map(|w| format!("{}: {} to {}", w.id, w.before, w.now));
    said.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waived_fault_is_a_suppression_and_satisfies_the_gate() {
    let mut report = run(Some("errors.no-version-banner"))
        .await
        .expect("a report");
    let why = "waived by Ada until 2030-01-31: the proxy cuts it";
    report
        .waived
        .insert("errors.no-version-banner".to_owned(), why.to_owned());
    let log: Value =
        serde_json::from_str(&seaworthy_verify::report::sarif::render(&report)).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let suppressed: Vec<&Value> = results
        .iter()
        .filter(|r| !r["suppressions"].is_null())
        .collect();
    let [one] = suppressed.as_slice() else {
        panic!("one suppression: {suppressed:?}");
    };
    assert_eq!(one["ruleId"], "errors.no-version-banner");
    assert_eq!(one["kind"], "fail", "it still does not hold");
    assert_eq!(one["suppressions"][0]["kind"], "external");
    assert_eq!(one["suppressions"][0]["justification"], why);
    let accepted = json::render(&report);
    let json: Value = serde_json::from_str(&accepted).expect("JSON");
    let all = json["results"].as_array().expect("results").iter();
    let waived: Vec<&Value> = all.filter(|r| !r["waived"].is_null()).collect();
    assert_eq!(waived.len(), 1, "what holds needs no waiver: {waived:?}");
    assert_eq!(waived[0]["status"], "fail", "it still does not hold");
    assert_eq!(waived[0]["waived"], why);
    assert_eq!(worse(&report, &accepted), NOTHING);
    // A waiver that ends is a change for the worse, and so is one that becomes needed.
    let mut good = json;
    for result in good["results"].as_array_mut().expect("results") {
        if result["id"] == "errors.no-version-banner" {
            result["status"] = "pass".into();
            result["waived"] = Value::Null;
        }
    }
    let begun = "errors.no-version-banner: pass to waived";
    assert_eq!(worse(&report, &good.to_string()), [begun]);
    let waived = std::mem::take(&mut report.waived);
    let ended = "errors.no-version-banner: waived to fail";
    assert_eq!(worse(&report, &accepted), [ended]);
    report.waived = waived;
    assert_eq!(exit_code(&Ok(report), FailOn::Any), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_fault_is_not_ready_but_passes_the_critical_gate() {
    let outcome = run(Some("input.malformed-json-is-400")).await;
    assert_eq!(
        outcome.as_ref().expect("a report").verdict,
        Verdict::NotReady
    );
    let codes = [FailOn::Critical, FailOn::High, FailOn::Any].map(|g| exit_code(&outcome, g));
    assert_eq!(codes, [0, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_report_holds_every_check_with_its_evidence() {
    let server = start(Some("trace.request-id-echoed")).await;
    let mut seen = Vec::new();
    let report = seaworthy_verify::run(options(server.address), |progress| {
        seen.push((progress.done, progress.total));
    })
    .await
    .expect("a report");
    let total = asked_of_a_server().count();
    assert_eq!(
        seen,
        (1..=total).map(|done| (done, total)).collect::<Vec<_>>()
    );

    let json: Value = serde_json::from_str(&json::render(&report)).expect("JSON");
    assert_eq!(json["schema"], "seaworthy.check/1");
    assert_eq!(json["verdict"], "not_ready");
    assert_eq!(json["subject"]["version"], "9.8.7");
    let results = json["results"].as_array().expect("results");
    let order: Vec<_> = results.iter().filter_map(|r| r["id"].as_str()).collect();
    let asked = asked_of_a_server();
    assert_eq!(order, asked.map(|c| c.id).collect::<Vec<_>>());
    let counts = ["pass", "fail", "not_applicable", "not_verified"];
    let counted: u64 = counts
        .iter()
        .filter_map(|name| json["counts"][name].as_u64())
        .sum();
    assert_eq!(counted, total as u64);

    let failed = results
        .iter()
        .find(|r| r["status"] == "fail")
        .expect("the broken one");
    assert_eq!(failed["id"], "trace.request-id-echoed");
    let evidence = &failed["evidence"][0];
    assert_eq!(evidence["action"]["kind"], "request");
    assert_eq!(evidence["action"]["path"], "/health");
    assert_eq!(evidence["observed"]["status"], 200);
    assert!(
        evidence["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    for result in results.iter().filter(|r| r["status"] == "pass") {
        let evidence = result["evidence"].as_array().map_or(0, Vec::len);
        assert!(evidence > 0, "{} passed without evidence", result["id"]);
    }
    assert_eq!(report.counts().fail, 1);
}

/// What comes from outside must stay text in every format.
#[tokio::test(flavor = "multi_thread")]
async fn every_format_names_every_check_and_lets_no_markup_through() {
    use seaworthy_verify::checklist::{Basis, Document, Judge};
    use seaworthy_verify::decisions::Decisions;
    use seaworthy_verify::report::{html, junit, markdown, sarif};
    use seaworthy_verify::{Outcome, Requirements};

    let server = start(Some("metrics.exposed")).await;
    let mut report = check(options(server.address)).await;
    let hostile = "<script>alert(1)</script> & \u{1b}[31m | `x`";
    for result in &mut report.results {
        if let Outcome::Fail { found, .. } = &mut result.outcome {
            hostile.clone_into(found);
        }
    }
    let requirements = Requirements::builtin().expect("the data parses");
    let (judge, decisions) = (Judge::new(&requirements), Decisions::default());
    let basis = Basis {
        report: &report,
        decisions: &decisions,
        today: jiff::civil::date(2030, 1, 1),
    };
    let list = Document::read("- [ ] <script>alert(2)</script> backups restored\n");
    let judged = judge.judge("<b>list</b>.md", judge.understand(list), basis);
    report.checklists.push(judged);
    let sarif = sarif::render(&report);
    for text in [
        html::render(&report),
        junit::render(&report),
        markdown::render(&report),
        sarif.clone(),
    ] {
        for result in &report.results {
            assert!(
                text.contains(result.check.id),
                "{} is missing",
                result.check.id
            );
        }
        assert!(!text.contains('\u{1b}'), "a control character came through");
    }
    for text in [
        html::render(&report),
        junit::render(&report),
        markdown::render(&report),
    ] {
        assert!(
            !text.contains("<script>alert") && !text.contains("<b>list"),
            "{text}"
        );
    }
    let failed = report.counts().fail;
    assert_eq!(sarif_failures(&sarif, report.results.len()), failed);
    let errors = format!("errors=\"{}\"", report.counts().not_verified);
    assert!(
        junit::render(&report).contains(&errors),
        "what is not verified is an error"
    );
}

/// Holds a report against what SARIF 2.1.0 and the hosts that read it demand; how many results failed.
fn sarif_failures(sarif: &str, total: usize) -> usize {
    let log: Value = serde_json::from_str(sarif).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let schema = log["$schema"].as_str().expect("a schema");
    assert!(schema.ends_with("sarif-2.1.0.json"), "{schema}");
    let run = &log["runs"][0];
    let time = run["invocations"][0]["startTimeUtc"]
        .as_str()
        .expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    let driver = &run["tool"]["driver"];
    assert!(driver["name"].is_string() && driver["semanticVersion"].is_string());
    let levels = ["none", "note", "warning", "error"];
    let rules = driver["rules"].as_array().expect("rules");
    for rule in rules {
        for text in [
            "/shortDescription/text",
            "/fullDescription/text",
            "/help/text",
            "/help/markdown",
        ] {
            let text = rule.pointer(text).and_then(Value::as_str);
            assert!(text.is_some_and(|text| !text.is_empty()), "{rule}");
        }
        let level = rule["defaultConfiguration"]["level"].as_str();
        assert!(level.is_some_and(|level| levels.contains(&level)), "{rule}");
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!((rules.len(), results.len()), (total, total));
    let mut failed = 0;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["ruleIndex"], index);
        assert_eq!(result["ruleId"], rules[index]["id"]);
        assert!(result["message"]["text"].is_string(), "{result}");
        let fails = result["kind"] == "fail";
        failed += usize::from(fails);
        // A kind other than a failure has no level.
        assert_eq!(result["level"] != "none", fails, "{result}");
        let locations = result["locations"].as_array().expect("locations");
        assert!(!locations.is_empty(), "{result}");
        for location in locations {
            let place = &location["physicalLocation"];
            assert!(
                place["region"]["startLine"].as_u64() > Some(0),
                "{location}"
            );
            let uri = place["artifactLocation"]["uri"].as_str().expect("a URI");
            let is_relative = !uri.starts_with('/') && !uri.contains([':', ' ']);
            assert!(is_relative && !uri.is_empty(), "{location}");
        }
    }
    failed
}
