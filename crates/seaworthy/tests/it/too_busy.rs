//! More work than the processor can do: who is refused and who is not, and that it is over when it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Request, Server, Ship};

/// Callers who do not wait for each other, so many on a thread.
const THREADS: usize = 16;
const ON_A_THREAD: usize = 40;
/// How long anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// One model that costs nothing but the processor's time, on one worker, and a guard that reads what it
/// is sent.
const CONFIG: &str = "[storage]\nurl = \"memory:\"\n[auth]\nenabled = false\n[server]\nworkers = 1\n\
                      [resilience.priorities]\nmay_raise = true\n[providers.echo]\nkind = \"echo\"\n\
                      [models.echo]\ntargets = [\"echo/echo\"]\n[logging]\nlevel = \"warn\"\n\
                      [guards.policies.mail]\ndetector = \"email\"\nplaces = [\"input\"]\n\
                      action = \"flag\"\n";
/// Words that the guard reads, so that all of the crowd together are more than a second's work.
const WORDS: usize = 3_000;

/// Asks at a connection that is open, or opens one; `None`: it is closed.
fn ask(stream: &mut Option<TcpStream>, server: SocketAddr) -> Option<()> {
    let words = "ahoy ".repeat(WORDS);
    let body = format!(
        "{{\"model\":\"echo\",\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]}}"
    );
    let length = body.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    if stream.is_none() {
        let opened = TcpStream::connect(server).ok()?;
        opened.set_read_timeout(Some(PATIENCE)).ok()?;
        *stream = Some(opened);
    }
    stream.as_mut()?.write_all(request.as_bytes()).ok()
}

/// The status of the answer, after which the connection can be used again.
fn status(stream: &mut Option<TcpStream>) -> Option<u16> {
    let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
    loop {
        match stream.as_mut()?.read(&mut more) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&more[..read]),
            _ => {
                *stream = None;
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lengths = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        let length: usize = lengths.next_back()?.parse().ok()?;
        if body.len() >= length {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.get(9..12)?.parse().ok()
}

/// What a crowd sees.
#[derive(Default)]
struct Seen {
    served: AtomicUsize,
    refused: AtomicUsize,
    others: AtomicUsize,
}

/// Asks until it is over, three times as much and more than can be done.
fn crowd(server: SocketAddr, seen: &Seen, is_over: &AtomicBool) {
    let mut streams: Vec<Option<TcpStream>> = (0..ON_A_THREAD).map(|_| None).collect();
    while !is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            if ask(stream, server).is_none() {
                *stream = None;
            }
        }
        for stream in streams.iter_mut().filter(|stream| stream.is_some()) {
            let count = match status(stream) {
                Some(200) => &seen.served,
                Some(503) => &seen.refused,
                // A connection that was closed is no answer.
                None | Some(_) => &seen.others,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn overloaded(server: &Server) -> u64 {
    let health = server.get("/health/deep").send().json();
    health["workers"]["overloaded"].as_u64().unwrap()
}

fn wait_for(server: &Server, workers: u64) {
    let began = Instant::now();
    while overloaded(server) != workers {
        assert!(began.elapsed() < PATIENCE, "{workers} workers overloaded");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Calls of another dialect, until one is refused: the status and the body of that.
fn refusal(server: &Server) -> (u16, String) {
    let body = "{\"model\":\"echo\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Ahoy\"}]}";
    for _ in 0..500 {
        let ask = Request::new(server.address, "POST", "/v1/messages");
        let ask = ask
            .header("anthropic-version: 2023-06-01")
            .header("x-request-id: mine");
        let answer = ask.body(body).send();
        if answer.status != 200 {
            return (answer.status, answer.text());
        }
    }
    panic!("nobody is refused");
}

#[test]
fn too_much_for_the_processor_is_refused_by_priority_and_what_is_let_in_is_done() {
    let ship = Ship::new();
    ship.write("c.toml", CONFIG);
    let server = ship.serve_config();
    let (seen, is_over) = (Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| crowd(server.address, &seen, &is_over));
        }
        // Whatever fails, the crowd has to go home.
        let checks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&server, 1);
            let before = seen.served.load(Ordering::Relaxed);
            let critical = (0..20).filter(|_| {
                let ask = server.ask("", "echo", false);
                ask.header("x-seaworthy-priority: critical").status() == 200
            });
            let critical = critical.count();
            assert!(critical >= 18, "{critical} of 20 critical calls");
            let (status, text) = refusal(&server);
            assert_eq!(status, 503, "{text}");
            assert!(text.contains("overloaded"), "{text}");
            assert_eq!(server.get("/health/ready").status(), 200);
            let served = seen.served.load(Ordering::Relaxed) - before;
            assert!(served > 0, "the crowd is served nothing");
        }));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = checks {
            std::panic::resume_unwind(panic);
        }
    });
    wait_for(&server, 0);
    for _ in 0..10 {
        assert_eq!(server.ask("", "echo", false).status(), 200);
    }
    let others = seen.others.load(Ordering::Relaxed);
    let refused = seen.refused.load(Ordering::Relaxed);
    assert!(
        refused > 0 && others == 0,
        "{refused} refused, {others} other answers"
    );
    let metrics = server.get("/metrics").send().text();
    let busy = "seaworthy_shed_total{reason=\"busy\"";
    assert!(metrics.contains(busy), "{metrics}");
    assert!(
        metrics.contains("seaworthy_workers_overloaded 0"),
        "{metrics}"
    );
    server.logged("more to do than the processors can");
    server.stop();
}
