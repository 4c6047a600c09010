//! Who is calling? Presented credentials become a [`Principal`].

use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_core::principal::{Principal, Role};

use crate::exchange::Exchange;
use crate::headers;
use crate::keyring::Verdict;
use crate::refusal::Refusal;

/// Verifies the caller's key. What cannot be verified because the store is away is 503, never 401:
/// clients throw credentials away on 401.
pub(crate) async fn authenticate(
    exchange: &mut Exchange,
    headers: &HeaderMap,
) -> Result<Principal, Refusal> {
    let principal = if exchange.snapshot.auth_enabled {
        verify(exchange, headers).await?
    } else {
        Principal {
            key_id: "none".into(),
            user_id: "anonymous".into(),
            role: Role::Admin,
        }
    };
    exchange.principal = Some(principal.clone());
    Ok(principal)
}

async fn verify(exchange: &Exchange, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let Some(presented) = headers::presented_key(headers) else {
        return Err(Refusal::new(
            Code::MissingApiKey,
            "No API key was sent. Send one as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"; \
             \"seaworthy keys create\" makes one.",
        ));
    };
    match exchange.gateway.keys.authenticate(presented).await {
        Verdict::Live(principal) => Ok(principal),
        Verdict::Refused => Err(Refusal::new(
            Code::InvalidApiKey,
            "The API key is not known, has expired or was revoked. Keys of this gateway start with \
             \"swk_\"; \"seaworthy keys list\" shows which are live.",
        )),
        Verdict::CannotSay(error) => Err(Refusal::new(
            Code::StoreUnavailable,
            "The API key cannot be verified now because the key store does not answer. The key may \
             well be valid: try again.",
        )
        .retry_after(Duration::from_secs(2))
        .because(&error)),
    }
}
