//! Batches are worked on: claimed, looked at line by line, carried out, brought to their end.
//!
//! One process works on a batch at a time, under a lease that it renews. Whoever takes over finds the
//! results of what is done and the marks of what was open, and goes on from there.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::objects::{Kind, Object};
use seaworthy_core::store::{Error, Result};
use seaworthy_core::trace::RequestId;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Interval;

use super::line::{Job, MARKS, Outcome, Stop};
use super::progress::{Progress, pulse};
use super::validate::{Findings, lines};
use super::{Ending, Head, MAX_TRIES, Status, operation};
use crate::files;
use crate::gateway::Gateway;
use seaworthy_core::error::chain;

/// How long a process may be silent before others take over its batches.
const LEASE: Duration = Duration::from_secs(15);
/// How often it is looked for work, for leases that are due and for those that want to cancel.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many batches a process works on at a time, those that wait for a limit included; the requests of
/// all of them share its places.
const MAX_BATCHES: usize = 16;
/// How much of a file is read at a time.
const PAGE_BYTES: u64 = 1 << 20;

/// The batches that this process works on.
#[derive(Debug)]
pub(crate) struct Batches {
    worker: String,
    wake: Notify,
    /// How many requests there are places for, and as many of a batch are begun.
    concurrency: usize,
    /// Places for requests. One that waits until it may be sent again holds none.
    pub(super) places: Arc<Semaphore>,
}

impl Batches {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            worker: RequestId::generate().as_str().to_owned(),
            wake: Notify::new(),
            concurrency,
            places: Arc::new(Semaphore::new(concurrency)),
        }
    }

    /// Says that there is something to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes up batches. Runs until it is dropped.
    pub(crate) async fn run(&self, gateway: &Arc<Gateway>) {
        let mut tasks = JoinSet::new();
        loop {
            let woken = self.wake.notified();
            let _either = tokio::time::timeout(LOOK_INTERVAL, woken).await;
            while tasks.try_join_next().is_some() {}
            while tasks.len() < MAX_BATCHES && !gateway.health.is_draining() {
                let now = gateway.clock.now();
                let objects = &gateway.stores.objects;
                let claimed = objects.claim(Kind::Batch, &self.worker, now, now.plus(LEASE));
                match claimed.await {
                    Ok(Some(object)) => {
                        let work = Work {
                            gateway: Arc::clone(gateway),
                            worker: self.worker.clone(),
                            id: object.id.clone(),
                        };
                        tasks.spawn(work.run(object));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        warn(&error, "batches cannot be looked for");
                        break;
                    }
                }
            }
        }
    }
}

fn warn(error: &Error, what: &str) {
    let cause = chain(error);
    tracing::warn!(cause, "{what}");
}

/// The work on one batch.
struct Work {
    gateway: Arc<Gateway>,
    worker: String,
    id: String,
}

/// How the requests of a batch came to an end.
enum Ended {
    /// Each has its result.
    All,
    /// The window is over; the rest has expired.
    Expired,
    /// The file with them was deleted.
    FileGone,
    Stopped(Stop),
}

impl Work {
    async fn run(self, object: Object) {
        if let Err(error) = self.advance(object).await {
            // The lease runs out, and somebody tries again.
            warn(
                &error,
                "the work on a batch stopped because the store failed",
            );
        }
    }

