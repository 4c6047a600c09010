//! A call from its reservation to its settlement.

use std::sync::Arc;
use std::time::Instant;

use seaworthy_core::clock::{UnixMillis, micros_since};
use seaworthy_core::ledger::{Ending, Intent, Outcome};
use seaworthy_core::store::JournalEntry;
use seaworthy_core::usage::Usage;

use crate::ledger_queue::Slot;
use crate::routes::Operation;
use crate::snapshot::Target;

/// A recorded call. It is in the journal from before it leaves until the ledger holds it.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) target: Arc<Target>,
    pub(crate) operation: Operation,
    /// Size of the request, to estimate its tokens should the provider not say.
    input_bytes: usize,
    started: Instant,
    recorded: Option<Recorded>,
    /// Whether the provider may have seen the request.
    dispatched: bool,
    used: Option<Usage>,
    /// What the journal was told last about the end.
    told: Option<(Outcome, Usage)>,
}

/// Where the call is written down.
#[derive(Debug)]
struct Recorded {
    intent: Intent,
    slot: Slot,
    entry: Box<dyn JournalEntry>,
}

impl OpenCall {
    pub(crate) fn new(
        target: Arc<Target>,
        operation: Operation,
        (input_bytes, started): (usize, Instant),
        (intent, slot, entry): (Intent, Slot, Box<dyn JournalEntry>),
    ) -> Self {
        Self {
            target,
            operation,
            input_bytes,
            started,
            recorded: Some(Recorded { intent, slot, entry }),
            dispatched: false,
            used: None,
            told: None,
        }
    }

    /// Notes that the request may have reached the provider from now on.
    pub(crate) fn mark_dispatched(&mut self) {
        self.dispatched = true;
    }

    /// Notes that the request certainly did not leave.
    pub(crate) fn mark_undispatched(&mut self) {
        self.dispatched = false;
    }

    /// Notes what the call has used as far as is known.
    pub(crate) fn note_usage(&mut self, usage: Usage) {
        self.used = Some(usage);
    }

    /// Notes that the provider refused the call, which costs nothing.
    pub(crate) fn note_refused(&mut self) {
        self.used = Some(Usage::default());
    }

    /// Notes that the provider's answer is complete, before the caller sees its end: what a caller
    /// has seen end is exact in the ledger, even if the process is killed in the next moment.
    pub(crate) fn note_complete(&mut self, usage: Usage, now: UnixMillis) {
        self.used = Some(usage);
        self.tell_journal(Outcome::Success, 200, now);
    }

    pub(crate) fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// What the call used: as reported, or an estimate for a call that may have reached the
    /// provider and of which nothing came back. `None` if it never left.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let unknown = || match self.operation {
            Operation::Chat(_) => seaworthy_llm::usage::estimate(self.input_bytes, 0),
            // Everything else is free of charge.
            _ => Usage::default(),
        };
        self.dispatched.then(|| self.used.unwrap_or_else(unknown))
    }

    /// Ends the call: on to the ledger, or forgotten if it never left.
    pub(crate) fn settle(mut self, outcome: Outcome, status: u16, now: UnixMillis) {
        if self.usage().is_some() {
            self.tell_journal(outcome, status, now);
        }
        let (usage, Some(recorded)) = (self.usage(), self.recorded.take()) else { return };
        let Recorded { intent, slot, entry } = recorded;
        match usage {
            Some(usage) => {
                let ending = self.ending(outcome, status, usage, now);
                slot.fill(intent.settled(ending), entry);
            }
            None => {
                if let Err(error) = entry.void() {
                    tracing::error!(%error, "the journal could not be written");
                }
                entry.forget();
            }
        }
    }

    fn ending(&self, outcome: Outcome, status: u16, usage: Usage, now: UnixMillis) -> Ending {
        let duration_ms = micros_since(self.started) / 1000;
        Ending { settled_at: now, duration_ms, outcome, status, usage }
    }

    fn tell_journal(&mut self, outcome: Outcome, status: u16, now: UnixMillis) {
        let Some(usage) = self.usage() else { return };
        if self.told == Some((outcome, usage)) {
            return;
        }
        self.told = Some((outcome, usage));
        let ending = self.ending(outcome, status, usage, now);
        if let Some(recorded) = &self.recorded
            && let Err(error) = recorded.entry.end(&ending)
        {
            // The ledger gets it all the same, unless the process is killed before.
            tracing::error!(%error, "the journal could not be written");
        }
    }
}
