//! A client that sees every byte and every way in which a connection can end.

use std::time::{Duration, Instant};

use seaworthy_fake_provider::{Directives, Options, Running, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back, as far as it came.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body with the transfer coding removed.
    pub(crate) body: Vec<u8>,
    /// The body came to its proper end.
    pub(crate) whole: bool,
    /// The connection was reset.
    pub(crate) reset: bool,
    pub(crate) first_byte: Duration,
    pub(crate) took: Duration,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    /// The JSON of each `data:` line of a stream.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    }
}

pub(crate) async fn provider() -> Running {
    serve(Options::default()).await.unwrap()
}

pub(crate) async fn provider_with(defaults: &str) -> Running {
    let defaults: Directives = defaults.parse().unwrap();
    serve(Options {
        defaults,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// A chat body of OpenAI's dialect.
pub(crate) fn chat(text: &str) -> Value {
    json!({"model": "fake-gpt", "messages": [{"role": "user", "content": text}]})
}

/// A streaming chat body of OpenAI's dialect, with usage.
pub(crate) fn chat_stream(text: &str) -> Value {
    let mut body = chat(text);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// A messages body of Anthropic's dialect.
pub(crate) fn messages(text: &str) -> Value {
    json!({"model": "fake-claude", "max_tokens": 1000, "messages": [{"role": "user", "content": text}]})
}

pub(crate) const OPENAI: &str = "authorization: Bearer sk-test\r\n";
pub(crate) const ANTHROPIC: &str = "x-api-key: sk-test\r\nanthropic-version: 2023-06-01\r\n";

pub(crate) fn request_bytes(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: fake\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) async fn send(
    to: &Running,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Got {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to.addr()).await.unwrap();
    stream
        .write_all(&request_bytes(method, path, headers, body))
        .await
        .unwrap();
    let (mut bytes, mut first_byte, mut reset) = (Vec::new(), Duration::ZERO, false);
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break,
            Ok(_) if first_byte.is_zero() => first_byte = began.elapsed(),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                reset = true;
                break;
            }
        }
    }
    let split = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(0, |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let mut got = Got {
        status,
        head,
        body: bytes[split..].to_vec(),
        whole: false,
        reset,
        first_byte,
        took: began.elapsed(),
    };
    if got.header("transfer-encoding") == Some("chunked") {
        (got.body, got.whole) = dechunk(&got.body);
    } else if let Some(length) = got.header("content-length") {
        got.whole = length.parse() == Ok(got.body.len());
    }
    got
}

fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&bytes[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        bytes = &bytes[line + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&bytes[..size.min(bytes.len())]);
        bytes = bytes.get(size + 2..).unwrap_or_default();
    }
}

pub(crate) async fn post(to: &Running, path: &str, body: &Value) -> Got {
    let headers = if path.starts_with("/v1/messages") {
        ANTHROPIC
    } else {
        OPENAI
    };
    send(to, "POST", path, headers, body.to_string().as_bytes()).await
}

/// A chat completion with these directives in its text.
pub(crate) async fn complete(to: &Running, directives: &str) -> Got {
    post(
        to,
        "/v1/chat/completions",
        &chat(&format!("hello [[fake:{directives}]]")),
    )
    .await
}

/// A streamed chat completion with these directives in its text.
pub(crate) async fn stream(to: &Running, directives: &str) -> Got {
    post(
        to,
        "/v1/chat/completions",
        &chat_stream(&format!("hello [[fake:{directives}]]")),
    )
    .await
}

/// A streamed message with these directives in its text.
pub(crate) async fn message_stream(to: &Running, directives: &str) -> Got {
    let mut body = messages(&format!("hello [[fake:{directives}]]"));
    body["stream"] = json!(true);
    post(to, "/v1/messages", &body).await
}

/// Waits until a condition on the provider holds; fails after five seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "not within five seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
