//! One request of a batch: verified, admitted, screened, limited, paid for and settled like a call of
//! its own, with what is known of its creator.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::principal::{Identity, Permission, Principal};
use seaworthy_core::store;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Creator;
use super::validate::{self, Line};
use crate::gateway::Gateway;
use crate::identity::Verdict;
use crate::internal_call::{self, Answered, OnBehalf};
use crate::objects::new_name;
use crate::routes::Operation;
use crate::stage::admit::Permit;
use crate::stage::authenticate::verify_id;

/// How often a request is begun again that was open when a process ended.
pub(crate) const MAX_BEGUN: u64 = 3;
/// Marks of requests that were begun: so many numbers for each.
pub(crate) const MARKS: u64 = 4;
/// How often an answer that blames the provider is asked for again.
const MAX_TRIES: u32 = 3;
/// The first and the longest wait between two tries.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long it takes until a store is asked again that cannot verify a key.
const VERIFY_AGAIN: Duration = Duration::from_secs(2);

/// Why the requests of a batch are not carried out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its owner wants it to end.
    Cancelled,
    /// This process ends, or another one has taken over.
    Left,
    /// Nobody may stand behind it any more.
    Revoked,
}

/// What all requests of a batch share.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) batch: String,
    pub(crate) operation: Operation,
    pub(crate) endpoint: String,
    pub(crate) creator: Creator,
    pub(crate) output: String,
    pub(crate) errors: String,
    /// When nothing more of it is begun.
    pub(crate) deadline: UnixMillis,
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Expired,
    NotRun,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::NotRun => "not_run",
        }
    }
}

impl Job {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Carries a request out and writes its result down, which marks it as done.
    pub(crate) async fn carry_out(
        &self,
        number: u64,
        begun: u64,
        text: Bytes,
    ) -> store::Result<Outcome> {
        let Ok(line) = validate::read(&text, &self.endpoint, |_| true) else {
            return self
                .fail(number, "", "invalid_line", "The line is not a request.")
                .await;
        };
        if begun >= MAX_BEGUN {
            let message = "The gateway was stopped each time that it worked on this request.";
            return self
                .fail(number, &line.custom_id, "interrupted", message)
                .await;
        }
        let mut is_marked = false;
        let mut tries = 0;
        loop {
            let Some(place) = self.place().await else {
                return Ok(Outcome::NotRun);
            };
            let now = self.gateway.clock.now();
            if now >= self.deadline {
                let message = "This request could not be executed before the completion window \
                               expired.";
                let id = &line.custom_id;
                self.fail(number, id, "batch_expired", message).await?;
                return Ok(Outcome::Expired);
            }
            let caller = match self.caller().await {
                Verdict::Live(caller) => caller,
                Verdict::Refused(_) => {
                    self.stop.send_replace(Some(Stop::Revoked));
                    return Ok(Outcome::NotRun);
                }
                Verdict::CannotSay(_) => {
                    drop(place);
                    self.wait(VERIFY_AGAIN).await;
                    continue;
                }
            };
            if !is_marked {
                let mark = number * MARKS + begun;
                let objects = &self.gateway.stores.objects;
                objects.add_part(&self.batch, (mark, Bytes::new())).await?;
                is_marked = true;
            }
            tries += 1;
            let answered = self.call(caller, line.body.clone()).await;
            let left = self.deadline.since(self.gateway.clock.now());
            match next(answered.status, &answered.headers, tries, left) {
                Next::Wait(pause) => {
                    // Others go on meanwhile.
                    drop((answered, place));
                    self.wait(pause).await;
                }
                Next::Complete => return self.finish(number, &line, answered, true).await,
                Next::Fail => return self.finish(number, &line, answered, false).await,
            }
        }
    }

    /// Who stands behind the batch, if its key is live.
    async fn caller(&self) -> Verdict {
        let snapshot = self.gateway.snapshot();
        let Some(key_id) = &self.creator.key_id else {
            return match snapshot.auth_enabled {
                false => Verdict::Live(Principal::anonymous()),
                true => Verdict::Refused(crate::identity::Flaw::Missing),
            };
        };
        match verify_id(&self.gateway, &snapshot, key_id).await {
            Verdict::Live(caller) => {
                if !snapshot
                    .permissions(&caller.roles)
                    .allows(Permission::CallModels)
                {
                    return Verdict::Refused(crate::identity::Flaw::Revoked);
                }
                Verdict::Live(Principal::new(Identity {
                    scopes: self
                        .creator
                        .scopes
                        .clone()
                        .unwrap_or_else(|| caller.scopes.clone()),
                    session: self.creator.session.as_deref().map(Arc::from),
                    ..(*caller).clone()
                }))
            }
            other => other,
        }
    }

    async fn call(&self, caller: Principal, body: Bytes) -> Answered {
        let on_behalf = OnBehalf {
            caller,
            agent: self.creator.agent.as_deref().map(Arc::from),
            session: self.creator.session.as_deref().map(Arc::from),
            batch: &self.batch,
        };
        let calling = internal_call::call_on_behalf(&self.gateway, on_behalf, self.operation, body);
        let answered = AssertUnwindSafe(calling).catch_unwind().await;
        answered.unwrap_or_else(|_panic| {
            self.gateway.metrics.panics.inc();
            Answered::broken()
        })
    }