    async fn advance(&self, object: Object) -> Result<()> {
        let Some(mut head) = Head::read(&object) else {
            tracing::error!(
                batch = self.id,
                "a batch is stored in a form that is not known"
            );
            return Ok(());
        };
        if head.batch.status == Status::Validating {
            match self.validate(&object, &head).await? {
                Some(validated) => head = validated,
                None => return Ok(()),
            }
        }
        let ended = match head.batch.status {
            Status::InProgress => self.carry_out(&head).await?,
            Status::Cancelling => Ended::Stopped(Stop::Cancelled),
            _ => Ended::All,
        };
        let (status, code) = match ended {
            Ended::Stopped(Stop::Left) => return self.let_go().await,
            Ended::Stopped(Stop::Cancelled) => (Status::Cancelled, None),
            Ended::Stopped(Stop::Revoked) => (Status::Failed, Some("key_not_live")),
            Ended::FileGone => (Status::Failed, Some("input_file_not_found")),
            Ended::Expired => (Status::Expired, None),
            Ended::All => (Status::Completed, None),
        };
        let code = code.map(str::to_owned);
        self.finalize(Ending { status, code }).await
    }

    /// Looks at every line; `None` if the batch came to its end by that.
    async fn validate(&self, object: &Object, head: &Head) -> Result<Option<Head>> {
        let snapshot = self.gateway.snapshot();
        let mut findings = Findings::default();
        let mut from = 0;
        loop {
            let objects = &self.gateway.stores.objects;
            let file = &head.batch.input_file_id;
            let parts = objects.parts(file, from, PAGE_BYTES).await?;
            let Some((last, _)) = parts.last() else { break };
            from = last + 1;
            for (_, piece) in &parts {
                findings.look(piece, &head.batch.endpoint, |model| {
                    snapshot.model(model).is_some()
                });
            }
            tokio::task::yield_now().await;
        }
        let most = snapshot.loaded.config.batches.max_requests.get() as u64;
        let (total, now) = (findings.total, self.gateway.clock.now());
        if let Some(errors) = findings.errors(most) {
            self.change(|head| {
                head.batch.status = Status::Failed;
                head.batch.errors = Some(errors.clone());
                head.batch.failed_at = Some(now.seconds());
                true
            })
            .await?;
            tracing::info!(batch = self.id, "a batch failed its validation");
            return Ok(None);
        }
        self.begin_files(object, head).await?;
        let begun = self.change(|head| {
            if head.batch.status == Status::Validating {
                head.batch.status = Status::InProgress;
                head.batch.in_progress_at = Some(now.seconds());
                head.batch.request_counts.total = total;
            }
            false
        });
        begun.await
    }

    /// Makes the files that results are written to. They are seen once they are complete.
    async fn begin_files(&self, batch: &Object, head: &Head) -> Result<()> {
        for (id, kind) in [(&head.output, "output"), (&head.errors, "error")] {
            let objects = &self.gateway.stores.objects;
            let now = self.gateway.clock.now();
            if objects.get(Kind::File, id, now).await?.is_some() {
                continue;
            }
            let of_file = files::Head {
                filename: format!("{}_{kind}.jsonl", self.id),
                purpose: files::OUTPUT.to_owned(),
            };
            let kept = (now, batch.expires_at);
            let mut file = files::new_object(&batch.owner, &of_file, kept, true);
            file.id.clone_from(id);
            objects.insert(file, Vec::new(), None, None).await?;
        }
        Ok(())
    }

