//! Requests at a constant rate, whatever becomes of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use seaworthy_bench::client::request;
use seaworthy_bench::{payload, process};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::http::{Answer, Connection};

/// Options of `crowd load`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway
    #[arg(long)]
    addr: SocketAddr,
    /// Models that are asked in turn
    #[arg(long, default_value = "fake-gpt", value_delimiter = ',')]
    model: Vec<String>,
    /// More request headers, `name: value`
    #[arg(long = "header")]
    headers: Vec<String>,
    /// Requests a second
    #[arg(long)]
    rate: f64,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long a caller waits for its whole answer
    #[arg(long, default_value_t = 10_000)]
    patience_ms: u64,
    #[arg(long, default_value_t = 512)]
    body_bytes: usize,
    /// Ask for streams
    #[arg(long)]
    stream: bool,
    /// One in so many requests says that it is critical; 0 is none
    #[arg(long, default_value_t = 0)]
    critical_each: u64,
    /// The process under test, whose memory is watched
    #[arg(long)]
    pid: Option<u32>,
}

/// How often health is asked for, and memory is looked at.
const PROBE_EACH: Duration = Duration::from_millis(50);
/// Requests that could not leave for so long are missed.
const MOST_LATE: Duration = Duration::from_millis(50);
/// A connection that was idle for so long is not used again, because the server may be closing it.
const MOST_IDLE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Counts {
    offered: u64,
    served: u64,
    refused: u64,
    refused_without_when: u64,
    given_up: u64,
    broken: u64,
}

struct Seen {
    all: Counts,
    critical: Counts,
    statuses: BTreeMap<u16, u64>,
    served_each_second: Vec<u64>,
    offered_each_second: Vec<u64>,
    served: Vec<Histogram<u64>>,
    refused: Histogram<u64>,
    /// How late requests left.
    late: Histogram<u64>,
    probes: [Histogram<u64>; 2],
    failed_probes: u64,
    /// Requests that were due and not sent.
    missed: f64,
    memory_kib: Vec<u64>,
    /// The last one used at the end.
    idle: Vec<(Instant, Connection)>,
}

struct Plan {
    addr: SocketAddr,
    patience: Duration,
    /// A request for each model, usual and critical.
    requests: Vec<[Vec<u8>; 2]>,
}

impl Seen {
    fn new(models: usize) -> anyhow::Result<Self> {
        // Microseconds, up to ten minutes, three digits.
        let empty = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        Ok(Self {
            all: Counts::default(),
            critical: Counts::default(),
            statuses: BTreeMap::new(),
            served_each_second: Vec::new(),
            offered_each_second: Vec::new(),
            served: vec![empty.clone(); models],
            refused: empty.clone(),
            late: empty.clone(),
            probes: [empty.clone(), empty],
            failed_probes: 0,
            missed: 0.0,
            memory_kib: Vec::new(),
            idle: Vec::new(),
        })
    }

    /// The connection that was used last, unless even that was idle for long.
    fn idle(&mut self) -> Option<Connection> {
        let (since, connection) = self.idle.pop()?;
        if since.elapsed() > MOST_IDLE {
            self.idle.clear();
            return None;
        }
        Some(connection)
    }

    fn note(
        &mut self,
        (model, is_critical): (usize, bool),
        took: Duration,
        second: usize,
        end: End,
    ) {
        match &end {
            End::Answered(answer) if answer.status == 200 && answer.is_whole => {
                self.served[model].saturating_record(micros(took));
                add(&mut self.served_each_second, second);
            }
            End::Answered(_) => self.refused.saturating_record(micros(took)),
            End::GivenUp | End::Broken => {}
        }
        if let End::Answered(answer) = &end {
            *self.statuses.entry(answer.status).or_default() += 1;
        }
        self.all.note(&end);
        if is_critical {
            self.critical.note(&end);
        }
    }
}

impl Counts {
    fn note(&mut self, end: &End) {
        self.offered += 1;
        match end {
            End::Answered(answer) if answer.status == 200 && answer.is_whole => self.served += 1,
            End::Answered(answer) => {
                self.refused += 1;
                self.refused_without_when += u64::from(!answer.says_when);
            }
            End::GivenUp => self.given_up += 1,
            End::Broken => self.broken += 1,
        }
    }

    fn json(&self) -> Value {
        json!({
            "offered": self.offered,
            "served": self.served,
            "refused": self.refused,
            "refused_without_when": self.refused_without_when,
            "given_up": self.given_up,
            "broken": self.broken,
        })
    }
}

enum End {
    Answered(Answer),
    GivenUp,
    Broken,
}

/// Offers the load and says what became of it.
pub(crate) async fn run(args: Args) -> anyhow::Result<Value> {
    anyhow::ensure!(args.rate > 0.0, "expected a rate above 0");
    let bytes = |model: &String, more: &[String]| {
        let headers = [&args.headers[..], more].concat();
        let body = payload::chat(model, args.body_bytes, args.stream, None);
        request(args.addr, "/v1/chat/completions", &headers, &body)
    };
    let critical = ["x-seaworthy-priority: critical".to_owned()];
    let plan = Rc::new(Plan {
        addr: args.addr,
        patience: Duration::from_millis(args.patience_ms),
        requests: args
            .model
            .iter()
            .map(|model| [bytes(model, &[]), bytes(model, &critical)])
            .collect(),
    });
    let seen = Rc::new(RefCell::new(Seen::new(args.model.len())?));
    LocalSet::new()
        .run_until(offer(&args, &plan, &seen))
        .await?;
    let mut seen = seen.borrow_mut();
    Ok(report(&mut seen, args.seconds))
}

