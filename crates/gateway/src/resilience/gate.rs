//! The gate of a target: its breaker, its limit of calls before their first token, and the line of
//! those who wait for either. Gates belong to the process, so that a reload forgets nothing.

mod pressure;
mod standing;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_core::resilience::breaker::{Breaker, Ended, Entry, Pass, State};
use seaworthy_core::resilience::gradient::Gradient;
use seaworthy_core::resilience::line::{Joined, Line, Place, Priority};
use seaworthy_core::resilience::pressure::Pressure;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::hearsay::News;
use super::{Resilience, millis};

pub(crate) use standing::{Standing, number};

/// Every target's gate.
#[derive(Debug)]
pub(crate) struct Gates {
    started: Instant,
    gates: Mutex<HashMap<Arc<str>, Arc<Gate>>>,
    /// What is told other replicas.
    pub(crate) news: Arc<News>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            gates: Mutex::default(),
            news: Arc::default(),
        }
    }
}

impl Gates {
    /// The gate of a target, the same one for the life of the process.
    pub(crate) fn of(&self, target: &Arc<str>) -> Arc<Gate> {
        let mut gates = self.gates.lock();
        let gate = gates.entry(Arc::clone(target)).or_insert_with(|| {
            Arc::new(Gate {
                target: Arc::clone(target),
                started: self.started,
                news: Arc::clone(&self.news),
                paused: Notify::new(),
                inner: Mutex::default(),
            })
        });
        Arc::clone(gate)
    }

    /// The gate of a target that is known here.
    pub(crate) fn known(&self, target: &str) -> Option<Arc<Gate>> {
        self.gates.lock().get(target).cloned()
    }
}

/// One target's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    target: Arc<str>,
    /// What milliseconds are counted from.
    started: Instant,
    news: Arc<News>,
    /// Tells those who wait that a pause has begun, whose end they do not know.
    paused: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    gradient: Gradient,
    /// Calls that passed and have no first token yet.
    in_flight: u32,
    line: Line<oneshot::Sender<Called>>,
    pressure: Pressure,
    latency: Option<Latency>,
}

/// How long first tokens took of late.
#[derive(Debug, Clone, Copy)]
struct Latency {
    ms: f64,
    at: u64,
}

/// What becomes of one who waits.
#[derive(Debug)]
enum Called {
    /// It may go.
    Go(Permit),
    /// Somebody who matters more took its place.
    SentAway,
    /// The breaker has opened.
    Closed,
}

/// Why a call may not pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Its breaker is open, for about so long.
    Open(Duration),
    /// Its provider has told to wait, for so long if that is known.
    Paused(Option<Duration>),
    /// It has enough to do.
    Full,
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Waited {
    /// It is its turn.
    Turn(Permit),
    /// The breaker opened meanwhile.
    Closed,
    /// The line is full of calls that matter as much or more.
    Shed,
    /// It took too long.
    TimedOut,
}

/// The right to send one call to a target. Dropped without an end, nothing is known of the call.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    settings: Arc<Resilience>,
    pass: Pass,
    entered: Instant,
    in_flight: u32,
    ended: Ended,
    is_overload: bool,
    /// Whether its worker had more to do than it could.
    is_held_up: bool,
}

/// How much one call moves it.
const LATENCY_WEIGHT: f64 = 0.2;
/// A call that its caller gave up counts as failed if it had waited so many times as long as usual…
const PATIENCE_FACTOR: f64 = 8.0;
/// … and at least this long; and this long where nothing is known of the target.
const LEAST_PATIENCE_MS: f64 = 1_000.0;
const UNKNOWN_PATIENCE_MS: f64 = 10_000.0;

impl Gate {
    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> u64 {
        millis(moment.saturating_duration_since(self.started))
    }

    /// Passes, or says why not. Does not overtake those who wait and matter as much.
    pub(crate) fn enter(
        self: &Arc<Self>,
        settings: &Arc<Resilience>,
        priority: Priority,
    ) -> Result<Permit, Denied> {
        let mut inner = self.inner.lock();
        inner.pressure.came();
        if !inner.line.is_empty() && inner.line.ahead_of(priority) > 0 {
            return Err(match inner.breaker.is_paused() {
                true => Denied::Paused(None),
                false => Denied::Full,
            });
        }
        inner.pass(self, settings)
    }

