//! Requests that are carried out once, however often they are sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::{IdempotencyStore, KeptAnswer, Known, Marker};
use seaworthy_core::ledger::Outcome;
use seaworthy_core::objects::Finished;
use seaworthy_core::principal::Principal;
use seaworthy_core::store;
use seaworthy_core::trace::RequestId;
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::flight::{Boarding, Producer, Reader};
use crate::gateway::Gateway;
use crate::headers::name;
use crate::pipeline::Errand;
use crate::refusal::Refusal;
use crate::reply::{Answer, Content, NOTHING};
use crate::stage::recall::count::count;
use crate::stage::recall::{kept, key, shared};
use seaworthy_core::error::chain;

/// Longest key that is accepted.
const MAX_KEY_BYTES: usize = 255;
/// How often a duplicate looks whether another process has finished.
const POLL: Duration = Duration::from_millis(50);
/// How many expired keys are deleted in one step.
const DELETED_AT_ONCE: usize = 500;
/// Pause between looks for expired keys.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);

/// The keys that this process works on, with their owners.
#[derive(Debug, Default)]
pub(crate) struct HeldKeys(Mutex<HashMap<Fingerprint, String>>);

/// What is known of the key.
pub(crate) enum Begun {
    Answer(Answer),
    /// The request is to be carried out, once.
    Held(Box<Held>),
}

/// The right to carry the request out. Ended with [`Held::finish`] or [`Held::release`]; dropped
/// after it has set off, the outcome stays unknown.
#[derive(Debug)]
pub(crate) struct Held {
    store: Arc<dyn IdempotencyStore>,
    held: Arc<HeldKeys>,
    key: Fingerprint,
    owner: String,
    seat: Option<(Producer, Reader)>,
    has_set_off: bool,
    has_ended: bool,
}

impl Held {
    /// The flight that duplicates join.
    pub(crate) fn take_seat(&mut self) -> Option<(Producer, Reader)> {
        self.seat.take()
    }

    /// Notes that the request may be carried out from now on.
    pub(crate) fn set_off(&mut self) {
        self.has_set_off = true;
    }

    /// Keeps the answer. The marker and the answer change in one step.
    pub(crate) async fn finish(mut self, answer: KeptAnswer) {
        self.has_ended = true;
        let finished = self.store.finish(&self.key, &self.owner, answer).await;
        match finished {
            Ok(true) => {}
            Ok(false) => tracing::error!("an idempotency key was lost before its answer was kept"),
            Err(error) => {
                let cause = chain(&error);
                tracing::error!(cause, "the answer of an idempotency key could not be kept");
            }
        }
    }

    /// The answer, to be kept in the same step as what the request has made.
    pub(crate) fn into_finished(mut self, answer: KeptAnswer) -> Finished {
        self.has_ended = true;
        Finished {
            key: self.key,
            owner: std::mem::take(&mut self.owner),
            answer,
        }
    }

    /// Frees the key: nothing was carried out.
    pub(crate) async fn release(mut self) {
        self.has_ended = true;
        release(&*self.store, &self.key, &self.owner).await;
    }

    /// Keeps an answer that was known already.
    pub(crate) async fn answer_with(self, exchange: &Exchange, answer: Answer) -> Answer {
        let (Content::Frames(frames) | Content::Events(frames)) = &answer.content else {
            self.release().await;
            return answer;
        };
        debug_assert!(exchange.call.is_none(), "nothing was asked");
        let headers = kept::headers_to_keep(&answer.headers);
        let body = kept::joined(frames);
        let status = answer.status;
        self.finish(KeptAnswer {
            status,
            headers,
            body,
        })
        .await;
        answer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.0.lock().remove(&self.key);
        if self.has_ended || self.has_set_off || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (store, key) = (Arc::clone(&self.store), self.key);
        let owner = std::mem::take(&mut self.owner);
        tokio::spawn(async move { release(&*store, &key, &owner).await });
    }
}

/// Frees a key whose request was not carried out.
pub(crate) async fn release(store: &dyn IdempotencyStore, key: &Fingerprint, owner: &str) {
    if let Err(error) = store.release(key, owner).await {
        let cause = chain(&error);
        tracing::error!(cause, "an idempotency key could not be freed");
    }
}

/// Takes the key of a request that is no model call, or gives the answer that is known under it.
pub(crate) async fn look(
    exchange: &Exchange,
    caller: &Principal,
    value: &HeaderValue,
    request: Fingerprint,
) -> Result<Look, Refusal> {
    let wanted = Wanted::new(exchange, caller, value, request)?;
    loop {
        if let Some(look) = wanted.try_once(exchange).await? {
            return Ok(look);
        }
    }
}

/// The key of a request. Two different ones would mean that it is two requests.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Refusal> {
    let mut keys = headers.get_all(&name::IDEMPOTENCY_KEY).iter();
    let key = keys.next();
    match keys.all(|other| Some(other) == key) {
        true => Ok(key),
        false => Err(Refusal::new(
            Code::InvalidRequest,
            "Expected one `Idempotency-Key`, found several that differ. Send the one that the request \
             is to be known under.",
        )),
    }
}

