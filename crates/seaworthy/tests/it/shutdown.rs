//! The end of a process, in good order or not, and what the next one finds.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Provider, Server, Ship, eventually};

const USAGE: [&str; 5] = ["usage", "--format", "json", "--config", "c.toml"];

/// A server in front of a provider that streams at its leisure, and a key.
fn start(ship: &Ship, directives: &str) -> (Provider, Server, String) {
    let provider = ship.provider(&["--defaults", directives]);
    ship.configure(Some(&provider), "");
    ship.write("provider.key", "any");
    let key = ship.create_key("crew", "user");
    let server = ship.serve_config();
    (provider, server, key)
}

/// The figures of one model.
fn used(ship: &Ship, model: &str) -> Option<Value> {
    let totals = ship.json(&USAGE);
    let mut totals = totals.as_array().unwrap().iter();
    totals.find(|total| total["group"] == model).cloned()
}

#[test]
fn sigterm_turns_readiness_off_finishes_the_stream_and_exits_with_0() {
    let ship = Ship::new();
    let (_provider, server, key) = start(&ship, "output_tokens=30,chunk_delay_ms=60");
    let mut stream = server.ask(&key, "gpt", true).send();
    stream.until("data: ");
    server.signal(Signal::SIGTERM);
    eventually("readiness is off", || {
        (server.get("/health/ready").status() == 503).then_some(())
    });
    assert_eq!(server.get("/health/live").status(), 200);
    eventually("new calls are refused", || {
        let refused = server.ask(&key, "echo", false).send();
        (refused.status == 503).then(|| assert!(refused.text().contains("shutting_down")))
    });
    let rest = stream.text();
    assert!(rest.contains("data: [DONE]"), "{rest}");
    assert!(
        rest.ends_with("0\r\n\r\n"),
        "the framing ends properly: {rest}"
    );
    assert_eq!(server.wait().code(), Some(0), "{}", server.said());
    let said = server.said();
    assert!(!said.contains("the store does not answer"), "{said}");
    assert!(server.get("/health/live").open().is_err(), "nobody listens");
    let used = used(&ship, "gpt").unwrap();
    assert_eq!(used["output_tokens"], 30, "{used}");
    assert_eq!(used["estimated_calls"], 0, "{used}");
}

#[test]
fn what_does_not_end_in_time_is_cut_off_and_recorded() {
    let ship = Ship::new();
    let provider = ship.provider(&["--defaults", "stall_after_tokens=3"]);
    ship.configure(Some(&provider), "");
    ship.write("provider.key", "any");
    let key = ship.create_key("crew", "user");
    let server = ship.serve_with(
        &["--config", "c.toml", "--listen", "127.0.0.1:0"],
        |command| {
            command.env("SEAWORTHY__SERVER__DRAIN_TIMEOUT", "500ms");
        },
    );
    let mut stream = server.ask(&key, "gpt", true).send();
    stream.until("data: ");
    let told = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.said());
    assert!(
        told.elapsed() < Duration::from_secs(8),
        "{:?}",
        told.elapsed()
    );
    let used = used(&ship, "gpt").unwrap();
    assert_eq!(
        (&used["calls"], &used["unsuccessful_calls"]),
        (&1.into(), &1.into())
    );
    assert!(used["output_tokens"].as_u64().unwrap() > 0, "{used}");
}

#[test]
fn an_idle_server_stops_without_the_delay_when_a_person_interrupts_it() {
    let ship = Ship::new();
    ship.configure(None, "");
    let server = ship.serve_with(
        &["--config", "c.toml", "--listen", "127.0.0.1:0"],
        |command| {
            command.env("SEAWORTHY__SERVER__DRAIN_DELAY", "60s");
        },
    );
    assert_eq!(server.get("/health/ready").status(), 200);
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.said());
}

#[test]
fn a_second_run_finds_what_the_first_one_recorded() {
    let ship = Ship::new();
    ship.configure(None, "");
    let key = ship.create_key("crew", "user");
    for run in 1..=2 {
        let server = ship.serve_config();
        for _ in 0..3 {
            assert_eq!(server.ask(&key, "echo", false).status(), 200);
        }
        server.stop();
        let used = used(&ship, "echo").unwrap();
        assert_eq!(used["calls"], 3 * run, "{used}");
        assert_eq!(used["unsuccessful_calls"], 0, "{used}");
    }
    let by_user = ship.json(&[&USAGE[..], &["--by", "user"]].concat());
    assert_eq!(by_user[0]["group"], "crew");
}

#[test]
fn after_kill_9_in_the_middle_of_a_stream_the_next_run_works_and_knows_of_the_call() {
    let ship = Ship::new();
    let (provider, server, key) = start(&ship, "output_tokens=50,chunk_delay_ms=100");
    assert_eq!(server.ask(&key, "echo", false).status(), 200);
    let mut stream = server.ask(&key, "gpt", true).send();
    stream.until("data: ");
    server.signal(Signal::SIGKILL);
    assert_eq!(server.wait().code(), None);
    drop(stream);

    let server = ship.serve_config();
    assert_eq!(server.get("/health/ready").status(), 200);
    assert_eq!(server.ask(&key, "echo", false).status(), 200);
    server.stop();
    drop(provider);
    let interrupted = used(&ship, "gpt").unwrap();
    assert_eq!(interrupted["calls"], 1, "{interrupted}");
    assert_eq!(interrupted["estimated_calls"], 1, "{interrupted}");
    assert_eq!(used(&ship, "echo").unwrap()["calls"], 2);
}

#[test]
fn after_kill_9_every_call_whose_end_the_caller_saw_is_in_the_ledger() {
    let ship = Ship::new();
    let (_provider, server, key) = start(&ship, "output_tokens=7");
    for number in 0..20 {
        let answer = server.ask(&key, "gpt", number % 2 == 0).send();
        assert!(answer.text().contains("gpt-real"));
    }
    server.signal(Signal::SIGKILL);
    server.wait();
    ship.serve_config().stop();
    let used = used(&ship, "gpt").unwrap();
    assert_eq!(used["calls"], 20, "{used}");
    assert_eq!(used["output_tokens"], 140, "{used}");
    assert_eq!(used["estimated_calls"], 0, "{used}");
}
