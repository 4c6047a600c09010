//! Replicas that the server cannot be reached from, while others reach it.

use tokio::time::sleep;

use super::{Condition, REPLICAS, World};

const LONGEST_PAUSE_MS: u64 = 120;
/// So that some are still open when others have been refused for long.
const LONGEST_CALL_MS: u64 = 7_000;
/// How often the way of a replica is slow for a moment.
const MOMENTS: usize = 8;
const LONGEST_MOMENT_MS: u64 = 900;

impl World {
    /// First one replica is cut off, later another; in between the others use up what is left, and
    /// nobody asks for a while. What was set aside has to be enough for those who spend it, and no more
    /// than there is.
    pub(super) async fn cut_off_one_after_the_other(&mut self) -> Result<(), String> {
        self.burst(8, &[0, 1, 2]).await?;
        let first = self.shared.below(REPLICAS as u64) as usize;
        let second = (first + 1 + self.shared.below(2) as usize) % REPLICAS;
        let others: Vec<_> = (0..REPLICAS).filter(|slot| *slot != first).collect();
        // What it holds is settled with the next beats.
        sleep(self.shared.millis(1_500)).await;
        self.cut(first);
        self.burst(40, &others).await?;
        sleep(self.shared.millis(12_000)).await;
        self.cut(second);
        let all = [first, first, second, second, 0, 1, 2];
        self.burst(60, &all).await?;
        sleep(self.shared.millis(8_000)).await;
        self.burst(20, &all).await
    }

    /// Time and again it can be told a little of what happened without the server.
    pub(super) async fn flap(&mut self) -> Result<(), String> {
        self.burst(8, &[0, 1, 2]).await?;
        let slot = self.shared.below(REPLICAS as u64) as usize;
        for _ in 0..MOMENTS {
            self.cut(slot);
            self.burst(8, &[slot, 0, 1, 2]).await?;
            sleep(self.shared.millis(3_000)).await;
            self.note_and_set(slot, Condition::Slow);
            sleep(self.shared.millis(LONGEST_MOMENT_MS)).await;
        }
        Ok(())
    }

    fn cut(&self, slot: usize) {
        let condition = [Condition::Silent, Condition::Refused][self.shared.below(2) as usize];
        self.note_and_set(slot, condition);
    }

    fn note_and_set(&self, slot: usize, condition: Condition) {
        self.shared.note(&("way", slot, condition));
        self.ways[slot].set(condition);
    }

    async fn burst(&mut self, steps: u64, slots: &[usize]) -> Result<(), String> {
        for _ in 0..steps {
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
            let slot = slots[self.shared.below(slots.len() as u64) as usize];
            self.call_at(slot, LONGEST_CALL_MS);
            self.check()?;
        }
        Ok(())
    }
}
