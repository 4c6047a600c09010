//! Whether the way of authenticating that the server declares is the one that it enforces.

use serde_json::Value;

use super::dialect::{self, NO_SUCH_MODEL};
use super::rows::Row;
use super::{Kind, Need};
use crate::http::Request;
use crate::outcome::{Probed, fail, not_applicable, not_verified};
use crate::session::Session;

pub(super) static ROWS: &[Row] = &[Row {
    id: "auth.declared-in-manifest",
    needs: &[Need::Key],
    kind: Kind::Live,
    how: "The schemes of www-authenticate, OpenAPI and agent cards; the given key is sent in each of them, and a request without one.",
    probe: |s| Box::pin(declared(s)),
}];

/// Where servers declare how they authenticate.
const DOCUMENTS: [&str; 4] = [
    "/openapi.json",
    "/.well-known/agent-card.json",
    "/.well-known/agent.json",
    "/.well-known/asap/manifest.json",
];

/// A way to send a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Header(String),
    /// One that a key alone does not satisfy.
    Other(String),
}

impl Scheme {
    fn words(&self) -> String {
        match self {
            Self::Bearer => "Bearer".to_owned(),
            Self::Header(name) => format!("the header {name}"),
            Self::Other(name) => name.clone(),
        }
    }

    fn send(&self, request: Request, key: &str) -> Option<Request> {
        match self {
            Self::Bearer => Some(request.bearer(key)),
            Self::Header(name) => Some(request.header(name, key)),
            Self::Other(_) => None,
        }
    }
}

async fn declared(s: &Session<'_>) -> Probed {
    let Some(&dialect) = dialect::served(s)?.first() else {
        return not_applicable("no model API is served");
    };
    let ask = || dialect.request(dialect::body(NO_SUCH_MODEL, "hi", 1, false).to_string());
    let open = s.send(ask()).await?;
    let mut all: Vec<(&str, Scheme)> = Vec::new();
    if let Some(challenge) = open.header("www-authenticate") {
        all.push(("www-authenticate", challenged(challenge)));
    }
    let mut documents = 0;
    for path in DOCUMENTS {
        let answer = s.send(Request::get(path)).await?;
        let json = answer.json().filter(|_| answer.status() == 200);
        let schemes = json.map(|json| schemes(&json)).unwrap_or_default();
        documents += usize::from(!schemes.is_empty());
        all.extend(schemes.into_iter().map(|scheme| (path, scheme)));
    }
    if all.is_empty() {
        return not_applicable("the server declares no scheme");
    }
    if documents > 0 && !matches!(open.status(), 401 | 403) {
        let (place, scheme) = &all[0];
        return fail(
            format!(
                "401 without a key, because {place} declares {}",
                scheme.words()
            ),
            format!("{} without one", open.status()),
        );
    }
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for (place, scheme) in &all {
        let Some(request) = scheme.send(ask(), s.key()?) else {
            continue;
        };
        let status = s.send(request).await?.status();
        let words = format!("{} of {place}", scheme.words());
        match status {
            401 | 403 => refused.push(words),
            _ => accepted.push(words),
        }
    }
    conclude(&accepted, &refused)
}

fn conclude(accepted: &[String], refused: &[String]) -> Probed {
    match (accepted.is_empty(), refused.is_empty()) {
        (_, true) if !accepted.is_empty() => {
            Ok(format!("the key is accepted as {}", accepted.join(", ")))
        }
        (true, true) => not_verified("a credential for the schemes that are declared"),
        (true, false) => not_verified(format!(
            "a key that the server accepts: it is refused as {}",
            refused.join(", ")
        )),
        _ => fail(
            "a valid key accepted in every scheme that is declared",
            format!(
                "accepted as {}, refused as {}",
                accepted.join(", "),
                refused.join(", ")
            ),
        ),
    }
}

fn challenged(header: &str) -> Scheme {
    let name = header.split([' ', ',']).next().unwrap_or_default();
    if name.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else {
        Scheme::Other(name.to_owned())
    }
}

/// The schemes of an OpenAPI document or an agent card.
fn schemes(document: &Value) -> Vec<Scheme> {
    let named = [
        &document["components"]["securitySchemes"],
        &document["securitySchemes"],
    ];
    let named = named.into_iter().filter_map(Value::as_object).flatten();
    let listed = [
        &document["authentication"]["schemes"],
        &document["auth"]["schemes"],
    ];
    let listed = listed.into_iter().filter_map(Value::as_array).flatten();
    let mut all: Vec<Scheme> = named.map(|(_, scheme)| scheme_of(scheme)).collect();
    all.extend(listed.filter_map(Value::as_str).map(challenged));
    all
}

fn scheme_of(scheme: &Value) -> Scheme {
    let text = |key: &str| {
        scheme[key]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    match (
        text("type").as_str(),
        text("scheme").as_str(),
        text("in").as_str(),
    ) {
        ("http", "bearer", _) => Scheme::Bearer,
        // A key in `authorization` is a bearer token to most who declare it so.
        ("apikey", _, "header") if text("name") == "authorization" => Scheme::Bearer,
        ("apikey", _, "header") => Scheme::Header(text("name")),
        (kind, other, _) => Scheme::Other(format!("{kind} {other}").trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Scheme, conclude, schemes};

    #[test]
    fn reads_openapi_agent_cards_and_manifests() {
        let openapi = json!({"components": {"securitySchemes": {
            "a": {"type": "http", "scheme": "bearer"},
            "b": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "c": {"type": "oauth2"}}}});
        let header = Scheme::Header("x-key".to_owned());
        let other = Scheme::Other("oauth2".to_owned());
        assert_eq!(schemes(&openapi), [Scheme::Bearer, header, other]);
        let asap = json!({"auth": {"schemes": ["bearer"]}});
        assert_eq!(schemes(&asap), [Scheme::Bearer]);
        assert!(schemes(&json!([])).is_empty());
    }

    #[test]
    fn a_key_that_is_refused_everywhere_proves_nothing() {
        let named = |words: &str| vec![words.to_owned()];
        assert!(conclude(&named("a"), &[]).is_ok());
        assert!(matches!(
            conclude(&[], &named("b")),
            Err(crate::outcome::Stop::NotVerified { .. })
        ));
        assert!(matches!(
            conclude(&named("a"), &named("b")),
            Err(crate::outcome::Stop::Fail { .. })
        ));
    }
}
