//! Changes of the configuration while the server runs.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Server, Ship, config, eventually};

const NEW_MODEL: &str = "[models.parrot]\ntargets = [\"echo/echo\"]\n";

fn models(server: &Server, key: &str) -> String {
    server.get("/v1/models").key(key).send().text()
}

fn last_reload(server: &Server, key: &str) -> Value {
    let status = server.get("/admin/v1/status").key(key).send().json();
    status["config"]["last_reload"].clone()
}

fn metric(server: &Server, line: &str) -> bool {
    server.get("/metrics").send().text().contains(line)
}

#[test]
fn a_file_that_changes_is_taken_over_without_a_signal() {
    let ship = Ship::new();
    ship.configure(None, "");
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    assert!(!models(&server, &key).contains("parrot"));
    let slip = "[rate_limits.per_operation.chatt]\nrequests_per_hour = 9\n";
    ship.write("c.toml", &config(None, &(NEW_MODEL.to_owned() + slip)));
    eventually("the new file is taken over", || {
        (last_reload(&server, &key)["result"] == "success").then_some(())
    });
    assert!(models(&server, &key).contains("parrot"));
    assert_eq!(server.ask(&key, "parrot", false).status(), 200);
    server.logged("did you mean `chat`?");
    server.stop();
    let again = ship.serve_config();
    again.logged("did you mean `chat`?");
    again.stop();
}

#[test]
fn sighup_reads_secrets_anew_although_the_file_is_the_same() {
    let ship = Ship::new();
    let provider = ship.provider(&["--key", "new-key-of-the-provider"]);
    ship.configure(Some(&provider), "");
    ship.write("provider.key", "old-key-of-the-provider\n");
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    let refused = server.ask(&key, "gpt", false).send();
    assert_eq!(refused.status, 502);
    assert_eq!(
        refused.json()["error"]["code"],
        "upstream_authentication_failed"
    );
    ship.write("provider.key", "new-key-of-the-provider\n");
    server.signal(Signal::SIGHUP);
    server.logged("the configuration was reloaded");
    assert_eq!(server.ask(&key, "gpt", false).status(), 200);
    assert!(!server.said().contains("key-of-the-provider"));
    server.stop();
}

#[test]
fn a_broken_file_changes_nothing_and_shows_in_status_metrics_and_log() {
    let ship = Ship::new();
    ship.configure(None, NEW_MODEL);
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    assert!(metric(
        &server,
        "seaworthy_config_last_reload_successful 1\n"
    ));
    ship.write("c.toml", &config(None, "[models.parrot]\ntarget = 5\n"));
    server.signal(Signal::SIGHUP);
    server.logged("the configuration was not reloaded");
    let reload = last_reload(&server, &key);
    assert_eq!(reload["result"], "failure");
    assert!(
        reload["error"].as_str().unwrap().contains("targets"),
        "{reload}"
    );
    assert!(metric(
        &server,
        "seaworthy_config_last_reload_successful 0\n"
    ));
    assert_eq!(server.ask(&key, "parrot", false).status(), 200);
    assert_eq!(server.get("/health/ready").status(), 200);

    ship.write("c.toml", &config(None, ""));
    eventually("the mended file is taken over", || {
        (last_reload(&server, &key)["result"] == "success").then_some(())
    });
    assert!(metric(
        &server,
        "seaworthy_config_last_reload_successful 1\n"
    ));
    assert_eq!(server.ask(&key, "parrot", false).status(), 404);
    server.stop();
}

#[test]
fn a_file_that_disappears_changes_nothing() {
    let ship = Ship::new();
    ship.configure(None, "");
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    std::fs::remove_file(ship.path("c.toml")).unwrap();
    server.signal(Signal::SIGHUP);
    server.logged("the configuration was not reloaded");
    assert_eq!(server.ask(&key, "echo", false).status(), 200);
    server.stop();
}
