//! Reading a request: the route, the key, and what is asked for.

use std::borrow::Cow;

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
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

/// The dialect in which a caller is answered.
pub(crate) fn dialect(arrival: &Arrival<'_>) -> Dialect {
    let path = arrival.path;
    let asks_anthropic = arrival.headers.contains_key("anthropic-version");
    let anthropic =
        path.starts_with("/v1/messages") || (path.starts_with("/v1/models") && asks_anthropic);
    match path {
        _ if anthropic => Dialect::Anthropic,
        _ if path.starts_with("/v1beta/") => Dialect::Gemini,
        _ if path.starts_with("/v2/") => Dialect::Cohere,
        _ if path.starts_with("/model/") => Dialect::Bedrock,
        _ if path.ends_with("/responses") || path.ends_with("/responses/input_tokens") => {
            Dialect::Responses
        }
        _ => Dialect::OpenAi,
    }
}

impl Arrival<'_> {
    /// Whether a stream of Gemini's is wanted as one JSON array.
    pub(crate) fn wants_array(&self) -> bool {
        let mut parameters = self.query.unwrap_or_default().split('&');
        !parameters.any(|parameter| parameter == "alt=sse")
    }
}

/// What stands between two ends of a path, decoded.
fn between<'a>(path: &'a str, start: &str, end: &str) -> Option<Cow<'a, str>> {
    let found = path.strip_prefix(start)?.strip_suffix(end)?;
    Some(decoded(found)).filter(|found| !found.is_empty())
}

fn decoded(text: &str) -> Cow<'_, str> {
    // What clients encode in names of models.
    match text.contains('%') {
        true => text
            .replace("%3A", ":")
            .replace("%2F", "/")
            .replace("%20", " ")
            .into(),
        false => text.into(),
    }
}

/// The key that a caller presents: in the header that its API has for it, as a bearer token, or the
/// ID of the key that signed the request.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let signer = text.strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let signer = signer.and_then(|rest| rest.split('/').next());
        text.strip_prefix("Bearer ").or(signer)
    };
    let direct = ["x-api-key", "api-key", "x-goog-api-key"]
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| value.to_str().ok());
    direct.or_else(bearer).filter(|key| !key.is_empty())
}

/// Requests whose path names the model: of Gemini, Bedrock and Azure's classic API.
fn foreign(
    arrival: &Arrival<'_>,
    json: &dyn Fn() -> Result<Value, Malformed>,
) -> Option<Result<Asked, Refused>> {
    let path = arrival.path;
    let gemini = |method: &str| between(path, "/v1beta/models/", method);
    let bedrock = |method: &str| between(path, "/model/", method);
    let azure = |operation: &str| between(path, "/openai/deployments/", operation);
    let read = || -> Result<Asked, Refused> {
        if let Some(model) = gemini(":generateContent") {
            return Ok(Asked::Chat(request::foreign::gemini(
                &json()?,
                &model,
                false,
            )?));
        }
        if let Some(model) = gemini(":streamGenerateContent") {
            return Ok(Asked::Chat(request::foreign::gemini(
                &json()?,
                &model,
                true,
            )?));
        }
        if let Some(model) = gemini(":countTokens") {
            return Ok(Asked::CountTokens(request::foreign::gemini(
                &json()?,
                &model,
                false,
            )?));
        }
        for method in [":embedContent", ":batchEmbedContents"] {
            if let Some(model) = gemini(method) {
                let body = json()?;
                let texts = request::embed::gemini(&body)?;
                let model = model.into_owned();
                return Ok(Asked::Embeddings { model, body, texts });
            }
        }
        if let Some(model) = bedrock("/converse") {
            return Ok(Asked::Chat(request::foreign::bedrock(
                &json()?,
                &model,
                false,
            )?));
        }
        if let Some(model) = bedrock("/converse-stream") {
            return Ok(Asked::Chat(request::foreign::bedrock(
                &json()?,
                &model,
                true,
            )?));
        }
        let mut body = json()?;
        let model = azure("/chat/completions").or(azure("/embeddings"));
        body["model"] = Value::String(model.unwrap_or_default().into_owned());
        if path.ends_with("/embeddings") {
            let texts = request::inputs(&body)?;
            let model = request::model(&body)?;
            return Ok(Asked::Embeddings { model, body, texts });
        }
        Ok(Asked::Chat(request::ask(Dialect::OpenAi, &body)?))
    };
    let is_one = ["/v1beta/models/", "/model/", "/openai/deployments/"];
    let ends = [
        ":generateContent",
        ":streamGenerateContent",
        ":countTokens",
        ":embedContent",
        ":batchEmbedContents",
        "/converse",
        "/converse-stream",
        "/chat/completions",
        "/embeddings",
    ];
    let is_foreign = is_one.iter().any(|start| path.starts_with(start))
        && ends.iter().any(|end| path.ends_with(end));
    is_foreign.then(read)
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
    if *arrival.method == Method::POST
        && let Some(asked) = foreign(arrival, &json)
    {
        return asked;
    }
    match (arrival.method, arrival.path) {
        (&Method::GET, "/v1beta/models") => Ok(Asked::Models),
        (&Method::POST, "/v2/chat") => Ok(Asked::Chat(chat()?)),
        (&Method::POST, "/v2/embed") => {
            let body = json()?;
            let texts = request::embed::cohere(&body)?;
            let model = request::model(&body)?;
            Ok(Asked::Embeddings { model, body, texts })
        }
        (&Method::POST, "/v1/responses" | "/openai/v1/responses" | "/openai/responses") => {
            Ok(Asked::Chat(request::foreign::responses(&json()?)?))
        }
        (
            &Method::POST,
            "/v1/responses/input_tokens"
            | "/openai/v1/responses/input_tokens"
            | "/openai/responses/input_tokens",
        ) => Ok(Asked::CountTokens(request::foreign::responses(&json()?)?)),
        (&Method::POST, "/v1/chat/completions" | "/openai/v1/chat/completions") => {
            Ok(Asked::Chat(chat()?))
        }
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
