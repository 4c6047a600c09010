//! Limits and budgets in Redis: each question is one script, and so one round trip and one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Script;
use seaworthy_core::budget::Account;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Claim, Close, Counters, Outcome, Settled};
use seaworthy_core::store::{Error, Result};

use super::encode::{self, Words};
use super::link::{Asked, Failure, Link};
use super::set_aside::HOLDER_LIFETIME;
use super::shares::Touched;

mod talk;

pub use talk::{Ending, Epoch, Found, Presence, Take};

/// How long a call in the path of a request may take.
const QUICK: Duration = Duration::from_millis(50);
/// How long a call may take that nobody waits for.
const PATIENT: Duration = Duration::from_millis(500);
/// Most accounts in one call: a script keeps everybody else waiting.
const MAX_ACCOUNTS: usize = 500;
/// A replica that was not heard of for so long is not counted.
const REPLICA_LIFETIME: Duration = Duration::from_secs(5);

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

/// What is told too late, of a server that has lost its memory meanwhile.
const CHANGED: u8 = 2;

/// Counters in Redis. It does nothing of its own accord: see [`super::SharedCounters`].
#[derive(Debug)]
pub struct RedisCounters {
    link: Arc<Link>,
    prefix: String,
    /// Whether rates are counted by the clock of the server. The caller's is for tests.
    uses_server_clock: bool,
    /// How long a call in the path of a request may take.
    quick: Duration,
    /// How long a call may take that nobody waits for.
    patient: Duration,
    known: Mutex<Option<Epoch>>,
    run: Mutex<String>,
    reports: AtomicU64,
    scripts: Scripts,
}

#[derive(Debug)]
pub(super) struct Scripts {
    take: Script,
    settle: Script,
    renew: Script,
    restore: Script,
    beat: Script,
    spend: Script,
    pub(super) shares: Script,
    pub(super) release: Script,
}

impl RedisCounters {
    /// The counters of a deployment, by the clock of the server.
    #[must_use]
    pub fn new(link: Arc<Link>, deployment: &str) -> Self {
        Self {
            link,
            prefix: format!("sw:{{{deployment}}}:"),
            uses_server_clock: true,
            quick: QUICK,
            patient: PATIENT,
            known: Mutex::default(),
            run: Mutex::default(),
            reports: AtomicU64::new(0),
            scripts: Scripts {
                take: script!("take"),
                settle: script!("settle"),
                renew: script!("renew"),
                restore: script!("restore"),
                beat: script!("beat"),
                spend: script!("spend"),
                shares: script!("shares"),
                release: script!("release"),
            },
        }
    }

    /// Counts by the clock of those who ask, whose times then decide what is refused.
    #[must_use]
    pub fn by_callers_clock(self) -> Self {
        Self {
            uses_server_clock: false,
            ..self
        }
    }

