//! Counters that replicas share, and what one of them does while it cannot reach the others: go on
//! with what was set aside for it, or refuse. It notices by itself, and by itself comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use seaworthy_core::budget::Account;
use seaworthy_core::clock::{SharedClock, UnixMillis};
use seaworthy_core::counters::shares::ShareRegistry;
use seaworthy_core::counters::{
    AccountKey, Claim, Close, Counters, Outcome, Settled, SharedStatus,
};
use seaworthy_core::error::chain;
use seaworthy_core::store::{Error, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::{Ending, Epoch, RedisCounters, Take};
use super::lease::{Clocks, Lease, Moment};
use super::link::{Asked, Failure};
use super::local::{Alone, Views};
use super::shares::Shares;
use super::tracked::{EndedLately, Place, Report, SpentAlone, Tracked};
use crate::observe::Observer;
use asking::Asking;

mod asking;
mod holding;
mod recovery;
#[cfg(test)]
mod tests;

/// What has ended before is in the ledger after this time.
const LEDGER_LAG: Duration = Duration::from_secs(1);
/// A server that was not seen for so long is not known to have been blank all the time.
const MAX_UNSEEN: Duration = Duration::from_secs(2);
/// A claim lives so long without its replica: then the others settle it.
const LEASE: Duration = Duration::from_secs(20);
/// How long a request waits for a server that does not answer, a second try included.
const DEADLINE: Duration = Duration::from_millis(50);
/// How long it then waits for the permission to be paid from a share.
const PERMISSION_DEADLINE: Duration = Duration::from_millis(50);

/// What to do while the server is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Go on with this replica's part of limits, and what was set aside for it of budgets.
    Local,
    /// Refuse.
    Reject,
}

/// How counters are shared.
#[derive(Debug, Clone)]
pub struct SharedOptions {
    /// What to do while the server is lost.
    pub on_loss: OnLoss,
    /// The least number of replicas to divide by.
    pub replicas: u64,
    /// The name of this replica, which no other has or had.
    pub replica: String,
    /// Where replicas agree who may spend what was set aside. Without one, nothing is.
    pub registry: Option<Arc<dyn ShareRegistry>>,
    /// Wall time.
    pub clock: SharedClock,
    /// Where calls are told.
    pub observer: Observer,
}

/// Counters in Redis with a way to go on without it.
#[derive(Debug)]
pub struct SharedCounters {
    server: RedisCounters,
    options: SharedOptions,
    is_up: AtomicBool,
    state: Mutex<State>,
    /// One recovery at a time.
    turning: tokio::sync::Mutex<()>,
    lost: Notify,
    /// There is something to do about shares.
    changed: Notify,
    /// It may be known now whether shares may be spent without asking.
    permitted: Notify,
}

#[derive(Debug)]
struct State {
    views: Views,
    tracked: HashMap<Arc<str>, Tracked>,
    /// Claims that the server may hold and nobody wants.
    doubtful: Vec<Arc<str>>,
    alone: Alone,
    shares: Shares,
    /// How many names this replica has held shares under.
    holders: u64,
    /// Names under which it holds none any more, and others that were not heard of.
    ended: Vec<String>,
    silent: Vec<String>,
    spent: SpentAlone,
    /// What was spent alone and is being told.
    report: Option<Report>,
    replicas: u64,
    /// When the server answered a beat last, by its clock and by that of this process.
    last_beat: UnixMillis,
    last_beat_at: Option<Instant>,
    clocks: Clocks,
    /// Until when claims are not taken for abandoned: the clock of the server was set.
    believed_until: Option<Instant>,
    missed_beats: u32,
    renewed_at: Option<Instant>,
    /// Of claims that the server holds, and of those that this replica took alone.
    lease: Lease,
    lease_alone: Lease,
    known: Option<Epoch>,
    /// Since when the server is known to wait for the ledger, and when it was seen so last.
    blank_since: Option<UnixMillis>,
    blank_seen_at: Option<Instant>,
    /// Until when whoever restores was told to read the ledger.
    read_until: Option<UnixMillis>,
    /// What has ended a moment ago, and the server was told or nearly.
    ended_lately: EndedLately,
    /// What was spent alone, and the server was told a moment ago, or the ledger had it already.
    told_lately: SpentAlone,
    /// What a server is that was told of claims again, while it waits for those of others.
    reminded: Option<Epoch>,
    lost_at: Option<UnixMillis>,
    cause: String,
}

