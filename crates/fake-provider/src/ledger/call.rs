//! One call in the log, and how it is shown.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::answer::Usage;

/// Headers whose values are shown only as hashes.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "proxy-authorization",
    "cookie",
];

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being answered.
    InFlight,
    /// The whole answer was sent.
    Completed,
    /// The caller closed the connection before that.
    AbortedByClient,
    /// A fault broke the connection, on command.
    Broken,
}

/// One call in the log.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number, from 1.
    pub seq: u64,
    /// Path without query.
    pub path: String,
    /// The query, if there was one.
    pub query: Option<String>,
    /// The model it named.
    pub model: Option<String>,
    /// The request's headers, secrets included: show them with [`Call::report`].
    pub headers: HeaderMap,
    /// The request's body, unless it was too large to keep.
    pub body: Option<Bytes>,
    /// The body's length.
    pub body_bytes: u64,
    /// The body's SHA-256, if the body itself is not kept.
    pub(super) body_sha256: Option<String>,
    /// Milliseconds from the provider's start to the request's last byte.
    pub received_ms: u64,
    /// Milliseconds from the request's last byte to the end of the answer.
    pub ended_after_ms: Option<u64>,
    /// Response status; none while it hangs before the headers.
    pub status: Option<u16>,
    /// The answer is a stream.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Tokens issued to the caller.
    pub issued: Usage,
    /// Body bytes sent.
    pub bytes_out: u64,
}

impl Call {
    /// The call as JSON, secrets hashed.
    pub fn report(&self) -> serde_json::Value {
        let show = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            let value = if SECRET_HEADERS.contains(&name.as_str()) {
                format!("sha256:{}", sha256_hex(value.as_bytes()))
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            serde_json::json!([name.as_str(), value])
        };
        let aborted = self.outcome == Outcome::AbortedByClient;
        serde_json::json!({
            "seq": self.seq,
            "path": self.path,
            "query": self.query,
            "model": self.model,
            "headers": self.headers.iter().map(show).collect::<Vec<_>>(),
            "body_bytes": self.body_bytes,
            "body_sha256": self.sha256(),
            "body_kept": self.body.is_some(),
            "received_ms": self.received_ms,
            "ended_after_ms": self.ended_after_ms,
            "status": self.status,
            "stream": self.stream,
            "outcome": self.outcome,
            "aborted_at_token": aborted.then_some(self.issued.output + self.issued.reasoning),
            "issued": self.issued,
            "bytes_out": self.bytes_out,
        })
    }

    /// The body's SHA-256 in hexadecimal.
    pub fn sha256(&self) -> String {
        match (&self.body, &self.body_sha256) {
            (Some(body), _) => sha256_hex(body),
            (None, known) => known.clone().unwrap_or_default(),
        }
    }

    /// What it costs to keep.
    pub(super) fn weight(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len) + 1024
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