async fn offer(args: &Args, plan: &Rc<Plan>, seen: &Rc<RefCell<Seen>>) -> anyhow::Result<()> {
    let began = Instant::now();
    let probing = tokio::task::spawn_local(probe(args.addr, args.pid, Rc::clone(seen)));
    let mut asking = JoinSet::new();
    let (mut sent, mut due) = (0_u64, Duration::ZERO);
    let period = Duration::from_secs_f64(1.0 / args.rate);
    while began.elapsed().as_secs_f64() < args.seconds {
        let now = began.elapsed();
        if due > now {
            // Timers of the runtime are a millisecond coarse, which is fine for rates like these.
            tokio::time::sleep(due - now).await;
            continue;
        }
        // A crowd that has no processor for a while does not make up for it: that would be another load.
        if now - due > MOST_LATE {
            seen.borrow_mut().missed += ((now - due).as_secs_f64() * args.rate).round();
            due = now;
        }
        let model = usize::try_from(sent).unwrap_or(0) % plan.requests.len();
        let is_critical = args.critical_each > 0 && sent.is_multiple_of(args.critical_each);
        let (plan, seen) = (Rc::clone(plan), Rc::clone(seen));
        add(&mut seen.borrow_mut().offered_each_second, second(due));
        seen.borrow_mut().late.saturating_record(micros(now - due));
        asking.spawn_local(async move {
            let end = ask(&plan, &seen, (model, is_critical)).await;
            let done = began.elapsed();
            let which = (model, is_critical);
            seen.borrow_mut().note(which, done - due, second(done), end);
        });
        sent += 1;
        due += period;
        while asking.try_join_next().is_some() {}
        if sent.is_multiple_of(16) {
            tokio::task::yield_now().await;
        }
    }
    while asking.join_next().await.is_some() {}
    probing.abort();
    Ok(())
}

async fn ask(plan: &Plan, seen: &Rc<RefCell<Seen>>, (model, is_critical): (usize, bool)) -> End {
    let bytes = &plan.requests[model][usize::from(is_critical)];
    let idle = seen.borrow_mut().idle();
    let asking = async {
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open(plan.addr).await?,
        };
        connection.exchange(bytes).await
    };
    match tokio::time::timeout(plan.patience, asking).await {
        Ok(Ok((answer, connection))) => {
            let idle = connection.map(|connection| (Instant::now(), connection));
            seen.borrow_mut().idle.extend(idle);
            End::Answered(answer)
        }
        Ok(Err(_)) => End::Broken,
        Err(_) => End::GivenUp,
    }
}

/// Asks for readiness and liveness on connections of its own, and looks at the memory.
async fn probe(addr: SocketAddr, pid: Option<u32>, seen: Rc<RefCell<Seen>>) {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n").into_bytes();
    let requests = [get("/health/ready"), get("/health/live")];
    let mut idle = [None, None];
    loop {
        for (at, request) in requests.iter().enumerate() {
            let began = Instant::now();
            let asking = async {
                let connection = match idle[at].take() {
                    Some(connection) => connection,
                    None => Connection::open(addr).await?,
                };
                connection.exchange(request).await
            };
            match tokio::time::timeout(Duration::from_secs(5), asking).await {
                Ok(Ok((answer, connection))) if answer.status == 200 => {
                    idle[at] = connection;
                    seen.borrow_mut().probes[at].saturating_record(micros(began.elapsed()));
                }
                _ => seen.borrow_mut().failed_probes += 1,
            }
        }
        if let Some(pid) = pid {
            seen.borrow_mut()
                .memory_kib
                .push(process::usage(pid).rss_kib);
        }
        tokio::time::sleep(PROBE_EACH).await;
    }
}

fn report(seen: &mut Seen, seconds: f64) -> Value {
    let models: Vec<Value> = seen.served.iter().map(quantiles).collect();
    let mut served = seen.served[0].clone();
    for other in &seen.served[1..] {
        // Of the same bounds.
        let _added = served.add(other);
    }
    json!({
        "seconds": seconds,
        "all": seen.all.json(),
        "critical": seen.critical.json(),
        "statuses": seen.statuses,
        "served_each_second": seen.served_each_second,
        "offered_each_second": seen.offered_each_second,
        "served_us": quantiles(&served),
        "served_us_of_models": models,
        "refused_us": quantiles(&seen.refused),
        "late_us": quantiles(&seen.late),
        "ready_us": quantiles(&seen.probes[0]),
        "live_us": quantiles(&seen.probes[1]),
        "failed_probes": seen.failed_probes,
        "missed": seen.missed,
        "memory_kib": seen.memory_kib,
        "connections": seen.idle.len(),
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let at = |quantile| histogram.value_at_quantile(quantile);
    json!({"count": histogram.len(), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}

fn add(each_second: &mut Vec<u64>, second: usize) {
    if each_second.len() <= second {
        each_second.resize(second + 1, 0);
    }
    each_second[second] += 1;
}

fn second(at: Duration) -> usize {
    usize::try_from(at.as_secs()).unwrap_or(usize::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