    /// Waits longer for answers, where nothing is proven by not waiting.
    #[must_use]
    pub fn patiently(self, deadline: Duration) -> Self {
        Self {
            quick: deadline,
            patient: deadline,
            ..self
        }
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// How long a call may take that nobody waits for.
    pub(super) fn patient(&self) -> Duration {
        self.patient
    }

    /// What claims are taken under, as the server knows it.
    pub(super) fn known_epoch(&self) -> String {
        let known = self.known.lock().clone();
        known.map_or_else(String::new, |known| known.0)
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn claim_key(&self, id: &str) -> String {
        format!("{}claim:{id}", self.prefix)
    }

    /// Adopts what the server remembers: claims are taken under it from now on.
    pub fn know(&self, epoch: Option<Epoch>) {
        *self.known.lock() = epoch;
    }

    /// Asks the server for a claim.
    ///
    /// # Errors
    /// When no answer comes in time. Nothing is known about the outcome then.
    pub async fn ask(&self, claim: &Claim) -> Asked<Take> {
        let epoch = self.known_epoch();
        self.claim(claim, None, &epoch, self.quick).await
    }

    /// Tells the server of a claim that has passed, whatever the limits say. It was taken from the
    /// share of this holder, if from one. `false` where the server does not remember any more what it
    /// did in this epoch.
    ///
    /// # Errors
    /// When no answer comes in time. Telling it again changes nothing.
    pub async fn insist(
        &self,
        claim: &Claim,
        holder: Option<&str>,
        epoch: Option<&Epoch>,
    ) -> Asked<bool> {
        let share = holder.map_or_else(String::new, |holder| self.share_key(holder));
        let epoch = epoch.map_or("", |epoch| &epoch.0);
        let told = self.claim(claim, Some(share), epoch, self.patient);
        Ok(matches!(told.await?, Take::Decided(..)))
    }

    /// With a share, whatever the limits say.
    async fn claim(
        &self,
        claim: &Claim,
        forced_from: Option<String>,
        epoch: &str,
        deadline: Duration,
    ) -> Asked<Take> {
        let mut call = self.scripts.take.prepare_invoke();
        call.key(self.key("epoch"))
            .key(self.key("open"))
            .key(self.claim_key(&claim.id))
            .key(self.key("touched"));
        call.arg(claim.at.0)
            .arg(u8::from(self.uses_server_clock))
            .arg(u8::from(forced_from.is_some()))
            .arg(epoch)
            .arg(claim.expires_at.0)
            .arg(&*claim.id)
            .arg(forced_from.unwrap_or_default())
            .arg(claim.rates.len())
            .arg(claim.slots.len())
            .arg(claim.budgets.len());
        encode::claim(&mut call, claim);
        let mut words = Words::new(self.link.call(&call, deadline).await?);
        Ok(match words.text().as_str() {
            word @ ("taken" | "refused") => {
                let (outcome, accounts) = words.outcome(claim, word == "taken");
                Take::Decided(outcome, accounts)
            }
            "blank" => Take::Blank,
            _ => Take::Changed,
        })
    }

    /// Closes a claim.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn close(
        &self,
        id: &str,
        at: UnixMillis,
        close: Close,
        ending: Ending,
    ) -> Asked<Settled> {
        let (how, tokens, micros, rate_tokens) = match close {
            Close::Used {
                amount,
                rate_tokens,
            } => ("used", amount.tokens, amount.cost.0, rate_tokens),
            Close::Unused => ("unused", 0, 0, 0),
            Close::Reserved => ("reserved", 0, 0, 0),
        };
        let mut call = self.scripts.settle.prepare_invoke();
        call.key(self.key("open"))
            .key(self.claim_key(id))
            .key(self.key("touched"))
            .arg(at.0)
            .arg(u8::from(self.uses_server_clock))
            .arg(id)
            .arg(how)
            .arg(encode::amount(tokens))
            .arg(encode::amount(micros))
            .arg(encode::amount(rate_tokens))
            .arg(u8::from(ending == Ending::Remembered));
        let words = self.link.call(&call, self.patient).await?;
        Ok(Words::new(words).settled())
    }

    /// Moves the expiry of claims that are open, to no moment that is earlier than the one it has, and to
    /// none after this time from now on, by the clock of the server.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn move_expiry(
        &self,
        ids: &[Arc<str>],
        at: UnixMillis,
        most: Option<Duration>,
    ) -> Asked<()> {
        let most = most.map_or_else(String::new, |most| most.as_millis().to_string());
        for some in ids.chunks(MAX_ACCOUNTS) {
            let mut call = self.scripts.renew.prepare_invoke();
            call.key(self.key("open")).arg(at.0).arg(&most);
            for id in some {
                call.arg(&**id);
            }
            let _done: u8 = self.link.call(&call, self.patient).await?;
        }
        Ok(())
    }

