//! A provider that fails half of its calls, and one that swallows them: what callers notice.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Provider, Request, Server, Ship};

const CALLERS: usize = 8;

/// A number that is judged by default, or another one: `SEAWORTHY_TEST_ROUNDS` times as many.
fn scaled(count: usize) -> usize {
    let rounds = std::env::var("SEAWORTHY_TEST_ROUNDS").ok();
    count * rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// A gateway whose model `gpt` has a target that is ill and one that is well; `alone` has the first.
fn launch(ship: &Ship, ill: &str, provider: &Provider, more: &str) -> Server {
    let well = provider.address;
    ship.write("provider.key", "any");
    ship.write(
        "c.toml",
        &format!(
            "[storage]\nurl = \"memory:\"\n[auth]\nenabled = false\n{more}\
             [providers.ill]\nkind = \"openai\"\nbase_url = \"http://{ill}/v1\"\n\
             api_key = \"secret://file/provider.key\"\ntimeouts = {{ first_byte = \"300ms\" }}\n\
             [providers.well]\nkind = \"openai\"\nbase_url = \"http://{well}/v1\"\n\
             api_key = \"secret://file/provider.key\"\n\
             [models.gpt]\ntargets = [\"ill/ill\", \"well/well\"]\n\
             [models.alone]\ntargets = [\"ill/ill\"]\n\
             [models.well]\ntargets = [\"well/well\"]\n"
        ),
    );
    ship.serve_config()
}

#[test]
fn half_of_the_calls_fail_and_nobody_notices_while_the_provider_is_asked_little_more() {
    let ship = Ship::new();
    let provider = ship.provider(&["--defaults", "output_tokens=5"]);
    let server = launch(&ship, &provider.address.to_string(), &provider, "");
    let requests = scaled(600);
    // Every other call of the ill target fails, however many there are.
    let pair = "{\"fault\":\"status=500\",\"model\":\"ill\"},{\"fault\":\"latency_ms=0\",\"model\":\"ill\"}";
    let faults = vec![pair; 500].join(",");
    let queued = Request::new(provider.address, "POST", "/__control/faults");
    assert_eq!(queued.body(&format!("[{faults}]")).status(), 200);
    let (next, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < requests {
                    let is_served = server.ask("", "gpt", false).status() == 200;
                    served.fetch_add(usize::from(is_served), Ordering::Relaxed);
                }
            });
        }
    });
    let stats = Request::new(provider.address, "GET", "/__control/stats");
    let stats = stats.send().json();
    let (calls, served) = (stats["calls"].as_u64().unwrap(), served.into_inner());
    println!("{served} of {requests} served with {calls} calls: {stats}");
    assert!(stats["by_status"]["500"].as_u64().unwrap() >= 3, "{stats}");
    assert!(served * 1_000 >= requests * 999, "{served} of {requests}");
    assert!(calls * 10 <= requests as u64 * 12, "{calls} calls");
    server.stop();
}

#[test]
fn a_provider_that_swallows_calls_costs_its_limit_until_the_breaker_opens_and_then_nothing() {
    let ship = Ship::new();
    let provider = ship.provider(&["--defaults", "output_tokens=5"]);
    // Its connections are counted, and nobody reads from them.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hole.local_addr().unwrap().to_string();
    let swallowed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&swallowed);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in hole.incoming() {
            kept.push(connection);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let never = "[resilience.circuit_breaker]\nopen_for = \"10m\"\nmax_open_for = \"10m\"\n";
    let server = launch(&ship, &address, &provider, never);
    // Alone, and with a limit of the caller's that is shorter than the provider's own.
    for stream in [false, true] {
        let ask = server.ask("", "alone", stream);
        let answer = ask.header("x-seaworthy-timeout-ms: 200").send();
        assert_eq!(answer.status, 504);
        let text = answer.text();
        assert!(text.contains("deadline_exceeded"), "{text}");
    }
    let ask = || assert_eq!(server.ask("", "gpt", true).status(), 200);
    (0..10).for_each(|_| ask());
    let metrics = server.get("/metrics").send().text();
    let open = "seaworthy_circuit_breaker_state{target=\"ill/ill\"} 2";
    assert!(metrics.contains(open), "{metrics}");
    // Nobody waits for it any more, because nobody asks it.
    let before = swallowed.load(Ordering::SeqCst);
    assert!((2..=12).contains(&before), "{before}");
    (0..100).for_each(|_| ask());
    assert_eq!(swallowed.load(Ordering::SeqCst), before);
    server.stop();
}
