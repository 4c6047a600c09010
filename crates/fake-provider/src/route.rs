//! Reading a request: the route, the key, and what is asked for.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use crate::request::{self, Ask, Dialect, Malformed};
use crate::server::Options;

/// What is asked for, once the route is known and the body is JSON.
pub(crate) enum Asked {
    Chat(Ask),
    CountTokens(Ask),
    Embeddings {
        model: String,
        body: Value,
        texts: Vec<String>,
    },
    Moderations {
        model: String,
        texts: Vec<String>,
    },
    Models,
    Model(String),
}

impl Asked {
    pub(crate) fn model(&self) -> Option<&str> {
        match self {
            Self::Chat(ask) | Self::CountTokens(ask) => Some(&ask.model),
            Self::Embeddings { model, .. } | Self::Moderations { model, .. } => Some(model),
            Self::Model(model) => Some(model),
            Self::Models => None,
        }
    }
}

/// A request that is refused for a reason of its own.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self {
            status: 400,
            param: malformed.param,
            message: malformed.message,
        }
    }
}

pub(crate) fn refuse(status: u16, message: impl Into<String>) -> Refused {
    Refused {
        status,
        param: None,
        message: message.into(),
    }
}

/// A request as it arrived, whole.
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

/// The dialect in which a caller is answered.
pub(crate) fn dialect(arrival: &Arrival<'_>) -> Dialect {
    let anthropic = arrival.path.starts_with("/v1/messages")
        || arrival.headers.contains_key("anthropic-version");
    if anthropic {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

/// The key that a caller presents: `x-api-key`, or a bearer token.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        headers
            .get(AUTHORIZATION)?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")
    };
    let direct = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok());
    direct.or_else(bearer).filter(|key| !key.is_empty())
}

/// Reads a request: who asks, and for what.
pub(crate) fn read(options: &Options, arrival: &Arrival<'_>) -> Result<Asked, Refused> {
    let dialect = dialect(arrival);
    match presented_key(arrival.headers) {
        Some(key) if options.keys.is_empty() || options.keys.iter().any(|known| known == key) => {}
        Some(_) => return Err(refuse(401, "Incorrect API key provided.")),
        None => return Err(refuse(401, "You didn't provide an API key.")),
    }
    let json = || request::json_object(arrival.body);
    let chat = || -> Result<Ask, Refused> { Ok(request::ask(dialect, &json()?)?) };
    match (arrival.method, arrival.path) {
        (&Method::POST, "/v1/chat/completions") => Ok(Asked::Chat(chat()?)),
        (&Method::POST, "/v1/messages") => {
            if !arrival.headers.contains_key("anthropic-version") {
                return Err(refuse(400, "anthropic-version: header is required"));
            }
            let ask = chat()?;
            if ask.max_tokens.is_none() {
                return Err(Malformed::at("max_tokens", "max_tokens: Field required").into());
            }
            Ok(Asked::Chat(ask))
        }
        (&Method::POST, "/v1/messages/count_tokens") => Ok(Asked::CountTokens(chat()?)),
        (&Method::POST, "/v1/embeddings") => {
            let body = json()?;
            let texts = request::inputs(&body)?;
            Ok(Asked::Embeddings {
                model: request::model(&body)?,
                body,
                texts,
            })
        }
        (&Method::POST, "/v1/moderations") => {
            let body = json()?;
            let model = body["model"]
                .as_str()
                .unwrap_or("omni-moderation-latest")
                .to_owned();
            Ok(Asked::Moderations {
                model,
                texts: request::inputs(&body)?,
            })
        }
        (&Method::GET, "/v1/models") => Ok(Asked::Models),
        (&Method::GET, path) if path.starts_with("/v1/models/") => {
            let id = path.trim_start_matches("/v1/models/");
            if options.models.iter().any(|known| known == id) {
                Ok(Asked::Model(id.to_owned()))
            } else {
                Err(refuse(404, format!("The model `{id}` does not exist.")))
            }
        }
        (method, path) => Err(refuse(
            404,
            format!("Unknown request URL: {method} {path}."),
        )),
    }
}
