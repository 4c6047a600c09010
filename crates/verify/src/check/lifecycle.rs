//! Starting, reloading and stopping: tried on a scratch instance of the server's program.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;

use super::dialect::{self, Dialect, ensure_status};
use super::metrics::long_prompt;
use super::{Area, Check, Kind, Need, Severity};
use crate::evidence::{Action, Observed};
use crate::http::{OpenStream, Request};
use crate::outcome::{Probed, Stop, ensure, fail, not_verified};
use crate::scratch::{Bench, MODEL};
use crate::session::{Session, Started};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "lifecycle.sigterm-drains",
        title: "SIGTERM finishes streams, then exits 0",
        why: "Every deployment sends it; answers cut in the middle are paid for and lost.",
        severity: Severity::Critical,
        areas: &[Area::Reliability, Area::Operations],
        needs: &[Need::LocalBinary],
        verified_by: "SIGTERM in the middle of a stream of a scratch instance.",
        remedy: "On SIGTERM turn readiness off, finish what runs within a limit, and exit 0.",
        kind: Kind::Scratch,
        standard: true,
        probe: |s| Box::pin(sigterm_drains(s)),
    },
    Check {
        id: "lifecycle.starts-quickly",
        title: "It answers within a second of starting",
        why: "Restarts, scaling and rollbacks wait for it.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::LocalBinary],
        verified_by: "The time from starting a scratch instance to its first 200.",
        remedy: "Do slow work after the listener is open, and report it through readiness.",
        kind: Kind::Scratch,
        standard: true,
        probe: |s| Box::pin(starts_quickly(s)),
    },
    Check {
        id: "lifecycle.bad-reload-changes-nothing",
        title: "A broken configuration changes nothing and is reported",
        why: "A typing error must not take a running service down, nor go unnoticed.",
        severity: Severity::High,
        areas: &[Area::Operations, Area::Reliability],
        needs: &[Need::LocalBinary],
        verified_by: "A broken file and SIGHUP on a scratch instance; then a request and the status.",
        remedy: "Check the whole file before swapping it in, and show the error in the status.",
        kind: Kind::Scratch,
        standard: true,
        probe: |s| Box::pin(bad_reload(s)),
    },
    Check {
        id: "lifecycle.dev-mode-stays-local",
        title: "Without a configuration it refuses to listen publicly",
        why: "Defaults for trying things out must not face the internet by accident.",
        severity: Severity::High,
        areas: &[Area::Security, Area::Operations],
        needs: &[Need::LocalBinary],
        verified_by: "A start without a configuration, told to listen on 0.0.0.0.",
        remedy: "Exit with an error that says how to write a configuration.",
        kind: Kind::Scratch,
        standard: true,
        probe: |s| Box::pin(dev_mode_stays_local(s)),
    },
];

async fn starts_quickly(s: &Session<'_>) -> Probed {
    const LIMIT: Duration = Duration::from_secs(1);
    let bench = Bench::new(s).await?;
    let instance = bench.serve().await?;
    let found = format!(
        "first answer after {} ms",
        instance.first_answer.as_millis()
    );
    ensure(instance.first_answer <= LIMIT, "within 1,000 ms", &found)?;
    Ok(found)
}

async fn sigterm_drains(s: &Session<'_>) -> Probed {
    let bench = Bench::new(s).await?;
    let key = bench.create_key(None).await?;
    let mut instance = bench.serve().await?;
    let body = dialect::body(MODEL, &long_prompt(), 1_000_000, true).to_string();
    let request = Dialect::OpenAi.request(body).bearer(&key);
    let mut stream = bench.session.open(request).await?;
    ensure(
        stream.head.status == 200,
        "200 and a stream",
        stream.head.status.to_string(),
    )?;
    stream.next().await?;

    // Nothing is read for a while: the server still has most of the stream to send.
    instance.signal(Signal::SIGTERM)?;
    let refusal = wait_until_not_ready(&bench.session).await?;
    let bytes = finish(&bench.session, &mut stream).await?;
    match instance.exit(Duration::from_secs(10)).await {
        Some(status) if status.success() => Ok(format!(
            "readiness {refusal}, {} KiB of the stream after it to its end, exit code 0",
            bytes / 1024
        )),
        Some(status) => fail("exit code 0", status.to_string()),
        None => fail("an exit within 10 s of the last stream", "still running"),
    }
}

