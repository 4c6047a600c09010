//! Intents on their way to where every replica finds them: those of many calls in one statement,
//! before any of the calls leaves.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_core::ledger::{Intent, Settlement};
use seaworthy_core::store::{Ledger, SharedJournal};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// How long a call waits for its intent to be shared. It is on the disk of this replica as well.
const DEADLINE: Duration = Duration::from_millis(100);
/// After a call had to go without, the others do not wait for so long.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a replica says that it lives.
const BEAT_INTERVAL: Duration = Duration::from_secs(5);
/// A replica that was not heard of for so long does not come back.
const UNHEARD: Duration = Duration::from_secs(30);
/// Most voided calls that wait to be told.
const MAX_VOIDED: usize = 10_000;

/// The way to the shared journal. Without one it is never used.
#[derive(Debug, Default)]
pub(crate) struct IntentSharer {
    waiting: Mutex<Vec<Waiting>>,
    voided: Mutex<Vec<String>>,
    work: Notify,
    paused_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Waiting {
    intent: Intent,
    shared: oneshot::Sender<()>,
}

/// An intent that every replica can find. Dropped, the call has not left.
#[derive(Debug)]
pub(crate) struct SharedIntent {
    sharer: Arc<IntentSharer>,
    call_id: Option<String>,
}

impl SharedIntent {
    /// The call has left: its settlement is what ends the intent.
    pub(crate) fn keep(mut self) {
        self.call_id = None;
    }
}

impl Drop for SharedIntent {
    fn drop(&mut self) {
        if let Some(call_id) = self.call_id.take() {
            let mut voided = self.sharer.voided.lock();
            if voided.len() < MAX_VOIDED {
                voided.push(call_id);
            }
            drop(voided);
            self.sharer.work.notify_one();
        }
    }
}

impl IntentSharer {
    /// Shares an intent, and says whether that is certain. It may be shared even if it is not.
    pub(crate) async fn share(self: &Arc<Self>, intent: &Intent) -> (SharedIntent, bool) {
        let guard = SharedIntent {
            sharer: Arc::clone(self),
            call_id: Some(intent.call_id.clone()),
        };
        let paused = *self.paused_until.lock();
        if paused.is_some_and(|until| Instant::now() < until) {
            return (guard, false);
        }
        let (shared, answer) = oneshot::channel();
        let intent = intent.clone();
        self.waiting.lock().push(Waiting { intent, shared });
        self.work.notify_one();
        let is_shared = matches!(tokio::time::timeout(DEADLINE, answer).await, Ok(Ok(())));
        if !is_shared {
            *self.paused_until.lock() = Some(Instant::now() + PAUSE);
        }
        (guard, is_shared)
    }

    /// Shares what waits, says that this replica lives, and settles what dead ones left, until the
    /// future is dropped.
    pub(crate) async fn run(&self, journal: &Arc<dyn SharedJournal>, ledger: &Arc<dyn Ledger>) {
        let share = async {
            loop {
                self.work.notified().await;
                self.share_waiting(journal).await;
                self.tell_voided(journal).await;
            }
        };
        let beat = async {
            loop {
                let beat = journal.beat().await;
                if beat.is_ok()
                    && let Ok(left) = journal.abandoned(UNHEARD).await
                    && !left.is_empty()
                {
                    bury(ledger, left).await;
                }
                // What could not be told before.
                self.work.notify_one();
                tokio::time::sleep(BEAT_INTERVAL).await;
            }
        };
        tokio::join!(share, beat);
    }

    async fn share_waiting(&self, journal: &Arc<dyn SharedJournal>) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.is_empty() {
            return;
        }
        let (intents, answers): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.intent, waiting.shared))
            .unzip();
        if journal.open(Arc::new(intents)).await.is_ok() {
            for answer in answers {
                // Who gave up has an intent all the same, which ends with its call.
                let _gone = answer.send(());
            }
        }
    }

    /// After what waits was shared: an intent is never voided before it is there.
    async fn tell_voided(&self, journal: &Arc<dyn SharedJournal>) {
        let voided = Arc::new(std::mem::take(&mut *self.voided.lock()));
        if !voided.is_empty() && journal.void(Arc::clone(&voided)).await.is_err() {
            let mut again = self.voided.lock();
            again.extend(voided.iter().cloned());
            again.truncate(MAX_VOIDED);
        }
    }
}

/// Settles the calls of a replica that is gone. Their claims follow: see [`crate::shared_state`].
async fn bury(ledger: &Arc<dyn Ledger>, left: Vec<Settlement>) {
    let calls = left.len();
    match ledger.settle(Arc::new(left)).await {
        Ok(()) => tracing::warn!(calls, "settled the calls that a dead replica left open"),
        Err(error) => {
            let cause = crate::refusal::chain(&error);
            tracing::warn!(cause, "the calls of a dead replica could not be settled");
        }
    }
}
