//! The doors of the workers, at which model calls wait for the processor.
//!
//! Whoever waits is let in by a task that goes round with everything else that is ready to run on the
//! worker; the decisions are those of [`seaworthy_core::resilience::door`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seaworthy_core::code::Code;
use seaworthy_core::resilience::door::{self, Found};
use seaworthy_core::resilience::line::{Joined, Place, Priority};
use seaworthy_edge::server::Turns;
use tokio::sync::oneshot;

use crate::refusal::Refusal;

/// The door of one worker.
#[derive(Debug)]
pub(crate) struct Door {
    started: Instant,
    state: Mutex<State>,
    /// Turns to be read, which are counted while there is too much to do.
    pub(crate) turns: Arc<Turns>,
}

#[derive(Debug, Default)]
struct State {
    door: door::Door<oneshot::Sender<()>>,
    /// Whether the task that lets in goes round.
    goes_round: bool,
    /// Whether the log was told that there is too much to do.
    is_told: bool,
}

/// So many requests are read for each one that is let in: enough to find what is critical among three
/// times too much, and few enough to leave the time for what is let in.
const READ_FOR_EACH: u32 = 4;

/// Whether a request is read whatever there is to do: questions about the gateway's health cost
/// little, and what says that it is critical has to be seen, to be let in or not.
fn is_urgent(head: &[u8]) -> bool {
    const LINE: &[u8] = b"x-seaworthy-priority: critical";
    let lines = head.split(|byte| *byte == b'\n');
    let is_line = |line: &[u8]| line.trim_ascii_end().eq_ignore_ascii_case(LINE);
    !head.starts_with(b"POST ") || lines.take_while(|line| line.len() > 1).any(is_line)
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
            turns: Arc::new(Turns::new(is_urgent)),
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
        let is_hopeless = state.door.hopeless(priority, None, now).is_some();
        if is_hopeless {
            state.door.note_sent_away(now);
        }
        is_hopeless
    }

    /// Whether there has been more to do than can be done for a while.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.state.lock().door.is_standing(self.now())
    }

    /// Whether anybody waits.
    pub(crate) fn is_waited_at(&self) -> bool {
        self.waiting() > 0
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().door.waiting()
    }

    /// Comes in, at once or when it is one's turn.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        priority: Priority,
        until: Option<tokio::time::Instant>,
    ) -> Result<(), Denied> {
        let Some((place, called)) = self.knock(priority, until)? else {
            return Ok(());
        };
        let _in_line = InLine { door: self, place };
        let called = async {
            match called.await {
                Ok(()) => Ok(()),
                Err(_sent_away) => Err(Denied::Busy),
            }
        };
        match until {
            None => called.await,
            Some(until) => tokio::time::timeout_at(until, called)
                .await
                .unwrap_or(Err(Denied::TooLate)),
        }
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
            Found::Hopeless(_) => return Err(Denied::Busy),
            Found::Line => {
                let (sender, called) = oneshot::channel();
                match state.door.join(priority, sender, now) {
                    Joined::Full(_) => return Err(Denied::Busy),
                    // Dropping its sender tells the one who was sent away.
                    Joined::Waiting(place) | Joined::InsteadOf(place, _) => Some((place, called)),
                }
            }
        };
        if state.door.is_used() && !state.goes_round {
            state.goes_round = true;
            drop(state);
            let door = Arc::clone(self);
            tokio::spawn(go_round(Round {
                door,
                is_over: false,
            }));
        }
        Ok(place)
    }

    /// Lets in whose turn it is. Whether that has to be done again.
    fn lap(&self) -> bool {
        let now = self.now();
        let mut state = self.state.lock();
        state.door.note_unread(self.turns.held());
        let called = state.door.lap(now);
        let is_used = state.door.is_used();
        if !is_used {
            state.door.rest();
            state.goes_round = false;
        }
        let is_standing = state.door.is_standing(now);
        let news = (is_standing != state.is_told).then_some(is_standing);
        state.is_told = is_standing;
        let waiting = state.door.waiting();
        let turns = state.door.turns_if_few().filter(|_| is_used);
        drop(state);
        let read = turns.map(|turns| turns * READ_FOR_EACH);
        self.turns.give(read, is_standing);
        for let_in in called.let_in {
            // It may have left by itself.
            let _gone = let_in.send(());
        }
        match news {
            Some(true) => tracing::warn!(
                waiting,
                "there is more to do than the processors can: calls are refused by priority"
            ),
            Some(false) => tracing::info!("the processors can do what there is to do again"),
            None => {}
        }
        is_used
    }
}

/// The task that goes round, which may end with its runtime at any time.
struct Round {
    door: Arc<Door>,
    is_over: bool,
}

impl Drop for Round {
    fn drop(&mut self) {
        if !self.is_over {
            self.door.state.lock().goes_round = false;
            self.door.turns.give(None, false);
        }
    }
}

async fn go_round(mut round: Round) {
    while !round.is_over {
        // Behind everything that is ready to run now.
        tokio::task::yield_now().await;
        // When it is over, another one may go round already.
        round.is_over = !round.door.lap();
    }
}

/// Leaves the line when dropped.
struct InLine<'a> {
    door: &'a Door,
    place: Place,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let left = self.door.state.lock().door.leave(self.place);
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

#[cfg(test)]
mod tests {
    use super::is_urgent;

    #[test]
    fn health_and_what_is_critical_is_read_whatever_there_is_to_do() {
        let post =
            |line: &str| format!("POST /v1/messages HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n{{}}");
        assert!(is_urgent(b"GET /health/ready HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(is_urgent(post("X-Seaworthy-Priority: Critical").as_bytes()));
        assert!(!is_urgent(post("x-seaworthy-priority: low").as_bytes()));
        let in_body = post("a: b\r\n\r\nx-seaworthy-priority: critical");
        assert!(!is_urgent(in_body.as_bytes()));
    }
}
