//! `seaworthy migrate`, on both kinds of store, beside a gateway that serves.

use seaworthy_test_servers::Postgres;
use serde_json::{Value, json};

use crate::support::Ship;

fn migrate(ship: &Ship, more: &[&str]) -> (Option<i32>, Value) {
    let command = ["migrate", "--config", "c.toml", "--format", "json"];
    let ran = ship.run(&[&command[..], more].concat());
    let said = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| {
        panic!("{error}: {ran:?}");
    });
    (ran.code, said)
}

/// What a plan says of a store that nothing was written to yet.
fn plan_of_nothing(ship: &Ship, store: &str) -> Value {
    let (code, plan) = migrate(ship, &["--plan"]);
    assert_eq!(code, Some(1), "{plan}");
    assert_eq!((&plan["store"], &plan["from"]), (&json!(store), &json!(0)));
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(plan["to"], steps.len());
    assert!(steps[0].as_str().unwrap().starts_with("0001_"), "{plan}");
    assert_eq!(plan["applied"], false);
    plan
}

#[test]
fn a_file_is_made_only_when_asked_and_brought_up_to_date_once() {
    let ship = Ship::new();
    ship.configure(None, "");
    let plan = plan_of_nothing(&ship, "sqlite");
    assert!(!ship.path("ship.db").exists(), "a plan writes nothing");

    let (code, made) = migrate(&ship, &[]);
    assert_eq!(code, Some(0), "{made}");
    assert_eq!((&made["from"], &made["to"]), (&plan["from"], &plan["to"]));
    assert_eq!(
        (&made["steps"], &made["applied"]),
        (&plan["steps"], &json!(true))
    );

    let again = json!({
        "store": "sqlite", "from": plan["to"], "to": plan["to"], "steps": [], "applied": true,
    });
    assert_eq!(migrate(&ship, &[]), (Some(0), again.clone()));
    ship.create_key("app", "user");
    let server = ship.serve_config();
    assert_eq!(migrate(&ship, &[]), (Some(0), again));
    assert_eq!(migrate(&ship, &["--dry-run"]).0, Some(0));
    let said = ship.run(&["migrate", "--config", "c.toml"]);
    assert!(said.stdout.contains("nothing to do"), "{said:?}");
    server.stop();
}

#[test]
fn a_server_gets_what_it_lacks_once_while_replicas_serve_and_others_do_the_same() {
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let ship = Ship::new();
    let journal = ship.path("calls").display().to_string();
    ship.write(
        "c.toml",
        &format!("[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"{url}\"\njournal = \"{journal}\"\n\
                  [providers.echo]\nkind = \"echo\"\n[models.echo]\ntargets = [\"echo/echo\"]\n"),
    );
    let plan = plan_of_nothing(&ship, "postgres");
    assert_eq!(postgres.tables(&url), 0, "a plan writes nothing");
    let (code, made) = migrate(&ship, &[]);
    assert_eq!((code, &made["steps"]), (Some(0), &plan["steps"]));

    // As a program of before the last step has left it.
    let key = ship.create_key("app", "user");
    let server = ship.serve_config();
    let last = plan["to"].as_u64().unwrap();
    postgres.undo_last_step(&url, "share_holders");
    let lacks = json!({
        "store": "postgres", "from": last - 1, "to": last, "steps": ["0006_share_holders"],
        "applied": false,
    });
    assert_eq!(migrate(&ship, &["--plan"]), (Some(1), lacks));
    let did: Vec<usize> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (code, said) = migrate(&ship, &[]);
                    assert_eq!(code, Some(0), "{said}");
                    said["steps"].as_array().unwrap().len()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(
        did.iter().sum::<usize>(),
        1,
        "one of them applied the step: {did:?}"
    );
    assert_eq!(server.ask(&key, "echo", false).status(), 200);
    server.stop();
}

#[test]
fn a_schema_that_is_newer_or_out_of_reach_is_left_alone_with_a_reason() {
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let ship = Ship::new();
    let configure = |url: &str| ship.write("c.toml", &format!("[storage]\nurl = \"{url}\"\n"));
    configure(&url);
    assert_eq!(migrate(&ship, &[]).0, Some(0));
    postgres.record_later_step(&url);
    for command in [
        &["migrate", "--config", "c.toml"][..],
        &["migrate", "--plan", "--config", "c.toml"],
    ] {
        let ran = ship.run(command);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert!(ran.stderr.contains("or a newer one"), "{ran:?}");
    }
    configure("postgres://ship@127.0.0.1:1/ship");
    let ran = ship.run(&["migrate", "--plan", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.stderr.contains("check the URL"), "{ran:?}");
    configure("memory:");
    let (code, said) = migrate(&ship, &["--plan"]);
    assert_eq!((code, &said["to"]), (Some(0), &json!(0)));
    ship.write("c.toml", "[storage]\nurl = \"sqlite:missing/ship.db\"\n");
    let ran = ship.run(&["migrate", "--plan", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.stderr.contains("create it first"), "{ran:?}");
}
