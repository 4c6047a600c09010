//! A provider that fails half of its calls, and one that swallows them: what callers notice.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

/// The time within which so many of a hundred were served.
fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

#[test]
fn half_of_the_calls_fail_and_nobody_notices_while_the_provider_is_asked_little_more() {
    let ship = Ship::new();
    let provider = ship.provider(&["--defaults", "output_tokens=5"]);
    let server = launch(&ship, &provider.address.to_string(), &provider, "");
    let requests = scaled(2_000);
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
fn a_provider_that_swallows_calls_holds_nobody_beyond_its_deadline_and_then_nobody_at_all() {
    let ship = Ship::new();
    let provider = ship.provider(&["--defaults", "output_tokens=5"]);
    // Its connections are made by the system, and nobody reads from them.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let hole = hole.local_addr().unwrap().to_string();
    let never = "[resilience.circuit_breaker]\nopen_for = \"10m\"\nmax_open_for = \"10m\"\n";
    let server = launch(&ship, &hole, &provider, never);
    // Alone, and with a limit of the caller's that is shorter than the provider's own.
    let deadline = Duration::from_millis(200);
    let mut late = Duration::ZERO;
    for stream in [false, true] {
        let began = Instant::now();
        let ask = server.ask("", "alone", stream);
        let status = ask.header("x-seaworthy-timeout-ms: 200").status();
        assert_eq!(status, 504);
        assert!(began.elapsed() >= deadline);
        late = late.max(began.elapsed() - deadline);
    }
    let ask = |model: &str| {
        let began = Instant::now();
        assert_eq!(server.ask("", model, true).status(), 200, "{model}");
        began.elapsed()
    };
    // Until the breaker opens each waits for the provider's limit, and no longer.
    let slowest = (0..10).map(|_| ask("gpt")).max().unwrap();
    let before = server.get("/metrics").send().text();
    let open = "seaworthy_circuit_breaker_state{target=\"ill/ill\"} 2";
    assert!(before.contains(open), "{before}");
    let (mut own, mut beyond) = (Vec::new(), Vec::new());
    for _ in 0..scaled(200) {
        own.push(ask("well"));
        beyond.push(ask("gpt"));
    }
    let (own, beyond) = (percentile(&mut own, 99), percentile(&mut beyond, 99));
    println!(
        "{late:?} beyond the deadline (at most 50 ms on a free machine); {slowest:?} with the \
         breaker closed; then p99 {beyond:?}, and {own:?} of the fallback itself (5 ms apart at most)"
    );
    // The share of a busy machine included.
    assert!(late < Duration::from_secs(1), "{late:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(beyond < own * 2 + Duration::from_millis(100), "{beyond:?}");
    server.stop();
}