    /// Waits for a turn.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        settings: &Arc<Resilience>,
        priority: Priority,
        until: Instant,
    ) -> Waited {
        let Some((place, mut called)) = self.join(settings, priority) else {
            return Waited::Shed;
        };
        let _in_line = InLine { gate: self, place };
        let joined_at = Instant::now();
        loop {
            let mut paused = pin!(self.paused.notified());
            paused.as_mut().enable();
            self.call_next(settings);
            let (wake_at, may_wait) = (self.wake_at(), self.may_wait());
            let mut look_again = wake_at.map_or(until, |at| at.min(until));
            if let Some(may_wait) = may_wait.filter(|_| priority < Priority::Critical) {
                if joined_at.elapsed() >= may_wait && self.sends_away(settings) {
                    return Waited::Shed;
                }
                look_again = look_again.min(Instant::now() + may_wait);
            }
            tokio::select! {
                called = &mut called => {
                    return match called {
                        Ok(Called::Go(permit)) => Waited::Turn(permit),
                        Ok(Called::Closed) => Waited::Closed,
                        Ok(Called::SentAway) | Err(_) => Waited::Shed,
                    };
                }
                () = paused.as_mut() => {}
                () = tokio::time::sleep_until(look_again) => {
                    if Instant::now() >= until {
                        return Waited::TimedOut;
                    }
                }
            }
        }
    }

    /// Takes a place in the line, unless there is none or it would be of no use.
    fn join(
        &self,
        settings: &Resilience,
        priority: Priority,
    ) -> Option<(Place, oneshot::Receiver<Called>)> {
        let (sender, called) = oneshot::channel();
        let now = self.now();
        let mut inner = self.inner.lock();
        if inner.is_hopeless(settings, priority, now) {
            inner.pressure.sent_away();
            return None;
        }
        let joined = inner.line.join(priority, settings.queue.max_length, sender);
        inner.note_line(now);
        drop(inner);
        match joined {
            Joined::Full(_) => None,
            Joined::Waiting(place) => Some((place, called)),
            Joined::InsteadOf(place, sent_away) => {
                // It may have left by itself.
                let _gone = sent_away.send(Called::SentAway);
                Some((place, called))
            }
        }
    }

    /// How long a call may wait in a line that stands; `None` while a provider's limit is waited for.
    fn may_wait(&self) -> Option<Duration> {
        let inner = self.inner.lock();
        (!inner.breaker.is_paused()).then(|| inner.longest_wait())
    }

    /// Whether a call that has waited as long as it may is sent away, which is noted.
    fn sends_away(&self, settings: &Resilience) -> bool {
        let now = self.now();
        let mut inner = self.inner.lock();
        inner.note_line(now);
        let is_standing = inner.is_standing(settings, now);
        if is_standing {
            inner.pressure.sent_away();
        }
        is_standing
    }

    /// When a pause ends, which nobody else would tell.
    fn wake_at(&self) -> Option<Instant> {
        let now = self.now();
        let wait = self.inner.lock().breaker.pause_ms(now)?;
        // It may have ended while the target has enough to do.
        Some(Instant::now() + Duration::from_millis(wait.max(5)))
    }

    /// Calls those whose turn it is.
    fn call_next(self: &Arc<Self>, settings: &Arc<Resilience>) {
        // Whoever left at this moment has its permit dropped outside of the lock, which it takes.
        let mut left = Vec::new();
        let mut inner = self.inner.lock();
        while !inner.line.is_empty() {
            match inner.pass(self, settings) {
                Ok(permit) => match inner.line.pop() {
                    Some(waiting) => left.extend(waiting.send(Called::Go(permit)).err()),
                    None => left.push(Called::Go(permit)),
                },
                Err(Denied::Open(_)) => {
                    if let Some(waiting) = inner.line.pop() {
                        let _gone = waiting.send(Called::Closed);
                    }
                }
                Err(Denied::Paused(_) | Denied::Full) => break,
            }
        }
        let now = self.now();
        inner.note_line(now);
        drop(inner);
        drop(left);
    }

    /// An answer that had begun broke off.
    pub(crate) fn note_broken(&self, settings: &Resilience) {
        let now = self.now();
        let mut inner = self.inner.lock();
        let before = inner.breaker.state(now);
        inner.breaker.fail(&settings.breaker, now);
        self.tell(&inner.breaker, before, now);
    }

    /// Another replica has found the target failing, which holds for so long. Says whether the
    /// breaker has opened by that.
    pub(crate) fn hear(self: &Arc<Self>, settings: &Arc<Resilience>, left_ms: u64) -> bool {
        let now = self.now();
        let mut inner = self.inner.lock();
        let has_opened = inner.breaker.open_for(&settings.breaker, left_ms, now);
        drop(inner);
        if has_opened {
            self.call_next(settings);
        }
        has_opened
    }

    /// Changes of a breaker are for the log and for other replicas; pauses are a matter of course.
    fn tell(&self, breaker: &Breaker, before: State, now: u64) {
        let target = &self.target;
        match (before, breaker.state(now)) {
            (State::Closed | State::HalfOpen, State::Open) => {
                if let Some(left_ms) = breaker.open_for_ms(now) {
                    tracing::warn!(target_name = &**target, "a circuit breaker has opened");
                    self.news.found(target, left_ms);
                }
            }
            (State::HalfOpen, State::Closed) => {
                tracing::info!(target_name = &**target, "a circuit breaker has closed");
            }
            _ => {}
        }
    }
}

