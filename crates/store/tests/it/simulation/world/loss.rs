//! A server that forgets while calls end everywhere: what ended since the ledger was read, and what is held
//! still, has to be told before anybody spends what is left.

use std::time::Duration;

use tokio::time::sleep;

use super::{Condition, LARGEST_CALL, LONGEST_CALL_MS, REPLICAS, World};

/// Few of them are over before the server has forgotten them.
const LONG_CALLS_MS: u64 = 6_000;
/// So often calls are made before it forgets, by a replica that needs longer to tell of them than a server
/// waits for those who say nothing, or by all; and from then on.
const BEFORE_BY_ONE: u64 = 40;
const BEFORE: u64 = 14;
const AFTER: u64 = 450;
const LONGEST_PAUSE_MS: u64 = 15;

impl World {
    pub(super) async fn forget_while_calls_end(&mut self) -> Result<(), String> {
        self.share().await?;
        let slot = self.shared.below(REPLICAS as u64) as usize;
        let is_far = self.shared.percent(50);
        if is_far {
            self.note_and_set(slot, Condition::Far);
        }
        // Either one replica has many small calls to tell of, or all have some that are large.
        for _ in 0..if is_far { BEFORE_BY_ONE } else { BEFORE } {
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
            match is_far {
                true => self.call_at(slot, LONG_CALLS_MS, LARGEST_CALL / 3),
                false => self.call(),
            }
            self.check()?;
        }
        sleep(self.shared.millis(600)).await;
        self.forget();
        let again_at = self.shared.below(2 * AFTER);
        for step in 0..AFTER {
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
            if step == again_at {
                self.forget();
            }
            let slot = self.shared.below(REPLICAS as u64) as usize;
            self.call_at(slot, LONGEST_CALL_MS, LARGEST_CALL);
            self.check()?;
        }
        sleep(Duration::from_secs(4)).await;
        self.note_and_set(slot, Condition::Open);
        // And once more, at the end: whoever is asked all the time has to come back as well.
        self.forget();
        Ok(())
    }
}
