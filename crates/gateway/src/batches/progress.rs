//! How far a batch is while it is worked on.

use seaworthy_core::store::{Error, Result};
use tokio::task::JoinError;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::line::{Job, Outcome, Stop};
use super::work::LOOK_INTERVAL;

/// Beats when it is time to say how far a batch is.
pub(super) fn pulse() -> Interval {
    let mut pulse = tokio::time::interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

/// How far the requests of a batch are.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// What of it is written down.
    pub(super) noted: (u64, u64),
    pub(super) is_expired: bool,
    /// Why results cannot be written down.
    pub(super) error: Option<Error>,
}

impl Progress {
    /// Notes what became of a request. One without a result leaves the batch to whoever comes next.
    pub(super) fn note(
        &mut self,
        job: &Job,
        joined: std::result::Result<Result<Outcome>, JoinError>,
    ) {
        let outcome = match joined {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                self.error = Some(error);
                job.stop.send_replace(Some(Stop::Left));
                return;
            }
            Err(_panic) => {
                job.stop.send_replace(Some(Stop::Left));
                return;
            }
        };
        job.gateway.metrics.count_batch_request(outcome.as_str());
        match outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Expired => {
                self.failed += 1;
                self.is_expired = true;
            }
            Outcome::NotRun => {}
        }
    }
}
