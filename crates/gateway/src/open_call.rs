//! A call from its reservation to its settlement.

use std::sync::Arc;

use seaworthy_core::budget::{Amount, watch};
use seaworthy_core::clock::{SharedClock, UnixMillis};
use seaworthy_core::counters::{Close, Counters, Settled};
use seaworthy_core::crash::{self, Point};
use seaworthy_core::ledger::{Ending, Flags, Intent, Outcome};
use seaworthy_core::limit::policy::{Bound, Demand};
use seaworthy_core::money::Micros;
use seaworthy_core::store::JournalEntry;
use seaworthy_core::usage::Usage;
use seaworthy_llm::tier::ServiceTier;
use seaworthy_llm::usage::Piece;
use tokio::time::Instant;

use crate::intent_sharer::SharedIntent;
use crate::ledger_queue::Slot;
use crate::limits::{Charge, demand};
use crate::metrics::Fullest;
use crate::pieces::Pieces;
use crate::resilience::millis;
use crate::routes::Operation;
use crate::snapshot::Target;
use crate::stage::reserve::KnownInputs;

/// A recorded call. It is in the journal from before it leaves until the ledger holds it.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) target: Arc<Target>,
    /// What was asked of a model; `None` for what runs without one.
    pub(crate) operation: Option<Operation>,
    /// Size of the request, to estimate its tokens should the provider not say.
    input_bytes: usize,
    started: Instant,
    charge: Charge,
    recorded: Option<Recorded>,
    /// Whether the provider may have seen the request.
    dispatched: bool,
    used: Option<Usage>,
    /// Size of what a model is known to have written, to estimate its tokens should the provider not say.
    written_bytes: usize,
    /// Where to remember how much input the request was.
    lesson: Option<(Arc<KnownInputs>, u64)>,
    /// What is paid for by the piece.
    pieces: Pieces,
    /// The most that was expected.
    reserved: Amount,
    /// Whether nothing is charged, not even by the call.
    is_free: bool,
    /// What the journal was told last about the end.
    told: Option<(Outcome, Usage)>,
}

/// Where the call is written down.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) intent: Intent,
    pub(crate) slot: Slot,
    pub(crate) entry: Box<dyn JournalEntry>,
    pub(crate) claimed: Option<Claimed>,
    pub(crate) shared: Option<SharedIntent>,
}

/// What the call has taken of limits and budgets, until it is closed.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: Arc<str>,
    pub(crate) counters: Arc<dyn Counters>,
    /// The rules that it was claimed under.
    pub(crate) bound: Arc<Bound>,
    pub(crate) clock: SharedClock,
    pub(crate) is_closed: bool,
    /// What was claimed of budgets and of tokens in a time.
    pub(crate) needed: Demand,
    pub(crate) fullest: Arc<Fullest>,
}

/// A call that ends before it is recorded has not left.
impl Drop for Claimed {
    fn drop(&mut self) {
        if !self.is_closed {
            self.settle(self.clock.now(), Close::Unused);
        }
    }
}

impl Claimed {
    /// Whether it is enough for a call that needs this.
    pub(crate) fn covers(&self, needed: &Demand) -> bool {
        let (mine, theirs) = (&self.needed.amount, &needed.amount);
        mine.tokens >= theirs.tokens
            && mine.cost >= theirs.cost
            && self.needed.rate_tokens >= needed.rate_tokens
    }

    /// Whether it is certain to be held still: see [`Counters::is_held`].
    pub(crate) fn is_held(&self) -> bool {
        self.counters.is_held(&self.id)
    }

    /// Where it is held, if others may settle it as well.
    pub(crate) fn in_shared_counters(&self) -> Option<(Arc<dyn Counters>, Arc<str>)> {
        let is_shared = self.counters.local().is_none();
        is_shared.then(|| (Arc::clone(&self.counters), Arc::clone(&self.id)))
    }

    /// Turns what was reserved into what was used.
    pub(crate) fn close(mut self, now: UnixMillis, close: Close) {
        self.is_closed = true;
        self.settle(now, close);
    }

