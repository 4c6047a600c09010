//! Replicas of which nobody hears for a while: one that stands still with a claim in its hands, and one that
//! is cut off while the server forgets what it holds.

use std::collections::BTreeMap;
use std::time::Duration;

use seaworthy_core::counters::Claim;
use tokio::time::{Instant, sleep, sleep_until};

use super::partition::{LARGEST_CALL, LONGEST_CALL_MS};
use super::{Condition, REPLICAS, World};

/// What was taken at a moment of a run can have been seen to end this much earlier: clocks differ.
const SKEW_MS: i64 = 300;
/// A claim that nobody renews is settled after this long.
const LEASE_AND_A_LOOK: Duration = Duration::from_secs(27);
/// So long a replica that stands still relies on what it has reserved.
const STILL_CERTAIN: Duration = Duration::from_secs(15);
/// A replica that spends alone is taken for dead after this long.
const UNHEARD: Duration = Duration::from_secs(32);

/// What nobody can say of a budget: a server that has forgotten it takes claims again without what a replica
/// holds that is cut off. By so much, and no more, the budget can be exceeded.
#[derive(Default)]
pub(super) struct Absence {
    /// The replica that is cut off, and since when the server does not know what it holds.
    who: Option<String>,
    forgotten_at: Option<i64>,
    calls: BTreeMap<String, Held>,
    unsaid: BTreeMap<String, u64>,
}

struct Held {
    replica: String,
    budgets: Vec<(String, u64)>,
    ended_at: Option<i64>,
}

impl Absence {
    pub(super) fn take(&mut self, replica: &str, claim: &Claim) {
        let budgets = claim.budgets.iter();
        let budgets = budgets.map(|budget| (budget.key.as_str().to_owned(), budget.amount));
        let held = Held {
            replica: replica.to_owned(),
            budgets: budgets.collect(),
            ended_at: None,
        };
        self.calls.insert(claim.id.to_string(), held);
    }

    pub(super) fn end(&mut self, id: &str, now_ms: i64) {
        if let Some(call) = self.calls.get_mut(id) {
            call.ended_at = Some(now_ms);
        }
    }

    /// The server takes claims again.
    pub(super) fn note_restored(&mut self) {
        let (Some(who), Some(forgotten_at)) = (&self.who, self.forgotten_at.take()) else {
            return;
        };
        for call in self.calls.values() {
            let is_open = call.ended_at.is_none_or(|at| at > forgotten_at - SKEW_MS);
            if call.replica == *who && is_open {
                for (key, amount) in &call.budgets {
                    *self.unsaid.entry(key.clone()).or_default() += amount;
                }
            }
        }
    }

    pub(super) fn unsaid(&self, key: &str) -> u64 {
        self.unsaid.get(key).copied().unwrap_or(0)
    }
}

impl World {
    /// A replica stands still while it has claims and no calls yet. The others settle the claims, and spend
    /// all that they held.
    pub(super) async fn stand_still_before_sending(&mut self) -> Result<(), String> {
        self.share().await?;
        let slot = self.shared.below(REPLICAS as u64) as usize;
        let others: Vec<_> = (0..REPLICAS).filter(|other| *other != slot).collect();
        self.burst(2, &[slot]).await?;
        for _ in 0..4 {
            self.call_at(slot, LONGEST_CALL_MS, LARGEST_CALL);
        }
        sleep(self.shared.millis(20)).await;
        self.shared.note(&("still", slot));
        let Some(gate) = self.replicas[slot]
            .as_ref()
            .map(|replica| replica.gate.clone())
        else {
            return Ok(());
        };
        gate.stand_still();
        let since = Instant::now();
        self.burst(8, &others).await?;
        if self.shared.percent(60) {
            self.set_the_clock_of_the_server();
        }
        self.burst(50, &others).await?;
        match self.shared.percent(40) {
            // A little less than a replica relies on what it has reserved.
            true => sleep_until(since + STILL_CERTAIN - Duration::from_millis(3_500)).await,
            false => {
                sleep(LEASE_AND_A_LOOK).await;
                self.burst(40, &others).await?;
                sleep(self.shared.millis(8_000)).await;
            }
        }
        self.burst(50, &others).await?;
        self.shared.note(&("goes on", slot));
        gate.go_on();
        self.burst(10, &[0, 1, 2]).await
    }

    fn set_the_clock_of_the_server(&self) {
        let way = if self.shared.percent(70) { 1 } else { -1 };
        let by_ms = way * (5_000 + self.shared.below(5_000) as i64);
        self.shared.note(&("clock of the server", by_ms));
        self.shared.time.shift_server(by_ms);
    }

    /// The server forgets while a replica cannot reach it and spends its share; whether that one can be
    /// told to stop or not.
    pub(super) async fn forget_while_one_is_cut_off(&mut self) -> Result<(), String> {
        self.share().await?;
        self.shared.server.save();
        let slot = self.shared.below(REPLICAS as u64) as usize;
        let others: Vec<_> = (0..REPLICAS).filter(|other| *other != slot).collect();
        let name = self.replicas[slot]
            .as_ref()
            .map(|replica| replica.name.clone());
        self.shared.absence.borrow_mut().who = name;
        self.cut(slot);
        // What is on its way now arrives when the server has forgotten what it was meant for.
        self.burst(6, &[slot, slot, 0, 1, 2]).await?;
        sleep(Duration::from_millis(1_500)).await;
        let is_deaf = self.shared.percent(60);
        if is_deaf {
            self.cut_off_from_the_registry(slot);
        }
        let now_ms = self.shared.time.elapsed_ms();
        self.shared.absence.borrow_mut().forgotten_at = Some(now_ms);
        self.forget();
        // A server that waited for nobody would take claims by now.
        self.burst(35, &others).await?;
        self.burst(35, &[slot, slot, 0, 1, 2]).await?;
        if is_deaf {
            sleep(UNHEARD).await;
            self.cut_off_from_the_registry(slot);
        }
        self.burst(60, &others).await?;
        self.shared.absence.borrow_mut().who = None;
        self.note_and_set(slot, Condition::Slow);
        self.burst(20, &[0, 1, 2]).await
    }

    /// The server is emptied, or starts anew.
    pub(super) fn forget(&self) {
        let is_emptied = self.shared.percent(50);
        self.shared.note(&("forget", is_emptied));
        if is_emptied {
            return self.shared.server.flush();
        }
        self.ways
            .iter()
            .for_each(|way| way.set_server(Condition::Refused));
        self.shared.server.restart(self.shared.percent(40));
        self.ways
            .iter()
            .for_each(|way| way.set_server(Condition::Open));
    }
}
