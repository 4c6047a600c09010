//! The doors of the workers, at which model calls wait for the processor.
//!
//! Whoever waits is let in by a task that goes round with everything else that is ready to run on the
//! worker; the decisions are those of [`seaworthy_core::resilience::door`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use parking_lot::Mutex;
use seaworthy_core::code::Code;
use seaworthy_core::resilience::door::{self, Found};
use seaworthy_core::resilience::line::{Joined, Place, Priority};
use tokio::sync::{Notify, oneshot};

use crate::refusal::Refusal;

/// The door of one worker.
#[derive(Debug)]
pub(crate) struct Door {
    started: Instant,
    state: Mutex<State>,
    /// Whether anybody is sent away, for those who only want to know that.
    is_closing: AtomicBool,
    /// Tells the task that goes round that somebody waits.
    waited_at: Notify,
}

#[derive(Debug, Default)]
struct State {
    door: door::Door<oneshot::Sender<()>>,
    /// Whether the task that lets in goes round.
    goes_round: bool,
    /// Whether the log was told that there is too much to do.
    is_told: bool,
}

/// Why one may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is too much to do.
    Busy,
    /// Its caller has stopped waiting.
    TooLate,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            state: Mutex::default(),
            is_closing: AtomicBool::new(false),
            waited_at: Notify::new(),
        }
    }
}

impl Door {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether a call that matters so much would be sent away, without waiting for anything.
    pub(crate) fn is_hopeless(&self, priority: Priority) -> bool {
        let mut state = self.state.lock();
        let now = self.now();
        let is_hopeless = state.door.is_hopeless(priority, None, now);
        if is_hopeless {
            state.door.note_sent_away(now);
        }
        is_hopeless
    }

    /// Whether there has been more to do than can be done for a while, and calls are refused.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.state.lock().door.is_closing(self.now())
    }

    /// Whether somebody may be sent away, which costs next to nothing to ask.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().door.waiting()
    }

    /// Comes in, at once or when it is one's turn. Says how long that took, if there was a line.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        priority: Priority,
        until: Option<tokio::time::Instant>,
    ) -> (Duration, Result<(), Denied>) {
        let (place, called) = match self.knock(priority, until) {
            Ok(Some(in_line)) => in_line,
            Ok(None) => return (Duration::ZERO, Ok(())),
            Err(denied) => return (Duration::ZERO, Err(denied)),
        };
        let began = tokio::time::Instant::now();
        let _in_line = InLine { door: self, place };
        let called = async {
            match called.await {
                Ok(()) => Ok(()),
                Err(_sent_away) => Err(Denied::Busy),
            }
        };
        let entered = match until {
            None => called.await,
            Some(until) => tokio::time::timeout_at(until, called)
                .await
                .unwrap_or(Err(Denied::TooLate)),
        };
        (began.elapsed(), entered)
    }

    /// Takes a place in line, unless the door is open.
    fn knock(
        self: &Arc<Self>,
        priority: Priority,
        until: Option<tokio::time::Instant>,
    ) -> Result<Option<(Place, oneshot::Receiver<()>)>, Denied> {
        let now = self.now();
        let left = until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
        let patience = left.map(|left| u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
        let mut state = self.state.lock();
        let found = state.door.knock(priority, patience, now);
        let place = match found {
            Found::Open => None,
            Found::Hopeless => return Err(Denied::Busy),
            Found::Line => {
                let (sender, called) = oneshot::channel();
                match state.door.join(priority, sender, now) {
                    Joined::Full(_) => return Err(Denied::Busy),
                    // Dropping its sender tells the one who was sent away.
                    Joined::Waiting(place) | Joined::InsteadOf(place, _) => Some((place, called)),
                }
            }
        };
        if !state.door.is_used() {
            return Ok(place);
        }
        if state.goes_round {
            drop(state);
            self.waited_at.notify_one();
        } else {
            state.goes_round = true;
            drop(state);
            let door = Arc::clone(self);
            tokio::spawn(go_round(Round {
                door,
                next: Next::Lap,
            }));
        }
        Ok(place)
    }

    /// Lets in whose turn it is.
    fn lap(&self) -> Next {
        let (worked, now) = (worked(), self.now());
        let mut state = self.state.lock();
        let called = state.door.lap(worked, now);
        let is_closing = state.door.is_closing(now);
        let next = match (state.door.is_used(), is_closing) {
            (true, _) => Next::Lap,
            (false, true) => Next::Look,
            (false, false) => Next::Rest,
        };
        if next != Next::Lap {
            state.door.rest();
        }
        state.goes_round = next != Next::Rest;
        let is_news = std::mem::replace(&mut state.is_told, is_closing) != is_closing;
        let waiting = state.door.waiting();
        drop(state);
        self.is_closing.store(is_closing, Ordering::Relaxed);
        for let_in in called.let_in {
            // It may have left by itself.
            let _gone = let_in.send(());
        }
        match (is_news, is_closing) {
            (true, true) => tracing::warn!(
                waiting,
                "there is more to do than the processors can: calls are refused by priority"
            ),
            (true, false) => tracing::info!("the processors can do what there is to do again"),
            (false, _) => {}
        }
        next
    }
}

/// How long this thread has had a processor, in µs.
fn worked() -> u64 {
    let worked = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    // Without such a clock every lap is a short one.
    u64::try_from(worked.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// What the task that goes round does after a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Lap,
    /// Nobody waits: a look now and then, until it is certain that it is over.
    Look,
    Rest,
}

/// How often it is looked whether it is over.
const LOOK_EACH: Duration = Duration::from_millis(20);

/// The task that goes round, which may end with its runtime at any time.
struct Round {
    door: Arc<Door>,
    next: Next,
}

impl Drop for Round {
    fn drop(&mut self) {
        // When it rests, another one may go round already.
        if self.next != Next::Rest {
            self.door.state.lock().goes_round = false;
            self.door.is_closing.store(false, Ordering::Relaxed);
        }
    }
}

async fn go_round(mut round: Round) {
    while round.next != Next::Rest {
        match round.next {
            // Behind everything that is ready to run now.
            Next::Lap => tokio::task::yield_now().await,
            Next::Look | Next::Rest => {
                let waited_at = round.door.waited_at.notified();
                // Either way it is time to look.
                let _elapsed = tokio::time::timeout(LOOK_EACH, waited_at).await;
            }
        }
        round.next = round.door.lap();
    }
}

/// Leaves the line when dropped.
struct InLine<'a> {
    door: &'a Door,
    place: Place,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let now = self.door.now();
        let left = self.door.state.lock().door.leave(self.place, now);
        drop(left);
    }
}

/// What a caller is told for whom there is no time.
pub(crate) fn too_busy() -> Refusal {
    Refusal::new(
        Code::Overloaded,
        "The gateway has more to do than its processors can. Try again shortly.",
    )
    .retry_after(Duration::from_secs(1))
}