impl SharedCounters {
    /// Shared counters, which are not up yet: [`Counters::restore`] brings them up.
    #[must_use]
    pub fn new(server: RedisCounters, options: SharedOptions) -> Self {
        let state = State {
            views: Views::default(),
            tracked: HashMap::new(),
            doubtful: Vec::new(),
            alone: Alone::default(),
            shares: Shares::default(),
            holders: 0,
            ended: Vec::new(),
            silent: Vec::new(),
            spent: SpentAlone::default(),
            report: None,
            replicas: 0,
            last_beat: UnixMillis(0),
            last_beat_at: None,
            clocks: Clocks::default(),
            believed_until: None,
            missed_beats: 0,
            renewed_at: None,
            lease: Lease::default(),
            lease_alone: Lease::default(),
            known: None,
            blank_since: None,
            blank_seen_at: None,
            read_until: None,
            ended_lately: EndedLately::default(),
            told_lately: SpentAlone::default(),
            reminded: None,
            lost_at: None,
            cause: "not connected yet".to_owned(),
        };
        Self {
            server,
            options,
            is_up: AtomicBool::new(false),
            state: Mutex::new(state),
            turning: tokio::sync::Mutex::default(),
            lost: Notify::new(),
            changed: Notify::new(),
            permitted: Notify::new(),
        }
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    fn moment(&self) -> Moment {
        Moment {
            at: Instant::now(),
            wall: self.options.clock.now(),
        }
    }

    /// Notes that the server cannot be relied on any more, and says so once.
    fn lose(&self, cause: &str, is_blank: bool) {
        let mut state = self.state.lock();
        if !self.is_up.swap(false, Ordering::AcqRel) {
            return;
        }
        state.shares.allow(None);
        if is_blank {
            state.note_blank(self.options.clock.now());
        } else {
            state.blank_since = None;
        }
        state.lost_at = Some(self.options.clock.now());
        cause.clone_into(&mut state.cause);
        state.alone = Alone::default();
        let replicas = state.divisor(&self.options);
        drop(state);
        match self.options.on_loss {
            OnLoss::Local => tracing::error!(
                cause,
                replicas,
                "the shared state is lost: this replica goes on with its part of the limits, and of \
                 budgets with what was set aside for it"
            ),
            OnLoss::Reject => tracing::error!(
                cause,
                "the shared state is lost: requests under limits or budgets are refused"
            ),
        }
        self.lost.notify_one();
        self.changed.notify_one();
    }

    /// Asks for a claim, once more if the connection broke: asking again is harmless.
    async fn ask(&self, asking: &mut Asking<'_>) -> Asked<Take> {
        let asked_at = Instant::now();
        let observer = &self.options.observer;
        let mut answer = asking.ask(observer).await;
        if let Err(Failure::Connection(_)) = answer
            && asked_at.elapsed() < DEADLINE / 2
        {
            answer = asking.ask(observer).await;
        }
        answer
    }

    /// Asks the server. `None` where it is lost, which is known by then.
    async fn take_there(&self, asking: &mut Asking<'_>) -> Option<Outcome> {
        let asked = self.moment();
        match self.ask(asking).await {
            Ok(Take::Decided(outcome, accounts)) => {
                let state = &mut *self.state.lock();
                state.views.note_claim(&asking.claim, &accounts);
                state.shares.note_use(&asking.claim);
                if let Outcome::Taken(_) = outcome {
                    asking.track(state, asked, Place::Server);
                }
                return Some(outcome);
            }
            Ok(Take::Blank) => self.lose("the server has lost what it knew", true),
            Ok(Take::Changed) => self.lose("the server has lost what it knew", false),
            Err(failure) => self.lose(&chain(&failure), false),
        }
        None
    }

    /// Decides without the server. `None` where it is back.
    async fn take_alone(&self, asking: &mut Asking<'_>) -> Result<Option<Outcome>> {
        let claim = &Arc::clone(&asking.claim);
        if self.options.on_loss == OnLoss::Reject {
            return Err(lost("the shared state is lost and `on_loss` is `reject`"));
        }
        if let Some(refusal) = self.state.lock().views.refusal(claim) {
            return Ok(Some(Outcome::Refused(refusal, Vec::new())));
        }
        if !claim.budgets.is_empty() && !self.may_spend_alone(PERMISSION_DEADLINE).await {
            return Err(lost(
                "the shared state is lost and nothing of a budget may be spent without it",
            ));
        }
        let now = self.moment();
        let state = &mut *self.state.lock();
        if self.is_up() {
            return Ok(None);
        }
        if !claim.budgets.is_empty() && !state.shares.may_be_spent() {
            return Err(lost("the shared state is lost and shares were recalled"));
        }
        let replicas = state.divisor(&self.options);
        let Some(outcome) = state.alone.take(claim, replicas, &mut state.shares) else {
            return Err(lost(
                "the shared state is lost and what was set aside of a budget is used up",
            ));
        };
        if let Outcome::Taken(_) = outcome {
            asking.track(state, now, Place::Here);
        }
        Ok(Some(outcome))
    }

    /// Closes a claim at the server, which may know about it already.
    async fn close_there(&self, id: &str, at: UnixMillis, close: Close) -> Asked<Settled> {
        // Whoever closes the claims of others does not know what is on its way.
        let tracked = self.state.lock().tracked.get(id).map(|own| own.in_doubt);
        let ending = match tracked {
            Some(false) => Ending::Forgotten,
            Some(true) | None => Ending::Remembered,
        };
        let observer = &self.options.observer;
        let settled = self.server.close(id, at, close, ending);
        let settled = observer.watch("redis", "settle", settled).await?;
        let state = &mut *self.state.lock();
        if let Some(tracked) = state.tracked.remove(id) {
            state.ended_lately.note(tracked.claim, at, close);
        }
        if let Settled::Closed(changes) = &settled {
            for change in changes {
                let key = super::encode::account_key(&change.key, change.window);
                state.views.note(key, change.account);
            }
        }
        Ok(settled)
    }
}

impl State {
    fn note_blank(&mut self, now: UnixMillis) {
        let is_new = |at: Instant| at.elapsed() > MAX_UNSEEN;
        if self.blank_seen_at.is_none_or(is_new) {
            // Others may have restored it in the meantime, and it has lost its memory once more.
            self.blank_since = None;
        }
        self.blank_since.get_or_insert(now);
        self.blank_seen_at = Some(Instant::now());
    }