    /// Carries out what has no result yet.
    async fn carry_out(&self, head: &Head) -> Result<Ended> {
        let objects = &self.gateway.stores.objects;
        let completed: HashSet<u64> = collected(objects.part_numbers(&head.output).await?);
        let failed: HashSet<u64> = collected(objects.part_numbers(&head.errors).await?);
        let mut begun: HashMap<u64, u64> = HashMap::new();
        for mark in objects.part_numbers(&self.id).await? {
            *begun.entry(mark / MARKS).or_default() += 1;
        }
        let Some(operation) = operation(&head.batch.endpoint) else {
            return Ok(Ended::All);
        };
        let job = Arc::new(Job {
            gateway: Arc::clone(&self.gateway),
            batch: self.id.clone(),
            operation,
            endpoint: head.batch.endpoint.clone(),
            creator: head.creator.clone(),
            output: head.output.clone(),
            errors: head.errors.clone(),
            deadline: UnixMillis(head.batch.expires_at.saturating_mul(1000)),
            stop: watch::Sender::new(None),
        });
        let counts = &head.batch.request_counts;
        let mut progress = Progress {
            completed: completed.len() as u64,
            failed: failed.len() as u64,
            noted: (counts.completed, counts.failed),
            ..Progress::default()
        };
        let worked = async {
            let is_done = |number: &u64| completed.contains(number) || failed.contains(number);
            self.run_lines(&job, head, &mut progress, is_done, &begun)
                .await
        };
        let seen = tokio::select! {
            seen = worked => seen,
            never = self.watch_over(&job) => match never {},
        };
        self.note_counts(&mut progress).await?;
        let seen = seen?;
        if let Some(error) = progress.error {
            return Err(error);
        }
        let stop = *job.stop.borrow();
        Ok(match stop {
            Some(stop) => Ended::Stopped(stop),
            None if progress.is_expired => Ended::Expired,
            None if seen < head.batch.request_counts.total => Ended::FileGone,
            None => Ended::All,
        })
    }

