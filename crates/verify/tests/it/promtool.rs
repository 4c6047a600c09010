//! Rules that we ship, and rules that our checks call good, before Prometheus' own judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::good_files;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus")
}

/// What `promtool` says; it comes with Prometheus, which other tests need as well.
fn promtool(arguments: &[&str], file: &Path) -> Result<String, String> {
    let ran = Command::new("promtool").args(arguments).arg(file).output();
    let ran = ran.expect("promtool, from Debian's package prometheus");
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if ran.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

#[test]
fn promtool_accepts_every_rule_that_we_ship_or_call_good() {
    let good = good_files().join("manifests");
    for file in [
        deploy().join("rules.yaml"),
        good.join("rules.yaml"),
        good.join("more-rules.yaml"),
    ] {
        let said = promtool(&["check", "rules"], &file).expect("rules that hold");
        assert!(said.contains("SUCCESS"), "{said}");
    }
    promtool(&["test", "rules"], &deploy().join("rules.test.yaml")).expect("alerts that fire");
}

#[test]
fn promtool_refuses_what_our_checks_refuse() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let broken = folder.path().join("rules.yaml");
    let rules = std::fs::read_to_string(deploy().join("rules.yaml")).expect("the rules");
    std::fs::write(&broken, rules.replacen("rate(", "rate((", 1)).expect("written");
    promtool(&["check", "rules"], &broken).expect_err("a parenthesis that nobody closes");
}