    /// Whether the server knows all that was spent of shares.
    fn is_all_told(&self) -> bool {
        let is_told = |tracked: &Tracked| tracked.place == Place::Server;
        self.spent.is_empty() && self.report.is_none() && self.tracked.values().all(is_told)
    }

    /// What limits are divided by without a server.
    fn divisor(&self, options: &SharedOptions) -> u64 {
        self.replicas.max(options.replicas).max(1)
    }
}

fn lost(why: &'static str) -> Error {
    Error::Unavailable {
        backend: "redis",
        source: why.into(),
    }
}

#[async_trait]
impl Counters for SharedCounters {
    async fn take(&self, mut claim: Claim) -> Result<Outcome> {
        claim.expires_at = self.lease_ends();
        let asking = &mut Asking {
            counters: self,
            claim: Arc::new(claim),
            in_doubt: false,
        };
        if self.is_up() && self.server.link().is_lost() {
            // Another step of this request, or of another one, has waited already.
            self.lose("it did not answer a moment ago", false);
        }
        if self.is_up()
            && let Some(outcome) = self.take_there(asking).await
        {
            return Ok(outcome);
        }
        if let Some(outcome) = self.take_alone(asking).await? {
            return Ok(outcome);
        }
        // It came back in this moment.
        let outcome = self.take_there(asking).await;
        outcome.ok_or_else(|| lost("the shared state is lost again"))
    }

