//! What a verified token says, and who that is here.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_config::JwtIssuer;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::principal::{Credential, Identity, Principal, Role, Scopes, is_name};
use serde_json::{Map, Value};

use super::Flaw;

const MAX_USER_CHARS: usize = 256;
/// The largest moment that is believed, in seconds: the year 9999.
const MAX_SECONDS: f64 = 253_402_300_799.0;

type Claims = Map<String, Value>;

/// Until when a token is good at an issuer, its signature aside.
pub(crate) fn check(
    claims: &Claims,
    issuer: &JwtIssuer,
    now: UnixMillis,
) -> Result<UnixMillis, Flaw> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer.issuer.as_str()) {
        return Err(Flaw::WrongIssuer);
    }
    let is_ours = |audience: &Value| {
        let audience = audience.as_str();
        issuer.audience.iter().any(|ours| audience == Some(ours))
    };
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if !is_for_us {
        return Err(Flaw::WrongAudience);
    }
    let leeway = issuer.leeway.as_std();
    let expires_at = moment(claims, "exp")?.ok_or(Flaw::BadClaims)?.plus(leeway);
    if expires_at <= now {
        return Err(Flaw::Expired);
    }
    let latest = now.plus(leeway);
    for name in ["nbf", "iat"] {
        if moment(claims, name)?.is_some_and(|from| from > latest) {
            return Err(Flaw::NotYetValid);
        }
    }
    Ok(expires_at)
}

fn moment(claims: &Claims, name: &str) -> Result<Option<UnixMillis>, Flaw> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or(Flaw::BadClaims)?;
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return Err(Flaw::BadClaims);
    }
    let since = Duration::from_secs_f64(seconds);
    Ok(Some(UnixMillis(0).plus(since)))
}

/// Who a token is for.
pub(crate) fn principal(
    claims: &Claims,
    name: &str,
    issuer: &JwtIssuer,
) -> Result<Principal, Flaw> {
    let user = at(claims, &issuer.user_claim).and_then(Value::as_str);
    let user = user.ok_or(Flaw::BadClaims)?;
    let is_odd = user.is_empty()
        || user.chars().count() > MAX_USER_CHARS
        || user.contains(|c: char| c.is_control());
    if is_odd {
        return Err(Flaw::BadClaims);
    }
    let team = match &issuer.team_claim {
        None => None,
        Some(claim) => match at(claims, claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(team)) if is_name(team) => Some(Arc::from(team.as_str())),
            Some(_) => return Err(Flaw::BadClaims),
        },
    };
    Ok(Principal::new(Identity {
        credential: Credential::Jwt,
        key_id: format!("jwt:{name}:{user}").into(),
        earlier_keys: Arc::default(),
        user_id: format!("{}{user}", issuer.user_prefix).into(),
        team_id: team,
        roles: roles(claims, issuer),
        scopes: Scopes::default(),
        session: None,
        environment: None,
    }))
}

/// Only what the configuration translates becomes a role.
fn roles(claims: &Claims, issuer: &JwtIssuer) -> Vec<Role> {
    let said = issuer
        .roles_claim
        .as_ref()
        .and_then(|claim| at(claims, claim));
    let said: Vec<&str> = match said {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut roles: Vec<Role> = said
        .iter()
        .filter_map(|said| issuer.roles.get(*said)?.parse().ok())
        .collect();
    if roles.is_empty()
        && let Some(Ok(role)) = issuer.default_role.as_ref().map(|role| role.parse())
    {
        roles.push(role);
    }
    roles.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    roles.dedup();
    roles
}

/// A claim by its name, or by a path of names with dots between them.
fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}
