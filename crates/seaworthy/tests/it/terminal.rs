//! What people and scripts at a terminal rely on: exit codes, pipes, colours.

use std::io::Read as _;

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
