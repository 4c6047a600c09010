//! How a replica keeps up with the server, and how both agree again after one was lost.
//!
//! A server that has lost what it knew is *blank*: it takes no claims until the ledger has said what
//! was spent, and then for a moment still none, in which every replica says what its open calls
//! hold. A server that was only out of reach is told what happened meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Claim, Close, Counters as _};
use seaworthy_core::error::chain;
use seaworthy_core::store::{Error, Result};
use seaworthy_core::trace::RequestId;
use tokio::time::Instant;

use super::super::counters::{Ending, Epoch, Found, Presence};
use super::super::encode;
use super::super::lease::is_steady;
use super::super::link::Asked;
use super::super::local::Alone;
use super::super::tracked::{Place, Report};
use super::{LEASE, LEDGER_LAG, SharedCounters, State};

/// How often a replica says that it lives.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);
/// How often it looks for a server that is lost.
const SEARCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long a beat may take.
const BEAT_DEADLINE: Duration = Duration::from_millis(250);
/// An answer that is older says nothing of now.
const MAX_AGE: Duration = Duration::from_secs(1);
/// After so many beats without an answer the server is lost.
const MAX_MISSED_BEATS: u32 = 2;
/// How often the expiry of open claims is moved.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long a server that was restored waits for what replicas hold. Longer than a search takes.
const GATHERING: Duration = Duration::from_millis(800);
/// How long a start waits for a server that does not answer before it goes on without.
const START_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long it waits for one that answers and takes no claims yet.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

impl SharedCounters {
    /// Says that this replica lives, looks for a server that is lost, and tells it what it missed.
    pub(super) async fn keep_up(&self) {
        loop {
            self.turn().await;
            let pause = if self.is_up() {
                BEAT_INTERVAL
            } else {
                SEARCH_INTERVAL
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.lost.notified() => {}
            }
        }
    }

    /// When a claim that is taken or renewed now counts as abandoned, by the clock of the server: those
    /// of replicas may be off, and a claim of a dead one must not live for hours.
    pub(super) fn lease_ends(&self) -> UnixMillis {
        self.server_now().plus(LEASE)
    }

    pub(super) fn server_now(&self) -> UnixMillis {
        let state = self.state.lock();
        match state.last_beat_at {
            Some(at) => state.last_beat.plus(at.elapsed()),
            None => self.options.clock.now(),
        }
    }

