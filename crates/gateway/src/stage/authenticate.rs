//! Who is calling? Presented credentials become a [`Principal`] that may do what it wants to do.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_core::principal::{Permission, Principal, is_name, scope};

use crate::exchange::Exchange;
use crate::headers;
use crate::keyring::Verdict;
use crate::refusal::Refusal;

/// The agent that a caller calls as.
const AGENT: &str = "x-seaworthy-agent";
/// The session that a call belongs to.
const SESSION: &str = "x-seaworthy-session-id";

/// Verifies the caller's credentials and that its roles allow what it wants. What cannot be verified
/// because the store is away is 503, never 401: clients throw credentials away on 401.
pub(crate) async fn authenticate(
    exchange: &mut Exchange,
    headers: &HeaderMap,
    needs: Permission,
) -> Result<Principal, Refusal> {
    let principal = if exchange.snapshot.auth_enabled {
        verify(exchange, headers).await?
    } else {
        Principal::anonymous()
    };
    exchange.principal = Some(principal.clone());
    require(exchange, &principal, needs)?;
    exchange.agent = agent(headers, &principal)?;
    exchange.session = session(headers, &principal)?;
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

/// Refuses what none of the caller's roles allows.
fn require(exchange: &Exchange, caller: &Principal, needs: Permission) -> Result<(), Refusal> {
    if exchange.snapshot.permissions(&caller.roles).allows(needs) {
        return Ok(());
    }
    let roles: Vec<&str> = caller.roles.iter().map(|role| role.as_str()).collect();
    Err(Refusal::new(
        Code::PermissionDenied,
        format!(
            "This needs the permission `{}`, which the role `{}` does not give.",
            needs.as_str(),
            roles.join("`, `")
        ),
    ))
}

fn agent(headers: &HeaderMap, caller: &Principal) -> Result<Option<Arc<str>>, Refusal> {
    let agents = &caller.scopes.agents;
    match named(headers, AGENT)? {
        Some(agent) if scope::allows(agents, agent) => Ok(Some(agent.into())),
        Some(agent) => Err(denied(format!(
            "The credential does not allow to call as the agent `{agent}`."
        ))),
        None if agents.is_empty() => Ok(None),
        None => match caller.scopes.only_agent() {
            Some(only) => Ok(Some(only.into())),
            None => Err(denied(format!(
                "The credential is for certain agents: name one of them in `{AGENT}`."
            ))),
        },
    }
}

fn session(headers: &HeaderMap, caller: &Principal) -> Result<Option<Arc<str>>, Refusal> {
    match (named(headers, SESSION)?, &caller.session) {
        (None, bound) => Ok(bound.clone()),
        (Some(session), Some(bound)) if session != &**bound => {
            Err(denied("The credential is bound to another session.".into()))
        }
        (Some(session), _) => Ok(Some(session.into())),
    }
}

fn named<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if is_name(text) => Ok(Some(text)),
        _ => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`{name}` takes 1 to 128 letters, digits, `-`, `_`, `.` or `:`."),
        )),
    }
}

fn denied(message: String) -> Refusal {
    Refusal::new(Code::PermissionDenied, message)
}
