//! Drills with the real program, and with programs that were broken on purpose: exactly the fault
//! behind each drill turns it red.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, Ship, config};

/// What a drill leaves behind: its exit code and its report.
struct Drilled {
    ran: Ran,
    report: Value,
}

/// Carries a drill out with a program, and with folders that go before the path.
fn drill(ship: &Ship, arguments: &[&str], set_up: impl FnOnce(&mut Command)) -> Drilled {
    let mut all = vec![
        "drill",
        "--format",
        "json",
        "--phase",
        "1",
        "--recovery",
        "6",
    ];
    all.extend(arguments);
    let mut command = ship.command(&all);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    set_up(&mut command);
    let ran = Ran::of(command);
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    Drilled {
        report: report[0].clone(),
        ran,
    }
}

fn holds(arguments: &[&str]) -> Value {
    let ship = Ship::new();
    let Drilled { ran, report } = drill(&ship, arguments, |_| {});
    assert_eq!(
        ran.code,
        Some(0),
        "{arguments:?}: {report:#} {}",
        ran.stderr
    );
    assert_eq!(report["status"], "pass");
    let kept = format!(".seaworthy/drills/{}.json", arguments[0]);
    assert!(ship.path(&kept).exists(), "{kept}");
    report
}

/// A program that does as the real one, after these lines of a shell. `$config` is the configuration
/// of the instance that is to be started, `$real` the real program.
fn broken_program(ship: &Ship, lines: &str) -> String {
    let real = env!("CARGO_BIN_EXE_seaworthy");
    ship.write(
        "broken",
        &format!("#!/bin/sh\nreal={real}\nconfig=$3\n{lines}\nexec \"$real\" \"$@\"\n"),
    );
    let path = ship.path("broken");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Breaks what is behind a drill, and sees it turn red for that reason.
fn breaks(name: &str, more: &[&str], lines: &str, reason: &str) {
    let ship = Ship::new();
    let program = broken_program(&ship, lines);
    let mut arguments = vec![name, "--program", &program];
    arguments.extend(more);
    let Drilled { ran, report } = drill(&ship, &arguments, |_| {});
    let words = format!("{}; {}", report["expected"], report["found"]);
    assert_eq!(ran.code, Some(1), "{name}: {report:#} {}", ran.stderr);
    assert_eq!(report["status"], "fail", "{name}: {words}");
    assert!(words.contains(reason), "{name}: {words}");
    assert!(!report["evidence"].as_array().unwrap().is_empty());
}

/// Runs these lines before an instance starts.
fn on_serve(lines: &str) -> String {
    format!("if [ \"$1\" = serve ]; then\n{lines}\nfi")
}

const ONE_TARGET: &str = "sed -i 's/, \"second\\/drill\"//' \"$config\"";

#[test]
fn a_provider_that_dies_is_noticed_by_nobody_unless_it_is_the_only_one() {
    let report = holds(&["provider-outage"]);
    assert!(
        report["measures"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["name"] == "recovery")
    );
    breaks(
        "provider-outage",
        &[],
        &on_serve(ONE_TARGET),
        "while one provider is gone",
    );
}

#[test]
fn a_provider_that_limits_its_calls_is_left_alone() {
    holds(&["provider-limits"]);
    breaks(
        "provider-limits",
        &[],
        &on_serve(ONE_TARGET),
        "while one provider limits",
    );
}

#[test]
fn a_dead_path_is_walked_around() {
    holds(&["network-partition"]);
    breaks(
        "network-partition",
        &[],
        &on_serve(ONE_TARGET),
        "while the path is cut",
    );
}

#[test]
fn redis_may_be_lost() {
    holds(&["redis-loss"]);
    let reject = "sed -i 's/^url = \"redis.*/&\\non_loss = \"reject\"/' \"$config\"";
    breaks("redis-loss", &[], &on_serve(reject), "while Redis is gone");
}

#[test]
fn the_database_may_be_lost() {
    holds(&["database-loss"]);
    let reject = "sed -i 's/^journal = .*/&\\non_loss = \"reject\"/' \"$config\"";
    breaks(
        "database-loss",
        &[],
        &on_serve(reject),
        "while PostgreSQL is gone",
    );
}

#[test]
fn a_kill_loses_no_work_unless_the_journal_is_lost_with_it() {
    let report = holds(&["kill"]);
    assert_eq!(report["subject"]["version"], env!("CARGO_PKG_VERSION"));
    let forget = "find \"$(dirname \"$config\")\" -mindepth 1 -type d -prune -exec rm -rf {} +";
    breaks("kill", &[], &on_serve(forget), "in the ledger, once");
}

#[test]
fn a_drain_cuts_nothing_unless_the_process_is_killed() {
    holds(&["drain"]);
    let killed = "\"$real\" \"$@\" & child=$!\ntrap 'kill -9 $child' TERM\nwait $child\nexit 137";
    breaks("drain", &[], &on_serve(killed), "on its way finished");
}

#[test]
fn a_harmful_configuration_is_taken_back() {
    holds(&["config-rollback"]);
    let deaf =
        "cp \"$config\" \"$config.copy.toml\"\nexec \"$real\" serve --config \"$config.copy.toml\"";
    breaks(
        "config-rollback",
        &[],
        &on_serve(deaf),
        "another configuration in force",
    );
}

#[test]
fn a_backup_is_restored_unless_there_is_nothing_in_it() {
    let ship = Ship::new();
    let Drilled { ran, report } = drill(&ship, &["restore"], |_| {});
    assert_eq!(ran.code, Some(0), "{report:#} {}", ran.stderr);
    let measured = report["measures"].to_string();
    assert!(
        measured.contains("RTO") && measured.contains("RPO"),
        "{measured}"
    );
    let nothing = "if [ \"$1\" = restore ]; then\nexit 0\nfi";
    breaks("restore", &[], nothing, "key of before the backup");
    let empty =
        "if [ \"$1\" = backup ]; then\n\"$real\" \"$@\" && : > \"$3/seaworthy.db\"\nexit\nfi";
    breaks("restore", &[], empty, "`restore` that ends well");
    // A backup that was made before, by the program itself.
    ship.write("c.toml", &config(None, ""));
    let key = ship.create_key("captain", "user");
    let server = ship.serve_config();
    for _ in 0..3 {
        assert_eq!(server.ask(&key, "echo", false).status(), 200);
    }
    server.stop();
    let made = ship.run(&["backup", "--config", "c.toml", "--output", "copy"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let Drilled { ran, report } = drill(&ship, &["restore", "--backup", "copy"], |_| {});
    assert_eq!(ran.code, Some(0), "{report:#} {}", ran.stderr);
    assert!(
        report["found"].to_string().contains("3 calls was restored"),
        "{report:#}"
    );
}

#[test]
fn a_budget_blocks_unless_it_is_gone() {
    holds(&["budget"]);
    let gone = "sed -i '/budgets.drill/,$d' \"$config\"";
    breaks("budget", &[], &on_serve(gone), "refused with 429");
}

#[test]
fn twice_the_peak_is_served_unless_the_way_is_slow() {
    let report = holds(&["load", "--peak", "20"]);
    let names = report["measures"].to_string();
    for name in [
        "peak, p50",
        "twice the peak, p99.9",
        "closed loop, throughput",
        "peak memory",
    ] {
        assert!(names.contains(name), "{name}: {names}");
    }
    let slow = "if [ \"$1\" = fake-provider ]; then\nexec \"$real\" \"$1\" \"$2\" \"$3\" --defaults latency_ms=1500\nfi";
    breaks(
        "load",
        &["--peak", "10", "--profile", "asap"],
        slow,
        "p95 of at most 1000 ms",
    );
    breaks(
        "load",
        &["--peak", "10", "--memory", "1"],
        "",
        "MiB of memory under load",
    );
}

#[test]
fn injections_are_counted_and_none_is_refused_without_a_guard() {
    let ship = Ship::new();
    let Drilled { report, .. } = drill(&ship, &["injection"], |_| {});
    let through = |report: &Value| report["measures"][0]["value"].as_f64().unwrap();
    assert!(through(&report) <= 5.0, "{report:#}");
    let off = "sed -i 's/injection_patterns = true/injection_patterns = false/' \"$config\"";
    breaks("injection", &[], &on_serve(off), "0 of 20 attacks refused");
}

#[test]
fn a_key_is_changed_under_load_unless_the_old_one_ends_at_once() {
    holds(&["key-rotation"]);
    let ship = Ship::new();
    ship.write("c.toml", &config(None, ""));
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    for (find, replace, reason) in [
        (
            "\"overlap\":\"60s\"",
            "\"overlap\":\"1ms\"",
            "while both are valid",
        ),
        ("/revoke", "/rotate", "refused"),
    ] {
        let path = crate::support::meddle(server.address, find, replace);
        let url = format!("http://{path}");
        let arguments = ["key-rotation", "--url", &url, "--key", &key];
        let Drilled { ran, report } = drill(&ship, &arguments, |_| {});
        let words = format!("{}; {}", report["expected"], report["found"]);
        assert_eq!(ran.code, Some(1), "{report:#} {}", ran.stderr);
        assert!(words.contains(reason), "{words}");
    }
    // What is not meddled with holds, on a deployment as well.
    let url = format!("http://{}", server.address);
    let Drilled { ran, report } = drill(
        &ship,
        &["key-rotation", "--url", &url, "--key", &key],
        |_| {},
    );
    assert_eq!(ran.code, Some(0), "{report:#} {}", ran.stderr);
    server.stop();
}

#[test]
fn a_certificate_is_renewed_under_load_unless_nobody_looks_or_the_server_starts_again_for_it() {
    let report = holds(&["certificate"]);
    let measured = report["measures"].to_string();
    assert!(measured.contains("failed calls"), "{measured}");
    let deaf = "cd \"$(dirname \"$config\")\"\ncp tls.crt old.crt\ncp tls.key old.key\n\
                sed -i 's/tls\\.crt/old.crt/; s/tls\\.key/old.key/' \"$config\"";
    breaks(
        "certificate",
        &[],
        &on_serve(deaf),
        "new connections with the new certificate",
    );
    // A server that takes a certificate by ending and starting again.
    let again = "cd \"$(dirname \"$config\")\"\nself=$$\n\
        while kill -0 $self; do\n\
        \"$real\" \"$@\" & child=$!\nseen=$(cksum tls.crt)\n\
        ( while kill -0 $self; do sleep 0.1; done; kill -9 $child ) &\n\
        while [ \"$seen\" = \"$(cksum tls.crt)\" ] && kill -0 $child; do sleep 0.1; done\n\
        sleep 0.5; kill -9 $child\ndone";
    breaks("certificate", &[], &on_serve(again), "connection");
}

#[test]
fn an_alert_fires_arrives_and_ends_unless_no_rule_notices() {
    let report = holds(&["alert"]);
    let found = report["found"].to_string();
    assert!(found.contains("SeaworthyDown"), "{found}");
    let ship = Ship::new();
    let rule = |name: &str, expression: &str| {
        format!(
            "groups:\n- name: a\n  rules:\n  - alert: {name}\n    expr: {expression}\n    for: 5m\n    \
             labels: {{severity: critical}}\n"
        )
    };
    for (rules, reason) in [
        (rule("Down", "up == 0"), "an alert on failing calls"),
        (rule("Always", "vector(1)"), "Always fires"),
    ] {
        ship.write("rules.yaml", &rules);
        let Drilled { ran, report } = drill(&ship, &["alert", "--rules", "rules.yaml"], |_| {});
        let words = format!("{}; {}", report["expected"], report["found"]);
        assert_eq!(ran.code, Some(1), "{report:#} {}", ran.stderr);
        assert!(words.contains(reason), "{words}");
    }
    ship.write("rules.yaml", "groups: []");
    let nothing = drill(&ship, &["alert", "--rules", "rules.yaml"], |_| {});
    assert_eq!(
        nothing.ran.code,
        Some(2),
        "rules that cannot be read prove nothing"
    );
}

#[test]
fn a_deployment_is_broken_and_mended_by_its_owners_commands() {
    let ship = Ship::new();
    ship.write("c.toml", &config(None, ""));
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    let url = format!("http://{}", server.address);
    let arguments = |command: &'static str| {
        ["provider-outage", "--break", command, "--mend", "true"].map(str::to_owned)
    };
    let with = |command| {
        let mut all: Vec<String> = arguments(command).to_vec();
        all.extend(["--url", &url, "--key", &key].map(str::to_owned));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        drill(&ship, &all, |_| {})
    };
    assert_eq!(with("true").ran.code, Some(0));
    assert_eq!(
        with("exit 3").ran.code,
        Some(2),
        "a command that fails proves nothing"
    );
    let kept = std::fs::read_dir(ship.path(".seaworthy/drills"))
        .unwrap()
        .count();
    assert_eq!(kept, 1);
    server.stop();
}

#[test]
fn a_plan_does_nothing_and_what_is_missing_is_said() {
    let ship = Ship::new();
    let planned = ship.run(&["drill", "all", "--plan"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    for words in ["kill -9 the instance", "at most", "answers"] {
        assert!(planned.stdout.contains(words), "{words}");
    }
    assert!(!ship.path(".seaworthy").exists());
    let listed = ship.run(&["drill", "list"]);
    assert!(listed.stdout.contains("config-rollback"), "{listed:?}");
    // Nowhere to find a database: not verified, and nothing is kept.
    let mut command = ship.command(&["drill", "restore", "--backup", "/no/such/backup"]);
    command.env("PATH", "/nowhere");
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ship.path(".seaworthy").exists());
}

#[test]
fn a_port_that_somebody_took_proves_nothing_about_the_program() {
    let ship = Ship::new();
    let taken = "echo 'cannot listen: Address already in use (os error 98)' >&2; exit 2";
    let program = broken_program(&ship, &on_serve(taken));
    let drilled = drill(&ship, &["injection", "--program", &program], |_| {});
    assert_eq!(drilled.ran.code, Some(2), "{:#}", drilled.report);
    let report = drilled.report.to_string();
    assert!(report.contains("another program has taken it"), "{report}");
}

#[test]
fn a_drill_turns_an_item_of_a_checklist_green_for_the_version_it_was_done_with() {
    let ship = Ship::new();
    ship.write("list.md", "# Ready\n\n- [ ] Backups restored in a test\n");
    let judged = |ship: &Ship| {
        let arguments = [
            "check",
            "--files-only",
            "--repo",
            ".",
            "--checklist",
            "list.md",
        ];
        let mut all = arguments.to_vec();
        all.extend(["--format", "json"]);
        let ran = Ran::of(ship.command(&all));
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        report["checklists"][0]["items"][0].clone()
    };
    assert_eq!(judged(&ship)["status"], "not_verified");
    let drilled = drill(&ship, &["restore"], |_| {});
    assert_eq!(drilled.ran.code, Some(0), "{:#}", drilled.report);
    let item = judged(&ship);
    assert_eq!(item["status"], "pass", "{item:#}");
}