    /// Returns how many requests were seen.
    async fn run_lines(
        &self,
        job: &Arc<Job>,
        head: &Head,
        progress: &mut Progress,
        is_done: impl Fn(&u64) -> bool,
        begun: &HashMap<u64, u64>,
    ) -> Result<u64> {
        let mut tasks: JoinSet<Result<Outcome>> = JoinSet::new();
        let (mut from, mut number) = (0, 0);
        let mut pulse = pulse();
        'file: loop {
            let objects = &self.gateway.stores.objects;
            let file = &head.batch.input_file_id;
            let parts = objects.parts(file, from, PAGE_BYTES).await?;
            let Some((last, _)) = parts.last() else { break };
            from = last + 1;
            for (_, piece) in &parts {
                for (_, text) in lines(piece) {
                    let of_line = number;
                    number += 1;
                    if is_done(&of_line) {
                        continue;
                    }
                    let most = self.gateway.batches.concurrency - 1;
                    self.await_tasks(&mut tasks, most, (job, progress), &mut pulse)
                        .await?;
                    if job.is_stopped() {
                        break 'file;
                    }
                    let begun = begun.get(&of_line).copied().unwrap_or(0);
                    let of_task = Arc::clone(job);
                    tasks.spawn(async move { of_task.carry_out(of_line, begun, text).await });
                }
            }
        }
        self.await_tasks(&mut tasks, 0, (job, progress), &mut pulse)
            .await?;
        Ok(number)
    }

    /// Waits until at most so many requests are under way, and says meanwhile how far the batch is.
    async fn await_tasks(
        &self,
        tasks: &mut JoinSet<Result<Outcome>>,
        most: usize,
        (job, progress): (&Job, &mut Progress),
        pulse: &mut Interval,
    ) -> Result<()> {
        while tasks.len() > most {
            tokio::select! {
                Some(joined) = tasks.join_next() => progress.note(job, joined),
                _ = pulse.tick() => self.note_counts(progress).await?,
            }
        }
        Ok(())
    }

    /// Renews the lease and notices what others want, until the work is done.
    async fn watch_over(&self, job: &Job) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if self.gateway.health.is_draining() {
                job.stop.send_replace(Some(Stop::Left));
            } else if let Err(error) = self.look_after(job).await {
                warn(&error, "a batch cannot be looked after");
            }
        }
    }

    async fn look_after(&self, job: &Job) -> Result<()> {
        let Some(mut object) = self.ours().await? else {
            job.stop.send_replace(Some(Stop::Left));
            return Ok(());
        };
        let head = Head::read(&object);
        if head.is_some_and(|head| head.batch.status == Status::Cancelling) {
            job.stop
                .send_if_modified(|stop| stop.replace(Stop::Cancelled).is_none());
        }
        let now = self.gateway.clock.now();
        if object.lease_until.since(now) < LEASE / 2 {
            object.lease_until = now.plus(LEASE);
            self.gateway
                .stores
                .objects
                .update(object, Vec::new())
                .await?;
        }
        Ok(())
    }

    async fn note_counts(&self, progress: &mut Progress) -> Result<()> {
        let (completed, failed) = (progress.completed, progress.failed);
        if progress.noted == (completed, failed) {
            return Ok(());
        }
        progress.noted = (completed, failed);
        let noted = self.change(|head| {
            head.batch.request_counts.completed = completed;
            head.batch.request_counts.failed = failed;
            false
        });
        noted.await.map(drop)
    }

    /// Completes the files, and then the batch. Whoever goes on with a batch that was at its end
    /// already ends it as it was going to.
    async fn finalize(&self, wanted: Ending) -> Result<()> {
        let now = self.gateway.clock.now();
        let finalizing = self.change(|head| {
            let ending = match head.batch.status {
                Status::Cancelling => Ending {
                    status: Status::Cancelled,
                    code: None,
                },
                _ => wanted.clone(),
            };
            head.batch.status = Status::Finalizing;
            head.batch.finalizing_at.get_or_insert(now.seconds());
            head.ending.get_or_insert(ending);
            false
        });
        let Some(head) = finalizing.await? else {
            return Ok(());
        };
        let has_output = self.complete_file(&head.output).await?;
        let has_errors = self.complete_file(&head.errors).await?;
        let ending = head.ending.unwrap_or(wanted);
        let ended = self.change(|head| {
            head.batch.output_file_id = has_output.then(|| head.output.clone());
            head.batch.error_file_id = has_errors.then(|| head.errors.clone());
            head.end(&ending, now);
            true
        });
        ended.await?;
        let status = ending.status.as_str();
        tracing::info!(batch = self.id, status, "a batch has ended");
        Ok(())
    }

    /// Lets everyone see a file. One that nothing was written to is deleted, and `false` is returned.
    async fn complete_file(&self, id: &str) -> Result<bool> {
        let objects = &self.gateway.stores.objects;
        let now = self.gateway.clock.now();
        for _ in 0..MAX_TRIES {
            let Some(mut file) = objects.get(Kind::File, id, now).await? else {
                return Ok(false);
            };
            if objects.parts(id, 0, 1).await?.is_empty() {
                return objects
                    .delete(Kind::File, &file.owner, id)
                    .await
                    .map(|_| false);
            }
            file.is_open = false;
            if objects.update(file, Vec::new()).await? {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Lets somebody else go on at once.
    async fn let_go(&self) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let Some(mut object) = self.ours().await? else {
                return Ok(());
            };
            object.lease_until = UnixMillis(0);
            if self
                .gateway
                .stores
                .objects
                .update(object, Vec::new())
                .await?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The batch as it stands, if it is still ours to work on.
    async fn ours(&self) -> Result<Option<Object>> {
        let now = self.gateway.clock.now();
        let found = self.gateway.stores.objects.get(Kind::Batch, &self.id, now);
        let found = found.await?;
        Ok(found.filter(|object| object.is_open && object.worker == self.worker))
    }

    /// Changes the head, whatever others change at the same time; `true` of `change` ends the work.
    /// `None`: the batch is not ours any more.
    async fn change(&self, change: impl Fn(&mut Head) -> bool) -> Result<Option<Head>> {
        for _ in 0..MAX_TRIES {
            let Some(mut object) = self.ours().await? else {
                return Ok(None);
            };
            let Some(mut head) = Head::read(&object) else {
                return Ok(None);
            };
            object.is_open = !change(&mut head);
            object.head = head.written();
            object.lease_until = self.gateway.clock.now().plus(LEASE);
            if self
                .gateway
                .stores
                .objects
                .update(object, Vec::new())
                .await?
            {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

fn collected(numbers: Vec<u64>) -> HashSet<u64> {
    numbers.into_iter().collect()
}