    /// Restores accounts, and waits a moment for the server to take claims.
    pub(super) async fn bring_up(&self, spent: &[(AccountKey, u64)]) {
        {
            let state = &mut *self.state.lock();
            for (key, _, spent) in encode::accounts(spent) {
                state.views.note_spent(key, spent);
            }
        }
        let began = Instant::now();
        match self.raise(spent).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(failure) => {
                let cause = chain(&failure);
                let mut state = self.state.lock();
                if state.lost_at.is_none() {
                    tracing::error!(cause, "the shared state cannot be reached");
                    state.lost_at = Some(self.options.clock.now());
                }
                state.cause = cause;
                return;
            }
        }
        while !self.is_up() {
            self.turn().await;
            let answers = self.state.lock().missed_beats == 0;
            let patience = if answers {
                READY_TIMEOUT
            } else {
                START_TIMEOUT
            };
            // One that has lost its memory once more takes none before it is restored again.
            if self.is_up() || self.needs_restore() || began.elapsed() >= patience {
                return;
            }
            tokio::time::sleep(SEARCH_INTERVAL / 2).await;
        }
    }

    /// Tells the server what the ledger knows. `false` where it has lost its memory and it is too
    /// early: what has ended before that was noticed may not be in the ledger yet, or somebody may
    /// still be spending what was set aside there. The ledger has to be read again then.
    async fn raise(&self, spent: &[(AccountKey, u64)]) -> Asked<bool> {
        self.server.identify().await?;
        let read_until = self.state.lock().read_until.take();
        // Notices a server that was started anew, before it is restored.
        let (now, is_blank) = self.look().await?;
        let (mut counted_until, mut found) = (now, Found::Knowing);
        if is_blank {
            found = Found::Blank;
            {
                let state = &mut *self.state.lock();
                self.end_shares(state);
                state.note_blank(now);
                counted_until = state.blank_since.unwrap_or(now);
            }
            let is_recalled = self.recall_shares().await;
            let is_early = now.since(counted_until) < LEDGER_LAG;
            if !is_recalled || is_early || read_until != Some(counted_until) {
                return Ok(false);
            }
        } else if read_until.is_some() {
            // Another replica has restored it meanwhile. What ended since is told by those who ended it.
            self.state.lock().blank_since = None;
            return Ok(true);
        }
        let epoch = Epoch(RequestId::generate().as_str().to_owned());
        let moments = (GATHERING, counted_until);
        self.server.raise(spent, moments, found, &epoch).await?;
        self.state.lock().blank_since = None;
        Ok(true)
    }

    /// Whether the server is blank, and when it was asked. Who stood still with the answer in its hands asks
    /// again: others may have restored it since, and spend what was set aside.
    async fn look(&self) -> Asked<(UnixMillis, bool)> {
        let (replica, nothing_since) = (&self.options.replica, UnixMillis(i64::MAX / 2));
        loop {
            let asked = self.moment();
            let beat = self
                .server
                .beat(replica, nothing_since, None, BEAT_DEADLINE);
            let is_blank = beat.await?.epoch.is_none();
            if self.moment().since(asked) < MAX_AGE {
                return Ok((asked.wall, is_blank));
            }
        }
    }

    /// Settles what is noted and leaves the replicas, before the process ends.
    pub(super) async fn say_goodbye(&self) -> Result<()> {
        let _turn = self.turning.lock().await;
        if !self.is_up() {
            return Ok(());
        }
        let (holder, known) = {
            let state = &mut *self.state.lock();
            (state.shares.end(), state.known.clone())
        };
        let told = async {
            self.tell(known.as_ref(), None, false).await?;
            if let Some(holder) = &holder {
                self.server.release(holder, false).await?;
            }
            self.server.leave(&self.options.replica).await
        };
        told.await.map_err(Error::from)?;
        match (&self.options.registry, &holder) {
            (Some(registry), Some(holder)) => registry.finish(holder).await,
            _ => Ok(()),
        }
    }

    async fn turn(&self) {
        let _turn = self.turning.lock().await;
        if let Err(failure) = self.meet().await {
            self.server.link().reset();
            let missed = {
                let mut state = self.state.lock();
                state.missed_beats += 1;
                if !self.is_up() {
                    state.cause = chain(&failure);
                }
                state.missed_beats
            };
            if missed >= MAX_MISSED_BEATS {
                self.lose(&chain(&failure), false);
            }
        }
    }

    async fn meet(&self) -> Asked<()> {
        self.server.identify().await?;
        // Twice is harmless: a moment that two beats share must not be lost.
        let (since, holder) = {
            let state = self.state.lock();
            let since = state.last_beat.0.saturating_sub(1_000);
            (since, state.shares.holder().map(str::to_owned))
        };
        let beat = self.server.beat(
            &self.options.replica,
            UnixMillis(since),
            holder.as_deref(),
            BEAT_DEADLINE,
        );
        let asked = Instant::now();
        let presence = self.options.observer.watch("redis", "beat", beat).await?;
        let own = self.options.clock.now();
        let (known, is_up) = {
            let state = &mut *self.state.lock();
            state.missed_beats = 0;
            let apart = state.clocks.compare(own, presence.now, asked.elapsed());
            if let Some(apart) = apart {
                let apart_ms = apart.as_millis();
                tracing::warn!(
                    apart_ms,
                    "the clocks of this replica and of Redis are apart: have both set by the same time \
                     servers, or what was spent is not exact after Redis has lost its memory"
                );
            }
            state.look_at_clock(presence.now);
            (state.last_beat, state.last_beat_at) = (presence.now, Some(Instant::now()));
            state.replicas = presence.replicas;
            for touched in &presence.touched {
                state.views.note(touched.key.clone(), touched.account);
            }
            (state.known.clone(), self.is_up())
        };
        match &presence.epoch {
            None => {
                self.lose("the server has lost what it knew", true);
                let state = &mut *self.state.lock();
                state.note_blank(self.options.clock.now());
                // Nobody knows there what was set aside.
                self.end_shares(state);
                Ok(())
            }
            epoch if is_up && *epoch == known => {
                self.tell(epoch.as_ref(), None, false).await?;
                self.renew_claims().await?;
                self.balance(presence).await
            }
            epoch => {
                self.lose("the server has lost what it knew", false);
                self.state.lock().blank_since = None;
                let has_lost = *epoch != known;
                self.come_back(&presence, has_lost).await
            }
        }
    }

    /// Agrees with a server that can be reached again.
    async fn come_back(&self, presence: &Presence, has_lost: bool) -> Asked<()> {
        let epoch = presence.epoch.as_ref();
        let counted_until = has_lost.then_some(presence.counted_until);
        if let Some(until) = counted_until {
            self.sort_out_ended(epoch, until);
        }
        // Before claims are taken, and not once they are: what ended here is in no ledger that was read, and
        // whoever is back a moment earlier would spend it again.
        let is_gathering = !presence.ready_in.is_zero();
        self.tell(epoch, counted_until, is_gathering).await?;
        if is_gathering {
            return Ok(());
        }
        self.server.know(presence.epoch.clone());
        let lost_at = {
            let state = &mut *self.state.lock();
            state.known.clone_from(&presence.epoch);
            self.is_up.store(true, Ordering::Release);
            state.lost_at.take()
        };
        let lost_for_ms = lost_at.map_or(0, |at| self.options.clock.now().since(at).as_millis());
        tracing::info!(
            lost_for_ms,
            replicas = presence.replicas,
            "the shared state answers"
        );
        // What was decided here while this was told.
        self.tell(epoch, None, false).await?;
        let state = &mut *self.state.lock();
        state.alone = Alone::default();
        // What is left of the shares comes back, and others are set aside.
        self.let_go_of_shares(state);
        self.changed.notify_one();
        Ok(())
    }

    /// What has ended, and whose end the server has lost: in the ledger if it ended before that was
    /// read, and to be told if it ended from then on.
    fn sort_out_ended(&self, epoch: Option<&Epoch>, counted_until: UnixMillis) {
        let state = &mut *self.state.lock();
        self.end_shares(state);
        if state.reminded.as_ref() != epoch {
            state.reminded = epoch.cloned();
            // Asked of the memory before, which is refused now.
            state.doubtful.clear();
            for (at, claim, close) in state.ended_lately.drain(counted_until) {
                state.spent.add(&claim, at, close);
            }
            let told = state.told_lately.drain(Some(counted_until));
            state.spent.take_back(told);
            for tracked in state.tracked.values_mut() {
                // What was meant for the memory before is not taken any more.
                (tracked.is_restated, tracked.in_doubt) = (false, false);
            }
        }
        let (spent, lately) = (&mut state.spent, &mut state.ended_lately);
        state.tracked.retain(|_, tracked| match tracked.closed {
            Some((at, close)) if tracked.is_untold() => {
                match at >= counted_until {
                    true => spent.add(&tracked.claim, at, close),
                    false => lately.note(Arc::clone(&tracked.claim), at, close),
                }
                false
            }
            _ => true,
        });
    }

    /// Tells the server of a claim that has passed. `false` where it has lost its memory meanwhile.
    async fn insist(
        &self,
        claim: &Claim,
        holder: Option<&str>,
        epoch: Option<&Epoch>,
    ) -> Asked<bool> {
        let told = self.server.insist(claim, holder, epoch).await;
        if let Some(tracked) = self.state.lock().tracked.get_mut(&claim.id) {
            match told {
                Ok(true) => (tracked.place, tracked.is_restated) = (Place::Server, true),
                Ok(false) => {}
                Err(_) => tracked.in_doubt = true,
            }
        }
        told
    }

    /// Tells the server what happened without it, and one that has lost its memory what it knew of this
    /// replica. What is over is told first: it waits for those who tell of claims.
    async fn tell(
        &self,
        epoch: Option<&Epoch>,
        counted_until: Option<UnixMillis>,
        is_gathering: bool,
    ) -> Asked<()> {
        self.forget_doubtful().await?;
        // At once: what ends from here on is told as the end of a claim that was told.
        let (report, unknown, holder) = {
            let state = &mut *self.state.lock();
            let name = || self.server.report_name(&self.options.replica);
            let pending = state.report.take();
            let (next, known) = Report::next(pending, &mut state.spent, epoch, counted_until, name);
            state.report = next;
            let now = self.options.clock.now();
            state.told_lately.keep_lately(known, now);
            let report = state.report.as_ref();
            let report = report.map(|report| (report.name.clone(), report.sums()));
            let unknown = state.hand_over(counted_until.is_some(), is_gathering);
            (report, unknown, state.shares.holder().map(str::to_owned))
        };
        if let Some((name, spent)) = report {
            let told = self.server.spend(&name, &spent, holder.as_deref(), epoch);
            if told.await? {
                let state = &mut *self.state.lock();
                if let Some(report) = state.report.take() {
                    let now = self.options.clock.now();
                    state.told_lately.keep_lately(report.spent, now);
                }
            }
        }
        for claim in unknown {
            if !self.insist(&claim, holder.as_deref(), epoch).await? {
                // The next beat sees that it has lost its memory once more.
                break;
            }
        }
        for (id, at, close) in self.noted() {
            self.close_there(&id, at, close).await?;
        }
        self.go_on_letting_go(&mut self.state.lock());
        Ok(())
    }

    /// Gives back what the server may hold and nobody wants.
    async fn forget_doubtful(&self) -> Asked<()> {
        let doubtful = std::mem::take(&mut self.state.lock().doubtful);
        let mut left = doubtful.into_iter();
        while let Some(id) = left.next() {
            let at = self.options.clock.now();
            let closed = self
                .server
                .close(&id, at, Close::Unused, Ending::Remembered);
            if let Err(failure) = closed.await {
                let doubtful = &mut self.state.lock().doubtful;
                doubtful.push(id);
                doubtful.extend(left);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The claims that have ended and that the server still holds.
    fn noted(&self) -> Vec<(Arc<str>, UnixMillis, Close)> {
        let state = self.state.lock();
        let noted = state.tracked.iter().filter_map(|(id, tracked)| {
            let (at, close) = tracked.closed?;
            (tracked.place == Place::Server).then(|| (Arc::clone(id), at, close))
        });
        in_order(noted.collect(), |(id, ..): &(Arc<str>, _, _)| {
            Arc::clone(id)
        })
    }

    async fn renew_claims(&self) -> Asked<()> {
        let ids: Vec<Arc<str>> = {
            let state = &mut *self.state.lock();
            if state
                .renewed_at
                .is_some_and(|at| at.elapsed() < RENEW_INTERVAL)
            {
                return Ok(());
            }
            state.renewed_at = Some(Instant::now());
            state.tracked.keys().cloned().collect()
        };
        let now = self.moment();
        let moved = self
            .server
            .move_expiry(&ids, self.lease_ends(), Some(LEASE));
        moved.await?;
        self.state.lock().lease.keep(now);
        Ok(())
    }
}

impl State {
    /// The claims that the server does not know, which are told it whatever the limits say: they have passed.
    fn hand_over(&mut self, has_lost: bool, is_gathering: bool) -> Vec<Arc<Claim>> {
        let mut unknown = Vec::new();
        for tracked in self.tracked.values_mut() {
            if tracked.is_known(has_lost) || (is_gathering && tracked.can_wait()) {
                continue;
            }
            if tracked.place == Place::Here {
                tracked.place = Place::Moving;
            }
            unknown.push(Arc::clone(&tracked.claim));
        }
        in_order(unknown, |claim: &Arc<Claim>| Arc::clone(&claim.id))
    }

    /// Notices that the clock of the server was set. Until all owners have renewed their claims by it, and
    /// those who stood still have noticed that they did, nobody's claims are taken for abandoned.
    pub(super) fn look_at_clock(&mut self, server_now: UnixMillis) {
        let before = self.last_beat_at.map(|at| (self.last_beat, at.elapsed()));
        if before.is_some_and(|(before, elapsed)| !is_steady(before, elapsed, server_now)) {
            self.believed_until = Some(Instant::now() + LEASE);
        }
    }
}

/// What has no order of its own, in one that is always the same.
fn in_order<T>(mut some: Vec<T>, by: impl Fn(&T) -> Arc<str>) -> Vec<T> {
    some.sort_by_cached_key(by);
    some
}
