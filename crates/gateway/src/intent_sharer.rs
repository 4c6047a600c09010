//! Intents on their way to where every replica finds them: those of many calls in one statement,
//! before any of the calls leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether others have heard of this replica.
    is_heard_of: AtomicBool,
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
                if self.say_that_it_lives(journal).await
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

    async fn say_that_it_lives(&self, journal: &Arc<dyn SharedJournal>) -> bool {
        let is_said = journal.beat().await.is_ok();
        self.is_heard_of.fetch_or(is_said, Ordering::AcqRel);
        is_said
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
        // Who was never heard of counts as dead, and its calls are settled by others.
        let is_known = self.is_heard_of.load(Ordering::Acquire);
        if !is_known && !self.say_that_it_lives(journal).await {
            return;
        }
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
            let cause = seaworthy_core::error::chain(&error);
            tracing::warn!(cause, "the calls of a dead replica could not be settled");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use async_trait::async_trait;
    use seaworthy_core::clock::UnixMillis;
    use seaworthy_core::ledger::Attribution;
    use seaworthy_core::money::Micros;
    use seaworthy_core::store::memory::MemoryLedger;
    use seaworthy_core::store::{Error, Result};
    use seaworthy_core::usage::Usage;

    use super::*;

    /// Notes what it is asked for. The first so many beats fail, and each takes its time.
    #[derive(Debug, Default)]
    struct Asked {
        log: Mutex<Vec<&'static str>>,
        failing_beats: Mutex<u32>,
    }

    #[async_trait]
    impl SharedJournal for Asked {
        async fn open(&self, _intents: Arc<Vec<Intent>>) -> Result<()> {
            self.log.lock().push("open");
            Ok(())
        }

        async fn void(&self, _call_ids: Arc<Vec<String>>) -> Result<()> {
            self.log.lock().push("void");
            Ok(())
        }

        async fn beat(&self) -> Result<()> {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut failing = self.failing_beats.lock();
            if *failing > 0 {
                *failing -= 1;
                return Err(Error::Conflict("away".to_owned()));
            }
            self.log.lock().push("beat");
            Ok(())
        }

        async fn abandoned(&self, _unheard_for: Duration) -> Result<Vec<Settlement>> {
            Ok(Vec::new())
        }
    }

    fn intent() -> Intent {
        Intent {
            call_id: "call".to_owned(),
            request_id: "request".to_owned(),
            opened_at: UnixMillis(1),
            key_id: "key".into(),
            user_id: "user".into(),
            attribution: Attribution::default(),
            attempt: 1,
            operation: Cow::Borrowed("chat"),
            model: "m".into(),
            target: "p/m".into(),
            stream: false,
            worst_case: Usage::default(),
            worst_case_cost: Micros::ZERO,
        }
    }

    /// Others take the calls of a replica that was never heard of for those of a dead one.
    #[tokio::test(start_paused = true)]
    async fn a_replica_says_that_it_lives_before_it_shares_a_call() {
        for failing in [0, 3] {
            let asked = Arc::new(Asked::default());
            *asked.failing_beats.lock() = failing;
            let journal: Arc<dyn SharedJournal> = Arc::clone(&asked) as _;
            let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
            let sharer = Arc::new(IntentSharer::default());
            let calls = async {
                let (first, is_certain) = sharer.share(&intent()).await;
                assert_eq!(is_certain, failing == 0);
                first.keep();
                tokio::time::sleep(Duration::from_secs(20)).await;
                let (last, is_certain) = sharer.share(&intent()).await;
                assert!(is_certain);
                last.keep();
            };
            tokio::select! {
                () = sharer.run(&journal, &ledger) => panic!("it goes on"),
                () = calls => {}
            }
            let log = asked.log.lock().clone();
            assert_eq!(log.first(), Some(&"beat"), "{log:?}");
            let opened = log.iter().filter(|asked| **asked == "open").count();
            assert_eq!(opened, if failing == 0 { 2 } else { 1 }, "{log:?}");
        }
    }
}