    fn settle(&self, now: UnixMillis, close: Close) {
        match self.counters.local() {
            Some(local) => {
                let settled = local.settle_now(&self.id, now, close);
                tell_how_budgets_stand(&self.bound, &settled, &self.fullest);
            }
            None => {
                let (counters, id) = (Arc::clone(&self.counters), Arc::clone(&self.id));
                let (bound, fullest) = (Arc::clone(&self.bound), Arc::clone(&self.fullest));
                counters.note(&id, now, close);
                tokio::spawn(async move {
                    match counters.settle(&id, now, close).await {
                        Ok(settled) => tell_how_budgets_stand(&bound, &settled, &fullest),
                        Err(error) => {
                            let cause = seaworthy_core::error::chain(&error);
                            tracing::error!(
                                cause,
                                "a claim could not be settled; it expires by itself"
                            );
                        }
                    }
                });
            }
        }
    }
}

/// Shows what is spent now, and says which thresholds of budgets the settlement has reached, once for
/// each in a window.
fn tell_how_budgets_stand(bound: &Bound, settled: &Settled, fullest: &Fullest) {
    let Settled::Closed(changes) = settled else {
        return;
    };
    // Both are in the order of the claim.
    for (change, (rule, _)) in changes.iter().zip(bound.budgets()) {
        let (limit, spent) = (change.account.limit, change.account.spent);
        fullest.note(&rule.name, change.window, spent);
        for share in watch::crossed(&rule.thresholds, limit, change.spent_before, spent) {
            let percent = share.ten_thousandths() / 100;
            let (budget, unit) = (&*rule.name, rule.unit.as_str());
            let subject = bound.subject_of(&change.key);
            tracing::warn!(
                budget,
                subject,
                percent,
                spent,
                limit,
                unit,
                "a budget has reached a threshold"
            );
        }
    }
}

impl OpenCall {
    pub(crate) fn new(
        target: Arc<Target>,
        operation: Option<Operation>,
        charge: Charge,
        (input_bytes, started): (usize, Instant),
        recorded: Recorded,
    ) -> Self {
        Self {
            target,
            operation,
            input_bytes,
            started,
            charge,
            lesson: None,
            pieces: Pieces::default(),
            reserved: Amount {
                tokens: recorded.intent.worst_case.total(),
                cost: recorded.intent.worst_case_cost,
            },
            recorded: Some(recorded),
            dispatched: false,
            used: None,
            written_bytes: 0,
            is_free: matches!(
                operation,
                Some(Operation::CountTokens(_) | Operation::Moderations)
            ),
            told: None,
        }
    }

    /// What the provider reports is to be remembered for the next time.
    pub(crate) fn learn_input(&mut self, known: Arc<KnownInputs>, key: u64) {
        self.lesson = Some((known, key));
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

    /// Notes that a model has written a whole answer of so many bytes, should nobody say what it used.
    pub(crate) fn note_written(&mut self, bytes: usize) {
        self.written_bytes = bytes;
    }

    /// Notes that the provider refused the call, which costs nothing.
    pub(crate) fn note_refused(&mut self) {
        self.is_free = true;
        self.used = Some(Usage::default());
    }

    /// Notes that the provider's answer is complete, before the caller sees its end: what a caller
    /// has seen end is exact in the ledger, even if the process is killed in the next moment.
    pub(crate) fn note_complete(&mut self, usage: Usage, now: UnixMillis) {
        self.used = Some(usage);
        crash::point(Point::EndingKnown);
        self.tell_journal(Outcome::Success, 200, now);
        crash::point(Point::EndingRecorded);
    }

    pub(crate) fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// What the call used: as reported, or an estimate for a call that may have reached the
    /// provider and of which nothing was reported. `None` if it never left.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let used = || self.used.unwrap_or_else(|| self.estimate());
        self.dispatched.then(used)
    }

    fn estimate(&self) -> Usage {
        let estimate = |bytes| seaworthy_llm::usage::estimate(self.input_bytes, bytes);
        match self.operation {
            Some(Operation::Chat(_)) => {
                let mut usage = estimate(self.written_bytes);
                if let Some(recorded) = &self.recorded {
                    // Much of such an answer is not what the model wrote.
                    let most = recorded.intent.worst_case.output_tokens;
                    usage.output_tokens = usage.output_tokens.min(most);
                }
                usage
            }
            Some(Operation::Embeddings(_)) => estimate(0),
            // Free of charge, or paid by the call.
            Some(Operation::CountTokens(_) | Operation::Moderations) | None => Usage::default(),
        }
    }

