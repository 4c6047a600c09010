//! Places on the way of a call at which tests have the process die, as `kill -9` would have it.
//!
//! The program arms this with `SEAWORTHY_CRASH_AT`: `intent_recorded` is where the process first comes
//! to that place, `intent_recorded:7` where it comes there for the seventh time. Only builds with
//! debug assertions can be armed; in a release nothing is at these places.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// A place at which a process can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The worst case is claimed of limits and budgets; nothing is written down.
    ClaimTaken,
    /// The other replicas can find the intent; the journal does not have it.
    IntentShared,
    /// The intent is in the journal; nothing has left.
    IntentRecorded,
    /// The head of the provider's answer came.
    AnswerBegun,
    /// The first event of a stream is on its way to the caller.
    FirstEvent,
    /// The whole answer came; the journal does not know.
    EndingKnown,
    /// The journal knows the ending; the caller has not seen it.
    EndingRecorded,
    /// A batch of settlements is about to be written to the ledger.
    SettlementDue,
    /// A transaction has written and is not committed.
    CommitDue,
    /// The ledger holds the batch; the journal has not forgotten it.
    SettlementWritten,
}

impl Point {
    /// All of them, in the order in which a call meets them.
    pub const ALL: [Self; 10] = [
        Self::ClaimTaken,
        Self::IntentShared,
        Self::IntentRecorded,
        Self::AnswerBegun,
        Self::FirstEvent,
        Self::EndingKnown,
        Self::EndingRecorded,
        Self::SettlementDue,
        Self::CommitDue,
        Self::SettlementWritten,
    ];

    /// Its name in the variable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaimTaken => "claim_taken",
            Self::IntentShared => "intent_shared",
            Self::IntentRecorded => "intent_recorded",
            Self::AnswerBegun => "answer_begun",
            Self::FirstEvent => "first_event",
            Self::EndingKnown => "ending_known",
            Self::EndingRecorded => "ending_recorded",
            Self::SettlementDue => "settlement_due",
            Self::CommitDue => "commit_due",
            Self::SettlementWritten => "settlement_written",
        }
    }
}

/// Where the process is to die.
#[cfg(debug_assertions)]
#[derive(Debug)]
struct Plan {
    point: String,
    /// How often it still comes there, the last time included.
    visits: AtomicU64,
    die: fn(),
}

#[cfg(debug_assertions)]
static PLAN: OnceLock<Plan> = OnceLock::new();

/// Has the process die by `die` at the place that `text` names. The first plan counts.
#[cfg(debug_assertions)]
pub fn arm(text: &str, die: fn()) {
    let (point, visits) = text.split_once(':').unwrap_or((text, "1"));
    if let Ok(visits) = visits.parse() {
        let (point, visits) = (point.to_owned(), AtomicU64::new(visits));
        PLAN.get_or_init(|| Plan { point, visits, die });
    }
}

/// Passes a place, or dies there.
#[cfg(debug_assertions)]
pub fn point(here: Point) {
    if let Some(plan) = PLAN.get()
        && plan.point == here.as_str()
        && plan.visits.fetch_sub(1, Ordering::Relaxed) == 1
    {
        (plan.die)();
    }
}

/// Nothing: this is a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_here: Point) {}
