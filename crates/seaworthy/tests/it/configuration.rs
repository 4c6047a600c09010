//! Files that are written, judged and shown.

use crate::support::{Ran, Ship};

#[test]
fn init_writes_a_file_that_validates_and_serves_and_never_overwrites_one() {
    let ship = Ship::new();
    assert_eq!(ship.run(&["init"]).code, Some(0));
    let written = std::fs::read_to_string(ship.path("seaworthy.toml")).unwrap();
    let valid = ship.run(&["config", "validate", "seaworthy.toml"]);
    assert_eq!(valid.code, Some(0), "{valid:?}");
    let listen = ["--config", "seaworthy.toml", "--listen", "127.0.0.1:0"];
    let server = ship.serve(&listen);
    assert_eq!(server.get("/health/ready").status(), 200);
    server.stop();

    ship.write("seaworthy.toml", "# mine\n");
    let again = ship.run(&["init"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("--force"), "{again:?}");
    let kept = std::fs::read_to_string(ship.path("seaworthy.toml")).unwrap();
    assert_eq!(kept, "# mine\n");
    assert_eq!(ship.run(&["init", "--force"]).code, Some(0));
    let replaced = std::fs::read_to_string(ship.path("seaworthy.toml")).unwrap();
    assert_eq!(replaced, written);
}

#[test]
fn a_mistake_is_named_with_its_place_and_the_nearest_key_and_stops_every_command() {
    let ship = Ship::new();
    ship.write(
        "c.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\nmax_conections = 5\n",
    );
    for command in [
        &["config", "validate", "c.toml"][..],
        &["config", "show", "--config", "c.toml"],
        &["serve", "--config", "c.toml"],
        &["keys", "list", "--config", "c.toml"],
        &["usage", "--config", "c.toml"],
    ] {
        let ran = ship.run(command);
        assert_eq!(ran.code, Some(78), "{command:?}: {ran:?}");
        for word in ["c.toml:3:1", "max_conections", "max_connections"] {
            assert!(ran.stderr.contains(word), "{word}: {ran:?}");
        }
    }
    assert_eq!(
        ship.run(&["serve", "--config", "missing.toml"]).code,
        Some(78)
    );
}

#[test]
fn the_effective_configuration_shows_no_secret() {
    let ship = Ship::new();
    ship.write(
        "c.toml",
        "[providers.a]\nkind = \"openai\"\napi_key = \"sk-literal-5ecret\"\n\
         [providers.a.headers]\nauthorization = \"Bearer header-5ecret\"\n\
         [providers.b]\nkind = \"anthropic\"\napi_key = \"secret://env/SHIP_KEY\"\n\
         [models.m]\ntargets = [\"a/m\"]\n",
    );
    for format in ["toml", "yaml", "json"] {
        let mut command = ship.command(&["config", "show", "c.toml", "--format", format]);
        command.env("SHIP_KEY", "env-5ecret");
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!format!("{ran:?}").contains("5ecret"), "{ran:?}");
        assert!(ran.stdout.contains("secret://env/SHIP_KEY"), "{ran:?}");
    }
}

#[test]
fn the_environment_lies_over_the_file() {
    let ship = Ship::new();
    ship.configure(None, "");
    let mut command = ship.command(&["config", "show", "--config", "c.toml", "--format", "json"]);
    command.env("SEAWORTHY__SERVER__MAX_CONNECTIONS", "77");
    let ran = Ran::of(command);
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown["server"]["max_connections"], 77);
}

#[test]
fn a_mistake_in_the_guards_shows_before_the_start() {
    let ship = Ship::new();
    ship.write(
        "rules.toml",
        "[[rule]]\nid = \"mine\"\nseverity = \"high\"\npatterns = [\"TICK-<nope 4>\"]\n",
    );
    ship.write(
        "nameless.toml",
        "[[rule]]\nid = \"\"\nphrases = [\"Project Falcon\"]\n",
    );
    for (guards, told) in [
        ("[guards]\nrule_files = [\"rules.toml\"]\n", "nope"),
        (
            "[guards]\nrule_files = [\"missing.toml\"]\n",
            "missing.toml",
        ),
        (
            "[input_validation]\nblocked_patterns = [\"(open\"]\n",
            "(open",
        ),
        (
            "[guards.policies.a]\ndetector = \"no_such_rule\"\nplaces = [\"input\"]\naction = \"block\"\n",
            "no_such_rule",
        ),
        (
            "[guards]\nrule_files = [\"nameless.toml\"]\n",
            "a rule is named ``; give it a name",
        ),
    ] {
        ship.configure(None, guards);
        let ran = ship.run(&["config", "validate", "c.toml"]);
        assert_eq!(ran.code, Some(78), "{guards}: {ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    ship.write(
        "rules.toml",
        "[[rule]]\nid = \"mine\"\nseverity = \"high\"\npatterns = [\"TICK-<digit 4>\"]\n",
    );
    ship.configure(None, "[guards]\nrule_files = [\"rules.toml\"]\n");
    let ran = ship.run(&["config", "validate", "c.toml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
