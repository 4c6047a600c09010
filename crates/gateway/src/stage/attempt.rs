//! One target after the other is asked, until one answers or nothing is left to try.
//!
//! Each attempt passes its target's gate, is reserved and recorded by itself, and is settled before
//! the next one is reserved. Nothing is tried again once the caller was sent a byte: what comes back
//! from here is the beginning of the answer.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_core::principal::Principal;
use seaworthy_core::resilience::chance;
use seaworthy_core::resilience::retry::{self, Failure, Next, Situation};
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Answer, Content};
use crate::resilience::Resilience;
use crate::resilience::gate::{Denied, Permit, Waited};
use crate::snapshot::Target;
use crate::stage::dispatch::{Prepared, prepare, received};
use crate::stage::hedge::Race;
use crate::stage::plan::{Candidate, Plan, Way};
use crate::stage::relay::relay;
use crate::stage::reserve::reserve;
use crate::stage::screen::Screened;
use crate::stage::settle::settle_attempt;
use crate::waiting;

/// Asks the plan's targets for an answer.
pub(crate) async fn attempt(
    exchange: &mut Exchange,
    caller: &Principal,
    plan: &Plan,
    request: &mut Screened,
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let settings = Arc::clone(&exchange.snapshot.resilience);
    exchange.gateway.retry_budget.deposit(&settings.retries);
    let mut course = Course {
        plan,
        settings,
        tried: 0,
        given_up: 0,
        may_repeat: false,
    };
    let mut told = None;
    loop {
        let (candidate, mut permit) = match course.enter(exchange).await {
            Ok(entered) => entered,
            Err(refusal) => return told.unwrap_or(Err(refusal)),
        };
        if let Some(previous) = &told {
            settle_attempt(exchange, status_of(previous));
        }
        exchange.attempts += 1;
        let has_place = permit.is_some();
        let place = Some(&mut permit);
        let reservation = match reserve(exchange, caller, &candidate, request, place).await {
            Ok(reservation) => reservation,
            Err(refusal) => return told.unwrap_or(Err(refusal)),
        };
        if has_place && permit.is_none() {
            match course.enter_again(exchange, &candidate).await {
                Ok(entered) => permit = Some(entered),
                Err(refusal) => {
                    settle_attempt(exchange, refusal.code.status());
                    return told.unwrap_or(Err(refusal));
                }
            }
        }
        exchange.advice = None;
        let prepared = prepare(exchange, &candidate, request, headers);
        let asked = Asked { candidate, permit };
        let (asked, reply) = match (prepared, plan.model.hedge_after) {
            (Err(refusal), _) => (asked, Err(refusal)),
            (Ok(Prepared::Answered(reply)), _) => (asked, Ok(reply)),
            (Ok(Prepared::Parcel(parcel)), None) => {
                let came = parcel.send(&reservation).await;
                (asked, received(exchange, came))
            }
            (Ok(Prepared::Parcel(parcel)), Some(after)) => {
                let race = Race {
                    caller,
                    request,
                    headers,
                    after,
                };
                let sent = (parcel, &reservation);
                Box::pin(race.run(exchange, &mut course, asked, sent)).await
            }
        };
        let result = match reply {
            Ok(reply) => relay(exchange, reply).await,
            Err(refusal) => Err(refusal),
        };
        let candidate = asked.candidate;
        let failure = failure(&result);
        let is_lone = plan.candidates().nth(1).is_none();
        judge(exchange, asked.permit, failure, is_lone);
        let Some(failure) = failure else {
            return result;
        };
        match course.next(exchange, &candidate, failure) {
            Next::GiveUp => return result,
            Next::Elsewhere => {}
            // The gate of the target knows, and calls one of those who wait first.
            Next::Again(_) if failure == Failure::Status(429) => {}
            Next::Again(pause) => {
                let waits = tokio::time::sleep(pause);
                waiting::told(exchange, exchange.waited, waits).await;
                exchange.waited += pause;
            }
        }
        told = Some(result);
    }
}

