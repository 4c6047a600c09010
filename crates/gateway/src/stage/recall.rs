//! Is the answer known? An earlier request under the same idempotency key, a remembered answer, or
//! an equal request that is being answered right now.

use crate::exchange::Exchange;
use crate::flight::{Boarding, Flight};
use crate::headers::name;
use crate::pipeline::Errand;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::responses::keeping::Keeping;
use crate::stage::recall::cached::{Looked, Ticket};
use crate::stage::recall::idempotent::{Begun, Held};
use crate::stage::recall::shared::Shared;

pub(crate) mod cached;
pub(crate) mod count;
pub(crate) mod idempotent;
pub(crate) mod kept;
pub(crate) mod key;
mod other_form;
pub(crate) mod semantic;
pub(crate) mod shared;
pub(crate) mod warm;

/// What is known of an answer.
pub(crate) enum Recalled {
    /// All of it, or somebody else is making it.
    Answer(Answer),
    /// Nothing, and nobody else is going to want to know.
    Unknown,
    /// Nothing; others read along, or it is kept.
    Shared(Box<Shared>),
}

/// Looks for the answer. A request without an idempotency key, while nothing is remembered, passes.
pub(crate) async fn recall(
    exchange: &mut Exchange,
    errand: &mut Errand,
) -> Result<Recalled, Refusal> {
    let has_key = errand.headers.contains_key(&name::IDEMPOTENCY_KEY);
    if !has_key && exchange.snapshot.cache.is_none() && errand.keeping.is_none() {
        return Ok(Recalled::Unknown);
    }
    // The way of most requests should not carry the weight of this one.
    Box::pin(look(exchange, errand)).await
}

async fn look(exchange: &mut Exchange, errand: &mut Errand) -> Result<Recalled, Refusal> {
    let held = match idempotent::key_of(&errand.headers)? {
        None => None,
        Some(key) => match idempotent::begin(exchange, errand, key).await? {
            Begun::Answer(answer) => return Ok(Recalled::Answer(answer)),
            Begun::Held(held) => Some(*held),
        },
    };
    let keeping = errand.keeping.take();
    if keeping
        .as_ref()
        .is_some_and(|keeping| keeping.is_background)
    {
        return Ok(lead(None, held, keeping));
    }
    match cached::look(exchange, errand).await {
        Ok(Looked::Found(answer)) => Ok(Recalled::Answer(match (keeping, held) {
            (Some(keeping), held) => shared::keep_known(exchange, &keeping, held, answer).await,
            (None, Some(held)) => held.answer_with(exchange, answer).await,
            (None, None) => answer,
        })),
        Ok(Looked::Off) => Ok(match (held, keeping) {
            (None, None) => Recalled::Unknown,
            (held, keeping) => lead(None, held, keeping),
        }),
        Ok(Looked::Missing(ticket)) if held.is_some() || keeping.is_some() => {
            Ok(lead(Some(ticket), held, keeping))
        }
        Ok(Looked::Missing(ticket)) => board(exchange, errand, ticket).await,
        Err(refusal) => Err(refusal),
    }
}

/// Joins an equal request that is being answered, or answers for everyone who comes.
async fn board(
    exchange: &mut Exchange,
    errand: &Errand,
    ticket: Ticket,
) -> Result<Recalled, Refusal> {
    if !ticket.can_be_joined {
        return Ok(lead(Some(ticket), None, None));
    }
    let flights = &exchange.gateway.flights;
    match flights.board(ticket.key, ticket.key) {
        Boarding::Leads(producer, reader) => Ok(Recalled::Shared(Box::new(Shared {
            producer,
            reader,
            ticket: Some(ticket),
            held: None,
            keeping: None,
        }))),
        Boarding::Joined(reader) => match cached::follow(exchange, errand, reader).await? {
            Some(answer) => Ok(Recalled::Answer(answer)),
            // What failed for one need not fail for the other.
            None => Ok(Recalled::Unknown),
        },
    }
}

fn lead(ticket: Option<Ticket>, mut held: Option<Held>, keeping: Option<Box<Keeping>>) -> Recalled {
    let seat = held.as_mut().and_then(Held::take_seat);
    let (producer, reader) = seat.unwrap_or_else(Flight::alone);
    Recalled::Shared(Box::new(Shared {
        producer,
        reader,
        ticket,
        held,
        keeping,
    }))
}
