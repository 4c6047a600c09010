//! The registry of shares, with a database that is slow or out of reach, and with mistakes.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use seaworthy_core::counters::shares::{Left, MemoryRegistry, ShareRegistry, Standing};
use seaworthy_core::store::{Error, Result};
use tokio::time::sleep;

use super::planted::Mistake;
use super::random::Random;

/// What all replicas see.
#[derive(Debug)]
pub(super) struct Decisions {
    pub(super) registry: MemoryRegistry,
    /// How many holders were found to have died while they spent.
    pub(super) died_spending: AtomicU64,
    pub(super) mistake: Option<Mistake>,
}

/// The way of one replica to it.
pub(super) struct Registry {
    pub(super) decisions: Arc<Decisions>,
    pub(super) is_lost: AtomicBool,
    pub(super) random: Arc<Mutex<Random>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// The question is on its way, or the answer; either can get lost.
    async fn travel(&self) -> Result<()> {
        let micros = 500 + self.random.lock().unwrap().below(8_000);
        sleep(Duration::from_micros(micros)).await;
        if self.is_lost.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(750)).await;
            return Err(Error::Unavailable {
                backend: "postgres",
                source: "cut off".into(),
            });
        }
        Ok(())
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.decisions.mistake == Some(mistake)
    }
}

#[async_trait]
impl ShareRegistry for Registry {
    async fn register(&self, holder: &str) -> Result<()> {
        self.travel().await?;
        self.decisions.registry.register(holder).await?;
        self.travel().await
    }

    async fn beat(&self, holder: &str, wants_alone: bool) -> Result<Standing> {
        self.travel().await?;
        let standing = self.decisions.registry.beat(holder, wants_alone).await?;
        self.travel().await?;
        Ok(match standing {
            Standing::Ended if wants_alone && self.makes(Mistake::WhoWasEndedSpends) => {
                Standing::Alone
            }
            standing => standing,
        })
    }

    async fn finish(&self, holder: &str) -> Result<()> {
        self.travel().await?;
        self.decisions.registry.finish(holder).await?;
        self.travel().await
    }

    async fn release(&self, holder: &str, unheard_for: Duration) -> Result<Left> {
        self.travel().await?;
        let left = self.decisions.registry.release(holder, unheard_for).await?;
        if left == Left::Unknown {
            self.decisions.died_spending.fetch_add(1, Ordering::Relaxed);
        }
        self.travel().await?;
        Ok(match left {
            Left::InUse if self.makes(Mistake::WhoSpendsIsTakenForDead) => Left::Unspent,
            Left::Unknown if self.makes(Mistake::TheDeadHaveSpentNothing) => Left::Unspent,
            left => left,
        })
    }

    async fn recall(&self, unheard_for: Duration) -> Result<usize> {
        self.travel().await?;
        let spending = self.decisions.registry.recall(unheard_for).await?;
        self.travel().await?;
        Ok(match self.makes(Mistake::NobodyIsRecalled) {
            true => 0,
            false => spending,
        })
    }
}