/// Polls readiness until it says no, in whatever way.
async fn wait_until_not_ready(instance: &Session<'_>) -> Result<String, Stop> {
    const LIMIT: Duration = Duration::from_secs(3);
    let path = "/health/ready";
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if instance.quiet_status(path).await == Some(200) {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        return match instance.send(Request::get(path)).await {
            Ok(answer) if answer.status() == 200 => fail("readiness that stays off", "200 again"),
            Ok(answer) => Ok(format!("answers {}", answer.status())),
            Err(_) => Ok("refuses connections".to_owned()),
        };
    }
    fail("readiness off within 3 s of SIGTERM", "still 200")
}

/// Reads a stream to its proper end; returns how many bytes that were.
async fn finish(s: &Session<'_>, stream: &mut OpenStream) -> Result<usize, Stop> {
    const END: &[u8] = b"data: [DONE]";
    const TAIL_BYTES: usize = 64;
    let started = Started::now();
    let mut bytes = 0;
    let mut tail: Vec<u8> = Vec::new();
    let broken = loop {
        match stream.next().await {
            Ok(Some(piece)) => {
                bytes += piece.len();
                tail.extend_from_slice(&piece);
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    let more = format!("{} KiB more", bytes / 1024);
    let observed = Observed {
        excerpt: format!("{more}, ending in {}", s.excerpt(&tail)),
        error: broken.clone(),
        ..Observed::default()
    };
    s.record(
        &started,
        Action::Wait {
            until: "the stream ends".to_owned(),
        },
        observed,
    );
    if let Some(error) = broken {
        return fail("the whole stream", format!("after {more}: {error}"));
    }
    ensure(
        tail.windows(END.len()).any(|window| window == END),
        "a stream that ends with [DONE]",
        format!("an end after {more}, without it"),
    )?;
    Ok(bytes)
}

async fn bad_reload(s: &Session<'_>) -> Probed {
    let bench = Bench::new(s).await?;
    let key = bench.create_key(None).await?;
    let admin_key = bench.create_key(Some("admin")).await?;
    let instance = bench.serve().await?;
    let session = &bench.session;
    let before = errors_in_status(session, &admin_key).await?;
    bench.write_config("[server\nlisten = 7\nno_such_key = true\n")?;
    instance.signal(Signal::SIGHUP)?;

    let mut reported = None;
    for _ in 0..50 {
        let now = errors_in_status(session, &admin_key).await?;
        reported = now.into_iter().find(|error| !before.contains(error));
        if reported.is_some() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let body = dialect::body(MODEL, "hello", 8, false).to_string();
    let answer = session
        .send(Dialect::OpenAi.request(body).bearer(&key))
        .await?;
    ensure_status(&answer, &[200], "a request after the broken reload")?;
    match reported {
        Some(error) => Ok(format!("still answers, and the status says: {error}")),
        None => fail("an error in GET /admin/v1/status within 5 s", "none"),
    }
}

/// Every text under a key that speaks of an error.
async fn errors_in_status(s: &Session<'_>, admin_key: &str) -> Result<Vec<String>, Stop> {
    let answer = s
        .send(Request::get("/admin/v1/status").bearer(admin_key))
        .await?;
    ensure_status(&answer, &[200], "GET /admin/v1/status with an admin key")?;
    let Some(json) = answer.json() else {
        return not_verified("a status in JSON");
    };
    let mut errors = Vec::new();
    collect_errors(&json, false, &mut errors);
    Ok(errors)
}

fn collect_errors(json: &Value, named: bool, errors: &mut Vec<String>) {
    match json {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            collect_errors(value, named || key.contains("error"), errors);
        }),
        Value::Array(list) => list.iter().for_each(|v| collect_errors(v, named, errors)),
        Value::String(text) if named && !text.is_empty() => errors.push(text.clone()),
        _ => {}
    }
}

async fn dev_mode_stays_local(s: &Session<'_>) -> Probed {
    let bench = Bench::new(s).await?;
    let args = ["serve"];
    let mut command = bench.command(&args);
    command.env(
        "SEAWORTHY__SERVER__LISTEN",
        format!("0.0.0.0:{}", bench.session.base().port),
    );
    let (status, out, err) = bench.run(command, &args).await?;
    let words = if err.trim().is_empty() { out } else { err };
    match status {
        Some(status) if !status.success() => {
            let said = words.contains("0.0.0.0") || words.contains("loopback");
            ensure(
                said,
                "an error that names the address",
                s.excerpt(words.as_bytes()),
            )?;
            Ok(format!("refused: {}", s.excerpt(words.as_bytes())))
        }
        Some(_) => fail("an error exit", "exit code 0"),
        None => fail("an error exit", "it kept running on 0.0.0.0"),
    }
}