/// What is known of a key.
pub(crate) enum Look {
    /// The answer.
    Known(KeptAnswer),
    /// Nothing was: the request is to be carried out, once.
    Held(Box<Held>),
}

/// A request whose key is looked at until it is known what becomes of it.
struct Wanted {
    key: Fingerprint,
    request: Fingerprint,
    owner: String,
    gives_up_at: Instant,
}

impl Wanted {
    fn new(
        exchange: &Exchange,
        caller: &Principal,
        value: &HeaderValue,
        request: Fingerprint,
    ) -> Result<Self, Refusal> {
        let text = value.as_bytes();
        if text.is_empty() || text.len() > MAX_KEY_BYTES {
            let message = format!("`Idempotency-Key` has to have 1 to {MAX_KEY_BYTES} characters.");
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        let config = &exchange.snapshot.loaded.config.idempotency;
        let longest = Instant::now() + config.wait.as_std();
        Ok(Self {
            key: key::of_idempotency(caller, text),
            request,
            owner: RequestId::generate().as_str().to_owned(),
            gives_up_at: exchange.deadline.map_or(longest, |at| at.min(longest)),
        })
    }

    /// Looks once; `None`: somebody else works on it, and it has waited a moment.
    async fn try_once(&self, exchange: &Exchange) -> Result<Option<Look>, Refusal> {
        let gateway = &exchange.gateway;
        let config = &exchange.snapshot.loaded.config.idempotency;
        let now = gateway.clock.now();
        let marker = Marker {
            key: self.key,
            request: self.request,
            owner: self.owner.clone(),
            lease_until: now.plus(config.lease.into()),
            expires_at: now.plus(config.ttl.into()),
        };
        let begun = gateway.stores.idempotency.begin(marker, now).await;
        match begun.map_err(|error| cannot_say(&error))? {
            Known::New => {
                let asked = (self.key, self.request);
                let held = take(gateway, asked, self.owner.clone());
                Ok(Some(Look::Held(held)))
            }
            Known::Done { request, answer } => {
                is_same(request, self.request)?;
                Ok(Some(Look::Known(answer)))
            }
            Known::Running {
                request,
                lease_until,
            } => {
                is_same(request, self.request)?;
                wait(lease_until, now, self.gives_up_at).await?;
                Ok(None)
            }
        }
    }
}

/// Takes the key, or gives the answer that is known under it. A duplicate of a request that is being
/// worked on waits for its answer.
pub(crate) async fn begin(
    exchange: &mut Exchange,
    errand: &Errand,
    value: &HeaderValue,
) -> Result<Begun, Refusal> {
    let request = asked_for(errand);
    let wanted = Wanted::new(exchange, &errand.principal, value, request)?;
    let (key, gives_up_at) = (wanted.key, wanted.gives_up_at);
    let gateway = Arc::clone(&exchange.gateway);
    loop {
        if let Some(reader) = gateway.flights.join(&key) {
            is_same(reader.request(), request)?;
            let following = follow(exchange, errand, reader);
            match tokio::time::timeout_at(gives_up_at, following).await {
                Err(_elapsed) => return Err(in_progress()),
                Ok(Some(answer)) => return answer.map(Begun::Answer),
                // Whoever made it is gone; the store knows more.
                Ok(None) => {}
            }
        }
        match wanted.try_once(exchange).await? {
            Some(Look::Held(held)) => return Ok(Begun::Held(held)),
            Some(Look::Known(answer)) => {
                return replay(exchange, errand, answer).await.map(Begun::Answer);
            }
            None => {}
        }
    }
}

fn asked_for(errand: &Errand) -> Fingerprint {
    let request = &errand.request;
    // What some dialects say in the path is as much of the request as its body.
    let action = [
        request.operation.as_str(),
        request.operation.form(),
        if request.head.stream {
            "stream"
        } else {
            "whole"
        },
        request.framing.content_type(),
        &request.head.model,
    ];
    key::of_request(
        &action.join(" "),
        request.query.as_deref(),
        &request.received,
    )
}

fn take(
    gateway: &Arc<Gateway>,
    (key, request): (Fingerprint, Fingerprint),
    owner: String,
) -> Box<Held> {
    let held_keys = Arc::clone(&gateway.held_keys);
    held_keys.0.lock().insert(key, owner.clone());
    // Nobody can be aboard: only the holder of the marker lists a flight.
    let seat = match gateway.flights.board(key, request) {
        Boarding::Leads(producer, reader) => Some((producer, reader)),
        Boarding::Joined(_) => None,
    };
    Box::new(Held {
        store: Arc::clone(&gateway.stores.idempotency),
        held: held_keys,
        key,
        owner,
        seat,
        has_set_off: false,
        has_ended: false,
    })
}

/// The same answer as the first one gets, while that is being made.
async fn follow(
    exchange: &mut Exchange,
    errand: &Errand,
    reader: Reader,
) -> Option<Result<Answer, Refusal>> {
    shared::head(exchange, &reader).await?;
    if let Err(refusal) = counted(exchange, errand).await {
        return Some(Err(refusal));
    }
    let mut answer = shared::serve(exchange, reader).await?;
    kept::strip(&mut answer.headers);
    Some(Ok(free_of_charge(replayed(exchange, answer))))
}

async fn replay(
    exchange: &mut Exchange,
    errand: &Errand,
    kept: KeptAnswer,
) -> Result<Answer, Refusal> {
    counted(exchange, errand).await?;
    if kept.status >= 400 {
        exchange.outcome = Outcome::Failure;
    }
    let answer = kept::answer(kept.status, &kept.headers, kept.body);
    Ok(free_of_charge(replayed(exchange, answer)))
}

/// Says that a model's answer costs nothing this time.
fn free_of_charge(mut answer: Answer) -> Answer {
    answer.headers.insert(&name::COST, NOTHING.clone());
    answer
}

/// Says that an answer is an earlier one.
pub(crate) fn replayed(exchange: &Exchange, mut answer: Answer) -> Answer {
    exchange.gateway.metrics.idempotent_replays.inc();
    let yes = HeaderValue::from_static("true");
    answer.headers.insert("idempotent-replayed", yes);
    answer
}

async fn counted(exchange: &mut Exchange, errand: &Errand) -> Result<(), Refusal> {
    let model = exchange.snapshot.model(&errand.request.head.model).cloned();
    if let Some(model) = model {
        exchange.model = Some(Arc::clone(&model));
        count(exchange, errand, &model).await?;
    }
    Ok(())
}

/// Waits a moment for another process, unless that is gone or the caller has waited long enough.
async fn wait(
    lease_until: UnixMillis,
    now: UnixMillis,
    gives_up_at: Instant,
) -> Result<(), Refusal> {
    if lease_until <= now {
        return Err(unknown());
    }
    if Instant::now() >= gives_up_at {
        return Err(in_progress());
    }
    tokio::time::sleep(POLL).await;
    Ok(())
}

fn is_same(known: Fingerprint, asked: Fingerprint) -> Result<(), Refusal> {
    if known == asked {
        return Ok(());
    }
    Err(Refusal::new(
        Code::IdempotencyKeyReused,
        "This `Idempotency-Key` was sent with another request before. Send each request with a key \
         of its own.",
    ))
}

fn in_progress() -> Refusal {
    Refusal::new(
        Code::IdempotencyInProgress,
        "A request with this `Idempotency-Key` is still being worked on. Send it again later to get \
         its answer.",
    )
    .retry_after(Duration::from_secs(5))
}

fn unknown() -> Refusal {
    let mut refusal = Refusal::new(
        Code::IdempotencyUnknown,
        "The gateway stopped while it worked on the request with this `Idempotency-Key`: the \
         provider may have answered it, and nobody knows. Send it with a new key if a second call \
         does no harm.",
    );
    refusal
        .headers
        .insert("x-should-retry", HeaderValue::from_static("false"));
    refusal
}

fn cannot_say(error: &store::Error) -> Refusal {
    Refusal::new(
        Code::StoreUnavailable,
        "The `Idempotency-Key` cannot be looked up now because the store does not answer. Try again.",
    )
    .retry_after(Duration::from_secs(2))
    .because(error)
}

/// Says that this process is alive for the keys that it holds, and forgets expired keys. Runs until
/// it is dropped.
pub(crate) async fn keep_house(gateway: &Gateway) {
    let mut cleaned_at = None;
    loop {
        let lease: Duration = gateway.config().idempotency.lease.into();
        tokio::time::sleep(lease / 3).await;
        let held: Vec<_> = {
            let held = gateway.held_keys.0.lock();
            held.iter()
                .map(|(key, owner)| (*key, owner.clone()))
                .collect()
        };
        let now = gateway.clock.now();
        let store = &gateway.stores.idempotency;
        if !held.is_empty()
            && let Err(error) = store.renew(held, now.plus(lease)).await
        {
            let cause = chain(&error);
            tracing::warn!(cause, "the leases of idempotency keys could not be renewed");
        }
        let is_due = cleaned_at.is_none_or(|at: Instant| at.elapsed() >= CLEANING_INTERVAL);
        if is_due {
            cleaned_at = Some(Instant::now());
            clean(&**store, now).await;
        }
    }
}

/// Deletes what has expired, a bounded batch at a time, so that no request waits long behind it.
async fn clean(store: &dyn IdempotencyStore, now: UnixMillis) {
    loop {
        match store.delete_expired(now, DELETED_AT_ONCE).await {
            Ok(deleted) if deleted == DELETED_AT_ONCE => tokio::task::yield_now().await,
            Ok(_) => return,
            Err(error) => {
                let cause = chain(&error);
                tracing::warn!(cause, "expired idempotency keys could not be deleted");
                return;
            }
        }
    }
}
