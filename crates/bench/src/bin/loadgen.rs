//! Offers load and measures: latency, throughput, and what the process under test used meanwhile.
//!
//! - `closed`: each connection sends its next request when the last one is answered.
//! - `open`: requests are due at a constant rate, and latency counts from the moment a request was due,
//!   so that a server that stalls cannot hide the requests it kept from being sent.
//! - `sse`: each connection reads event streams, one after the other.
//!
//! Threads that block cost two system calls a request, and sleep to the nanosecond.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use seaworthy_bench::client::{Connection, request};
use seaworthy_bench::{payload, process};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Closed,
    Open,
    Sse,
}

/// Load generator for LLM gateways; prints one JSON object.
#[derive(Parser)]
struct Args {
    mode: Mode,
    /// The gateway
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    #[arg(long, default_value = "fake-gpt")]
    model: String,
    /// More request headers, `name: value`
    #[arg(long = "header")]
    headers: Vec<String>,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Requests a second over all connections (`open`)
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 0.7)]
    warmup: f64,
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// What the fake provider is told in the message, `key=value,…`
    #[arg(long)]
    directive: Option<String>,
    /// The process under test; its CPU time and memory are reported, its children's included
    #[arg(long)]
    pid: Option<u32>,
    /// Other processes of the benchmark, which are no disturbance
    #[arg(long)]
    helper: Vec<u32>,
}

#[derive(Default)]
struct Phase {
    measuring: AtomicBool,
    over: AtomicBool,
}

/// What one connection saw while it was measured.
struct Seen {
    latency: Histogram<u64>,
    first_text: Histogram<u64>,
    answered: u64,
    events: u64,
    refused: u64,
    failed: u64,
}

impl Seen {
    fn new() -> anyhow::Result<Self> {
        // Nanoseconds, 100 ns to two minutes, three digits.
        let histogram = Histogram::new_with_bounds(100, 120_000_000_000, 3)?;
        let first_text = histogram.clone();
        Ok(Self {
            latency: histogram,
            first_text,
            answered: 0,
            events: 0,
            refused: 0,
            failed: 0,
        })
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency.add(&other.latency)?;
        self.first_text.add(&other.first_text)?;
        self.answered += other.answered;
        self.events += other.events;
        self.refused += other.refused;
        self.failed += other.failed;
        Ok(())
    }
}

/// When a connection's requests are due, if they are due at all.
struct Schedule {
    next: Instant,
    period: Duration,
}

fn drive(args: &Args, phase: &Phase, at: u32, began: Instant) -> anyhow::Result<Seen> {
    // Sleeps end when they should, not up to 50 µs later.
    nix::sys::prctl::set_timerslack(1)?;
    let stream = args.mode == Mode::Sse;
    let body = payload::chat(
        &args.model,
        args.body_bytes,
        stream,
        args.directive.as_deref(),
    );
    let bytes = request(args.addr, &args.path, &args.headers, &body);
    let period = Duration::from_secs_f64(f64::from(args.connections) / args.rate);
    let offset = period.mul_f64(f64::from(at) / f64::from(args.connections));
    let mut schedule = Schedule {
        next: began + offset,
        period,
    };
    let mut seen = Seen::new()?;
    let mut open: Option<Connection> = None;
    while !phase.over.load(Ordering::Relaxed) {
        let due = (args.mode == Mode::Open).then(|| wait_for(&mut schedule));
        let from = due.unwrap_or_else(Instant::now);
        let result = one(args, &bytes, &mut open);
        if !phase.measuring.load(Ordering::Relaxed) {
            continue;
        }
        let took = from.elapsed();
        match result {
            Ok(Done {
                ok: true,
                events,
                first_text,
            }) => {
                seen.answered += 1;
                seen.events += events;
                seen.latency.saturating_record(nanos(took));
                if let Some(first_text) = first_text {
                    seen.first_text.saturating_record(nanos(first_text));
                }
            }
            Ok(_) => seen.refused += 1,
            Err(_) => seen.failed += 1,
        }
    }
    Ok(seen)
}

/// Sleeps until the next request is due; that moment, even if it has passed already.
fn wait_for(schedule: &mut Schedule) -> Instant {
    let due = schedule.next;
    schedule.next += schedule.period;
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    due
}

struct Done {
    ok: bool,
    events: u64,
    first_text: Option<Duration>,
}

