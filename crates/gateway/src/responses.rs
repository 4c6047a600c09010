//! Stored responses: what callers can fetch, continue, cancel and delete.
//!
//! A response is an object with two parts: the conversation that it answers, all earlier turns
//! included, and the response itself. So a turn can be continued whatever became of those before it,
//! at any provider.

pub(crate) mod background;
pub(crate) mod dress;
pub(crate) mod keeping;
pub(crate) mod recollect;
mod retold;
pub(crate) mod rewrite;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use seaworthy_core::code::Code;
use seaworthy_core::objects::{Kind, Object};
use seaworthy_llm::Framing;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::objects::{self, LONGEST_PAGE, failed, find, listed, not_found, owner, page, parameter};
use crate::refusal::Refusal;
use crate::reply::{Answer, Content};
use crate::routes::Action;

/// The part that holds the conversation.
const INPUT: u64 = 0;
/// The part that holds the response.
const OUTPUT: u64 = 1;

/// Answers everything but the making of a response.
pub(crate) async fn handle(
    exchange: &Exchange,
    action: Action,
    id: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    match action {
        Action::DeleteResponse => delete(exchange, id).await,
        Action::CancelResponse => background::cancel(exchange, id).await,
        Action::ListInputItems => input_items(exchange, id, query).await,
        _ => get(exchange, id, query).await,
    }
}

async fn get(exchange: &Exchange, id: &str, query: Option<&str>) -> Result<Answer, Refusal> {
    let object = find(exchange, Kind::Response, id).await?;
    let response = read(exchange, &object).await?;
    match parameter(query, "stream") {
        Some("true") => as_stream(&response, query),
        _ => Ok(shown(response.to_string())),
    }
}

/// A response that has ended, as the stream that leads to it.
fn as_stream(response: &Value, query: Option<&str>) -> Result<Answer, Refusal> {
    let refused = |at: &str, message: String| {
        let refusal = Refusal::new(Code::InvalidRequest, message);
        Err(refusal.at(at.to_owned()))
    };
    if parameter(query, "starting_after").is_some() {
        let message = "The events of a stored response are told anew, each text in one piece, so \
                       their numbers are not those of the first stream. Ask for all of them, without \
                       `starting_after`.";
        return refused("starting_after", message.to_owned());
    }
    let Some(events) = retold::events(response) else {
        let status = response["status"].as_str().unwrap_or("unknown");
        let message = format!(
            "Only a response that is completed, incomplete or failed can be told as a stream; this \
             one is {status}. Ask for it without `stream`.",
        );
        return refused("stream", message);
    };
    let mut answer = Answer::text(200, Framing::ServerSentEvents.content_type(), Bytes::new());
    answer.content = Content::Events(events);
    Ok(answer)
}

async fn delete(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    let gateway = &exchange.gateway;
    let owner = owner(exchange);
    let deleted = gateway.stores.objects.delete(Kind::Response, owner, id);
    if !deleted.await.map_err(|error| failed(&error))? {
        return Err(not_found(Kind::Response));
    }
    gateway.responses.wake(id);
    let body = json!({"id": id, "object": "response", "deleted": true});
    Ok(Answer::json(200, body.to_string()))
}

/// The conversation that a response answers, a page of it.
async fn input_items(
    exchange: &Exchange,
    id: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let page = page(query, LONGEST_PAGE)?;
    find(exchange, Kind::Response, id).await?;
    let parts = objects::content(&exchange.gateway, id).await?;
    let input = parts.first().map_or(&b"[]"[..], |part| part);
    let items: Vec<Value> = serde_json::from_slice(input).unwrap_or_default();
    let mut items: Vec<Value> = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| dress::input_item(item, id, index))
        .collect();
    if !page.is_ascending {
        items.reverse();
    }
    if let Some(after) = page.after.as_deref() {
        let place = items.iter().position(|item| item["id"] == after);
        let Some(place) = place else {
            let message = "There is no input item with this ID.";
            return Err(Refusal::new(Code::InvalidRequest, message).at("after".to_owned()));
        };
        items.drain(..=place);
    }
    let has_more = items.len() > page.limit;
    items.truncate(page.limit);
    Ok(shown(listed(items, has_more).to_string()))
}

/// The response as it stands: one whose gateway is gone has failed.
async fn read(exchange: &Exchange, object: &Object) -> Result<Value, Refusal> {
    let gateway = &exchange.gateway;
    let parts = gateway
        .stores
        .objects
        .parts(&object.id, OUTPUT, u64::MAX)
        .await;
    let parts = parts.map_err(|error| failed(&error))?;
    let (_, response) = parts.first().ok_or_else(|| not_found(Kind::Response))?;
    let mut response: Value = serde_json::from_slice(response).unwrap_or_default();
    if object.is_open && object.lease_until <= gateway.clock.now() {
        dress::lose(&mut response);
    }
    Ok(response)
}

fn shown(body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::json(200, body);
    let no_store = http::HeaderValue::from_static("no-store");
    answer.headers.insert(CACHE_CONTROL, no_store);
    answer
}
