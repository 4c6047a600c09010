//! A backup while the gateway serves, and a gateway that starts on it.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Ship, eventually};

/// How many calls the ledger holds, and how many of them at an estimate.
fn calls(ship: &Ship, config: &str) -> (u64, u64) {
    let totals = ship.json(&["usage", "--format", "json", "--config", config]);
    let mut totals = totals.as_array().unwrap().iter();
    let figure = |total: &Value, name: &str| total[name].as_u64().unwrap();
    totals
        .find(|total| total["group"] == "gpt")
        .map_or((0, 0), |total| {
            (figure(total, "calls"), figure(total, "estimated_calls"))
        })
}

#[test]
fn a_backup_of_a_serving_gateway_holds_what_was_settled_and_what_was_open() {
    let ship = Ship::new();
    let provider = ship.provider(&[]);
    ship.write("provider.key", "sk-upstream");
    ship.configure(Some(&provider), "");
    let key = ship.create_key("app", "user");
    let server = ship.serve_config();
    for _ in 0..5 {
        assert_eq!(server.ask(&key, "gpt", false).status(), 200);
    }
    eventually("five calls in the ledger", || {
        (calls(&ship, "c.toml") == (5, 0)).then_some(())
    });
    let long = "{\"model\":\"gpt\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\
                \"[[fake:output_tokens=5000,chunk_delay_ms=20]]\"}]}";
    let open = server.ask(&key, "gpt", true).body(long).open();
    let mut open = open.unwrap();
    open.until("data:");

    let made = ship.json(&[
        "backup", "--config", "c.toml", "--output", "kept", "--format", "json",
    ]);
    assert_eq!(made["backup"]["settlements"], 5, "{made}");
    assert_eq!(made["backup"]["keys"], 1, "{made}");
    let again = ship.run(&["backup", "--config", "c.toml", "--output", "kept"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert_eq!(server.ask(&key, "gpt", false).status(), 200);

    // While the gateway runs, nothing is put under it.
    let under = [
        "restore",
        "--config",
        "c.toml",
        "--from",
        "kept",
        "--replace",
    ];
    let refused = ship.run(&under);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    server.signal(Signal::SIGKILL);
    server.wait();

    let kept = std::fs::read_to_string(ship.path("c.toml")).unwrap();
    ship.write("scratch.toml", &kept.replace("ship.db", "scratch.db"));
    let back = ship.json(&[
        "restore",
        "--config",
        "scratch.toml",
        "--from",
        "kept",
        "--format",
        "json",
    ]);
    assert_eq!(back["moved_to"], Value::Null, "{back}");
    let scratch = ship.serve(&["--config", "scratch.toml", "--listen", "127.0.0.1:0"]);
    assert_eq!(
        scratch.ask(&key, "gpt", false).status(),
        200,
        "the key is in the backup"
    );
    eventually(
        "five calls, the open one at its worst case, and the new one",
        || (calls(&ship, "scratch.toml") == (7, 1)).then_some(()),
    );
    scratch.stop();

    // Over a database that is there: only when told so, and what was there is kept.
    let over = ["restore", "--config", "c.toml", "--from", "kept"];
    let refused = ship.run(&over);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--replace"), "{refused:?}");
    let replaced = ship.json(&[&under[..], &["--format", "json"]].concat());
    let aside = replaced["moved_to"].as_str().unwrap();
    assert!(ship.path(aside).is_file(), "{aside}");
}

#[test]
fn a_backup_that_was_changed_is_not_restored() {
    let ship = Ship::new();
    ship.configure(None, "");
    ship.create_key("app", "user");
    ship.json(&[
        "backup", "--config", "c.toml", "--output", "kept", "--format", "json",
    ]);
    let file = ship.path("kept").join("seaworthy.db");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let ran = ship.run(&[
        "restore",
        "--config",
        "c.toml",
        "--from",
        "kept",
        "--replace",
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("another checksum"), "{ran:?}");
    let listed = ship.run(&["keys", "list", "--config", "c.toml"]);
    assert!(listed.stdout.contains("app"), "{listed:?}");
}

#[test]
fn a_store_that_is_no_file_names_what_to_use_instead() {
    let ship = Ship::new();
    ship.write(
        "c.toml",
        "[storage]\nurl = \"postgres://ship@127.0.0.1:1/ship\"\n",
    );
    let ran = ship.run(&["backup", "--config", "c.toml", "--output", "kept"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("pg_dump"), "{ran:?}");
}
