//! Two targets are asked, because the first one takes long: the first good answer counts, and the
//! other call is cancelled and settled for what it may have used.

use std::pin::Pin;
use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::principal::Principal;
use seaworthy_core::resilience::retry::Failure;

use crate::exchange::Exchange;
use crate::open_call::OpenCall;
use crate::refusal::Refusal;
use crate::stage::attempt::{Asked, Course};
use crate::stage::dispatch::{Came, Parcel, Prepared, Reply, count, never_left, prepare, received};
use crate::stage::plan::Candidate;
use crate::stage::reserve::{Reservation, reserve};
use crate::stage::screen::Screened;
use crate::stage::settle::settle_loser;

/// What a second call is made of.
pub(super) struct Race<'a> {
    pub(super) caller: &'a Principal,
    pub(super) request: &'a mut Screened,
    pub(super) headers: &'a HeaderMap,
    /// How long the first target is asked alone.
    pub(super) after: Duration,
}

impl Race<'_> {
    /// Sends the first call, and another one to another target if it takes long. The call that is
    /// returned is the exchange's.
    pub(super) async fn run(
        self,
        exchange: &mut Exchange,
        course: &mut Course<'_>,
        first: Asked,
        (parcel, reservation): (Parcel, &Reservation),
    ) -> (Asked, Result<Reply, Refusal>) {
        let mut sending = Box::pin(parcel.send(reservation));
        tokio::select! {
            biased;
            came = &mut sending => return (first, received(exchange, came)),
            () = tokio::time::sleep(self.after) => {}
        }
        let Some((candidate, permit)) = course.enter_another(exchange, &first.candidate) else {
            let came = sending.await;
            return (first, received(exchange, came));
        };
        let mut open = Open {
            calls: [exchange.call.take(), None],
            exchange,
        };
        open.exchange.attempts += 1;
        let ready = tokio::select! {
            biased;
            came = &mut sending => Err(Some(came)),
            ready = self.ready(open.exchange, &candidate) => ready.ok_or(None),
        };
        let (other_reservation, other_parcel) = match ready {
            Ok(ready) => ready,
            Err(came) => {
                open.take_back();
                let came = match came {
                    Some(came) => came,
                    None => sending.await,
                };
                open.exchange.call = open.calls[0].take();
                return (first, received(open.exchange, came));
            }
        };
        let metrics = &open.exchange.gateway.metrics;
        metrics.count_hedge(&first.candidate.target.id);
        open.calls[1] = open.exchange.call.take();
        let second = Asked {
            candidate,
            permit: Some(permit),
        };
        let other = Box::pin(other_parcel.send(&other_reservation));
        let (is_first, came) = open.finish((sending, other)).await;
        let (winner, loser) = match is_first {
            true => (first, second),
            false => (second, first),
        };
        course.give_up(&loser.candidate);
        (winner, received(open.exchange, came))
    }

    /// Reserves the second call and puts it into words.
    async fn ready(
        self,
        exchange: &mut Exchange,
        candidate: &Candidate,
    ) -> Option<(Reservation, Parcel)> {
        let reserved = reserve(exchange, self.caller, candidate, self.request, None).await;
        let reservation = reserved.ok()?;
        match prepare(exchange, candidate, self.request, self.headers).ok()? {
            Prepared::Parcel(parcel) => Some((reservation, parcel)),
            Prepared::Answered(_) => None,
        }
    }
}

/// Both calls of a race. Until one has won, both settle as cancelled if the caller leaves.
struct Open<'a> {
    exchange: &'a mut Exchange,
    calls: [Option<OpenCall>; 2],
}

impl Open<'_> {
    /// Waits for the first good answer, or for the second bad one, and makes its call the exchange's.
    /// Whether it is the first call's.
    async fn finish(
        &mut self,
        (mut sending, mut other): (
            Pin<Box<impl Future<Output = Came>>>,
            Pin<Box<impl Future<Output = Came>>>,
        ),
    ) -> (bool, Came) {
        let (is_first, came) = tokio::select! {
            biased;
            came = &mut sending => (true, came),
            came = &mut other => (false, came),
        };
        if is_good(&came) {
            self.exchange.call = self.calls[usize::from(!is_first)].take();
            self.settle_rest();
            return (is_first, came);
        }
        // The other one may still answer.
        self.settle_failed(usize::from(!is_first), &came);
        drop(came);
        let came = match is_first {
            true => other.await,
            false => sending.await,
        };
        self.exchange.call = self.calls[usize::from(is_first)].take();
        (!is_first, came)
    }

    /// The second call does not leave after all.
    fn take_back(&mut self) {
        self.exchange.attempts -= 1;
        if let Some(mut unsent) = self.exchange.call.take() {
            unsent.mark_undispatched();
            settle_loser(self.exchange, unsent, Outcome::Cancelled, 0);
        }
    }

    fn settle_rest(&mut self) {
        for call in &mut self.calls {
            if let Some(call) = call.take() {
                let status = Code::ClientClosed.status();
                settle_loser(self.exchange, call, Outcome::Cancelled, status);
            }
        }
    }

    fn settle_failed(&mut self, at: usize, came: &Came) {
        count(self.exchange, came);
        let Some(mut call) = self.calls[at].take() else {
            return;
        };
        let status = match &came.result {
            Ok(response) => {
                call.note_refused();
                response.status().as_u16()
            }
            Err(error) => {
                if never_left(error) {
                    call.mark_undispatched();
                }
                Code::UpstreamUnreachable.status()
            }
        };
        settle_loser(self.exchange, call, Outcome::Failure, status);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.settle_rest();
    }
}

/// Whether nothing better is to be expected of the other target.
fn is_good(came: &Came) -> bool {
    match &came.result {
        Ok(response) if response.status().is_success() => true,
        Ok(response) => {
            !Failure::Status(response.status().as_u16())
                .verdict()
                .elsewhere
        }
        Err(_) => false,
    }
}
