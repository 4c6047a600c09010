//! One question to a manager, and what can come of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use seaworthy_config::{LocalSecrets, Secret, SecretError, SecretRef, SecretSource as _};
use seaworthy_core::clock::SharedClock;
use seaworthy_edge::client::{Dial, Origin, Timeouts, Upstream};
use serde_json::Value;

use crate::Environment;
use crate::token::Tokens;

/// A secret is at most 64 KiB at every manager; the rest is what is around it.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Why a secret could not be fetched. None of the manager's own words are in it: they may hold what
/// nobody should read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered.
    #[error("{manager} at {place} does not answer")]
    Silent {
        /// Who was asked.
        manager: &'static str,
        /// Where.
        place: String,
        /// Why.
        #[source]
        source: seaworthy_edge::BoxError,
    },
    /// The manager said no.
    #[error("{manager} answered {status}: {}", advice(*status))]
    Status {
        /// Who was asked.
        manager: &'static str,
        /// What it answered.
        status: u16,
    },
    /// The answer is not one of this manager.
    #[error("{manager} answered with something else than {expected}")]
    Malformed {
        /// Who was asked.
        manager: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// There is a secret, and it lacks what is asked for.
    #[error("the secret has no text under the key `{0}`")]
    NoKey(String),
    /// The secret is empty.
    #[error("the secret is empty")]
    Empty,
    /// The configuration does not say enough.
    #[error("{0}")]
    Unconfigured(&'static str),
    /// The certificates of the manager cannot be used.
    #[error("the certificates in `ca_file` {file:?} cannot be used")]
    Authorities {
        /// Where they are.
        file: std::path::PathBuf,
        /// Why not.
        #[source]
        source: seaworthy_edge::BoxError,
    },
    /// What opens the manager cannot be had.
    #[error("what opens the manager cannot be read")]
    Own(#[source] SecretError),
}

impl FetchError {
    /// Whether asking again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        400 => "it does not understand the request, or does not know the secret",
        401 | 403 => "we may not read this secret; check credentials and policy",
        404 => "there is no such secret",
        429 => "it is asked too often",
        500.. => "something is wrong there",
        _ => "this was not expected",
    }
}

/// What asking needs.
pub(crate) struct Ask<'a> {
    pub(crate) dial: &'a Arc<dyn Dial>,
    pub(crate) clock: &'a SharedClock,
    pub(crate) local: &'a LocalSecrets<Environment>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) timeout: Duration,
}

/// A question.
pub(crate) struct Question<'a> {
    pub(crate) manager: &'static str,
    pub(crate) method: Method,
    /// Scheme, host and port, with the path that everything is under.
    pub(crate) base: &'a str,
    /// The path with its query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Ask<'_> {
    /// One of our own secrets, which open the manager.
    pub(crate) fn own(&self, reference: &SecretRef) -> Result<Secret, FetchError> {
        self.local.resolve(reference).map_err(FetchError::Own)
    }

    /// An environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.local.0)(name).filter(|value| !value.is_empty())
    }

    /// The answer as JSON, if the manager says yes.
    pub(crate) async fn json(&self, question: Question<'_>) -> Result<Value, FetchError> {
        let manager = question.manager;
        let place = question.base.to_owned();
        let (status, body) = self
            .send(question)
            .await
            .map_err(|source| FetchError::Silent {
                manager,
                place,
                source,
            })?;
        if status != 200 {
            return Err(FetchError::Status { manager, status });
        }
        serde_json::from_slice(&body).map_err(|_| FetchError::Malformed {
            manager,
            expected: "JSON",
        })
    }

    async fn send(&self, question: Question<'_>) -> Result<(u16, Bytes), seaworthy_edge::BoxError> {
        let origin = Origin::parse(question.base)?;
        let uri = origin.target(&question.path)?;
        let upstream = Upstream::new(origin, Arc::clone(self.dial), 0);
        let mut request = Request::new(Full::new(Bytes::from(question.body)));
        *request.method_mut() = question.method;
        *request.uri_mut() = uri.into();
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, upstream.host());
        for (name, value) in question.headers {
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let timeouts = Timeouts {
            connect: self.timeout,
            first_byte: self.timeout,
            first_token: None,
            between_chunks: self.timeout,
            total: self.timeout,
            deadline: None,
        };
        let (head, body) = upstream.send(request, timeouts).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
        Ok((head.status.as_u16(), body.to_bytes()))
    }
}

/// A text in a tree.
pub(crate) fn text<'a>(
    tree: &'a Value,
    pointer: &str,
    manager: &'static str,
    expected: &'static str,
) -> Result<&'a str, FetchError> {
    let found = tree.pointer(pointer).and_then(Value::as_str);
    found.ok_or(FetchError::Malformed { manager, expected })
}

/// The secret itself, or one text of it where it is an object.
pub(crate) fn pick(secret: String, key: Option<&str>) -> Result<Secret, FetchError> {
    let mut value = match key {
        None => secret,
        Some(key) => {
            let tree: Value = serde_json::from_str(&secret).unwrap_or_default();
            let found = tree.get(key).and_then(Value::as_str);
            let found = found.ok_or_else(|| FetchError::NoKey(key.to_owned()))?;
            found.to_owned()
        }
    };
    // As with files: what was written with `echo` ends with one.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    match value.trim().is_empty() {
        true => Err(FetchError::Empty),
        false => Ok(Secret::new(value)),
    }
}

/// A part of a path or of a form.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A form as it is sent.
pub(crate) fn form(entries: &[(&str, &str)]) -> String {
    let entries = entries
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    entries.collect::<Vec<_>>().join("&")
}