    /// A place among the requests of all batches; `None` where nothing more is to be carried out.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let mut stop = self.stop.subscribe();
        let places = Arc::clone(&self.gateway.batches.places);
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => None,
            place = places.acquire_owned() => place.ok(),
        }
    }

    /// Waits, unless nothing more is to be carried out.
    async fn wait(&self, pause: Duration) {
        let mut stop = self.stop.subscribe();
        let stopped = stop.wait_for(Option::is_some);
        let _either = tokio::time::timeout(pause, stopped).await;
    }

    async fn finish(
        &self,
        number: u64,
        line: &Line,
        answered: Answered,
        is_complete: bool,
    ) -> store::Result<Outcome> {
        let body = serde_json::from_slice::<Box<RawValue>>(&answered.body);
        let body = body.ok().or_else(|| {
            let text = String::from_utf8_lossy(&answered.body);
            serde_json::value::to_raw_value(&*text).ok()
        });
        let response = Response {
            status_code: answered.status,
            request_id: &answered.request_id,
            body,
        };
        let written = Written {
            id: new_name("batch_req_"),
            custom_id: &line.custom_id,
            response: Some(response),
            error: None,
        };
        let (file, outcome) = match is_complete {
            true => (&self.output, Outcome::Completed),
            false => (&self.errors, Outcome::Failed),
        };
        self.write(file, number, &written).await?;
        // A drain waits for what is being written.
        drop::<Option<Permit>>(answered.permit);
        Ok(outcome)
    }

    async fn fail(
        &self,
        number: u64,
        custom_id: &str,
        code: &str,
        message: &str,
    ) -> store::Result<Outcome> {
        let written = Written {
            id: new_name("batch_req_"),
            custom_id,
            response: None,
            error: Some(json!({"code": code, "message": message})),
        };
        self.write(&self.errors, number, &written).await?;
        Ok(Outcome::Failed)
    }

    async fn write(&self, file: &str, number: u64, written: &Written<'_>) -> store::Result<()> {
        let mut text = serde_json::to_vec(written).unwrap_or_default();
        text.push(b'\n');
        let objects = &self.gateway.stores.objects;
        objects
            .add_part(file, (number, text.into()))
            .await
            .map(drop)
    }
}

/// A line of an output or error file.
#[derive(serde::Serialize)]
struct Written<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Value>,
}

#[derive(serde::Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: &'a str,
    body: Option<Box<RawValue>>,
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Complete,
    Fail,
    Wait(Duration),
}

/// There is time: what says that it is too much, or that a budget is renewed before the window ends,
/// is asked for again for as long as there is. What failed at the provider is tried a few times.
fn next(status: u16, headers: &HeaderMap, tries: u32, left: Duration) -> Next {
    if (200..300).contains(&status) {
        return Next::Complete;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let advice = text("retry-after").and_then(|text| text.parse().ok());
    let advice = advice.map(Duration::from_secs);
    let is_final = text("x-should-retry") == Some("false");
    let backoff = WAITS.0.saturating_mul(1 << tries.min(10)).min(WAITS.1);
    let wait = advice.map_or(backoff, |advice| advice.max(backoff));
    match (status, advice) {
        (429 | 503 | 529, Some(advice)) if is_final => match advice < left {
            true => Next::Wait(wait),
            false => Next::Fail,
        },
        (429 | 503 | 529, _) if !is_final => Next::Wait(wait),
        (500 | 502 | 504 | 408, _) if !is_final && tries < MAX_TRIES => Next::Wait(wait),
        _ => Next::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_can_wait_waits_and_what_cannot_fails() {
        let left = Duration::from_secs(100);
        let with = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            let map: HeaderMap = pairs
                .map(|(name, value)| {
                    (
                        http::HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            map
        };
        let none = with(&[]);
        assert_eq!(next(200, &none, 1, left), Next::Complete);
        assert_eq!(next(400, &none, 1, left), Next::Fail);
        assert_eq!(
            next(429, &none, 1, left),
            Next::Wait(Duration::from_secs(2))
        );
        assert_eq!(
            next(503, &none, 50, left),
            Next::Wait(Duration::from_secs(60))
        );
        let later = with(&[("retry-after", "70")]);
        assert_eq!(
            next(429, &later, 1, left),
            Next::Wait(Duration::from_secs(70))
        );
        assert_eq!(
            next(502, &none, 2, left),
            Next::Wait(Duration::from_secs(4))
        );
        assert_eq!(next(502, &none, 3, left), Next::Fail);
        // A budget that is renewed in time, one that is renewed too late, and one that never is.
        let renewed = |when| with(&[("x-should-retry", "false"), ("retry-after", when)]);
        assert_eq!(
            next(429, &renewed("99"), 9, left),
            Next::Wait(Duration::from_secs(99))
        );
        assert_eq!(next(429, &renewed("100"), 1, left), Next::Fail);
        assert_eq!(
            next(429, &with(&[("x-should-retry", "false")]), 1, left),
            Next::Fail
        );
    }
}
