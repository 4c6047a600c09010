//! What people and scripts at a terminal rely on: exit codes, pipes, colours.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::support::{Ran, Ship};

#[test]
fn health_exits_with_0_when_well_1_when_not_and_2_when_asked_wrongly() {
    let ship = Ship::new();
    let server = ship.serve(&["--listen", "127.0.0.1:0"]);
    let url = format!("http://{}", server.address);
    for url in [url.clone(), format!("{url}/"), format!("{url}/health/live")] {
        let well = ship.run(&["health", "--url", &url]);
        assert_eq!(well.code, Some(0), "{well:?}");
        assert!(well.stdout.starts_with("200 {"), "{well:?}");
    }
    let missing = ship.run(&["health", "--url", &format!("{url}/nowhere")]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    server.stop();
    let gone = ship.run(&["health", "--url", &url]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stderr.contains("does not answer"), "{gone:?}");
    let wrong = ship.run(&["health", "--url", "ftp://127.0.0.1"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_wrong_command_line_is_2() {
    let ship = Ship::new();
    for arguments in [
        &["sail"][..],
        &["serve", "--speed", "9"],
        &["config", "validate"],
        &["usage", "--since", "yesterday"],
        &[],
    ] {
        let ran = ship.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.is_empty());
    }
    assert_eq!(ship.run(&["--help"]).code, Some(0));
    assert!(ship.run(&["--version"]).stdout.starts_with("seaworthy "));
}

#[test]
fn a_store_that_cannot_be_opened_is_69() {
    let ship = Ship::new();
    ship.write(
        "c.toml",
        "[storage]\nurl = \"sqlite:no/such/folder/ship.db\"\n",
    );
    for command in [&["keys", "list"][..], &["usage"]] {
        let ran = ship.run(&[command, &["--config", "c.toml"]].concat());
        assert_eq!(ran.code, Some(69), "{ran:?}");
    }
    std::fs::write(
        ship.path("noise.db"),
        "this is no database, is it?".repeat(100),
    )
    .unwrap();
    ship.write("c.toml", "[storage]\nurl = \"sqlite:noise.db\"\n");
    let ran = ship.run(&["serve", "--config", "c.toml", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let ship = Ship::new();
    for arguments in [
        &["config", "schema"][..],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut child = ship.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            (status.code(), said.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn results_are_for_programs_where_they_are_asked_for() {
    let ship = Ship::new();
    assert!(ship.json(&["config", "schema"])["properties"].is_object());
    assert!(
        ship.run(&["completions", "bash"])
            .stdout
            .contains("seaworthy")
    );
    assert!(ship.run(&["man"]).stdout.contains(".TH"));
    ship.configure(None, "");
    assert_eq!(
        ship.json(&["usage", "--format", "json", "--config", "c.toml"]),
        serde_json::json!([])
    );
}

#[test]
fn no_color_means_no_colour() {
    let ship = Ship::new();
    ship.write("c.toml", "[server]\nlisten = 5\n");
    for arguments in [
        &["sail"][..],
        &["config", "validate", "c.toml"],
        &["--help"],
    ] {
        let said = |variables: &[(&str, &str)]| {
            let mut command = ship.command(arguments);
            command.envs(variables.iter().copied());
            let ran = Ran::of(command);
            ran.stdout + &ran.stderr
        };
        let plain = said(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "0")]);
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        assert!(!said(&[]).contains('\u{1b}'), "not on a terminal");
    }
}

/// What `--format json` prints, whatever the exit code is.
fn told(ship: &Ship, arguments: &[&str], code: i32) -> Value {
    let ran = ship.run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn programs_can_read_what_people_are_told() {
    let ship = Ship::new();
    ship.configure(None, "");
    let validate = ["config", "validate", "c.toml", "--format", "json"];
    let valid = told(&ship, &validate, 0);
    assert_eq!(
        (&valid["valid"], &valid["problems"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(valid["hash"].as_str().unwrap().len(), 64, "{valid}");
    let server = ship.serve_config();
    let url = format!("http://{}", server.address);
    let health = told(&ship, &["health", "--url", &url, "--format", "json"], 0);
    assert_eq!(
        (&health["status"], &health["answer"]["status"]),
        (&json!(200), &json!("ok"))
    );
    server.stop();

    ship.write("c.toml", "[server]\nlisten = 5\nwokers = 1\n");
    let invalid = told(&ship, &validate, 78);
    assert_eq!(
        (&invalid["valid"], &invalid["hash"]),
        (&json!(false), &Value::Null)
    );
    let second = &invalid["problems"][1];
    let place = (&second["line"], &second["column"], &second["key"]);
    assert_eq!(place, (&json!(3), &json!(1), &json!("server.wokers")));
    assert!(
        second["help"].as_str().unwrap().contains("`workers`"),
        "{second}"
    );
    ship.configure(None, "[guards]\nrule_files = [\"missing.toml\"]\n");
    let rules = told(&ship, &validate, 78);
    assert!(
        rules["error"].as_str().unwrap().contains("missing.toml"),
        "{rules}"
    );

    let attest = "attest team.trained --by Ada --until 2099-01-01 --format json";
    let too_long = ship.run(&attest.split(' ').collect::<Vec<_>>());
    assert_eq!(too_long.code, Some(2), "at most a year: {too_long:?}");
    let sign = "sign --role security --name Ada --format json";
    let signed = told(&ship, &sign.split(' ').collect::<Vec<_>>(), 0);
    assert_eq!(signed["signed_as"], "security", "{signed}");
    let usable = ship.run(&["sandbox", "check", "--format", "json"]);
    let usable: Value = serde_json::from_str(&usable.stdout).unwrap();
    assert_eq!(
        usable["usable"].as_bool().unwrap(),
        usable["error"].is_null()
    );
}

#[test]
fn drills_are_listed_for_programs_and_have_other_names() {
    let ship = Ship::new();
    let listed = told(&ship, &["drill", "list", "--format", "json"], 0);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|drill| drill["name"].as_str().unwrap())
        .collect();
    for (alias, name) in [
        ("rollback", "config-rollback"),
        ("rotate-key", "key-rotation"),
    ] {
        assert!(names.contains(&name), "{names:?}");
        let plan = |name: &str| ship.run(&["drill", name, "--plan"]).stdout;
        assert!(plan(name).contains(name), "{}", plan(name));
        assert_eq!(plan(alias), plan(name));
    }
}

#[test]
fn a_report_is_printed_in_every_form() {
    let ship = Ship::new();
    ship.write("README.md", "# Something\n");
    let check = |more: &[&str]| {
        let ran = ship.run(&[&["check", "--files-only", "--repo", "."], more].concat());
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
        ran.stdout
    };
    for (form, beginning, part) in [
        ("markdown", "# ", "| status | checks |"),
        ("html", "<!doctype html>", "</html>"),
        ("sarif", "{", "\"2.1.0\""),
        ("junit", "<?xml", "</testsuites>"),
        ("oscal", "{", "\"assessment-results\""),
        ("json", "{", "\"results\""),
    ] {
        let printed = check(&["--format", form]);
        assert!(
            printed.to_lowercase().starts_with(beginning),
            "{form}: {printed:.200}"
        );
        assert!(printed.contains(part), "{form}: {printed:.400}");
    }
    let list = ship.run(&["check", "--list", "--format", "html"]);
    assert_eq!(list.code, Some(2), "{list:?}");
    // A pack asks for more than the standard checks, and two ask for what either asks for.
    let checks = |more: &[&str]| {
        let report = check(&[&["--format", "json"], more].concat());
        let report: Value = serde_json::from_str(&report).unwrap();
        report["results"].as_array().unwrap().len()
    };
    let (none, one) = (checks(&[]), checks(&["--pack", "agent-system"]));
    let two = checks(&["--pack", "agent-system", "--pack", "asap"]);
    assert!(none < one && one <= two, "{none} {one} {two}");
    assert_eq!(checks(&["--profile", "agent-system"]), one);
}
