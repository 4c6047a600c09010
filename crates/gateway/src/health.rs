//! Whether the process lives and takes work, and how that is told to probes.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use crate::gateway::Gateway;

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Not ready yet.
    Starting,
    /// Taking work.
    Serving,
    /// Still taking work, but asking to be sent none.
    Draining,
    /// Finishing what was begun and refusing new model calls.
    Stopping,
}

/// Whether the process takes work.
#[derive(Debug, Default)]
pub struct Health {
    lifecycle: AtomicU8,
    /// What the store said last; `None` when it answered.
    store_error: Mutex<Option<String>>,
}

impl Health {
    /// Moves to another phase of life.
    pub fn set(&self, lifecycle: Lifecycle) {
        let number = match lifecycle {
            Lifecycle::Starting => 0,
            Lifecycle::Serving => 1,
            Lifecycle::Draining => 2,
            Lifecycle::Stopping => 3,
        };
        self.lifecycle.store(number, Ordering::Release);
    }

    /// The phase of life.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        match self.lifecycle.load(Ordering::Acquire) {
            0 => Lifecycle::Starting,
            1 => Lifecycle::Serving,
            2 => Lifecycle::Draining,
            _ => Lifecycle::Stopping,
        }
    }

    /// Whether the process is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.lifecycle(), Lifecycle::Draining | Lifecycle::Stopping)
    }

    pub(crate) fn note_store(&self, error: Option<String>) {
        let mut known = self.store_error.lock();
        match (&*known, &error) {
            (None, Some(cause)) => tracing::error!(cause, "the store does not answer"),
            (Some(_), None) => tracing::info!("the store answers again"),
            _ => {}
        }
        *known = error;
    }

    pub(crate) fn store_answers(&self) -> bool {
        self.store_error.lock().is_none()
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// The answer to a probe.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    version: &'static str,
    checks: Vec<Check>,
    duration_ms: f64,
}

impl Report {
    fn new(gateway: &Gateway, checks: Vec<Check>, started: Instant) -> Self {
        let ok = checks.iter().all(|check| check.status != "failing");
        Self {
            status: if ok { "ok" } else { "unavailable" },
            version: gateway.version,
            checks,
            duration_ms: started.elapsed().as_secs_f64() * 1000.0,
        }
    }

    pub(crate) fn http_status(&self) -> u16 {
        if self.status == "ok" { 200 } else { 503 }
    }
}

fn check(name: &'static str, ok: bool, detail: &'static str) -> Check {
    let status = if ok { "ok" } else { "failing" };
    Check {
        name,
        status,
        detail: (!ok).then_some(detail),
    }
}

/// The process runs: this answer is the proof.
pub(crate) fn live(gateway: &Gateway) -> Report {
    Report::new(
        gateway,
        vec![check("process_running", true, "")],
        Instant::now(),
    )
}

/// New work is taken. A store that only this process uses can fail this; one that every replica
/// shares cannot, or its loss would take all of them out of service at once.
pub(crate) fn ready(gateway: &Gateway) -> Report {
    let started = Instant::now();
    let lifecycle = gateway.health.lifecycle();
    let store = match (gateway.health.store_answers(), gateway.stores.is_shared) {
        (true, _) => check("store", true, ""),
        (false, false) => check("store", false, "the local store does not answer"),
        (false, true) => Check {
            name: "store",
            status: "degraded",
            detail: Some("the shared store does not answer; known keys keep working"),
        },
    };
    let shared = gateway.counters.status().map(|status| match status.is_up {
        true => check("shared_state", true, ""),
        // Every replica would say so at once: it is no reason to take one out of service.
        false => Check {
            name: "shared_state",
            status: "degraded",
            detail: Some(match status.mode {
                "local" => "the shared state does not answer; limits are shared out by replica",
                _ => "the shared state does not answer; requests under limits are refused",
            }),
        },
    });
    let accepting = check(
        "accepting_requests",
        lifecycle == Lifecycle::Serving,
        if lifecycle == Lifecycle::Starting {
            "starting"
        } else {
            "draining"
        },
    );
    let ledger = check(
        "ledger",
        gateway.ledger.has_room(),
        "too many settlements wait to be written",
    );
    let mut checks = vec![accepting, store, ledger];
    checks.extend(shared);
    Report::new(gateway, checks, started)
}