    /// Raises accounts to what the ledger says. A server that knew nothing then knows this, and
    /// takes claims after `gathering`, in which replicas say what they hold. One that is not as it was
    /// found any more stays as it is.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn raise(
        &self,
        spent: &[(AccountKey, u64)],
        (gathering, counted_until): (Duration, UnixMillis),
        found: Found,
        new_epoch: &Epoch,
    ) -> Asked<()> {
        let run = self.run.lock().clone();
        let accounts: Vec<_> = encode::accounts(spent).collect();
        let mut parts: Vec<_> = accounts.chunks(MAX_ACCOUNTS).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        for (index, part) in parts.into_iter().enumerate() {
            let mut call = self.scripts.restore.prepare_invoke();
            call.key(self.key("epoch")).key(self.key("touched"));
            call.arg(u8::from(index == last))
                .arg(&new_epoch.0)
                .arg(&run);
            call.arg(gathering.as_millis() as u64)
                .arg(counted_until.0)
                .arg(u8::from(found == Found::Blank));
            for (key, end, spent) in part {
                call.key(key).arg(spent).arg(end);
            }
            let _epoch: Option<String> = self.link.call(&call, self.patient).await?;
        }
        Ok(())
    }

    /// Looks which process of the server answers: after a restart it knows at most what it had
    /// written down. One that does not say is taken for the same.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn identify(&self) -> Asked<()> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let info = self.link.command::<String>(&command, self.patient).await;
        let info = match info {
            Err(Failure::Server(_)) => String::new(),
            answer => answer?,
        };
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        *self.run.lock() = run.unwrap_or_default().trim().to_owned();
        Ok(())
    }

    /// Says that a replica lives and asks what has happened since.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn beat(
        &self,
        replica: &str,
        since: UnixMillis,
        holder: Option<&str>,
        deadline: Duration,
    ) -> Asked<Presence> {
        let run = self.run.lock().clone();
        let mut call = self.scripts.beat.prepare_invoke();
        call.key(self.key("epoch"))
            .key(self.key("replicas"))
            .key(self.key("touched"))
            .key(self.key("holders"))
            .arg(replica)
            .arg(since.0)
            .arg(run)
            .arg(REPLICA_LIFETIME.as_millis() as u64)
            .arg(holder.unwrap_or_default())
            .arg(HOLDER_LIFETIME.as_millis() as u64);
        let mut words = Words::new(self.link.call(&call, deadline).await?);
        let now = words.moment();
        let replicas = words.number();
        let epoch = Some(words.text()).filter(|id| !id.is_empty()).map(Epoch);
        let ready_in = Duration::from_millis(words.number());
        let counted_until = words.moment();
        let silent = (0..words.number()).map(|_| words.text()).collect();
        let mut touched = Vec::new();
        while !words.is_empty() {
            touched.push(Touched {
                key: words.text(),
                account: words.account(),
                is_wanted: words.text() == "1",
            });
        }
        Ok(Presence {
            now,
            replicas,
            epoch,
            ready_in,
            counted_until,
            silent,
            touched,
        })
    }

    /// What the clock of the server shows.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub(super) async fn time(&self) -> Asked<UnixMillis> {
        let command = redis::cmd("TIME");
        let (seconds, micros) = self
            .link
            .command::<(i64, i64)>(&command, self.patient)
            .await?;
        Ok(UnixMillis(seconds * 1_000 + micros / 1_000))
    }

    /// Leaves the replicas that are counted.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn leave(&self, replica: &str) -> Asked<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(self.key("replicas")).arg(replica);
        self.link.command(&command, self.patient).await
    }

    /// A name for one report of [`RedisCounters::spend`].
    pub fn report_name(&self, replica: &str) -> String {
        let number = self.reports.fetch_add(1, Ordering::Relaxed);
        format!("report:{replica}:{number}")
    }

    /// Adds what was spent without the server, from the share of this holder if it has one. Saying
    /// so again under the same name changes nothing. `false` where the server does not remember any
    /// more what it did in this epoch.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn spend(
        &self,
        name: &str,
        spent: &[(AccountKey, u64)],
        holder: Option<&str>,
        epoch: Option<&Epoch>,
    ) -> Asked<bool> {
        let share = holder.map_or_else(String::new, |holder| self.share_key(holder));
        let accounts: Vec<_> = encode::accounts(spent).collect();
        for (part, accounts) in accounts.chunks(MAX_ACCOUNTS).enumerate() {
            let mut call = self.scripts.spend.prepare_invoke();
            call.key(self.key(&format!("{name}:{part}")));
            call.key(self.key("touched")).key(self.key("epoch"));
            call.arg(&share).arg(epoch.map_or("", |epoch| &epoch.0));
            for (key, end, spent) in accounts {
                call.key(key).arg(spent).arg(end);
            }
            let done: u8 = self.link.call(&call, self.patient).await?;
            if done == CHANGED {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The way to the server.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }
}

/// The counters as one caller sees them who restores them first and does not lose them.
#[async_trait]
impl Counters for RedisCounters {
    async fn take(&self, claim: Claim) -> Result<Outcome> {
        match self.ask(&claim).await? {
            Take::Decided(outcome, _) => Ok(outcome),
            Take::Blank | Take::Changed => Err(Error::Conflict(
                "the counters have to be restored before they are used".to_owned(),
            )),
        }
    }

    async fn settle(&self, id: &str, at: UnixMillis, close: Close) -> Result<Settled> {
        Ok(self.close(id, at, close, Ending::Forgotten).await?)
    }

    async fn renew(&self, ids: &[Arc<str>], expires_at: UnixMillis) -> Result<()> {
        Ok(self.move_expiry(ids, expires_at, None).await?)
    }

    async fn overdue(&self, now: UnixMillis, max: usize) -> Result<Vec<Arc<str>>> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(self.key("open")).arg("-inf").arg(now.0);
        command.arg("LIMIT").arg(0).arg(max);
        let ids: Vec<String> = self.link.command(&command, self.patient).await?;
        Ok(ids.into_iter().map(encode::shared).collect())
    }

    async fn snapshot(&self, accounts: &[AccountKey]) -> Result<Vec<Account>> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for at in accounts {
            let key = encode::account_key(&at.key, at.window);
            pipeline.cmd("HMGET").arg(key).arg(&["l", "s", "r"]);
        }
        let found: Vec<(Option<u64>, Option<u64>, Option<u64>)> =
            self.link.pipeline(&pipeline, self.patient).await?;
        let account = |(limit, spent, reserved): (Option<u64>, Option<u64>, Option<u64>)| Account {
            limit: limit.unwrap_or(0),
            spent: spent.unwrap_or(0),
            reserved: reserved.unwrap_or(0),
        };
        Ok(found.into_iter().map(account).collect())
    }

    async fn restore(&self, spent: &[(AccountKey, u64)]) -> Result<()> {
        let epoch = Epoch("1".to_owned());
        let at_once = (Duration::ZERO, UnixMillis(0));
        let beat = || self.beat("alone", UnixMillis(0), None, self.patient);
        let found = match beat().await?.epoch {
            None => Found::Blank,
            Some(_) => Found::Knowing,
        };
        self.raise(spent, at_once, found, &epoch).await?;
        self.know(beat().await?.epoch);
        Ok(())
    }
}
