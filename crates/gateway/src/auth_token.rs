//! `POST /v1/auth/token`: a key becomes a short-lived token, in the words of RFC 6749 and RFC 8693.

use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::code::Code;
use seaworthy_core::principal::{Credential, Scopes, is_name};
use seaworthy_core::store;
use serde::Deserialize;
use serde_json::json;

use crate::exchange::Exchange;
use crate::identity::token::{DEFAULT_LIFETIME, LIFETIMES};
use crate::refusal::Refusal;
use crate::reply::Answer;

/// What may be asked for; nothing has to be.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    grant_type: Option<String>,
    expires_in: Option<u64>,
    session_id: Option<String>,
    scopes: Option<Scopes>,
}

const GRANTS: [&str; 2] = [
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// Makes a token for the key that the caller presented.
pub(crate) async fn create(exchange: &Exchange, body: &Bytes) -> Result<Answer, Refusal> {
    let wanted = read(body)?;
    let Some(caller) = &exchange.principal else {
        return Err(invalid("There is no credential to exchange.".to_owned()));
    };
    if caller.credential != Credential::Key {
        return Err(invalid(
            "Only an API key can be exchanged for a token: present one.".to_owned(),
        ));
    }
    let grant = wanted.grant_type.as_deref();
    if grant.is_some_and(|grant| !GRANTS.contains(&grant)) {
        let message = format!(
            "`grant_type` is `{}`, if it is sent.",
            GRANTS.join("` or `")
        );
        return Err(invalid(message).at("grant_type".to_owned()));
    }
    let seconds = wanted.expires_in.unwrap_or(DEFAULT_LIFETIME.as_secs());
    if !LIFETIMES.contains(&seconds) {
        let (least, most) = (LIFETIMES.start(), LIFETIMES.end());
        let message = format!("`expires_in` is between {least} and {most} seconds.");
        return Err(invalid(message).at("expires_in".to_owned()));
    }
    if wanted.session_id.as_deref().is_some_and(|id| !is_name(id)) {
        let message = "`session_id` has 1 to 128 letters, digits, `-`, `_`, `.` or `:`.";
        return Err(invalid(message.to_owned()).at("session_id".to_owned()));
    }
    if let Some(scopes) = &wanted.scopes {
        scopes.check().map_err(invalid)?;
        if !scopes.is_within(&caller.scopes) {
            let message = "A token cannot be for more than its key is for.";
            return Err(Refusal::new(Code::PermissionDenied, message).at("scopes".to_owned()));
        }
    }
    let (keys, now) = (&exchange.gateway.keys, exchange.gateway.clock.now());
    let signer = keys.signer().await.map_err(|error| unavailable(&error))?;
    let end = keys.end_of(&caller.key_id).await;
    // A token ends with its key, and its holder is told when that is.
    let lifetime = match end.map_err(|error| unavailable(&error))? {
        Some(end) => Duration::from_secs(seconds).min(end.since(now)),
        None => Duration::from_secs(seconds),
    };
    let token = signer.issue(
        &caller.key_id,
        (wanted.session_id, wanted.scopes),
        now,
        lifetime,
    );
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    let mut answer = Answer::json(200, body.to_string());
    let no_store = http::HeaderValue::from_static("no-store");
    answer.headers.insert(http::header::CACHE_CONTROL, no_store);
    Ok(answer)
}

/// JSON, or the form that OAuth clients send.
fn read(body: &Bytes) -> Result<Wanted, Refusal> {
    if body.is_empty() {
        return Ok(Wanted::default());
    }
    if body.first() == Some(&b'{') {
        return serde_json::from_slice(body)
            .map_err(|error| invalid(format!("The body is not right: {error}.")));
    }
    let mut wanted = Wanted::default();
    for pair in body.split(|&b| b == b'&') {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace("%3A", ":").replace("%3a", ":");
        match name {
            "grant_type" => wanted.grant_type = Some(value),
            "expires_in" => {
                wanted.expires_in = Some(
                    value
                        .parse()
                        .map_err(|_| invalid("`expires_in` is a number of seconds.".to_owned()))?,
                );
            }
            "session_id" => wanted.session_id = Some(value),
            other => {
                let shown: String = other.chars().take(50).collect();
                return Err(invalid(format!("`{shown}` is not known here.")));
            }
        }
    }
    Ok(wanted)
}

fn unavailable(error: &store::Error) -> Refusal {
    let message = "No token can be made now because the key store does not answer.";
    Refusal::new(Code::StoreUnavailable, message)
        .retry_after(Duration::from_secs(2))
        .because(error)
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}