    /// Whether the call has used more than was reserved for it.
    pub(crate) fn is_over_reserved(&self) -> bool {
        self.usage()
            .is_some_and(|usage| self.flags(&usage, self.cost(&usage)).over_reserved)
    }

    /// What the call has cost so far, if it left.
    pub(crate) fn cost_so_far(&self) -> Option<Micros> {
        self.usage().map(|usage| self.cost(&usage))
    }

    fn cost(&self, usage: &Usage) -> Micros {
        if self.is_free {
            return Micros::ZERO;
        }
        self.charge.cost(usage).plus(self.pieces.cost)
    }

    /// Whether anything in the answer may be paid for by the piece.
    pub(crate) fn counts_pieces(&self) -> bool {
        !self.is_free && !self.charge.pieces.are_none()
    }

    /// Whether it makes a difference in which tier of service the provider serves the call.
    pub(crate) fn has_price_by_tier(&self) -> bool {
        self.charge.priority.is_some()
    }

    /// Notes the tier of service that the provider says it served the call in.
    pub(crate) fn note_tier(&mut self, tier: ServiceTier) {
        self.charge.note_tier(tier);
    }

    /// Notes what the answer brings that is paid for by the piece.
    pub(crate) fn note_pieces(&mut self, found: &[Piece]) {
        self.charge.pieces.add(&mut self.pieces, found);
    }

    /// Takes out what was claimed, for the attempt that follows, if this one has used nothing of it.
    pub(crate) fn take_unused_claim(&mut self) -> Option<Claimed> {
        let is_unused = self.usage().is_none_or(|usage| usage == Usage::default());
        let recorded = self.recorded.as_mut().filter(|_| is_unused)?;
        recorded.claimed.take()
    }

    /// Ends the call: on to the ledger, or forgotten if it never left.
    pub(crate) fn settle(mut self, outcome: Outcome, status: u16, now: UnixMillis) {
        if self.usage().is_some() {
            self.tell_journal(outcome, status, now);
        }
        let (usage, Some(recorded)) = (self.usage(), self.recorded.take()) else {
            return;
        };
        let Recorded {
            intent,
            slot,
            entry,
            claimed,
            shared,
        } = recorded;
        match usage {
            Some(usage) => {
                if let Some((known, key)) = self.lesson.take()
                    && outcome == Outcome::Success
                {
                    known.learn(key, &usage);
                }
                let ending = self.ending(outcome, status, usage, now);
                if let Some(claimed) = claimed {
                    let used = demand(&usage, ending.cost);
                    let (amount, rate_tokens) = (used.amount, used.rate_tokens);
                    claimed.close(
                        now,
                        Close::Used {
                            amount,
                            rate_tokens,
                        },
                    );
                }
                if let Some(shared) = shared {
                    shared.keep();
                }
                slot.fill(intent.settled(ending), entry);
            }
            None => {
                if let Some(claimed) = claimed {
                    claimed.close(now, Close::Unused);
                }
                if let Err(error) = entry.void() {
                    tracing::error!(%error, "the journal could not be written");
                }
                entry.forget();
            }
        }
    }

    fn ending(&self, outcome: Outcome, status: u16, usage: Usage, now: UnixMillis) -> Ending {
        let cost = self.cost(&usage);
        Ending {
            settled_at: now,
            duration_ms: millis(self.started.elapsed()),
            outcome,
            status,
            usage,
            extras: self.pieces.extras,
            cost,
            flags: self.flags(&usage, cost),
        }
    }

    /// A provider that reports more than was thought possible is paid all the same, and it shows.
    fn flags(&self, usage: &Usage, cost: Micros) -> Flags {
        Flags {
            unpriced: self.charge.price.is_none(),
            over_reserved: usage.total() > self.reserved.tokens || cost > self.reserved.cost,
        }
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
