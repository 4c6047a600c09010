//! Replicas that are replaced one after the other under streaming load, behind a balancer that only
//! looks at readiness: nobody loses a request or the end of a stream.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Provider, Request, Server, Ship, config, eventually};

const REPLICAS: usize = 3;
const CALLERS: usize = 8;

/// A replica with a folder of its own.
fn replica(provider: &Provider) -> (Ship, Server) {
    let ship = Ship::new();
    let more = "[auth]\nenabled = false\n";
    ship.write("c.toml", &config(Some(provider), more));
    ship.write("provider.key", "any");
    let server = ship.serve_config();
    (ship, server)
}

/// Where requests may go, as the balancer sees it.
struct Balancer {
    addresses: Mutex<Vec<SocketAddr>>,
    ready: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Balancer {
    fn probe(&self) {
        let addresses = self.addresses.lock().unwrap().clone();
        let is_ready = |address: &SocketAddr| {
            let answer = Request::new(*address, "GET", "/health/ready").open();
            answer.is_ok_and(|answer| answer.status == 200)
        };
        let ready = addresses.into_iter().filter(is_ready).collect();
        *self.ready.lock().unwrap() = ready;
    }

    fn pick(&self) -> SocketAddr {
        eventually("a replica is ready", || {
            let ready = self.ready.lock().unwrap();
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            ready.get(turn.checked_rem(ready.len())?).copied()
        })
    }
}

#[test]
fn a_rolling_restart_breaks_no_stream_and_fails_no_request() {
    let upstream = Ship::new();
    let provider = upstream.provider(&["--defaults", "output_tokens=12,chunk_delay_ms=25"]);
    let mut replicas: Vec<(Ship, Server)> = (0..REPLICAS).map(|_| replica(&provider)).collect();
    let addresses = replicas.iter().map(|(_, server)| server.address).collect();
    let balancer = Balancer {
        addresses: Mutex::new(addresses),
        ready: Mutex::default(),
        next: AtomicUsize::new(0),
    };
    let (over, whole, wrong) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                balancer.probe();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        for caller in 0..CALLERS {
            let (balancer, over, whole, wrong) = (&balancer, &over, &whole, &wrong);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let stream = caller % 4 != 0;
                    let body = format!(
                        "{{\"model\":\"gpt\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"Ahoy\"}}]}}"
                    );
                    let at = balancer.pick();
                    let request = Request::new(at, "POST", "/v1/chat/completions").body(&body);
                    let (status, text) = match request.open() {
                        Ok(answer) => (answer.status, answer.lossy()),
                        Err(error) => (0, error.to_string()),
                    };
                    let end = if stream { "data: [DONE]" } else { "\"finish_reason\"" };
                    if status == 200 && text.contains(end) && !text.contains("\"error\"") {
                        whole.fetch_add(1, Ordering::Relaxed);
                    } else {
                        wrong.lock().unwrap().push(format!("{status}: {text}"));
                    }
                }
            });
        }
        let served = |more: usize| {
            let goal = whole.load(Ordering::Relaxed) + more;
            eventually("the load goes on", || {
                let is_reached = whole.load(Ordering::Relaxed) >= goal;
                (is_reached || !wrong.lock().unwrap().is_empty()).then_some(())
            });
        };
        served(CALLERS);
        for old in &mut replicas {
            let mut new = replica(&provider);
            std::mem::swap(old, &mut new);
            let (_ship, stopping) = new;
            balancer.addresses.lock().unwrap().push(old.1.address);
            stopping.signal(Signal::SIGTERM);
            let status = stopping.wait();
            balancer
                .addresses
                .lock()
                .unwrap()
                .retain(|at| *at != stopping.address);
            if status.code() != Some(0) {
                wrong.lock().unwrap().push(stopping.said());
            }
            served(CALLERS);
        }
        over.store(true, Ordering::Relaxed);
    });
    let wrong = wrong.into_inner().unwrap();
    let whole = whole.load(Ordering::Relaxed);
    assert!(
        wrong.is_empty(),
        "{} beside {whole} whole ones: {wrong:#?}",
        wrong.len()
    );
}
