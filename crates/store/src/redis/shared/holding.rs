//! How a replica comes to hold shares, when it may spend them without asking, and how those of
//! others come back.

use std::time::Duration;

use seaworthy_core::counters::shares::{Left, ShareRegistry, Standing};
use seaworthy_core::error::chain;
use tokio::time::Instant;

use super::super::counters::Presence;
use super::super::link::Asked;
use super::super::set_aside::Aside;
use super::{OnLoss, SharedCounters, State};

/// How often a holder says that it lives while it can ask.
const QUIET_INTERVAL: Duration = Duration::from_secs(5);
/// How often while it cannot.
const ALONE_INTERVAL: Duration = Duration::from_secs(1);
/// So long shares are spent without asking after the registry has agreed. Much shorter than
/// [`UNHEARD`]: a process that stood still stops before others take it for dead.
const PERMISSION: Duration = Duration::from_secs(10);
/// A holder that spends and was not heard of for so long is dead.
const UNHEARD: Duration = Duration::from_secs(30);

impl SharedCounters {
    /// Keeps up with the registry until the future is dropped.
    pub(super) async fn keep_registered(&self) {
        let Some(registry) = self.options.registry.clone() else {
            return std::future::pending().await;
        };
        loop {
            self.look_after_shares(&*registry).await;
            let pause = match self.is_up() {
                true => QUIET_INTERVAL,
                false => ALONE_INTERVAL,
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn look_after_shares(&self, registry: &dyn ShareRegistry) {
        self.finish_ended(registry).await;
        let held = self.state.lock().shares.holder().map(str::to_owned);
        match held {
            Some(holder) => self.say_alive(registry, &holder).await,
            None if self.is_up() && self.options.on_loss == OnLoss::Local => {
                self.begin_to_hold(registry).await;
            }
            None => {}
        }
        self.release_silent(registry).await;
    }

    async fn begin_to_hold(&self, registry: &dyn ShareRegistry) {
        let number = {
            let state = &mut *self.state.lock();
            state.holders += 1;
            state.holders
        };
        let holder = format!("{}.{number}", self.options.replica);
        if registry.register(&holder).await.is_ok() {
            let mut state = self.state.lock();
            if self.is_up() {
                state.shares.begin(holder);
            } else {
                state.ended.push(holder);
            }
        }
    }

    /// Says that this holder lives, and asks to spend without asking where the server is lost.
    async fn say_alive(&self, registry: &dyn ShareRegistry, holder: &str) {
        let wants_alone = !self.is_up();
        let asked = self.moment();
        let standing = registry.beat(holder, wants_alone).await;
        let mut state = self.state.lock();
        if state.shares.holder() != Some(holder) {
            return;
        }
        match standing {
            Ok(Standing::Alone) => {
                state.lease_alone.keep(asked);
                state.shares.allow(Some(asked.at + PERMISSION));
            }
            Ok(Standing::Asking) => {}
            Ok(Standing::Ended) => {
                self.end_shares(&mut state);
            }
            Err(error) => {
                let cause = chain(&error);
                tracing::warn!(
                    cause,
                    "whose shares of budgets are whose cannot be agreed on"
                );
            }
        }
        drop(state);
        self.permitted.notify_waiters();
    }

    /// Waits a moment until shares may be spent without asking.
    pub(super) async fn may_spend_alone(&self, deadline: Duration) -> bool {
        let gives_up_at = Instant::now() + deadline;
        loop {
            let permitted = self.permitted.notified();
            tokio::pin!(permitted);
            permitted.as_mut().enable();
            {
                let state = self.state.lock();
                if self.is_up() || state.shares.may_be_spent() {
                    return true;
                }
                if state.shares.holder().is_none() {
                    return false;
                }
            }
            if tokio::time::timeout_at(gives_up_at, permitted)
                .await
                .is_err()
            {
                return false;
            }
        }
    }

    /// Lets go of all shares, of which the server knows nothing any more, or which others have ended;
    /// the server and the registry hear of it as soon as they can.
    pub(super) fn end_shares(&self, state: &mut State) {
        let holder = state.shares.end();
        self.note_ended(state, holder);
    }

    /// Lets go of all shares once the server knows what was spent of them.
    pub(super) fn let_go_of_shares(&self, state: &mut State) {
        let holder = state.shares.let_go(state.is_all_told());
        self.note_ended(state, holder);
    }

    /// Lets go of shares that were to be let go of, after the server was told.
    pub(super) fn go_on_letting_go(&self, state: &mut State) {
        let holder = state.shares.go_on_letting_go(state.is_all_told());
        self.note_ended(state, holder);
    }

    fn note_ended(&self, state: &mut State, holder: Option<String>) {
        if let Some(holder) = holder {
            state.ended.push(holder);
            self.changed.notify_one();
        }
    }

    /// The registry first: whoever restores the server waits for it. If the server does not hear of
    /// it, others look for a holder that is silent.
    async fn finish_ended(&self, registry: &dyn ShareRegistry) {
        let ended = std::mem::take(&mut self.state.lock().ended);
        for holder in ended {
            if registry.finish(&holder).await.is_err() {
                self.state.lock().ended.push(holder);
            } else if self.is_up() {
                let _later = self.server.release(&holder, false).await;
            }
        }
    }

    /// Gives back what holders had who are gone.
    async fn release_silent(&self, registry: &dyn ShareRegistry) {
        let silent = std::mem::take(&mut self.state.lock().silent);
        for holder in silent {
            let Ok(left) = registry.release(&holder, UNHEARD).await else {
                return;
            };
            let is_spent = match left {
                Left::Unspent => false,
                Left::Unknown => true,
                Left::InUse => continue,
            };
            if self.server.release(&holder, is_spent).await.is_ok() {
                tracing::warn!(
                    holder,
                    is_spent,
                    "ended the shares of a replica that is gone"
                );
            }
        }
    }

    /// Ends what holders may spend of a server that has lost its memory. `false` while some may
    /// still be spending: what the ledger says is not all yet then.
    pub(super) async fn recall_shares(&self) -> bool {
        let Some(registry) = &self.options.registry else {
            return true;
        };
        match registry.recall(UNHEARD).await {
            Ok(spending) => spending == 0,
            Err(error) => {
                let cause = chain(&error);
                tracing::warn!(cause, "shares of budgets cannot be recalled");
                false
            }
        }
    }

    /// Has the server set aside what fits to how accounts stand now.
    pub(super) async fn balance(&self, mut presence: Presence) -> Asked<()> {
        let question = {
            let state = &mut *self.state.lock();
            if !presence.silent.is_empty() {
                state.silent = std::mem::take(&mut presence.silent);
                self.changed.notify_one();
            }
            if !state.is_all_told() {
                // It was lost in this moment, and something was spent alone. What is left of a share
                // is not all that is needed of it then.
                return Ok(());
            }
            let known = state.shares.to_begin_with().into_iter();
            let known = known.filter_map(|key| state.views.touched(key));
            presence.touched.extend(known);
            let replicas = state.divisor(&self.options);
            state.shares.question(&presence.touched, replicas)
        };
        let Some(question) = question else {
            return Ok(());
        };
        let answer = self.server.set_aside(&question).await;
        let state = &mut *self.state.lock();
        match &answer {
            Ok(Aside::Set(shares)) => state.shares.granted(&question, shares),
            Ok(Aside::Ended) => self.let_go_of_shares(state),
            // What is left is certain all the same: the server never sets aside less than that.
            Ok(Aside::Late) | Err(_) => {}
        }
        answer.map(drop)
    }
}
