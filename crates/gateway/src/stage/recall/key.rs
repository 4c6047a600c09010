//! What makes two requests the same.

use http::HeaderMap;
use seaworthy_config::CacheScope;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use seaworthy_core::principal::Principal;
use serde_json::Value;

use crate::pipeline::Errand;
use crate::stage::decode::Request;

/// Whose answers a caller can get, as the parts of a key.
pub(crate) fn tenant(scope: CacheScope, caller: &Principal) -> (&'static str, &str) {
    match scope {
        CacheScope::Key => ("key", &caller.key_id),
        CacheScope::User => ("user", &caller.user_id),
        CacheScope::Team => match &caller.team_id {
            Some(team) => ("team", team),
            None => ("user", &caller.user_id),
        },
        CacheScope::Global => ("global", ""),
    }
}

/// The key of a remembered answer: who asks, everything that is asked, and under which rules.
/// `None` for a body that is no JSON object.
pub(crate) fn of_answer(
    scope: CacheScope,
    rules: &Fingerprint,
    model: &str,
    errand: &Errand,
) -> Option<Fingerprint> {
    let request: &Request = &errand.request;
    let mut body: Value = serde_json::from_slice(&request.received).ok()?;
    // An alias is the same model.
    body.as_object_mut()?.remove("model");
    let mut key = Fingerprinter::default();
    let (kind, tenant) = tenant(scope, &errand.principal);
    let operation = request.operation;
    for part in [
        "answer",
        kind,
        tenant,
        operation.as_str(),
        operation.dialect().as_str(),
        model,
        if request.head.stream {
            "stream"
        } else {
            "whole"
        },
        request.framing.content_type(),
        request.query.as_deref().unwrap_or_default(),
    ] {
        key.part(part.as_bytes());
    }
    key.part(&rules.0);
    headers(&mut key, &errand.headers);
    key.json(&body);
    Some(key.finish())
}

/// The headers that can change an answer. Agent and session are for accounts.
fn headers(key: &mut Fingerprinter, headers: &HeaderMap) {
    let matters = |name: &str| {
        ["anthropic-", "openai-", "x-seaworthy-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            && !["x-seaworthy-agent", "x-seaworthy-session-id"].contains(&name)
    };
    let mut found: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| matters(name))
        .collect();
    found.sort_unstable();
    for (name, value) in found {
        key.part(name.as_bytes());
        key.part(value);
    }
    key.part(b"");
}

/// The key of a request that is carried out once: whose it is and the caller's own key.
pub(crate) fn of_idempotency(caller: &Principal, key: &[u8]) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(b"idempotency");
    print.part(caller.user_id.as_bytes());
    print.part(key);
    print.finish()
}

/// What is asked for, to the byte.
pub(crate) fn of_request(action: &str, query: Option<&str>, body: &[u8]) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(action.as_bytes());
    print.part(query.unwrap_or_default().as_bytes());
    print.part(body);
    print.finish()
}
