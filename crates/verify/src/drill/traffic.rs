//! Calls in the background of a drill, at a rate or one after the other, each of them kept in mind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use crate::http::{Answer, Base, Caller, Dialer, Request};

/// No run keeps more calls in mind than this; the load stops there.
const MAX_SAMPLES: u64 = 2_000_000;

/// How calls follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    /// Calls in a second, whether or not earlier ones have ended; without it, each caller makes its
    /// next call when the last one has ended.
    pub(crate) rate: Option<f64>,
    /// Callers, and so the most calls at the same time.
    pub(crate) callers: usize,
    /// How long new calls are made; without it, until they are told to stop.
    pub(crate) lasts: Option<Duration>,
    /// The longest wait for one answer.
    pub(crate) limit: Duration,
}

/// Where calls go, and what they are.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) dialer: Dialer,
    pub(crate) base: Base,
    pub(crate) request: Arc<dyn Fn(u64) -> Request + Send + Sync>,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// When it was to be sent.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    pub(crate) ended: Instant,
    pub(crate) seen: Seen,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// 200 with a whole answer.
    Answered,
    /// Another status, and whether its body was an error in JSON.
    Refused { status: u16, is_error: bool },
    /// No whole answer.
    Broken(String),
}

impl Sample {
    pub(crate) fn is_answered(&self) -> bool {
        self.seen == Seen::Answered
    }

    /// From the moment at which the call was to be sent: a server that holds callers up does not
    /// hide behind the calls that were not made meanwhile.
    pub(crate) fn response_time(&self) -> Duration {
        self.ended.saturating_duration_since(self.due)
    }

    pub(crate) fn service_time(&self) -> Duration {
        self.ended.saturating_duration_since(self.sent)
    }
}

/// Calls in the background; they end when this is dropped.
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    samples: Arc<Mutex<Vec<Sample>>>,
    callers: Vec<JoinHandle<()>>,
    limit: Duration,
}

impl Traffic {
    pub(crate) fn start(target: &Target, pattern: Pattern) -> Self {
        let (stop, stopped) = watch::channel(false);
        let samples = Arc::new(Mutex::new(Vec::new()));
        let tickets = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let callers = (0..pattern.callers.max(1))
            .map(|_| {
                let (target, tickets) = (target.clone(), Arc::clone(&tickets));
                let (samples, stopped) = (Arc::clone(&samples), stopped.clone());
                tokio::spawn(async move {
                    call_on(&target, pattern, started, &tickets, &samples, stopped).await;
                })
            })
            .collect();
        Self {
            stop,
            samples,
            callers,
            limit: pattern.limit,
        }
    }

    /// The calls that have ended.
    pub(crate) fn so_far(&self) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.clone()
    }

    /// The calls that were sent since a moment and have ended.
    pub(crate) fn since(&self, moment: Instant) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let since = samples.iter().filter(|sample| sample.sent >= moment);
        since.cloned().collect()
    }

    /// Makes no new calls and waits for those that run.
    pub(crate) async fn finish(mut self) -> Vec<Sample> {
        let _unwatched = self.stop.send(true);
        self.wait(self.limit).await
    }

    /// Waits until the pattern has ended by itself.
    pub(crate) async fn until_its_end(mut self, at_most: Duration) -> Vec<Sample> {
        self.wait(at_most).await
    }

    async fn wait(&mut self, at_most: Duration) -> Vec<Sample> {
        let all = futures_util::future::join_all(self.callers.iter_mut());
        // Every call has a limit of its own; this one is for what has none.
        let _late = timeout(at_most + Duration::from_secs(1), all).await;
        self.so_far()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for caller in &self.callers {
            caller.abort();
        }
    }
}

async fn call_on(
    target: &Target,
    pattern: Pattern,
    started: Instant,
    tickets: &AtomicU64,
    samples: &Mutex<Vec<Sample>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut caller = Caller::new(target.dialer.clone(), target.base.clone(), pattern.limit);
    loop {
        let ticket = tickets.fetch_add(1, Ordering::Relaxed);
        let due = match pattern.rate {
            Some(rate) => started + Duration::from_secs_f64(ticket as f64 / rate.max(0.001)),
            None => Instant::now(),
        };
        if ticket >= MAX_SAMPLES || pattern.lasts.is_some_and(|lasts| due >= started + lasts) {
            return;
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = sleep_until(due.into()) => {}
        }
        let sent = Instant::now();
        let answer = caller.call(&(target.request)(ticket)).await;
        let sample = Sample {
            due,
            sent,
            ended: Instant::now(),
            seen: answer.map_or_else(|e| Seen::Broken(e.to_string()), |a| judge(&a)),
        };
        let mut all = samples.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(sample);
    }
}

fn judge(answer: &Answer) -> Seen {
    let json = answer.json();
    match answer.status() {
        200 => {
            let said = json.is_some_and(|json| json["choices"][0]["message"].is_object());
            let streamed = || answer.text().trim_end().ends_with("data: [DONE]");
            if said || streamed() {
                Seen::Answered
            } else {
                Seen::Broken("200 with half of an answer".to_owned())
            }
        }
        status => Seen::Refused {
            status,
            is_error: json.is_some_and(|json| json["error"].is_object()),
        },
    }
}

/// Calls, counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) calls: usize,
    pub(crate) answered: usize,
    /// Refused with an error that a client understands.
    pub(crate) refused: usize,
    by_end: BTreeMap<String, usize>,
}

impl Tally {
    pub(crate) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut tally = Self::default();
        for sample in samples {
            tally.calls += 1;
            let end = match &sample.seen {
                Seen::Answered => {
                    tally.answered += 1;
                    "answered".to_owned()
                }
                Seen::Refused { status, is_error } => {
                    tally.refused += usize::from(*is_error);
                    let what = if *is_error {
                        ""
                    } else {
                        " without an error in JSON"
                    };
                    format!("{status}{what}")
                }
                Seen::Broken(why) => why.clone(),
            };
            *tally.by_end.entry(end).or_default() += 1;
        }
        tally
    }

    pub(crate) fn failed(&self) -> usize {
        self.calls - self.answered
    }

    pub(crate) fn failed_share(&self) -> f64 {
        if self.calls == 0 {
            return 1.0;
        }
        self.failed() as f64 / self.calls as f64
    }

    /// How the calls ended, in words.
    pub(crate) fn words(&self) -> String {
        /// Ways to end that are named; the others are counted.
        const NAMED: usize = 4;
        let mut ends: Vec<(&String, &usize)> = self.by_end.iter().collect();
        ends.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut words: Vec<String> = ends
            .iter()
            .take(NAMED)
            .map(|(end, n)| format!("{n} × {end}"))
            .collect();
        if ends.len() > NAMED {
            words.push(format!("{} other ways", ends.len() - NAMED));
        }
        match words.is_empty() {
            true => "no call".to_owned(),
            false => format!("{} calls: {}", self.calls, words.join(", ")),
        }
    }
}
