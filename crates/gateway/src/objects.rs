//! What everything has in common that is kept for callers: names, owners, pages, and what is said of
//! what is not there.

use std::time::Duration;

use seaworthy_core::code::Code;
use seaworthy_core::objects::{Kind, Object, Page};
use seaworthy_core::store::Error;
use seaworthy_core::trace::RequestId;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use seaworthy_core::error::chain;

/// How many expired objects are deleted in one step.
const DELETED_AT_ONCE: usize = 200;
/// Pause between looks for what has expired.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);
/// Most entries of one page, unless an API has its own bound.
pub(crate) const LONGEST_PAGE: usize = 100;
/// Entries of a page if the caller does not say.
const USUAL_PAGE: usize = 20;

/// A new name.
pub(crate) fn new_name(prefix: &str) -> String {
    format!(
        "{prefix}{}",
        RequestId::generate().as_str().replace('-', "")
    )
}

/// The user that the caller's objects belong to.
pub(crate) fn owner(exchange: &Exchange) -> &str {
    exchange
        .principal
        .as_ref()
        .map_or("", |caller| &caller.user_id)
}

/// The caller's object of this name. Somebody else's is not found.
pub(crate) async fn find(exchange: &Exchange, kind: Kind, id: &str) -> Result<Object, Refusal> {
    let gateway = &exchange.gateway;
    let found = gateway.stores.objects.get(kind, id, gateway.clock.now());
    let found = found.await.map_err(|error| failed(&error))?;
    found
        .filter(|object| object.owner == owner(exchange))
        .ok_or_else(|| not_found(kind))
}

/// All content of an object that is known to be bounded.
pub(crate) async fn content(gateway: &Gateway, id: &str) -> Result<Vec<bytes::Bytes>, Refusal> {
    let parts = gateway.stores.objects.parts(id, 0, u64::MAX).await;
    let parts = parts.map_err(|error| failed(&error))?;
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// The head of an object, as JSON.
pub(crate) fn head(object: &Object) -> Value {
    serde_json::from_slice(&object.head).unwrap_or_default()
}

pub(crate) fn not_found(kind: Kind) -> Refusal {
    let message = format!("There is no {} with this ID.", kind.as_str());
    Refusal::new(Code::NotFound, message)
}

/// What a store's failure is to the caller.
pub(crate) fn failed(error: &Error) -> Refusal {
    match error {
        Error::Conflict(_) | Error::AlreadyExists { .. } | Error::NotFound { .. } => Refusal::new(
            Code::Internal,
            "What was stored has changed in between. Try again.",
        ),
        Error::Unavailable { .. } => Refusal::new(
            Code::StoreUnavailable,
            "The store does not answer now. Try again.",
        )
        .retry_after(Duration::from_secs(2)),
    }
    .because(error)
}

/// The value of a parameter of the query.
pub(crate) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let parameters = query?.split('&');
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// The page that a query asks for: `after`, `limit`, `order`. Whoever may ask for longer ones than
/// there are gets the longest, and is told that there is more.
pub(crate) fn page(query: Option<&str>, most: usize) -> Result<Page, Refusal> {
    let refused = |param: &str, message: String| {
        Err(Refusal::new(Code::InvalidRequest, message).at(param.to_owned()))
    };
    let limit = match parameter(query, "limit") {
        None => USUAL_PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if (1..=most).contains(&limit) => limit.min(LONGEST_PAGE),
            _ => {
                let message = format!("`limit` is a number from 1 to {most}.");
                return refused("limit", message);
            }
        },
    };
    let is_ascending = match parameter(query, "order") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return refused("order", "`order` is `asc` or `desc`.".to_owned()),
    };
    Ok(Page {
        after: parameter(query, "after").map(str::to_owned),
        limit,
        is_ascending,
    })
}

/// A page as OpenAI's clients read it.
pub(crate) fn listed(data: Vec<Value>, has_more: bool) -> Value {
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry.get("id")).cloned();
    json!({
        "object": "list",
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": has_more,
        "data": data,
    })
}

/// Forgets what has expired, and what is more than a user may have. Runs until it is dropped.
pub(crate) async fn keep_house(gateway: &Gateway) {
    loop {
        tokio::time::sleep(CLEANING_INTERVAL).await;
        let objects = &gateway.stores.objects;
        let now = gateway.clock.now();
        loop {
            match objects.delete_expired(now, DELETED_AT_ONCE).await {
                Ok(DELETED_AT_ONCE) => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => break warn(&error),
            }
        }
        let most = gateway.config().responses.max_per_user.get() as u64;
        if let Err(error) = objects.trim(Kind::Response, most, DELETED_AT_ONCE).await {
            warn(&error);
        }
    }
}

fn warn(error: &Error) {
    let cause = chain(error);
    tracing::warn!(cause, "what has expired could not be deleted");
}
