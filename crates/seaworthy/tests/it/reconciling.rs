//! R-B8: the ledger beside what the provider says it has issued, after calls that failed, broke off
//! and were tried again.

use std::fmt::Write as _;

use crate::fleet::Fleet;
use crate::support::Request;

const CALLS: usize = 120;

/// The provider's export of a day, from its own log.
fn export(fleet: &Fleet) -> String {
    let path = "/__control/calls?limit=100000";
    let log = Request::new(fleet.provider.address, "GET", path);
    let log = log.send().json();
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut text = "date,model,input_tokens,output_tokens\n".to_owned();
    for call in log["calls"].as_array().unwrap() {
        let (issued, model) = (&call["issued"], call["model"].as_str().unwrap());
        let count = |name: &str| issued[name].as_u64().unwrap_or_else(|| panic!("{call}"));
        let (input, output) = (count("input"), count("output"));
        let _ = writeln!(text, "{day},{model},{input},{output}");
    }
    text
}

#[test]
fn the_ledger_agrees_with_the_providers_export_after_faults() {
    let fleet = Fleet::launch("sqlite:ship.db", None, 1, "output_tokens=40", "");
    let faults = "[{\"fault\":\"status=503\",\"times\":6},{\"fault\":\"status=429,retry_after=0\",\
                  \"times\":4},{\"fault\":\"error_after_tokens=20\",\"times\":1}]";
    let prompt = "Is the hull tight? ".repeat(200);
    for call in 0..CALLS {
        if call == CALLS / 2 {
            let queue = Request::new(fleet.provider.address, "POST", "/__control/faults");
            assert_eq!(queue.body(faults).status(), 200);
        }
        let stream = call % 2 == 0;
        let body = format!(
            "{{\"model\":\"gpt\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}"
        );
        let asked = Request::new(fleet.replicas[0].address, "POST", "/v1/chat/completions");
        let _whatever = asked.key(&fleet.key).body(&body).send().text();
    }
    fleet.ship.write("export.csv", &export(&fleet));
    for replica in fleet.replicas {
        replica.stop();
    }
    let reconcile = ["usage", "reconcile", "export.csv", "--config", "c.toml"];
    let ran = fleet.ship.run(&reconcile);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A call that the ledger does not have is noticed.
    let more = "date,model,input_tokens,output_tokens\n2026-01-01,gpt-real,5000,5000\n";
    fleet.ship.write("other.csv", more);
    let reconcile = ["usage", "reconcile", "other.csv", "--config", "c.toml"];
    assert_eq!(fleet.ship.run(&reconcile).code, Some(1));
}
