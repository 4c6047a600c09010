//! What the domain asks of the state that replicas share: one step that admits a request under all
//! its limits and budgets or leaves everything as it was, and one that closes it.
//!
//! [`memory`] is the meaning of [`Counters`]; every back end has to agree with it.

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use crate::budget::{self, Account, Amount, Window};
use crate::clock::UnixMillis;
use crate::limit::{self, Quota, Standing};
use crate::store::Result;

pub mod memory;
pub mod shares;

/// The name of a limit or a budget of one subject.
///
/// It begins with the deployment in braces, which is the hash tag of Redis Cluster: all keys of a
/// deployment lie in one slot, so one script can change them together.
#[derive(Debug, Clone)]
pub struct Key {
    text: Arc<str>,
    /// Each claim looks for the same keys, so they are hashed once.
    hash: u64,
}

/// Random for each process: nobody can choose names that collide.
static HASHER: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Key {
    /// The key with this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: Arc::from(text),
            hash: HASHER.hash_one(text),
        }
    }

    /// Its text, such as `sw:{main}:budget:per_user.day.tokens:alice`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Everything that has to be free for one request to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The call that it is for. Claiming again for a call that holds a claim changes nothing.
    pub id: Arc<str>,
    /// Now. A back end with a clock of its own may prefer that one.
    pub at: UnixMillis,
    /// When it counts as abandoned unless it is renewed.
    pub expires_at: UnixMillis,
    /// Rate limits, each key at most once.
    pub rates: Vec<RateClaim>,
    /// Concurrency limits, each key at most once.
    pub slots: Vec<SlotClaim>,
    /// Budgets, each key and window at most once.
    pub budgets: Vec<BudgetClaim>,
}

impl Claim {
    /// Whether it asks for nothing, so that there is nothing to take and nothing to settle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.slots.is_empty() && self.budgets.is_empty()
    }
}

/// A cost under a rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateClaim {
    /// The limit.
    pub key: Key,
    /// How much may pass.
    pub quota: Quota,
    /// What is counted. Tokens are corrected at settling, requests are not.
    pub unit: limit::Unit,
    /// What the request costs.
    pub cost: u64,
}

/// One place among the requests that may run at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotClaim {
    /// The limit.
    pub key: Key,
    /// How many may run.
    pub max: u64,
}

/// An amount of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetClaim {
    /// The budget.
    pub key: Key,
    /// The window that it is taken from, and settled in, however late.
    pub window: Window,
    /// What may be spent in the window.
    pub limit: u64,
    /// What is counted.
    pub unit: budget::Unit,
    /// The most that the request can spend.
    pub amount: u64,
}

/// The answer to a claim. The standings are those of [`Claim::rates`], in that order, after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is taken.
    Taken(Vec<Standing>),
    /// None of it is.
    Refused(Refusal, Vec<Standing>),
}

/// Why a claim was refused. Of several reasons, the one that lasts longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What was in the way.
    pub reason: Reason,
    /// After how many milliseconds it is out of the way if nothing else is claimed; for slots and
    /// for money held by calls in flight, when to ask again. `None`: never.
    pub retry_after_ms: Option<u64>,
}

/// What was in the way of a claim, with its index in [`Claim::rates`], [`Claim::slots`] or
/// [`Claim::budgets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A rate limit.
    Rate(usize),
    /// A limit of requests at the same time.
    Slot(usize),
    /// A budget, of which this much could be reserved.
    Budget {
        /// Which one.
        index: usize,
        /// Whether it is used up, or held by calls in flight.
        refusal: budget::Refusal,
        /// What could have been reserved.
        remaining: u64,
    },
}

/// When to ask again for what calls in flight hold.
pub const HELD_RETRY_MS: u64 = 1_000;

impl Refusal {
    /// Whether this lasts longer than `other`. A reason that comes first wins a tie.
    #[must_use]
    pub fn outlasts(&self, other: &Self) -> bool {
        let length = |refusal: &Self| refusal.retry_after_ms.unwrap_or(u64::MAX);
        length(self) > length(other)
    }
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// It used this. May exceed what was claimed.
    Used {
        /// What it spends of the budgets.
        amount: Amount,
        /// What counts under limits of tokens a time.
        rate_tokens: u64,
    },
    /// It never left: everything but the request itself comes back.
    Unused,
    /// Nobody knows: it is charged all that it claimed.
    Reserved,
}

