//! What really reached the provider: counts, a bounded log of calls, and the queue of faults.

mod call;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::HeaderMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::call::sha256_hex;
pub use self::call::{Call, Outcome};
pub use crate::answer::Usage;
use crate::directive::{DirectiveError, Directives};

/// The most different paths, models or keys that are counted apart.
const MAX_NAMES: usize = 1000;
/// The most faults that wait.
const MAX_FAULTS: usize = 1000;
/// Outcomes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Calls or streams that began.
    pub started: u64,
    /// Sent whole.
    pub completed: u64,
    /// Closed by the caller.
    pub aborted_by_client: u64,
    /// Broken on command.
    pub broken: u64,
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls whose last byte arrived.
    pub calls: u64,
    /// Calls being answered now.
    pub in_flight: u64,
    /// The most calls that were being answered at once.
    pub max_in_flight: u64,
    /// Requests whose body never arrived whole.
    pub incomplete_requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// How all calls ended.
    pub outcomes: Outcomes,
    /// How the streamed ones ended.
    pub streams: Outcomes,
    /// Calls by path.
    pub by_path: BTreeMap<String, u64>,
    /// Calls by response status.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls by model.
    pub by_model: BTreeMap<String, u64>,
    /// Calls by the start of the key's SHA-256.
    pub by_key: BTreeMap<String, u64>,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// Tokens issued: input when an answer begins, output as it is sent.
    pub tokens: Usage,
    /// Faults that wait for a call.
    pub faults_queued: u64,
}

/// A fault that waits for matching calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Directives, `key=value,…`.
    pub fault: String,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub times: u64,
    /// Hits only calls of this path.
    #[serde(default)]
    pub path: Option<String>,
    /// Hits only calls of this model.
    #[serde(default)]
    pub model: Option<String>,
}

fn once() -> u64 {
    1
}

/// A request whose last byte arrived.
pub(crate) struct Arrived {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The most calls.
    pub calls: usize,
    /// The most bytes of bodies, all together.
    pub bytes: usize,
}

/// Counts calls, keeps the latest, hands out faults.
pub(crate) struct Ledger {
    started: Instant,
    retention: Retention,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    stats: Stats,
    /// By the key itself; it is hashed when it is shown.
    by_key: BTreeMap<String, u64>,
    last_seq: u64,
    log: VecDeque<Call>,
    log_bytes: usize,
    faults: VecDeque<Fault>,
    /// Calls that began before this one are no longer counted: there was a reset.
    counted_from: u64,
}

impl Ledger {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            started: Instant::now(),
            retention,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn now() -> Timestamp {
        Timestamp::now()
    }

    /// Records a call whose request is complete.
    pub(crate) fn begin(self: &Arc<Self>, arrived: Arrived) -> CallGuard {
        let body_bytes = arrived.body.len() as u64;
        let keeps_body = arrived.body.len() <= self.retention.bytes;
        let hash = (!keeps_body).then(|| sha256_hex(&arrived.body));
        let mut inner = self.inner.lock();
        inner.last_seq += 1;
        let seq = inner.last_seq;
        count(&mut inner.stats.by_path, &arrived.path);
        if let Some(model) = &arrived.model {
            count(&mut inner.stats.by_model, model);
        }
        if let Some(key) = &arrived.key {
            count(&mut inner.by_key, key);
        }
        let stats = &mut inner.stats;
        stats.calls += 1;
        stats.outcomes.started += 1;
        stats.bytes_in += body_bytes;
        stats.in_flight += 1;
        stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
        let call = Call {
            seq,
            path: arrived.path,
            query: arrived.query,
            model: arrived.model,
            headers: arrived.headers,
            body: keeps_body.then_some(arrived.body),
            body_bytes,
            body_sha256: hash,
            received_ms: millis(self.started),
            ended_after_ms: None,
            status: None,
            stream: false,
            outcome: Outcome::InFlight,
            issued: Usage::default(),
            bytes_out: 0,
        };
        inner.log_bytes += call.weight();
        inner.log.push_back(call);
        let most = self.retention;
        while inner.log.len() > most.calls || inner.log_bytes > most.bytes + 1024 * most.calls {
            let Some(oldest) = inner.log.pop_front() else {
                break;
            };
            inner.log_bytes -= oldest.weight();
        }
        drop(inner);
        CallGuard {
            ledger: Arc::clone(self),
            seq,
            began: Instant::now(),
            status: None,
            stream: false,
            issued: Usage::default(),
            bytes_out: 0,
            outcome: Outcome::AbortedByClient,
        }
    }

    pub(crate) fn connection_accepted(&self) {
        self.inner.lock().stats.connections += 1;
    }

    pub(crate) fn request_incomplete(&self) {
        self.inner.lock().stats.incomplete_requests += 1;
    }

    pub(crate) fn stats(&self) -> Stats {
        let inner = self.inner.lock();
        let mut stats = inner.stats.clone();
        stats.faults_queued = inner.faults.iter().map(|fault| fault.times).sum();
        for (key, calls) in &inner.by_key {
            let hash = sha256_hex(key.as_bytes());
            stats
                .by_key
                .insert(format!("sha256:{}", &hash[..16]), *calls);
        }
        stats
    }