/// One request on the open connection, or on a new one. A failed connection is dropped.
fn one(args: &Args, bytes: &[u8], open: &mut Option<Connection>) -> std::io::Result<Done> {
    let mut connection = match open.take() {
        Some(connection) => connection,
        None => Connection::open(args.addr, Duration::from_secs(30)).inspect_err(|_| {
            // Nobody listens, or not yet: no use in asking at full speed.
            std::thread::sleep(Duration::from_millis(20));
        })?,
    };
    let done = if args.mode == Mode::Sse {
        let seen = connection.stream(bytes)?;
        Done {
            ok: seen.status == 200 && seen.finished,
            events: seen.events,
            first_text: seen.first_text,
        }
    } else {
        let status = connection.exchange(bytes)?;
        Done {
            ok: status == 200,
            events: 0,
            first_text: None,
        }
    };
    *open = Some(connection);
    Ok(done)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The processes of the benchmark before or after the measured window.
struct Sample {
    at: Instant,
    gateway: process::Usage,
    ours: Duration,
    machine: Duration,
}

fn sample(args: &Args) -> Sample {
    let gateway = args.pid.map(process::usage).unwrap_or_default();
    let helpers: Duration = args.helper.iter().map(|pid| process::usage(*pid).cpu).sum();
    Sample {
        at: Instant::now(),
        gateway,
        ours: gateway.cpu + helpers + process::usage(std::process::id()).cpu,
        machine: process::machine_busy(),
    }
}

fn report(args: &Args, seen: &Seen, before: &Sample, after: &Sample) -> Value {
    let seconds = (after.at - before.at).as_secs_f64();
    let cpu = after
        .gateway
        .cpu
        .saturating_sub(before.gateway.cpu)
        .as_secs_f64();
    let ticks =
        |count: u64| Duration::from_millis(count * 1000 / process::TICKS_PER_SECOND).as_secs_f64();
    let ours = after.ours.saturating_sub(before.ours);
    let foreign = after
        .machine
        .saturating_sub(before.machine)
        .saturating_sub(ours)
        .as_secs_f64();
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cores
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count()
        .max(1);
    let count = |n: u64| u32::try_from(n).map_or(f64::INFINITY, f64::from);
    json!({
        "seconds": seconds,
        "requests": seen.answered,
        "requests_per_second": count(seen.answered) / seconds,
        "events": seen.events,
        "events_per_second": count(seen.events) / seconds,
        "refused": seen.refused,
        "failed": seen.failed,
        "latency_us": quantiles(&seen.latency),
        "first_text_us": quantiles(&seen.first_text),
        "cpu_us_per_request": args.pid.map(|_| cpu * 1e6 / count(seen.answered)),
        "cpu_us_per_event": args.pid.filter(|_| seen.events > 0).map(|_| cpu * 1e6 / count(seen.events)),
        "cpu_cores_busy": args.pid.map(|_| cpu / seconds),
        "user_seconds": ticks(after.gateway.user_ticks - before.gateway.user_ticks),
        "system_seconds": ticks(after.gateway.system_ticks - before.gateway.system_ticks),
        "rss_kib": after.gateway.rss_kib,
        // The part of the machine that something else used: a disturbed measurement.
        "foreign_share": foreign / seconds / f64::from(u32::try_from(cores).unwrap_or(1)),
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let micros = |quantile: f64| {
        Duration::from_nanos(histogram.value_at_quantile(quantile)).as_secs_f64() * 1e6
    };
    json!({"p50": micros(0.5), "p99": micros(0.99), "p999": micros(0.999), "max": micros(1.0)})
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(
        args.rate > 0.0 && args.connections > 0,
        "expected a rate and connections above 0"
    );
    let phase = Phase::default();
    let began = Instant::now();
    let (mut seen, before, after) = std::thread::scope(|scope| {
        let driver = |at| {
            let (args, phase) = (&args, &phase);
            scope.spawn(move || drive(args, phase, at, began))
        };
        let drivers: Vec<_> = (0..args.connections).map(driver).collect();
        std::thread::sleep(Duration::from_secs_f64(args.warmup));
        let before = sample(&args);
        phase.measuring.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs_f64(args.seconds));
        phase.measuring.store(false, Ordering::Relaxed);
        let after = sample(&args);
        phase.over.store(true, Ordering::Relaxed);
        let join = |driver: std::thread::ScopedJoinHandle<'_, _>| driver.join();
        (
            drivers.into_iter().map(join).collect::<Vec<_>>(),
            before,
            after,
        )
    });
    let mut total = Seen::new()?;
    for driver in seen.drain(..) {
        let driver = driver.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))?;
        total.add(&driver.context("a connection could not be driven")?)?;
    }
    let line = report(&args, &total, &before, &after).to_string();
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