    async fn settle(&self, id: &str, at: UnixMillis, close: Close) -> Result<Settled> {
        {
            let state = &mut *self.state.lock();
            match state.tracked.get_mut(id) {
                Some(tracked) if tracked.place == Place::Here => {
                    let settled = state.alone.counters().settle_now(id, at, close);
                    if tracked.in_doubt {
                        // The server may hold it as well: it is told of the claim, not of a sum, and
                        // takes all of the claim out of the share.
                        tracked.closed.get_or_insert((at, close));
                        tracked.place = Place::Moving;
                    } else {
                        state.shares.put_back(&tracked.claim, close);
                        state.spent.add(&tracked.claim, at, close);
                        state.tracked.remove(id);
                    }
                    return Ok(settled);
                }
                Some(tracked) => {
                    tracked.closed.get_or_insert((at, close));
                    if tracked.place == Place::Moving || !self.is_up() {
                        return Ok(Settled::Closed(Vec::new()));
                    }
                }
                None if !self.is_up() => return Err(lost("the shared state is lost")),
                None => {}
            }
        }
        match self.close_there(id, at, close).await {
            Ok(settled) => Ok(settled),
            // It is noted, and told with the next beat.
            Err(_) if self.state.lock().tracked.contains_key(id) => Ok(Settled::Closed(Vec::new())),
            Err(failure) => Err(failure.into()),
        }
    }

    fn is_held(&self, id: &str) -> bool {
        let now = self.moment();
        let state = self.state.lock();
        state.tracked.get(id).is_some_and(|tracked| {
            let lease = match tracked.place {
                Place::Server => &state.lease,
                Place::Here | Place::Moving => &state.lease_alone,
            };
            lease.holds(tracked.taken, now)
        })
    }

    async fn renew(&self, ids: &[Arc<str>], expires_at: UnixMillis) -> Result<()> {
        let moved = self.server.move_expiry(ids, expires_at, Some(LEASE));
        Ok(moved.await?)
    }

    async fn overdue(&self, _: UnixMillis, max: usize) -> Result<Vec<Arc<str>>> {
        if !self.is_up() {
            return Ok(Vec::new());
        }
        let mut ids = self.server.overdue(self.server_now(), max).await?;
        if ids.is_empty() {
            return Ok(ids);
        }
        let server_now = self.server.time().await?;
        let state = &mut *self.state.lock();
        state.look_at_clock(server_now);
        if state.believed_until.is_some_and(|at| Instant::now() < at) {
            return Ok(Vec::new());
        }
        ids.retain(|id| !state.tracked.contains_key(id));
        Ok(ids)
    }

    async fn snapshot(&self, accounts: &[AccountKey]) -> Result<Vec<Account>> {
        if !self.is_up() {
            return Err(lost("the shared state is lost"));
        }
        self.server.snapshot(accounts).await
    }

    async fn restore(&self, spent: &[(AccountKey, u64)]) -> Result<()> {
        self.bring_up(spent).await;
        Ok(())
    }

    fn note(&self, id: &str, at: UnixMillis, close: Close) {
        if let Some(tracked) = self.state.lock().tracked.get_mut(id) {
            tracked.closed.get_or_insert((at, close));
        }
    }

    fn needs_restore(&self) -> bool {
        let blank_since = self.state.lock().blank_since;
        blank_since.is_some_and(|since| self.options.clock.now().since(since) >= LEDGER_LAG)
    }

    fn ledger_counts_until(&self) -> Option<UnixMillis> {
        let state = &mut *self.state.lock();
        state.read_until = state.blank_since;
        state.read_until
    }

    fn status(&self) -> Option<SharedStatus> {
        let is_up = self.is_up();
        let state = self.state.lock();
        let mode = match (is_up, self.options.on_loss) {
            (true, _) => "shared",
            (false, OnLoss::Local) => "local",
            (false, OnLoss::Reject) => "rejecting",
        };
        Some(SharedStatus {
            backend: "redis",
            mode,
            is_up,
            replicas: state.divisor(&self.options),
            lost_at: state.lost_at.filter(|_| !is_up),
            cause: (!is_up).then(|| state.cause.clone()),
            open_claims: state.tracked.len(),
        })
    }

    async fn tend(&self) {
        tokio::join!(self.keep_up(), self.keep_registered());
    }

    async fn flush(&self) -> Result<()> {
        self.say_goodbye().await
    }
}