/// A target that is being asked.
pub(super) struct Asked {
    pub(super) candidate: Candidate,
    pub(super) permit: Option<Permit>,
}

/// How far a request has come through its plan.
pub(super) struct Course<'a> {
    plan: &'a Plan,
    settings: Arc<Resilience>,
    /// Positions that were asked, a bit each; a model has at most 32 targets.
    tried: u32,
    /// Positions that are not asked again.
    given_up: u32,
    /// Whether positions may be asked that were asked before.
    may_repeat: bool,
}

impl Course<'_> {
    fn may_ask(&self, position: usize) -> bool {
        let excluded = match self.may_repeat {
            true => self.given_up,
            false => self.tried,
        };
        excluded & bit(position) == 0
    }

    /// Passes the gate of the first target that can be asked now, or waits at the first one that is
    /// worth waiting for.
    async fn enter(
        &mut self,
        exchange: &mut Exchange,
    ) -> Result<(Candidate, Option<Permit>), Refusal> {
        loop {
            let (mut worth_waiting, mut opens_in): (Option<(Candidate, Denied)>, _) = (None, None);
            for (position, target, way) in self.plan.candidates() {
                if !self.may_ask(position) {
                    continue;
                }
                if matches!(way, Way::BuiltIn | Way::Estimated) {
                    return Ok((self.plan.candidate(position, target, way), None));
                }
                match target.gate.enter(&self.settings, exchange.priority) {
                    Ok(permit) => {
                        let candidate = self.plan.candidate(position, target, way);
                        return Ok((candidate, Some(permit)));
                    }
                    Err(Denied::Open(wait)) => {
                        opens_in = Some(opens_in.unwrap_or(wait).min(wait));
                    }
                    Err(denied) if worth_waiting.is_none() => {
                        let candidate = self.plan.candidate(position, target, way);
                        worth_waiting = Some((candidate, denied));
                    }
                    Err(_) => {}
                }
            }
            let Some((candidate, denied)) = worth_waiting else {
                return Err(unavailable(&self.plan.model.name, opens_in));
            };
            if let Some(permit) = self.wait(exchange, &candidate, denied).await? {
                return Ok((candidate, Some(permit)));
            }
        }
    }

    /// Passes the gate of a target once more, whose place was let go of while money was waited for.
    async fn enter_again(
        &self,
        exchange: &mut Exchange,
        candidate: &Candidate,
    ) -> Result<Permit, Refusal> {
        loop {
            let gate = &candidate.target.gate;
            let denied = match gate.enter(&self.settings, exchange.priority) {
                Ok(permit) => return Ok(permit),
                Err(Denied::Open(wait)) => {
                    return Err(unavailable(&self.plan.model.name, Some(wait)));
                }
                Err(denied) => denied,
            };
            if let Some(permit) = self.wait(exchange, candidate, denied).await? {
                return Ok(permit);
            }
        }
    }

    /// Passes the gate of another target, if one can be asked at once, while this one is asked.
    pub(super) fn enter_another(
        &mut self,
        exchange: &Exchange,
        asked: &Candidate,
    ) -> Option<(Candidate, Permit)> {
        if exchange.attempts >= self.settings.retries.max_attempts {
            return None;
        }
        let others = self.plan.candidates().filter(|(position, _, way)| {
            let is_sent = !matches!(way, Way::BuiltIn | Way::Estimated);
            is_sent && *position != asked.position && self.tried & bit(*position) == 0
        });
        for (position, target, way) in others {
            if let Ok(permit) = target.gate.enter(&self.settings, exchange.priority) {
                return Some((self.plan.candidate(position, target, way), permit));
            }
        }
        None
    }

    /// Notes a target that was asked beside another one and did not answer first.
    pub(super) fn give_up(&mut self, candidate: &Candidate) {
        self.tried |= bit(candidate.position);
        self.given_up |= bit(candidate.position);
    }

    /// Waits for a turn at a target; `None` when its breaker has opened meanwhile.
    async fn wait(
        &self,
        exchange: &mut Exchange,
        candidate: &Candidate,
        denied: Denied,
    ) -> Result<Option<Permit>, Refusal> {
        let remaining = self.remaining(exchange);
        let pause = match denied {
            Denied::Paused(pause) => pause,
            Denied::Full | Denied::Open(_) => None,
        };
        let is_paused = matches!(denied, Denied::Paused(_));
        let target = &candidate.target;
        let shed = |reason, after| {
            let metrics = &exchange.gateway.metrics;
            metrics.count_shed(reason, exchange.priority);
            match is_paused {
                true => limited(&target.provider.name, after),
                false => overloaded(&target.id, after),
            }
        };
        if pause.is_some_and(|pause| pause >= remaining) {
            return Err(shed("deadline", pause));
        }
        let began = Instant::now();
        let until = began + remaining;
        let waited = target.gate.wait(&self.settings, exchange.priority, until);
        let waited = waiting::told(exchange, exchange.waited, waited).await;
        let result = match waited {
            Waited::Turn(permit) => Ok(Some(permit)),
            Waited::Closed => Ok(None),
            Waited::Shed => Err(shed("queue_full", pause)),
            Waited::TimedOut => Err(shed("deadline", pause)),
        };
        exchange.waited += began.elapsed();
        result
    }

    /// How long may still be waited, for whatever it is.
    fn remaining(&self, exchange: &Exchange) -> Duration {
        let patience = match exchange.gateway.degradation.in_force().queues {
            true => self.settings.queue.max_wait.max(TIER_PATIENCE),
            false => self.settings.queue.max_wait,
        };
        let left = patience.saturating_sub(exchange.waited);
        match exchange.deadline {
            Some(deadline) => left.min(deadline.saturating_duration_since(Instant::now())),
            None => left,
        }
    }

    /// Decides what follows a failure.
    fn next(&mut self, exchange: &Exchange, candidate: &Candidate, failure: Failure) -> Next {
        let position = candidate.position;
        self.tried |= bit(position);
        if !failure.verdict().again {
            self.given_up |= bit(position);
        }
        let untried = |(position, target, _): &(usize, &Arc<Target>, Way)| {
            self.tried & bit(*position) == 0 && !target.gate.is_shut()
        };
        let again = |(position, ..): &(usize, &Arc<Target>, Way)| {
            self.tried & !self.given_up & bit(*position) != 0
        };
        let situation = Situation {
            failure,
            attempts: exchange.attempts,
            has_other: self.plan.candidates().any(|at| untried(&at)),
            has_again: self.plan.candidates().any(|at| again(&at)),
            advice: exchange.advice,
            remaining: self.remaining(exchange),
        };
        let budget = &exchange.gateway.retry_budget;
        let permit = || budget.withdraw();
        let next = retry::next(&self.settings.retries, &situation, chance(), permit);
        let metrics = &exchange.gateway.metrics;
        match next {
            Next::Elsewhere => {
                self.may_repeat = false;
                metrics.count_fallback(&candidate.target.id);
            }
            Next::Again(_) => {
                self.may_repeat = true;
                metrics.count_retry(&candidate.target.id);
            }
            Next::GiveUp => {}
        }
        next
    }
}

