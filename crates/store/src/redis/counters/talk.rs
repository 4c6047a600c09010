//! What replicas and the server tell each other.

use std::time::Duration;

use seaworthy_core::budget::Account;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::Outcome;

use super::super::shares::Touched;

/// Which memory of the server a replica has seen: it changes when the server has lost something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch(pub String);

/// What the server keeps of a claim that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing: all that was ever sent about it was answered.
    Forgotten,
    /// That it is closed, for a day: what is still on its way about it finds it so.
    Remembered,
}

/// How the server was found before the ledger was read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It has lost what it knew.
    Blank,
    /// It knows its accounts, and at most lacks some.
    Knowing,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Take {
    /// The server decided. With it come the accounts that the claim names.
    Decided(Outcome, Vec<Account>),
    /// The server has lost what it knew: the ledger has to restore it first.
    Blank,
    /// The server lost what it knew, and knows it again, but not from this replica yet.
    Changed,
}

/// The answer to a beat.
#[derive(Debug)]
pub struct Presence {
    /// The clock of the server.
    pub now: UnixMillis,
    /// How many replicas live.
    pub replicas: u64,
    /// What the server remembers; `None` when it has to be restored.
    pub epoch: Option<Epoch>,
    /// How long replicas still have to say what they hold, before claims may be taken.
    pub ready_in: Duration,
    /// Until when the ledger was read for that.
    pub counted_until: UnixMillis,
    /// Holders of shares that were not heard of for a while.
    pub silent: Vec<String>,
    /// Accounts that have changed since the last beat.
    pub touched: Vec<Touched>,
}
