//! The two dialects' requests and error shapes, as probes need them.

use serde_json::{Value, json};

use crate::facts::Surface;
use crate::http::{Answer, Request};
use crate::outcome::{Stop, ensure, fail, not_applicable, not_verified};
use crate::session::Session;

/// A model that no server has, so that a request which should be refused cannot cost anything.
pub(super) const NO_SUCH_MODEL: &str = "seaworthy-check-no-such-model";

/// An API with its own shape of requests and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::Anthropic => "Anthropic",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }

    /// A request with exactly this body, whatever it is, and without credentials.
    pub(super) fn request(self, body: impl Into<Vec<u8>>) -> Request {
        let request = Request::post(self.path()).json_bytes(body);
        match self {
            Self::OpenAi => request,
            Self::Anthropic => request.header("anthropic-version", "2023-06-01"),
        }
    }

    /// Adds credentials as the dialect's own SDK sends them.
    pub(super) fn with_key(self, request: Request, key: &str) -> Request {
        match self {
            Self::OpenAi => request.bearer(key),
            Self::Anthropic => request.header("x-api-key", key),
        }
    }

    fn surface<'a>(self, session: &Session<'a>) -> &'a Surface {
        match self {
            Self::OpenAi => &session.facts().chat,
            Self::Anthropic => &session.facts().messages,
        }
    }

    /// The error's message, when the body has the dialect's error shape.
    pub(super) fn error_message(self, answer: &Answer) -> Result<String, Stop> {
        let shape = match self {
            Self::OpenAi => r#"{"error":{"message","type","param","code"}}"#,
            Self::Anthropic => r#"{"type":"error","error":{"type","message"}}"#,
        };
        let expected = format!("an error of the {} dialect, {shape}", self.name());
        let Some(json) = answer.json() else {
            return fail(
                expected,
                format!("{} with a body that is not JSON", answer.status()),
            );
        };
        let error = &json["error"];
        let complete = match self {
            Self::OpenAi => {
                error["type"].is_string()
                    && ["param", "code"].iter().all(|key| error.get(key).is_some())
            }
            Self::Anthropic => json["type"] == "error" && error["type"].is_string(),
        };
        match error["message"].as_str() {
            Some(message) if complete => Ok(message.to_owned()),
            _ => fail(
                expected,
                format!("{} with {}", answer.status(), shape_of(&json)),
            ),
        }
    }
}

/// The dialects that the server offers; without any, the question does not arise.
pub(super) fn served(session: &Session<'_>) -> Result<Vec<Dialect>, Stop> {
    let both = [Dialect::OpenAi, Dialect::Anthropic];
    let served: Vec<_> = both
        .into_iter()
        .filter(|d| *d.surface(session) == Surface::Served)
        .collect();
    match (&session.facts().chat, served.is_empty()) {
        (Surface::Absent(why), true) => not_applicable(why.clone()),
        _ => Ok(served),
    }
}

/// A small chat request that any dialect accepts; `tokens` limits the answer.
pub(super) fn body(model: &str, prompt: &str, tokens: u32, stream: bool) -> Value {
    json!({
        "model": model,
        "max_tokens": tokens,
        "stream": stream,
        "messages": [{"role": "user", "content": prompt}],
    })
}

/// Ends the probe unless the answer has one of these statuses.
pub(super) fn ensure_status(answer: &Answer, allowed: &[u16], when: &str) -> Result<(), Stop> {
    let wanted: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    ensure(
        allowed.contains(&answer.status()),
        format!("{} for {when}", wanted.join(" or ")),
        answer.status().to_string(),
    )
}

/// Ends the probe as not verified when the given key is refused: another check says so.
pub(super) fn ensure_admitted(answer: &Answer) -> Result<(), Stop> {
    match answer.status() {
        status @ (401 | 403) => not_verified(format!(
            "a key that the server accepts: it answers {status}"
        )),
        _ => Ok(()),
    }
}

/// Ends the probe unless an error's message is a sentence that someone could act on.
pub(super) fn ensure_sentence(message: &str) -> Result<(), Stop> {
    ensure(
        message.split_whitespace().count() >= 3,
        "a message that says in a sentence what is wrong",
        format!("{message:?}"),
    )
}

/// The keys of a JSON value, sorted, as its shape in words.
pub(super) fn shape_of(json: &Value) -> String {
    match json {
        Value::Object(map) => {
            let mut parts: Vec<String> = map
                .iter()
                .map(|(key, value)| match value {
                    Value::Object(_) => format!("{key}:{}", shape_of(value)),
                    _ => key.clone(),
                })
                .collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(_) => "an array".to_owned(),
        _ => "a bare value".to_owned(),
    }
}
