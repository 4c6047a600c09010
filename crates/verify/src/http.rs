//! A small HTTP client that sends exactly what a probe asks for, within a time limit.

use std::time::Duration;

use serde_json::Value;

mod base;
mod client;
mod connect;
mod kept;
mod old_tls;
mod raw;
mod watching;

pub(crate) use base::Base;
pub(crate) use client::{OpenStream, Protocol, exchange, open};
pub(crate) use connect::Dialer;
pub(crate) use kept::Caller;
pub(crate) use old_tls::{OldVersion, speaks};
pub(crate) use raw::{RawAnswer, RawExchange, Repeat, send_raw};
pub(crate) use watching::Inspection;

/// The largest answer that is kept.
pub(crate) const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// One request, built by a probe.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Sent with a nonce and the time, for servers that take no request twice.
    is_stamped: bool,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            is_stamped: true,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// Adds a header; its name in lower case.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same without a nonce and a time of its own.
    pub(crate) fn unstamped(self) -> Self {
        Self {
            is_stamped: false,
            ..self
        }
    }

    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    /// A body with content type JSON, whatever its bytes are.
    pub(crate) fn json_bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.json_bytes(body.to_string())
    }
}

/// Headers that tell this request from a recorded one.
pub(crate) fn stamp() -> [(&'static str, String); 2] {
    let seconds = jiff::Timestamp::now().as_second();
    [
        ("x-seaworthy-nonce", uuid::Uuid::now_v7().to_string()),
        ("x-seaworthy-timestamp", seconds.to_string()),
    ]
}

/// The head of an answer: header names in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// From the first byte sent, on a fresh connection, to the last byte received.
    pub(crate) elapsed: Duration,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect to {0}")]
    Connect(String),
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the connection ended without a complete answer: {0}")]
    Broken(String),
    #[error("cannot send this request: {0}")]
    Invalid(String),
}