impl Inner {
    fn pass(&mut self, gate: &Arc<Gate>, settings: &Arc<Resilience>) -> Result<Permit, Denied> {
        let entered = Instant::now();
        let now = gate.at(entered);
        let is_open = self.breaker.state(now) == State::Open && !self.breaker.is_paused();
        let limit = self.gradient.limit(&settings.concurrency);
        if !is_open && self.in_flight >= limit {
            return Err(Denied::Full);
        }
        match self.breaker.enter(&settings.breaker, now) {
            Entry::Pass(pass) => {
                self.in_flight += 1;
                self.pressure.served();
                self.note_line(now);
                Ok(Permit {
                    gate: Arc::clone(gate),
                    settings: Arc::clone(settings),
                    pass,
                    entered,
                    in_flight: self.in_flight,
                    ended: Ended::Unknown,
                    is_overload: false,
                    is_held_up: false,
                })
            }
            Entry::Wait(wait) => Err(Denied::Paused(wait.map(Duration::from_millis))),
            Entry::Refuse(wait) => Err(Denied::Open(Duration::from_millis(wait))),
        }
    }

    fn note_latency(&mut self, took_ms: f64, now: u64) {
        let ms = match self.latency {
            Some(known) => known.ms + (took_ms - known.ms) * LATENCY_WEIGHT,
            None => took_ms,
        };
        self.latency = Some(Latency { ms, at: now });
    }
}

impl Permit {
    /// The target did its part.
    pub(crate) fn succeeded(mut self) {
        self.ended = Ended::Succeeded;
    }

    /// Its worker has more to do than it can, so that how long the call took says little of its target.
    pub(crate) fn held_up(mut self, is_held_up: bool) -> Self {
        self.is_held_up = is_held_up;
        self
    }

    /// It did not. `is_overload`: because it has too much to do, or was not heard of in time.
    pub(crate) fn failed(mut self, is_overload: bool) {
        self.ended = Ended::Failed;
        self.is_overload = is_overload;
    }

    /// It wants to be left alone for so long.
    pub(crate) fn limited(mut self, wait: Duration) {
        self.ended = Ended::Limited(millis(wait).max(1));
        self.is_overload = true;
    }

    fn leave(&self, inner: &mut Inner, left: Instant) {
        let now = self.gate.at(left);
        let took = left.saturating_duration_since(self.entered);
        let took_ms = took.as_secs_f64() * 1000.0;
        let mut ended = self.ended;
        if ended == Ended::Unknown && took_ms >= patience(inner.latency) {
            ended = Ended::Failed;
        }
        let is_waited_for = !inner.line.is_empty();
        let concurrency = &self.settings.concurrency;
        match ended {
            Ended::Succeeded => {
                inner.note_latency(took_ms, now);
                #[expect(clippy::cast_precision_loss, reason = "ms of an uptime")]
                let at = now as f64;
                let seen = (self.in_flight, is_waited_for);
                // Who is slow itself would find every target slow, and leave it nothing to do.
                let usual = inner.gradient.usual_ms().filter(|_| self.is_held_up);
                let took_ms = usual.map_or(took_ms, |usual| took_ms.min(usual));
                inner.gradient.sample(concurrency, took_ms, seen, at);
            }
            _ if self.is_overload => inner.gradient.overloaded(concurrency),
            _ => {}
        }
        let before = inner.breaker.state(now);
        let breaker = &mut inner.breaker;
        breaker.leave(&self.settings.breaker, self.pass, ended, millis(took), now);
        self.gate.tell(&inner.breaker, before, now);
    }
}

fn patience(latency: Option<Latency>) -> f64 {
    match latency {
        Some(known) => (known.ms * PATIENCE_FACTOR).max(LEAST_PATIENCE_MS),
        None => UNKNOWN_PATIENCE_MS,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let left = Instant::now();
        let mut inner = self.gate.inner.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        self.leave(&mut inner, left);
        let (is_waited_for, is_paused) = (!inner.line.is_empty(), inner.breaker.is_paused());
        drop(inner);
        match (is_waited_for, is_paused) {
            (true, true) => self.gate.paused.notify_waiters(),
            (true, false) => self.gate.call_next(&self.settings),
            (false, _) => {}
        }
    }
}

/// Leaves the line when dropped.
struct InLine<'a> {
    gate: &'a Arc<Gate>,
    place: Place,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let now = self.gate.now();
        let mut inner = self.gate.inner.lock();
        let left = inner.line.leave(self.place);
        inner.note_line(now);
        drop(inner);
        drop(left);
    }
}

#[cfg(test)]
mod tests;
