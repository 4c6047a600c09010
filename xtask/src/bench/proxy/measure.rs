//! One visit to one contender: cold start, memory, three kinds of load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use seaworthy_bench::client::{Connection, request};
use seaworthy_bench::{payload, process};
use serde_json::Value;

use super::contender::{Contender, Fake, LOAD_CORE, Process, Setup, pinned};
use crate::command::{quiet, say};

/// A measurement is repeated when other programs used more of the machine than this.
pub(crate) const MOST_FOREIGN: f64 = 0.05;
const ATTEMPTS: usize = 4;
const STREAM_CHUNKS: &str = "chunks=200";

/// What one visit found.
pub(crate) struct Visit {
    pub(crate) contender: &'static str,
    pub(crate) cold_start: Option<Duration>,
    pub(crate) rss_idle_kib: u64,
    pub(crate) rss_after_kib: u64,
    /// 64 connections, as fast as answers come.
    pub(crate) closed: Value,
    /// 2000 requests a second.
    pub(crate) open: Value,
    /// 32 streams of 200 chunks, no pause.
    pub(crate) stream: Value,
}

/// Starts a contender, measures it, stops it.
pub(crate) fn visit(
    contender: &Contender,
    setup: &Setup,
    fake: &Fake,
    seconds: f64,
) -> anyhow::Result<Visit> {
    let began = Instant::now();
    let started = contender.start(setup)?;
    let authorization = format!("authorization: Bearer {}", setup.key);
    let first = first_answer(started.addr, &authorization, began);
    let first = first.with_context(|| format!("{} does not answer", contender.name))?;
    let pid = started.process.as_ref().map(Process::pid);
    let rss = || pid.map_or(0, |pid| process::usage(pid).rss_kib);
    let rss_idle_kib = rss();
    let offer = |mode: &str, extra: &[&str]| -> anyhow::Result<Value> {
        let mut best: Option<Value> = None;
        for _ in 0..ATTEMPTS {
            let mut loadgen = pinned(LOAD_CORE, &setup.loadgen);
            loadgen.args([
                mode,
                "--addr",
                &started.addr.to_string(),
                "--header",
                &authorization,
            ]);
            loadgen.args([
                "--seconds",
                &seconds.to_string(),
                "--helper",
                &fake.pid().to_string(),
            ]);
            loadgen.args(
                pid.iter()
                    .flat_map(|pid| ["--pid".to_owned(), pid.to_string()]),
            );
            let result: Value = serde_json::from_str(&quiet(loadgen.args(extra))?)?;
            if result["refused"] != 0 || result["failed"] != 0 {
                bail!("{} refused or failed requests: {result}", contender.name);
            }
            let foreign = |result: &Value| result["foreign_share"].as_f64().unwrap_or(1.0);
            let calm = foreign(&result) <= MOST_FOREIGN;
            if best
                .as_ref()
                .is_none_or(|best| foreign(&result) < foreign(best))
            {
                best = Some(result);
            }
            if calm {
                break;
            }
            say("   other programs are busy; measuring again");
        }
        best.context("nothing was measured")
    };
    let unary = ["--directive", "answer_bytes=1024"];
    Ok(Visit {
        contender: contender.name,
        cold_start: pid.map(|_| first),
        rss_idle_kib,
        closed: offer("closed", &[&unary[..], &["--connections", "64"]].concat())?,
        open: offer(
            "open",
            &[&unary[..], &["--connections", "64", "--rate", "2000"]].concat(),
        )?,
        stream: offer(
            "sse",
            &["--directive", STREAM_CHUNKS, "--connections", "32"],
        )?,
        rss_after_kib: rss(),
    })
}

/// Asks until somebody answers 200; the time since the start.
pub(crate) fn first_answer(
    addr: SocketAddr,
    authorization: &str,
    since: Instant,
) -> anyhow::Result<Duration> {
    let body = payload::chat("fake-gpt", 0, false, None);
    let bytes = request(
        addr,
        "/v1/chat/completions",
        &[authorization.to_owned()],
        &body,
    );
    let mut last = String::new();
    while since.elapsed() < Duration::from_secs(20) {
        let answer = Connection::open(addr, Duration::from_secs(5))
            .and_then(|mut connection| connection.exchange(&bytes));
        match answer {
            Ok(200) => return Ok(since.elapsed()),
            Ok(status) => last = format!("status {status}"),
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    bail!("no 200 within 20 seconds, last: {last}")
}
