//! Who is calling? Presented credentials become a [`Principal`] that may do what it wants to do.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use seaworthy_core::code::Code;
use seaworthy_core::principal::{Credential, Permission, Principal, is_name, scope};

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::headers::{self, Presented, name};
use crate::identity::{Doubt, Flaw, Verdict, jws, token};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use crate::stage::freshness::require_fresh;

/// Verifies the caller's credentials, that its roles allow what it wants, and that the request is
/// fresh where only those are taken. What cannot be verified
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
    exchange.class = class(headers, &exchange.snapshot.limits)?;
    require_fresh(exchange, headers, &principal).await?;
    Ok(principal)
}

async fn verify(exchange: &Exchange, headers: &HeaderMap) -> Result<Principal, Refusal> {
    if let Some(name) = headers::ambiguous(headers) {
        let message = format!("`{name}` stands in the request more than once. Send it once.");
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    let (credential, verdict) = judge(exchange, headers).await;
    let verdict = match verdict {
        Verdict::Live(principal) if is_elsewhere(&exchange.snapshot, &principal) => {
            Verdict::Refused(Flaw::WrongEnvironment)
        }
        verdict => verdict,
    };
    let metrics = &exchange.gateway.metrics;
    match verdict {
        Verdict::Live(principal) => Ok(principal),
        Verdict::Refused(flaw) => {
            metrics.count_auth_failure(credential.as_str(), flaw.as_str());
            Err(refused(credential, flaw))
        }
        Verdict::CannotSay(doubt) => {
            metrics.count_auth_failure(credential.as_str(), "cannot_verify");
            Err(cannot_say(credential, doubt))
        }
    }
}

/// What kind of credential was presented, and what is to be said about it.
async fn judge(exchange: &Exchange, headers: &HeaderMap) -> (Credential, Verdict) {
    let snapshot = &exchange.snapshot;
    let now = exchange.gateway.clock.now();
    let keys = &exchange.gateway.keys;
    if let Some(signer) = &exchange.signed_by {
        return (Credential::Key, Verdict::Live(signer.clone()));
    }
    match headers::presented(headers) {
        None => (Credential::None, Verdict::Refused(Flaw::Missing)),
        // Nobody has a password here.
        Some(Presented::Password(_)) if snapshot.users.is_empty() => {
            (Credential::None, Verdict::Refused(Flaw::Missing))
        }
        Some(Presented::Password(text)) => {
            (Credential::Password, snapshot.users.judge(text, now).await)
        }
        Some(Presented::Text(text)) if text.starts_with(token::PREFIX) => {
            (Credential::Token, keys.authenticate_token(text).await)
        }
        Some(Presented::Text(text)) => {
            let is_jwt = !snapshot.issuers.is_empty() && jws::looks_like(text);
            match is_jwt {
                true => (Credential::Jwt, Box::pin(judge_jwt(exchange, text)).await),
                false => (Credential::Key, keys.authenticate(text).await),
            }
        }
    }
}

async fn judge_jwt(exchange: &Exchange, text: &str) -> Verdict {
    let token = match jws::parse(text) {
        Ok(token) => token,
        Err(flaw) => return Verdict::Refused(flaw),
    };
    let says = token.claims.get("iss").and_then(|iss| iss.as_str());
    let mut issuers = exchange.snapshot.issuers.iter();
    let Some(issuer) = issuers.find(|known| says == Some(&known.config.issuer)) else {
        return Verdict::Refused(Flaw::WrongIssuer);
    };
    let gateway = &exchange.gateway;
    let now = gateway.clock.now();
    issuer.judge(text, &token, now, &gateway.issuers_wake).await
}

/// Whether a key of this ID stands behind a request that nobody sends any more.
pub(crate) async fn verify_id(gateway: &Gateway, snapshot: &Snapshot, key_id: &str) -> Verdict {
    match gateway.keys.authenticate_id(key_id).await {
        Verdict::Live(caller) if is_elsewhere(snapshot, &caller) => {
            Verdict::Refused(Flaw::WrongEnvironment)
        }
        verdict => verdict,
    }
}

/// Whether the credential is for another environment than this one.
fn is_elsewhere(snapshot: &Snapshot, caller: &Principal) -> bool {
    match (&snapshot.environment, &caller.environment) {
        (Some(here), Some(there)) => here != there,
        _ => false,
    }
}

fn refused(credential: Credential, flaw: Flaw) -> Refusal {
    let (code, message) = match (credential, flaw) {
        (_, Flaw::Missing) => (
            Code::MissingApiKey,
            "No API key was sent. Send one as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"; \
             \"seaworthy keys create\" makes one.",
        ),
        (Credential::Password, _) => (
            Code::InvalidApiKey,
            "There is no such user, or the password is wrong.",
        ),
        (Credential::Token, _) => (
            Code::InvalidApiKey,
            "The token is not one of this gateway, or its time is over, or that of its key. \
             POST /v1/auth/token makes another.",
        ),
        (Credential::Jwt, _) => (
            Code::InvalidApiKey,
            "The token is not one that is accepted here, or its time is over. Get another from your \
             identity provider.",
        ),
        (Credential::Key | Credential::None, _) => (
            Code::InvalidApiKey,
            "The API key is not known, has expired or was revoked. Keys of this gateway start with \
             \"swk_\"; \"seaworthy keys list\" shows which are live.",
        ),
    };
    let mut refusal = Refusal::new(code, message);
    refusal.detail = Some(format!("{}: {}", credential.as_str(), flaw.as_str()));
    refusal
}

pub(crate) fn cannot_say(credential: Credential, doubt: Doubt) -> Refusal {
    let (code, message) = match credential {
        Credential::Jwt => (
            Code::IdentityUnavailable,
            "The token cannot be verified now because the identity provider does not answer, or was \
             asked for its keys a moment ago. The token may well be valid: try again.",
        ),
        Credential::Password => (
            Code::IdentityUnavailable,
            "The password cannot be verified now because many others are being verified. It may \
             well be right: try again.",
        ),
        Credential::Token | Credential::Key | Credential::None => (
            Code::StoreUnavailable,
            "The API key cannot be verified now because the key store does not answer. The key may \
             well be valid: try again.",
        ),
    };
    let mut refusal = Refusal::new(code, message).retry_after(doubt.again_in);
    refusal.detail = Some(doubt.cause);
    refusal
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
    match named(headers, &name::AGENT)? {
        Some(agent) if scope::allows(agents, agent) => Ok(Some(agent.into())),
        Some(agent) => Err(denied(format!(
            "The credential does not allow to call as the agent `{agent}`."
        ))),
        None if agents.is_empty() => Ok(None),
        None => match caller.scopes.only_agent() {
            Some(only) => Ok(Some(only.into())),
            None => Err(denied(format!(
                "The credential is for certain agents: name one of them in `{}`.",
                name::AGENT
            ))),
        },
    }
}

fn session(headers: &HeaderMap, caller: &Principal) -> Result<Option<Arc<str>>, Refusal> {
    match (named(headers, &name::SESSION)?, &caller.session) {
        (None, bound) => Ok(bound.clone()),
        (Some(session), Some(bound)) if session != &**bound => {
            Err(denied("The credential is bound to another session.".into()))
        }
        (Some(session), _) => Ok(Some(session.into())),
    }
}

/// The class of work that the caller says it is: one that has limits or caps.
fn class(headers: &HeaderMap, limits: &Limits) -> Result<Option<Arc<str>>, Refusal> {
    let Some(name) = named(headers, &name::OPERATION)? else {
        return Ok(None);
    };
    let class = limits.class(name).map_err(|names| {
        let message = match names.is_empty() {
            true => format!(
                "`{}` names a class of work, and none is configured.",
                name::OPERATION
            ),
            false => format!(
                "`{}` names no class of work under `per_operation`. There are: {names}.",
                name::OPERATION
            ),
        };
        Refusal::new(Code::InvalidRequest, message)
    });
    class.map(Some)
}

fn named<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
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