    /// The logged calls after `since`, oldest first, at most `limit`.
    pub(crate) fn calls(&self, since: u64, limit: usize) -> Vec<Call> {
        let inner = self.inner.lock();
        inner
            .log
            .iter()
            .filter(|call| call.seq > since)
            .take(limit)
            .cloned()
            .collect()
    }

    /// One logged call.
    pub(crate) fn call(&self, seq: u64) -> Option<Call> {
        self.inner
            .lock()
            .log
            .iter()
            .find(|call| call.seq == seq)
            .cloned()
    }

    /// Queues a fault, after checking that it can be obeyed.
    pub(crate) fn queue(&self, fault: Fault) -> Result<(), QueueError> {
        fault.fault.parse::<Directives>()?;
        let mut inner = self.inner.lock();
        if inner.faults.len() >= MAX_FAULTS {
            return Err(QueueError::Full);
        }
        if fault.times > 0 {
            inner.faults.push_back(fault);
        }
        Ok(())
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.inner.lock().faults.iter().cloned().collect()
    }

    /// Takes the first queued fault that fits a call.
    pub(crate) fn take_fault(&self, path: &str, model: Option<&str>) -> Option<String> {
        let mut inner = self.inner.lock();
        let fits = |fault: &Fault| {
            fault.path.as_deref().is_none_or(|wanted| wanted == path)
                && fault
                    .model
                    .as_deref()
                    .is_none_or(|wanted| Some(wanted) == model)
        };
        let at = inner.faults.iter().position(fits)?;
        let fault = inner.faults.get_mut(at)?;
        fault.times -= 1;
        let directives = fault.fault.clone();
        if fault.times == 0 {
            inner.faults.remove(at);
        }
        Some(directives)
    }

    /// Forgets all but what is in flight, and the numbering.
    pub(crate) fn reset(&self) {
        let mut inner = self.inner.lock();
        let in_flight = inner.stats.in_flight;
        let last_seq = inner.last_seq;
        *inner = Inner {
            last_seq,
            counted_from: last_seq + 1,
            ..Inner::default()
        };
        inner.stats.in_flight = in_flight;
        inner.stats.max_in_flight = in_flight;
    }

    fn finish(&self, guard: &CallGuard) {
        let mut inner = self.inner.lock();
        inner.stats.in_flight -= 1;
        if guard.seq < inner.counted_from {
            return;
        }
        let stats = &mut inner.stats;
        stats.bytes_out += guard.bytes_out;
        add(&mut stats.tokens, guard.issued);
        if let Some(status) = guard.status {
            *stats.by_status.entry(status).or_default() += 1;
        }
        let kinds = [
            Some(&mut stats.outcomes),
            guard.stream.then_some(&mut stats.streams),
        ];
        for (at, outcomes) in kinds.into_iter().flatten().enumerate() {
            // All calls are counted as started when they begin; that one is a stream is known later.
            outcomes.started += u64::from(at == 1);
            match guard.outcome {
                Outcome::Completed => outcomes.completed += 1,
                Outcome::Broken => outcomes.broken += 1,
                Outcome::AbortedByClient | Outcome::InFlight => outcomes.aborted_by_client += 1,
            }
        }
        let Some(first) = inner.log.front().map(|call| call.seq) else {
            return;
        };
        let at = guard
            .seq
            .checked_sub(first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(call) = at.and_then(|at| inner.log.get_mut(at)) {
            call.ended_after_ms = Some(millis(guard.began));
            call.status = guard.status;
            call.stream = guard.stream;
            call.outcome = guard.outcome;
            call.issued = guard.issued;
            call.bytes_out = guard.bytes_out;
        }
    }
}

/// Why a fault was not queued.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Its directives cannot be obeyed.
    #[error(transparent)]
    Directive(#[from] DirectiveError),
    /// Too many wait already.
    #[error("{MAX_FAULTS} faults are queued already; let calls consume them, or reset")]
    Full,
}

/// One call being answered; records how it ended when it is dropped.
pub(crate) struct CallGuard {
    ledger: Arc<Ledger>,
    pub(crate) seq: u64,
    began: Instant,
    status: Option<u16>,
    stream: bool,
    issued: Usage,
    bytes_out: u64,
    outcome: Outcome,
}

impl CallGuard {
    /// The response begins: its input tokens are spent.
    pub(crate) fn answered(&mut self, status: u16, stream: bool, usage: Usage) {
        self.status = Some(status);
        self.stream = stream;
        self.issued = Usage {
            output: 0,
            reasoning: 0,
            ..usage
        };
    }

    /// A part of the body was handed to the connection. Thinking comes first.
    pub(crate) fn sent(&mut self, bytes: usize, tokens: u64, planned: Usage) {
        self.bytes_out += bytes as u64;
        let thought = tokens.min(planned.reasoning - self.issued.reasoning);
        self.issued.reasoning += thought;
        self.issued.output += tokens - thought;
    }

    pub(crate) fn ended(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.ledger.finish(self);
    }
}

fn count(names: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(calls) = names.get_mut(name) {
        *calls += 1;
    } else if names.len() < MAX_NAMES {
        names.insert(name.to_owned(), 1);
    } else {
        *names.entry("(other)".to_owned()).or_default() += 1;
    }
}

fn add(total: &mut Usage, more: Usage) {
    total.input += more.input;
    total.cached += more.cached;
    total.cache_write += more.cache_write;
    total.output += more.output;
    total.reasoning += more.reasoning;
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
