//! Circuit breakers that replicas share through a real Redis, and have for themselves without it.

use seaworthy_test_servers::Redis;
use serde_json::Value;

use crate::support::{Provider, Request, Server, Ship, eventually};

/// A configuration with two targets that fail and one that is well.
fn configure(ship: &Ship, provider: &Provider, redis: &Redis) {
    let mut text = format!(
        "[storage]\nurl = \"memory:\"\n[auth]\nenabled = false\n\
         [shared_state]\nurl = \"{}\"\nreplicas = 2\n\
         [resilience.circuit_breaker]\nconsecutive_failures = 3\nopen_for = \"1m\"\n\
         [health_endpoints.\"/health/deep\"]\nchecks = [\"process_running\"]\n",
        redis.url()
    );
    for name in ["well", "ill", "worse"] {
        text.push_str(&format!(
            "[providers.{name}]\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\n\
             api_key = \"secret://file/provider.key\"\n[providers.{name}.headers]\n\
             x-fake-output-tokens = \"5\"\n",
            provider.address
        ));
        if name != "well" {
            text.push_str(&format!(
                "x-fake-status = \"500\"\n[models.{name}]\ntargets = [\"{name}/{name}\", \"well/well\"]\n"
            ));
        }
    }
    ship.write("c.toml", &text);
    ship.write("provider.key", "any");
}

fn deep(replica: &Server) -> Value {
    replica.get("/health/deep").send().json()
}

fn state(replica: &Server, target: &str) -> String {
    let deep = deep(replica);
    deep["targets"][target]["circuit_breaker"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Calls that the provider has seen of a model of its own.
fn seen(provider: &Provider, model: &str) -> Value {
    let stats = Request::new(provider.address, "GET", "/__control/stats");
    stats.send().json()["by_model"][model].clone()
}

/// Asks until the breaker of the first target is open; nobody notices.
fn open(replica: &Server, model: &str) {
    for _ in 0..3 {
        assert_eq!(replica.ask("", model, false).status(), 200);
    }
    assert_eq!(state(replica, &format!("{model}/{model}")), "open");
}

#[test]
fn what_one_replica_finds_failing_the_others_leave_alone_and_without_redis_each_finds_out_itself() {
    let ship = Ship::new();
    let provider = ship.provider(&[]);
    let mut redis = Redis::start();
    configure(&ship, &provider, &redis);
    let (here, there) = (ship.serve_config(), ship.serve_config());
    let shared = |replica: &Server, how: &str| {
        eventually(how, || {
            (deep(replica)["circuit_breakers"] == how).then_some(())
        });
    };
    shared(&here, "shared");
    shared(&there, "shared");

    open(&here, "ill");
    eventually("the other replica has heard", || {
        (state(&there, "ill/ill") == "open").then_some(())
    });
    there.logged("because another replica found the target failing");
    let metrics = there.get("/metrics").send().text();
    for line in [
        "seaworthy_circuit_breaker_openings_total{target=\"ill/ill\",found=\"elsewhere\"} 1",
        "seaworthy_circuit_breaker_state{target=\"ill/ill\"} 2",
        "seaworthy_circuit_breakers_shared 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let before = seen(&provider, "ill");
    assert_eq!(there.ask("", "ill", false).status(), 200);
    assert_eq!(seen(&provider, "ill"), before, "it was asked all the same");

    redis.kill();
    here.logged("circuit breakers are local to each replica");
    shared(&there, "lost");
    open(&here, "worse");
    assert_eq!(state(&there, "worse/worse"), "closed");
    open(&there, "worse");

    redis.restart();
    shared(&here, "shared");
    here.logged("circuit breakers are shared again");

    // A server that is there and says nothing is as good as lost, and is noticed as well.
    redis.freeze();
    shared(&here, "lost");
    let metrics = here.get("/metrics").send().text();
    assert!(
        metrics.contains("seaworthy_circuit_breakers_shared 0"),
        "{metrics}"
    );
    assert_eq!(here.ask("", "ill", false).status(), 200);
    redis.thaw();
    shared(&here, "shared");
}
