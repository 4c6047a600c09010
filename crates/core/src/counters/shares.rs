//! Who may spend what was set aside for a replica, once the server of the counters cannot be asked.
//!
//! A replica that has lost the server spends its share of a budget, and nobody else may then. A
//! replica that died has to give its share back. From outside both look the same, so it is decided
//! where both parties can look: the first one to say so has it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::clock::{SharedClock, SystemClock, UnixMillis};
use crate::store::Result;

/// How it stands with one holder of shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has shares and asks the server before it spends.
    Asking,
    /// It spends its shares without asking; nobody else may.
    Alone,
    /// Its shares are not its own any more.
    Ended,
}

/// What may be done with the shares of a holder that the server has not heard of for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing of them was spent, and nothing will be: they come back.
    Unspent,
    /// The holder died while it spent them; nobody knows how much.
    Unknown,
    /// The holder lives, and spends them.
    InUse,
}

/// Where replicas agree on that.
#[async_trait]
pub trait ShareRegistry: Send + Sync + std::fmt::Debug {
    /// A new holder, whose name no other has or had.
    async fn register(&self, holder: &str) -> Result<()>;

    /// Says that a holder lives, and whether it wants to spend without asking.
    async fn beat(&self, holder: &str, wants_alone: bool) -> Result<Standing>;

    /// A holder has given back its shares and said what it spent of them.
    async fn finish(&self, holder: &str) -> Result<()>;

    /// Decides on the shares of a holder. One that spends and was not heard of here for
    /// `unheard_for` is dead.
    async fn release(&self, holder: &str, unheard_for: Duration) -> Result<Left>;

    /// Ends all holders, because the server has lost its memory of them. Returns how many of them
    /// may still be spending: until there are none, nobody may rely on what the ledger says.
    async fn recall(&self, unheard_for: Duration) -> Result<usize>;
}

/// The executable meaning of [`ShareRegistry`].
#[derive(Debug)]
pub struct MemoryRegistry {
    holders: Mutex<HashMap<String, Holder>>,
    clock: SharedClock,
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::by(std::sync::Arc::new(SystemClock))
    }
}

impl MemoryRegistry {
    /// A registry with a clock of its own.
    #[must_use]
    pub fn by(clock: SharedClock) -> Self {
        Self {
            holders: Mutex::default(),
            clock,
        }
    }
}

#[derive(Debug)]
struct Holder {
    state: State,
    seen_at: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    Alone,
    /// Was alone, is to stop, and has not said yet that it did.
    Recalled,
    Released,
    Dead,
}

impl Holder {
    /// A holder that spends is taken for dead when it was not heard of for so long.
    fn is_dead(&self, now: UnixMillis, unheard_for: Duration) -> bool {
        let may_spend = matches!(self.state, State::Alone | State::Recalled);
        may_spend && now.since(self.seen_at) >= unheard_for
    }
}

#[async_trait]
impl ShareRegistry for MemoryRegistry {
    async fn register(&self, holder: &str) -> Result<()> {
        let new = Holder {
            state: State::Asking,
            seen_at: self.clock.now(),
        };
        self.holders.lock().insert(holder.to_owned(), new);
        Ok(())
    }

    async fn beat(&self, holder: &str, wants_alone: bool) -> Result<Standing> {
        let mut holders = self.holders.lock();
        let Some(holder) = holders.get_mut(holder) else {
            return Ok(Standing::Ended);
        };
        holder.seen_at = self.clock.now();
        if holder.state == State::Asking && wants_alone {
            holder.state = State::Alone;
        }
        Ok(match holder.state {
            State::Asking => Standing::Asking,
            State::Alone => Standing::Alone,
            State::Recalled | State::Released | State::Dead => Standing::Ended,
        })
    }

    async fn finish(&self, holder: &str) -> Result<()> {
        let decided = |holder: &Holder| matches!(holder.state, State::Released | State::Dead);
        let mut holders = self.holders.lock();
        if holders.get(holder).is_some_and(|holder| !decided(holder)) {
            holders.remove(holder);
        }
        Ok(())
    }

    async fn release(&self, holder: &str, unheard_for: Duration) -> Result<Left> {
        let mut holders = self.holders.lock();
        let Some(holder) = holders.get_mut(holder) else {
            return Ok(Left::Unspent);
        };
        if holder.state == State::Asking {
            holder.state = State::Released;
        } else if holder.is_dead(self.clock.now(), unheard_for) {
            holder.state = State::Dead;
        }
        Ok(match holder.state {
            State::Dead => Left::Unknown,
            // A server that asks for one that was recalled knows its shares: it was recalled by mistake.
            State::Alone | State::Recalled => Left::InUse,
            State::Asking | State::Released => Left::Unspent,
        })
    }

    async fn recall(&self, unheard_for: Duration) -> Result<usize> {
        let mut holders = self.holders.lock();
        let mut spending = 0;
        for holder in holders.values_mut() {
            match holder.state {
                State::Asking => holder.state = State::Released,
                State::Alone if holder.is_dead(self.clock.now(), unheard_for) => {
                    holder.state = State::Dead
                }
                State::Alone => holder.state = State::Recalled,
                State::Recalled | State::Released | State::Dead => {}
            }
            let is_heard = self.clock.now().since(holder.seen_at) < unheard_for;
            spending += usize::from(holder.state == State::Recalled && is_heard);
        }
        Ok(spending)
    }
}
