//! A claim on its way to the server.

use std::sync::Arc;

use seaworthy_core::counters::Claim;

use super::super::counters::Take;
use super::super::lease::Moment;
use super::super::link::Asked;
use super::super::tracked::{Place, Tracked};
use super::{SharedCounters, State};
use crate::observe::Observer;

/// A claim that is being asked for. Dropped without having been taken while something that was not
/// answered may still be on its way, the server is told to give it back, and never to take it.
pub(super) struct Asking<'a> {
    pub(super) counters: &'a SharedCounters,
    pub(super) claim: Arc<Claim>,
    /// Whether the server was asked and did not answer.
    pub(super) in_doubt: bool,
}

impl Asking<'_> {
    pub(super) async fn ask(&mut self, observer: &Observer) -> Asked<Take> {
        let was_in_doubt = std::mem::replace(&mut self.in_doubt, true);
        let take = self.counters.server.ask(&self.claim);
        let take = observer.watch("redis", "take", take).await?;
        self.in_doubt = was_in_doubt;
        Ok(take)
    }

    pub(super) fn track(&mut self, state: &mut State, taken: Moment, place: Place) {
        let tracked = Tracked {
            claim: Arc::clone(&self.claim),
            taken,
            place,
            closed: None,
            is_restated: false,
            in_doubt: std::mem::take(&mut self.in_doubt),
        };
        state.tracked.insert(Arc::clone(&self.claim.id), tracked);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.in_doubt {
            let id = Arc::clone(&self.claim.id);
            self.counters.state.lock().doubtful.push(id);
        }
    }
}
