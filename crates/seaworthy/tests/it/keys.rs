//! Keys that are made, replaced and ended while the server runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, Ship, eventually};

const CONFIG: [&str; 2] = ["--config", "c.toml"];

fn start(ship: &Ship) -> Server {
    ship.configure(None, "");
    ship.serve_config()
}

fn status(server: &Server, key: &str) -> u16 {
    server.ask(key, "echo", false).status()
}

#[test]
fn a_new_key_works_on_the_running_server_and_is_shown_only_once() {
    let ship = Ship::new();
    let server = start(&ship);
    let key = ship.create_key("crew", "user");
    assert_eq!(status(&server, &key), 200);
    assert_eq!(server.get("/admin/v1/status").key(&key).status(), 403);
    let admin = ship.create_key("captain", "admin");
    assert_eq!(server.get("/admin/v1/status").key(&admin).status(), 200);

    let listed = ship.run(&["keys", "list", CONFIG[0], CONFIG[1]]);
    assert!(listed.stdout.contains("crew") && listed.stdout.contains("captain"));
    let as_json = ship.json(&["keys", "list", "--format", "json", CONFIG[0], CONFIG[1]]);
    assert_eq!(as_json.as_array().unwrap().len(), 2);
    for text in [listed.stdout, as_json.to_string(), server.said()] {
        assert!(!text.contains(&key) && !text.contains(&admin), "{text}");
    }
    let files = ["ship.db", "ship.db-wal"].map(|name| std::fs::read(ship.path(name)));
    for bytes in files.into_iter().flatten() {
        let holds_key = bytes
            .windows(key.len())
            .any(|window| window == key.as_bytes());
        assert!(!holds_key, "the key is stored in the clear");
    }
    server.stop();
}

#[test]
fn rotating_a_key_fails_no_request_while_both_keys_overlap() {
    const OVERLAP: Duration = Duration::from_secs(3);
    let ship = Ship::new();
    let server = start(&ship);
    let old = ship.create_key("crew", "user");
    assert_eq!(status(&server, &old), 200);
    let is_over = AtomicBool::new(false);
    let (new, failures) = std::thread::scope(|scope| {
        // Callers go on with the old key while it is rotated and until the overlap is nearly over.
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut calls, mut failures) = (0, 0);
                    while !is_over.load(Ordering::SeqCst) {
                        calls += 1;
                        failures += u32::from(status(&server, &old) != 200);
                    }
                    assert!(calls > 20, "{calls}");
                    failures
                })
            })
            .collect();
        let overlap = format!("{}s", OVERLAP.as_secs());
        let started = Instant::now();
        let rotated = ship.json(&[
            "keys",
            "rotate",
            "crew",
            "--overlap",
            &overlap,
            "--format",
            "json",
            CONFIG[0],
            CONFIG[1],
        ]);
        let new = rotated["key"].as_str().unwrap().to_owned();
        while started.elapsed() < OVERLAP - Duration::from_millis(500) {
            assert_eq!(status(&server, &new), 200);
        }
        is_over.store(true, Ordering::SeqCst);
        let failures: u32 = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum();
        (new, failures)
    });
    assert_eq!(failures, 0);
    eventually("the old key ends", || {
        (status(&server, &old) == 401).then_some(())
    });
    assert_eq!(status(&server, &new), 200);
    server.stop();
}

#[test]
fn a_revoked_key_is_refused_by_the_time_the_command_returns() {
    let ship = Ship::new();
    let server = start(&ship);
    for round in 0..3 {
        let name = format!("crew-{round}");
        let key = ship.create_key(&name, "user");
        assert_eq!(status(&server, &key), 200);
        let ran = ship.run(&["keys", "revoke", &name, CONFIG[0], CONFIG[1]]);
        let refused = server.ask(&key, "echo", false).send();
        assert_eq!((ran.code, refused.status), (Some(0), 401), "{ran:?}");
        let error: Value = refused.json();
        assert_eq!(error["error"]["code"], "invalid_api_key");
    }
    server.stop();
}

#[test]
fn keys_that_do_not_exist_or_have_the_same_name_are_told_apart() {
    let ship = Ship::new();
    ship.configure(None, "");
    let unknown = ship.run(&["keys", "revoke", "nobody", CONFIG[0], CONFIG[1]]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("keys list"), "{unknown:?}");
    ship.create_key("twin", "user");
    ship.create_key("twin", "user");
    let ambiguous = ship.run(&["keys", "rotate", "twin", CONFIG[0], CONFIG[1]]);
    assert_eq!(ambiguous.code, Some(1), "{ambiguous:?}");
    assert!(ambiguous.stderr.contains("ID"), "{ambiguous:?}");
    let usage = ship.run(&["keys", "create", "--name", "x", "--role", "pirate"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

#[test]
fn a_key_that_leaked_is_found_by_itself_and_never_repeated() {
    let ship = Ship::new();
    ship.configure(None, "");
    let key = ship.create_key("leaked", "user");
    let revoked = ship.run(&["keys", "revoke", &key, CONFIG[0], CONFIG[1]]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let last = if key.ends_with('x') { 'y' } else { 'x' };
    let other = format!("{}{last}", &key[..key.len() - 1]);
    let unknown = ship.run(&["keys", "revoke", &other, CONFIG[0], CONFIG[1]]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    for (said, key) in [(&revoked, &key), (&unknown, &other)] {
        assert!(!format!("{said:?}").contains(&**key), "{said:?}");
    }
}

#[test]
fn a_key_with_a_lifetime_ends_by_itself() {
    let ship = Ship::new();
    let server = start(&ship);
    let made = ship.json(&[
        "keys",
        "create",
        "--name",
        "guest",
        "--expires",
        "2s",
        "--format",
        "json",
        CONFIG[0],
        CONFIG[1],
    ]);
    let key = made["key"].as_str().unwrap();
    assert_eq!(status(&server, key), 200);
    eventually("the key expires", || {
        (status(&server, key) == 401).then_some(())
    });
    server.stop();
}
