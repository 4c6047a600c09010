//! Replicas that the server cannot be reached from, while others reach it.

use std::time::Duration;

use tokio::time::sleep;

use super::{Condition, REPLICAS, Weather, World};

const LONGEST_PAUSE_MS: u64 = 120;
/// A server that knows nothing is restored by then.
const UP_AFTER: Duration = Duration::from_millis(2_500);
/// So that some are still open when others have been refused for long.
pub(super) const LONGEST_CALL_MS: u64 = 7_000;
/// So that some end while their replica is cut off.
const SHORTEST_CALLS_MS: u64 = 800;
/// So that little of a budget is too little for a call.
pub(super) const LARGEST_CALL: u64 = 12;
/// How often the others use up what is left.
const ROUNDS: usize = 3;
/// How often the way of a replica is slow for a moment.
const MOMENTS: usize = 8;
const LONGEST_MOMENT_MS: u64 = 900;

impl World {
    /// First one replica is cut off, later another; in between the others use up what is left, and
    /// nobody asks for a while. What was set aside has to be enough for those who spend it, and no more
    /// than there is. A replica that could not say that it spends alone may not do so later either.
    pub(super) async fn cut_off_one_after_the_other(&mut self) -> Result<(), String> {
        self.share().await?;
        let first = self.shared.below(REPLICAS as u64) as usize;
        let second = (first + 1 + self.shared.below(2) as usize) % REPLICAS;
        let others: Vec<_> = (0..REPLICAS).filter(|slot| *slot != first).collect();
        self.cut(first);
        let says_nothing = self.shared.percent(40);
        if says_nothing {
            self.cut_off_from_the_registry(first);
        }
        for _ in 0..ROUNDS {
            self.burst(40, &others).await?;
            sleep(self.shared.millis(9_000)).await;
        }
        if says_nothing {
            self.cut_off_from_the_registry(first);
        }
        self.cut(second);
        let all = [first, first, second, second, 0, 1, 2];
        self.burst(60, &all).await?;
        sleep(self.shared.millis(8_000)).await;
        self.burst(20, &all).await
    }

    /// Time and again it can be told a little of what happened without the server, and now and then has
    /// something set aside again.
    pub(super) async fn flap(&mut self) -> Result<(), String> {
        self.share().await?;
        let slot = self.shared.below(REPLICAS as u64) as usize;
        for _ in 0..MOMENTS {
            self.cut(slot);
            self.burst(12, &[slot, slot, 0, 1, 2]).await?;
            sleep(self.shared.millis(3_000)).await;
            self.note_and_set(slot, Condition::Slow);
            sleep(self.shared.millis(LONGEST_MOMENT_MS)).await;
            if self.shared.percent(40) {
                self.note_and_set(slot, Condition::Open);
                sleep(self.shared.millis(4_000)).await;
            }
        }
        Ok(())
    }

    /// Everybody comes up, is used, and has something set aside with the beats after that.
    pub(super) async fn share(&mut self) -> Result<(), String> {
        sleep(UP_AFTER).await;
        self.burst(8, &[0, 1, 2]).await?;
        sleep(self.shared.millis(2_500)).await;
        Ok(())
    }

    pub(super) fn cut(&self, slot: usize) {
        let condition = [Condition::Silent, Condition::Refused][self.shared.below(2) as usize];
        self.note_and_set(slot, condition);
    }

    pub(super) fn note_and_set(&self, slot: usize, condition: Condition) {
        self.shared.note(&("way", slot, condition));
        self.ways[slot].set(condition);
    }

    pub(super) async fn burst(&mut self, steps: u64, slots: &[usize]) -> Result<(), String> {
        let longest_ms = match self.shared.weather {
            Weather::Flapping => SHORTEST_CALLS_MS,
            _ => LONGEST_CALL_MS,
        };
        for _ in 0..steps {
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
            let slot = slots[self.shared.below(slots.len() as u64) as usize];
            self.call_at(slot, longest_ms, LARGEST_CALL);
            self.check()?;
        }
        Ok(())
    }
}