/// How long calls wait at least while a degradation tier has them queue.
const TIER_PATIENCE: Duration = Duration::from_secs(60);

fn bit(position: usize) -> u32 {
    u32::try_from(position)
        .ok()
        .and_then(|position| 1_u32.checked_shl(position))
        .unwrap_or(0)
}

/// How an attempt failed; `None` if it gave an answer.
fn failure(result: &Result<Answer, Refusal>) -> Option<Failure> {
    match result {
        Ok(answer) if answer.status < 400 => None,
        Ok(answer) if is_final_advice(answer) || is_out_of_money(answer) => {
            Some(Failure::QuotaExhausted)
        }
        Ok(answer) => Some(Failure::Status(answer.status)),
        Err(refusal) => Some(match refusal.code {
            Code::UpstreamUnreachable => Failure::Broken,
            Code::UpstreamTimeout => Failure::TimedOut,
            Code::UpstreamInvalid => Failure::Invalid,
            Code::UpstreamAuth => Failure::Status(401),
            Code::UpstreamError | Code::UpstreamRefused | Code::UpstreamRateLimited => {
                Failure::Status(refusal.status.unwrap_or_else(|| refusal.code.status()))
            }
            // Nothing was sent: it cannot be said in the target's dialect.
            Code::InvalidRequest => Failure::Unfit,
            Code::DeadlineExceeded => Failure::Abandoned,
            _ => Failure::Final,
        }),
    }
}