/// The answer to the end of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is closed now. The changes are those of [`Claim::budgets`], in that order.
    Closed(Vec<Change>),
    /// There is no such claim: it was closed already or was never made. Nothing has changed.
    Unknown,
}

/// What a settlement did to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The budget.
    pub key: Key,
    /// The window that it was settled in.
    pub window: Window,
    /// What was spent before. What is spent now stands in `account`.
    pub spent_before: u64,
    /// The account now.
    pub account: Account,
}

/// One account of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountKey {
    /// The budget.
    pub key: Key,
    /// Which of its windows.
    pub window: Window,
}

/// How it stands with the server of the state that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedStatus {
    /// The technology.
    pub backend: &'static str,
    /// Who decides: `shared`, the server; `local`, this replica by its share; `rejecting`, nobody.
    pub mode: &'static str,
    /// Whether the server decides.
    pub is_up: bool,
    /// How many replicas share it, or shared it last.
    pub replicas: u64,
    /// Since when it is lost.
    pub lost_at: Option<UnixMillis>,
    /// Why it is lost, for operators.
    pub cause: Option<String>,
    /// Claims of this replica that are not settled there.
    pub open_claims: usize,
}

/// The state that replicas share.
#[async_trait]
pub trait Counters: Send + Sync + std::fmt::Debug {
    /// Takes all of a claim or none of it, in one step that nobody else can come between.
    async fn take(&self, claim: Claim) -> Result<Outcome>;

    /// Closes a claim: slots are free, and in the windows it was taken from the reservation turns
    /// into what was spent. Closing again changes nothing: the first one counts. Shared counters
    /// that are lost note it, settle it when they are back, and tell of no changes.
    async fn settle(&self, id: &str, at: UnixMillis, close: Close) -> Result<Settled>;

    /// Moves the expiry of those of the claims that are still open, to no moment that is earlier: what is
    /// told late may come after what was told later.
    async fn renew(&self, ids: &[Arc<str>], expires_at: UnixMillis) -> Result<()>;

    /// Up to `max` open claims that have expired, longest ago first. They hold what they took until
    /// they are settled: as [`Close::Reserved`] if the ledger knows that the call left, and as
    /// [`Close::Unused`] if it does not.
    async fn overdue(&self, now: UnixMillis, max: usize) -> Result<Vec<Arc<str>>>;

    /// The accounts, for reports; [`Account::default`] for one that nobody has claimed from.
    async fn snapshot(&self, accounts: &[AccountKey]) -> Result<Vec<Account>>;

    /// Raises accounts to what the ledger knows was spent, open calls at their worst case. For a
    /// store that starts, or that has lost what it knew: before it takes the first claim, and as
    /// often as there are replicas that notice. A shared store that works takes only accounts that
    /// it does not know: a call that is settled in the ledger and not yet here would be counted
    /// twice.
    async fn restore(&self, spent: &[(AccountKey, u64)]) -> Result<()>;

    /// Whether a claim is certain to be held still, to be asked right before a call leaves under it:
    /// who stood still for long may have been taken for dead, and its claims settled by others.
    fn is_held(&self, _id: &str) -> bool {
        true
    }

    /// Notes how a claim is going to be settled, at once: what is noted is settled by
    /// [`Counters::flush`] even if the call of [`Counters::settle`] that follows is never finished.
    fn note(&self, _id: &str, _at: UnixMillis, _close: Close) {}

    /// Settles what is noted, before the process ends.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Whether they have lost what they knew and wait for [`Counters::restore`].
    fn needs_restore(&self) -> bool {
        false
    }

    /// Up to which moment the ledger is to be read for that: what was settled in it from then on,
    /// by the moment that stands there, is told by those who settled it. `None`: all of it.
    fn ledger_counts_until(&self) -> Option<UnixMillis> {
        None
    }

    /// How it stands with a server that replicas share; `None` without one.
    fn status(&self) -> Option<SharedStatus> {
        None
    }

    /// What has to go on beside requests, until the future is dropped.
    async fn tend(&self) {
        std::future::pending().await
    }

    /// These counters without the detour of a future, if they are in this process.
    fn local(&self) -> Option<&memory::MemoryCounters> {
        None
    }
}
