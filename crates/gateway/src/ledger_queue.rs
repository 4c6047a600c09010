//! Settlements on their way to the ledger: handed over without waiting, written in batches, never
//! dropped. When the ledger does not keep up, new calls are refused instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use seaworthy_core::crash::{self, Point};
use seaworthy_core::ledger::Settlement;
use seaworthy_core::store::{JournalEntry, Ledger};
use tokio::sync::Notify;

/// Most calls that may be open or wait to be written.
const MAX_OUTSTANDING: usize = 100_000;
/// Settlements are written at the latest after this time.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);
/// Most settlements in one transaction.
const MAX_BATCH: usize = 2_000;
/// Pause after the ledger failed.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The queue. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LedgerQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    settled: Mutex<Vec<Pending>>,
    /// Slots that are taken: open calls and settlements that are not written yet.
    outstanding: AtomicUsize,
    work: Notify,
    /// Held while a batch is written: whoever has had it knows that what was handed over before is
    /// written, or failed to be.
    writing: tokio::sync::Mutex<()>,
}

/// A settlement that waits to be written, and its journal entry, which is forgotten then.
#[derive(Debug)]
struct Pending {
    settlement: Settlement,
    entry: Box<dyn JournalEntry>,
}

/// Room in the ledger for one settlement.
#[derive(Debug)]
pub(crate) struct Slot {
    /// `None` once the settlement was handed over: the room then stays taken until it is written.
    queue: Option<LedgerQueue>,
}

impl LedgerQueue {
    /// Takes room for one settlement, or says that there is none.
    pub(crate) fn reserve(&self) -> Option<Slot> {
        let taken = self.0.outstanding.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            queue: Some(self.clone()),
        };
        (taken < MAX_OUTSTANDING).then_some(slot)
    }

    /// Whether another call could be accounted for.
    pub(crate) fn has_room(&self) -> bool {
        self.outstanding() < MAX_OUTSTANDING
    }

    /// Calls that are open and settlements that are not written yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.0.outstanding.load(Ordering::Relaxed)
    }

    /// Settlements that wait to be written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.0.settled.lock().len()
    }

    /// Writes settlements to the ledger until the future is dropped, and shows each batch that was
    /// written to `written`.
    pub async fn write_to(&self, ledger: Arc<dyn Ledger>, written: impl Fn(&[Settlement])) {
        loop {
            self.0.work.notified().await;
            // Let a batch gather: one transaction for many calls.
            tokio::time::sleep(WRITE_INTERVAL).await;
            self.write_all(&ledger, &written).await;
        }
    }

    async fn write_all(&self, ledger: &Arc<dyn Ledger>, written: &impl Fn(&[Settlement])) {
        loop {
            match self.write_batch(ledger, written).await {
                true if self.unwritten() == 0 => return,
                true => (),
                false => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Writes what is left, giving up after `timeout`. Returns what could not be written.
    pub async fn flush(
        &self,
        ledger: &Arc<dyn Ledger>,
        timeout: Duration,
        written: impl Fn(&[Settlement]),
    ) -> usize {
        let write_all = self.write_all(ledger, &written);
        let _finished = tokio::time::timeout(timeout, write_all).await;
        self.unwritten()
    }

    /// Writes what was handed over before now, once, giving up after `timeout`. What comes
    /// meanwhile is not waited for.
    pub(crate) async fn catch_up(
        &self,
        ledger: &Arc<dyn Ledger>,
        timeout: Duration,
        written: impl Fn(&[Settlement]),
    ) {
        let batches = self.unwritten() / MAX_BATCH + 1;
        let write = async {
            for _ in 0..batches {
                self.write_batch(ledger, &written).await;
            }
        };
        let _finished = tokio::time::timeout(timeout, write).await;
    }

    /// Writes one batch, if anything waits, after the one that is being written. On failure, or when
    /// the future is dropped, it stays first in the queue; what was written all the same keeps its
    /// first settlement.
    async fn write_batch(
        &self,
        ledger: &Arc<dyn Ledger>,
        written: &impl Fn(&[Settlement]),
    ) -> bool {
        let _one_at_a_time = self.0.writing.lock().await;
        let batch = Batch::take(self);
        if batch.settlements.is_empty() {
            return true;
        }
        crash::point(Point::SettlementDue);
        match ledger.settle(Arc::clone(&batch.settlements)).await {
            Ok(()) => {
                crash::point(Point::SettlementWritten);
                written(&batch.settlements);
                batch.written();
                true
            }
            Err(error) => {
                let (cause, count) = (
                    seaworthy_core::error::chain(&error),
                    batch.settlements.len(),
                );
                tracing::error!(cause, count, "the ledger could not be written");
                false
            }
        }
    }
}

/// Settlements that are being written. Dropped before that is confirmed, they go back to the queue.
struct Batch<'a> {
    queue: &'a LedgerQueue,
    settlements: Arc<Vec<Settlement>>,
    entries: Vec<Box<dyn JournalEntry>>,
}

impl<'a> Batch<'a> {
    fn take(queue: &'a LedgerQueue) -> Self {
        let mut settled = queue.0.settled.lock();
        let count = settled.len().min(MAX_BATCH);
        let taken = settled
            .drain(..count)
            .map(|pending| (pending.settlement, pending.entry));
        let (settlements, entries) = taken.unzip();
        Self {
            queue,
            settlements: Arc::new(settlements),
            entries,
        }
    }

    fn written(mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.queue
            .0
            .outstanding
            .fetch_sub(entries.len(), Ordering::Relaxed);
        for entry in entries {
            entry.forget();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // Empty once the batch was written.
        let entries = std::mem::take(&mut self.entries);
        let again = self.settlements.iter().cloned().zip(entries);
        let again = again.map(|(settlement, entry)| Pending { settlement, entry });
        self.queue.0.settled.lock().splice(..0, again);
    }
}

impl Slot {
    /// Hands over the settlement that the room was taken for.
    pub(crate) fn fill(mut self, settlement: Settlement, entry: Box<dyn JournalEntry>) {
        let Some(queue) = self.queue.take() else {
            return;
        };
        let mut settled = queue.0.settled.lock();
        let is_first = settled.is_empty();
        settled.push(Pending { settlement, entry });
        drop(settled);
        if is_first {
            queue.0.work.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.0.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
