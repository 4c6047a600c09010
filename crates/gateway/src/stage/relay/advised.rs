//! When a provider wants to be asked again, for ourselves and for the caller.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use seaworthy_core::limit::headers::retry_after_seconds;
use seaworthy_core::resilience::advice;

use crate::exchange::Exchange;

/// What the headers of an answer say of it.
pub(super) fn advice(exchange: &Exchange, headers: &HeaderMap) -> Option<Duration> {
    let now = exchange.gateway.clock.now();
    advice::read(now, |name| headers.get(name)?.to_str().ok())
}

/// What the provider says of when to ask again. Not every client knows `retry-after-ms`, and none
/// looks into the body of an error: advice that is said elsewhere is said in `retry-after`, too.
pub(super) fn retry_headers(headers: &HeaderMap, advice: Option<Duration>) -> HeaderMap {
    let mut told: HeaderMap = ["retry-after", "retry-after-ms", "x-should-retry"]
        .into_iter()
        .filter_map(|name| Some((HeaderName::from_static(name), headers.get(name)?.clone())))
        .collect();
    if let Some(wait) = advice
        && !told.contains_key(RETRY_AFTER)
    {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        told.insert(RETRY_AFTER, retry_after_seconds(millis).into());
    }
    told
}