/// Whether the provider advises against asking it again, whose own clients would obey.
fn is_final_advice(answer: &Answer) -> bool {
    let advice = answer.headers.get("x-should-retry");
    advice.is_some_and(|advice| advice == "false") && matches!(answer.status, 402 | 429 | 500..)
}

fn is_out_of_money(answer: &Answer) -> bool {
    // AWS says it with 400.
    let kind = answer.headers.get("x-amzn-errortype");
    let kind = kind.and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("ServiceQuotaExceededException")) {
        return true;
    }
    let Content::Frames(frames) = &answer.content else {
        return false;
    };
    if !matches!(answer.status, 402 | 403 | 429) {
        return false;
    }
    // The two families say it at the same places; the others have no word for it.
    let body = frames.concat();
    seaworthy_llm::decode_error(Family::OpenAi, &body).is_quota_exhausted()
        || seaworthy_llm::decode_error(Family::Anthropic, &body).is_quota_exhausted()
}

/// Tells the gate how it went. A target that no other can stand in for is left alone only when it
/// keeps callers waiting: what it says itself tells them more than that it was not asked.
fn judge(exchange: &Exchange, permit: Option<Permit>, failure: Option<Failure>, is_lone: bool) {
    let (Some(permit), advice) = (permit, exchange.advice) else {
        return;
    };
    let permit = permit.held_up(exchange.gateway.is_overloaded(exchange.worker));
    match failure {
        None => permit.succeeded(),
        Some(Failure::Status(429)) => permit.limited(advice.unwrap_or(PAUSE).min(LONGEST_PAUSE)),
        Some(Failure::Unfit | Failure::Unavailable | Failure::Abandoned) => drop(permit),
        Some(failure) if is_lone && failure != Failure::TimedOut => drop(permit),
        Some(failure) if failure.verdict().blames_target => {
            let is_overload = matches!(failure, Failure::TimedOut | Failure::Status(503 | 529));
            permit.failed(is_overload);
        }
        Some(_) => permit.succeeded(),
    }
}

/// How long a target is left alone whose provider says that it is too much and not for how long.
const PAUSE: Duration = Duration::from_secs(1);
/// A target is tried again after this, whatever its provider says: limits are lifted, too.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn status_of(told: &Result<Answer, Refusal>) -> u16 {
    match told {
        Ok(answer) => answer.status,
        Err(refusal) => refusal.status.unwrap_or_else(|| refusal.code.status()),
    }
}

fn unavailable(model: &str, opens_in: Option<Duration>) -> Refusal {
    let wait = opens_in.unwrap_or(PAUSE);
    Refusal::new(
        Code::UpstreamUnavailable,
        format!(
            "Every target of the model `{model}` has kept failing and is left alone for a while. \
             Try again in {} s.",
            wait.as_secs().max(1)
        ),
    )
    .retry_after(wait)
}

fn limited(provider: &str, wait: Option<Duration>) -> Refusal {
    let wait = wait.unwrap_or(PAUSE);
    Refusal::new(
        Code::UpstreamRateLimited,
        format!(
            "The provider `{provider}` takes no more calls for {} s, which is longer than this one \
             can wait.",
            wait.as_secs().max(1)
        ),
    )
    .retry_after(wait)
}

fn overloaded(target: &str, wait: Option<Duration>) -> Refusal {
    Refusal::new(
        Code::Overloaded,
        format!("More calls wait for `{target}` than it can take. Try again shortly."),
    )
    .retry_after(wait.unwrap_or(PAUSE))
}
